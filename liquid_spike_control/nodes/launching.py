# SPDX-License-Identifier: Apache-2.0
"""The graph of a robot for ``ros2 launch``; needs the ``launch`` package, which comes with a system ROS or by
``make ros-tools``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from ..errors import GraphError, LiquidSpikeError
from ..resources import PACKAGE
from .graph import ENCLAVE, ENVIRONMENT, LAUNCH_ARGUMENTS, bringup_arguments, describe, options_of

#: From the end of a node's process to its restart [s].
RESPAWN_DELAY_S = 0.5
#: Exit status of a node that refuses to start, as one whose name is taken; starting it anew is of no use.
REFUSED = 2
FLAGS = ("true", "false")
#: Arguments besides those of the graph, as Nav2's: name to (default, description) and the choices.
COMMON: dict[str, tuple] = {
    "namespace": ("", "of the nodes and their topics: robot1; several robots on one ROS domain have one each"),
    "use_sim_time": ("", "whether the gate takes its time from /clock; as the description asks if empty", ("", *FLAGS)),
    "autostart": ("true", "configure and activate the nodes", FLAGS),
    "use_respawn": ("true", "start a node again that ended, failed or hangs; false: end the launch", FLAGS),
    "log_level": ("info", "of the nodes", ("debug", "info", "warn", "error", "fatal")),
}


def launch_description():
    """The LaunchDescription of a robot's graph: its nodes, and the manager that takes them through their lifecycle.

    The launch ends with status 1 where the manager gives up, where a node refuses to start and, without
    ``use_respawn``, where a node ends.
    """
    from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler, SetEnvironmentVariable
    from launch.event_handlers import OnProcessExit
    from launch.substitutions import LaunchConfiguration
    from launch_ros.actions import LifecycleNode, Node

    from launch import LaunchDescription  # our folder of that name is not it

    def start(context):
        given = {name: LaunchConfiguration(name).perform(context) for name in (*LAUNCH_ARGUMENTS, *COMMON)}
        respawn = given["use_respawn"] == "true"
        try:
            options = options_of({name: given[name] for name in (*LAUNCH_ARGUMENTS, "namespace")})
            own = {"use_sim_time": given["use_sim_time"] == "true"} if given["use_sim_time"] else {}
            programs = {
                spec.name: replace(spec, parameters={**spec.parameters, **own}).arguments()
                for spec in describe(options)
            }
            manager = [*bringup_arguments(options), *(["--stay"] if respawn else [])]
        except LiquidSpikeError as error:
            raise GraphError(as_launch_arguments(str(error))) from None
        level = ["--log-level", given["log_level"]]
        common = {"package": PACKAGE, "namespace": options.namespace, "output": "screen"}
        nodes = [
            LifecycleNode(
                executable=name, name=name, respawn=respawn, respawn_delay=RESPAWN_DELAY_S,
                ros_arguments=[*ros_arguments[1:], *level], **common,
            )
            for name, ros_arguments in programs.items()
        ]  # fmt: skip
        if given["autostart"] == "true":
            nodes.append(Node(executable="bringup", arguments=manager, ros_arguments=[*ENCLAVE[1:], *level], **common))
        names = [*programs, "the manager of the nodes"]
        watches = [
            RegisterEventHandler(OnProcessExit(target_action=node, on_exit=_end_of(name, respawn)))
            for node, name in zip(nodes, names, strict=False)
        ]
        return [*watches, *nodes]  # whoever ends at once is seen

    threads = [SetEnvironmentVariable(k, v) for k, v in ENVIRONMENT.items() if k.endswith("_NUM_THREADS")]
    declared = [
        DeclareLaunchArgument(
            name, default_value=default, description=description, **({"choices": list(*choices)} if choices else {})
        )
        for name, (default, description, *choices) in {**LAUNCH_ARGUMENTS, **COMMON}.items()
    ]
    return LaunchDescription([*threads, *declared, OpaqueFunction(function=start)])


def _end_of(name: str, respawn: bool) -> Callable:
    """What the end of a process does: an error ends the launch with status 1, and a node that is started again does
    not.
    """
    managed = "manager" not in name

    def on_exit(event, context):
        if context.is_shutdown or (event.returncode == 0 and not managed):
            return
        if not managed or not respawn or event.returncode == REFUSED:
            raise GraphError(f"{name} ended with status {event.returncode}: its last lines say why")

    return on_exit


def as_launch_arguments(text: str) -> str:
    """A message about options of the command line as one about launch arguments: ``mode:=`` for ``--mode``."""
    return re.sub(r"--([a-z]+(?:-[a-z]+)*) ?", lambda found: found[1].replace("-", "_") + ":=", text)
