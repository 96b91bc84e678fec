# SPDX-License-Identifier: Apache-2.0
"""A robot's graph for ``ros2 launch``, in simulation or on the robot; ``robot:=pencil sim:=true`` by default.

With ``config:=FILE`` the graph is described by a yaml file of ROS parameters alone, such as config/robot_cart.yaml.
"""

from liquid_spike_control.nodes import graph, robot
from liquid_spike_control.nodes.launching import launch_description


def _options(arguments):
    if arguments["config"]:
        return robot.options_of(arguments)
    return graph.options_of({name: text for name, text in arguments.items() if name != "config"})


def _is_configured(options):
    return isinstance(options, robot.RobotOptions)


def generate_launch_description():
    return launch_description(
        graph.LAUNCH_ARGUMENTS | {"config": ("", "yaml file of ROS parameters that describes the graph by itself")},
        _options,
        lambda options: options.config if _is_configured(options) else None,
        lambda options: (robot if _is_configured(options) else graph).describe(options),
        lambda options: (robot if _is_configured(options) else graph).bringup_arguments(options),
    )
