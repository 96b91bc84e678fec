# SPDX-License-Identifier: Apache-2.0
"""The safety gate, and the experts that teach."""
