# SPDX-License-Identifier: Apache-2.0
"""A robot's graph for ``ros2 launch``; nodes and parameters come from liquid_spike_control.nodes.robot."""

from liquid_spike_control.nodes.launching import launch_description
from liquid_spike_control.nodes.robot import LAUNCH_ARGUMENTS, bringup_command, describe, options_of


def generate_launch_description():
    return launch_description(LAUNCH_ARGUMENTS, options_of, lambda options: options.config, describe, bringup_command)
