# SPDX-License-Identifier: Apache-2.0
"""Networks and spikes in files."""
