# SPDX-License-Identifier: Apache-2.0
"""The bit-exact emulators of Loihi and Loihi 2, and their compiled kernels."""
