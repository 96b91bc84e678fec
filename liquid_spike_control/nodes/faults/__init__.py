# SPDX-License-Identifier: Apache-2.0
"""Faults a robot controller must survive: one function injects each and measures what was promised."""
