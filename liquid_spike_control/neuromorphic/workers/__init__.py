# SPDX-License-Identifier: Apache-2.0
"""Other people's simulators of the same chip, each in a process and an interpreter of its own."""
