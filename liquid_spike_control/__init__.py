# SPDX-License-Identifier: Apache-2.0
"""Perceive with spikes, decide with a liquid neural network, act through a safety gate."""

__version__ = "0.1.0"
