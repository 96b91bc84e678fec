# SPDX-License-Identifier: Apache-2.0
"""The simulated pencil for ``ros2 launch``: robot.launch.py with ``robot:=pencil``."""

from liquid_spike_control.nodes.graph import LAUNCH_ARGUMENTS, bringup_arguments, describe, options_of
from liquid_spike_control.nodes.launching import launch_description


def generate_launch_description():
    return launch_description(LAUNCH_ARGUMENTS, options_of, lambda options: None, describe, bringup_arguments)
