# SPDX-License-Identifier: Apache-2.0
"""Learning on the chip: rules in Loihi's notation, the engine that applies them, rules by name."""
