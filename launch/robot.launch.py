# SPDX-License-Identifier: Apache-2.0
"""A robot's graph for ``ros2 launch``: ``robot:=pencil`` in simulation by default, on the robot with ``sim:=false``."""

from liquid_spike_control.nodes.launching import launch_description as generate_launch_description  # noqa: F401
