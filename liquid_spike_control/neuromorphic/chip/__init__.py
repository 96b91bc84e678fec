# SPDX-License-Identifier: Apache-2.0
"""Resources of a network on a chip: cores, axons, messages, time."""
