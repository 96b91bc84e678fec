# SPDX-License-Identifier: Apache-2.0
"""From float networks to Loihi's integers."""
