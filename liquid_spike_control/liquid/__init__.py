# SPDX-License-Identifier: Apache-2.0
"""The liquid network: the trainable cells, their compiled step and the controller."""
