# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench hops``: the graph's hops beside those of two bare rclpy processes."""
