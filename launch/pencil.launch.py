# SPDX-License-Identifier: Apache-2.0
"""The pencil graph for ``ros2 launch``; nodes and parameters come from liquid_spike_control.nodes.graph."""

from liquid_spike_control.nodes.graph import LAUNCH_ARGUMENTS, bringup_command, describe, options_of, params_file
from liquid_spike_control.nodes.launching import launch_description


def generate_launch_description():
    return launch_description(LAUNCH_ARGUMENTS, options_of, params_file, describe, bringup_command)
