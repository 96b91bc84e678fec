# SPDX-License-Identifier: Apache-2.0
"""How much a reservoir remembers, separates and computes, beside an echo-state network and a CfC."""
