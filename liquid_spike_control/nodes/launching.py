# SPDX-License-Identifier: Apache-2.0
"""What the launch files have in common; needs the ``launch`` package, which comes with a system ROS only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .graph import ENVIRONMENT, NodeSpec


def launch_description(
    arguments: Mapping[str, tuple[str, str]],
    options_of: Callable[[dict[str, str]], Any],
    parameters_of: Callable[[Any], Path | None],
    describe: Callable[[Any], Sequence[NodeSpec]],
    bringup_command: Callable[[Any], list[str]],
):
    """A LaunchDescription of a graph: its nodes, and the process that takes them through their lifecycle.

    Args:
        arguments: name to (default, description).
        options_of: the options that the arguments' texts ask for.
        parameters_of: the yaml file that goes with the options.
        describe: the nodes that the options ask for.
        bringup_command: command line that brings them up.
    """
    from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
    from launch.substitutions import LaunchConfiguration
    from launch_ros.actions import LifecycleNode

    from launch import LaunchDescription  # type: ignore[attr-defined]  # our folder of that name is not it

    def start(context):
        options = options_of({name: LaunchConfiguration(name).perform(context) for name in arguments})
        nodes = [
            LifecycleNode(
                package="liquid_spike_control",
                executable=spec.name,
                name=spec.name,
                namespace="",
                output="screen",
                ros_arguments=["--enclave", f"/{spec.name}"],
                parameters=[*([str(file)] if (file := parameters_of(options)) else []), spec.parameters],
            )
            for spec in describe(options)
        ]
        return [*nodes, ExecuteProcess(cmd=bringup_command(options), output="screen")]

    threads = [SetEnvironmentVariable(k, v) for k, v in ENVIRONMENT.items() if k.endswith("_NUM_THREADS")]
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in arguments.items()
    ]
    return LaunchDescription([*threads, *declared, OpaqueFunction(function=start)])
