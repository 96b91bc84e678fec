# SPDX-License-Identifier: Apache-2.0
"""The pencil graph for ``ros2 launch``; nodes and parameters come from liquid_spike_control.nodes.graph."""

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from launch import LaunchDescription
from liquid_spike_control.nodes.graph import (
    ENVIRONMENT,
    LAUNCH_ARGUMENTS,
    bringup_command,
    describe,
    options_of,
    params_file,
)


def start(context):
    options = options_of({name: LaunchConfiguration(name).perform(context) for name in LAUNCH_ARGUMENTS})
    nodes = [
        LifecycleNode(
            package="liquid_spike_control",
            executable=spec.name,
            name=spec.name,
            namespace="",
            output="screen",
            ros_arguments=["--enclave", f"/{spec.name}"],
            parameters=[str(params_file(options)), spec.parameters],
        )
        for spec in describe(options)
    ]
    return [*nodes, ExecuteProcess(cmd=bringup_command(options), output="screen")]


def generate_launch_description():
    threads = [SetEnvironmentVariable(k, v) for k, v in ENVIRONMENT.items() if k.endswith("_NUM_THREADS")]
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in LAUNCH_ARGUMENTS.items()
    ]
    return LaunchDescription([*threads, *arguments, OpaqueFunction(function=start)])
