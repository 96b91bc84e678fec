# SPDX-License-Identifier: Apache-2.0
"""Estimates of energy by published models, and NeuroBench's metrics."""
