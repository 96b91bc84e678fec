# SPDX-License-Identifier: Apache-2.0
"""Perceive with spikes, decide with a liquid neural network, act through a safety gate."""

from .kernel_cache import provide_cache as _provide_cache

__version__ = "0.1.0"

_provide_cache()
