# SPDX-License-Identifier: Apache-2.0
"""The graph of a robot for ``ros2 launch``; needs the ``launch`` package, which comes with a system ROS or by
``make ros-tools``.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import GraphError, LiquidSpikeError
from ..resources import PACKAGE
from .graph import BACKENDS, ENCLAVE, ENVIRONMENT, MODES, SIMULATORS, GraphOptions, describe, settings_of
from .scheduling import default_priority

#: The launch file that has this description.
FILE = "robot.launch.py"
#: Arguments that ``ros2 launch`` takes for itself.
ROS2_LAUNCH = ("launch-prefix", "launch-prefix-filter")
#: From the end of a node's process to its restart [s].
RESPAWN_DELAY_S = 0.5
#: Exit status of a node that refuses to start, as one whose name is taken; restarting it is of no use.
REFUSED = 2
FLAGS = ("true", "false")
#: Arguments of the graph: name to (default, description) and, where they are few, the choices. An empty
#: text leaves the graph's own default.
LAUNCH_ARGUMENTS: dict[str, tuple] = {
    "robot": (str(GraphOptions.robot), "name of a robot, its folder or its yaml file"),
    "sim": ("true", "true: simulated in MuJoCo; false: on the robot's own topics", ("true", "false")),
    "seed": ("0", "of the simulated episode"),
    "duration": ("", "simulated seconds; the task's own if not given"),
    "settings": ("", "of the task, e.g. push=0.02,tilt=0.1"),
    "mode": ("realtime", "lockstep: as fast as it goes, the same bytes every time; or realtime", MODES),
    "backend": ("offload", "where the spiking network runs: on its own node, or in the perception's process", BACKENDS),
    "simulator": ("loihi", "backend of the offload node", SIMULATORS),
    "perception_model": ("", "path of a .nir file"),
    "controller_model": ("", "path of a .safetensors file, or of a spiking controller's .nir"),
    "record": ("", "path of an .mcap file to write"),
    "params": ("", "yaml file of ROS parameters that replace those derived from the robot"),
    "rewards": ("false", "true: a controller that train reward made goes on learning by rewards", ("true", "false")),
    "learnt": ("", "path of a .safetensors file for what the controller has learnt at the end"),
    "priority": ("", "real-time priority of the nodes (SCHED_RR 1 to 98, needs permission); 0 is ordinary scheduling;"
                 " empty: 20 in real time where it is permitted"),
    "wait": ("60.0", "how long activation waits for a real robot's messages, and for who takes its commands [s]"),
}
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
        if any(Path(word).name == FILE for word in sys.argv):  # not included by another file, which has arguments too
            check_known(context.argv)
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
        return [*watches, *nodes]  # in this order, to see a node that ends immediately

    threads = [SetEnvironmentVariable(k, v) for k, v in ENVIRONMENT.items() if k.endswith("_NUM_THREADS")]
    declared = [
        DeclareLaunchArgument(
            name, default_value=default, description=description, **({"choices": list(*choices)} if choices else {})
        )
        for name, (default, description, *choices) in {**LAUNCH_ARGUMENTS, **COMMON}.items()
    ]
    return LaunchDescription([*threads, *declared, OpaqueFunction(function=start)])


def _end_of(name: str, respawn: bool) -> Callable:
    """Return the handler of a process's end: an error ends the launch with status 1, and a node that is restarted does
    not.
    """
    managed = "manager" not in name

    def on_exit(event, context):
        if context.is_shutdown or (event.returncode == 0 and not managed):
            return
        if not managed or not respawn or event.returncode == REFUSED:
            raise GraphError(f"{name} ended with status {event.returncode}; see its last lines for the reason")

    return on_exit


def as_launch_arguments(text: str) -> str:
    """A message about options of the command line as one about launch arguments: ``mode:=`` for ``--mode``."""
    return re.sub(r"--([a-z]+(?:-[a-z]+)*) ?", lambda found: found[1].replace("-", "_") + ":=", text)


def check_known(arguments: Iterable[str]) -> None:
    """Refuse launch arguments, ``name:=value``, that the launch file does not have; ``ros2 launch`` passes them over.

    Raises:
        GraphError: there is no such argument; names the nearest one.
    """
    known = (*LAUNCH_ARGUMENTS, *COMMON)
    for argument in arguments:
        name, given, _ = argument.partition(":=")
        if given and name not in (*known, *ROS2_LAUNCH):
            near = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]}:=? " if near else ""
            raise GraphError(f"{argument}: no such argument; {meant}ros2 launch -s {PACKAGE} {FILE} lists all")


def options_of(arguments: dict[str, str]) -> GraphOptions:
    """Convert launch arguments, which are texts, to options.

    Raises:
        GraphError: an argument is not what it should be.
    """
    given = {name: text for name, text in arguments.items() if text}
    numbers = {"seed": int, "priority": int, "duration": float, "wait": float}
    kinds: dict[str, Any] = {"perception_model": Path, "controller_model": Path, "record": Path, "params": Path,
                             "learnt": Path, "sim": _truth, "rewards": _truth,
                             "settings": settings_of} | numbers  # fmt: skip
    values: dict[str, Any] = {}
    for name, text in given.items():
        try:
            values[name] = kinds.get(name, str)(text)
        except ValueError:
            kind = {int: "a whole number, ", float: "a number, "}.get(numbers.get(name, str), "")
            raise GraphError(f"{name}:={text}; give {kind}{LAUNCH_ARGUMENTS[name][1]}") from None
    values.setdefault("priority", default_priority(values.get("mode", LAUNCH_ARGUMENTS["mode"][0])))
    renamed = {"duration": "duration_s", "sim": "simulated", "wait": "wait_s"}
    return GraphOptions(**{renamed.get(name, name): value for name, value in values.items()})


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def bringup_arguments(options: GraphOptions) -> list[str]:
    """Return the arguments of the program that activates the nodes in order, to start them without the supervisor."""
    wait = [] if options.simulated else ["--stay", "--wait", f"{options.wait_s:g}"]
    return [*wait, *(spec.name for spec in describe(options))]
