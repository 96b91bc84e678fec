# SPDX-License-Identifier: Apache-2.0
"""Numbers as spikes and back: codes, each with its inverse and the error between them."""
