# SPDX-License-Identifier: Apache-2.0
"""Codes of :mod:`...spiking.coding` as neurons of Loihi 2: numbers enter as integers, spikes arise on the chip."""
