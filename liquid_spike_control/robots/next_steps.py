# SPDX-License-Identifier: Apache-2.0
"""What ``liquid-spike`` prints by itself: commands to try, those of ROS 2 only where it is installed."""

from __future__ import annotations

from importlib.util import find_spec

from .. import __version__
from ..options import RunOptions
from ..robot import Robot
from ..terminal import Console
from .catalogue import robot_named


def steps(robot: Robot, ros: bool) -> list[tuple[str, str]]:
    """Commands to try, without ``liquid-spike``, and what each does.

    Args:
        robot: with a perception.
        ros: whether ROS 2 is installed.
    """
    over_ros = [(f"run {robot.name}", "the same over ROS 2, a process for each node, in real time")]
    return [
        (f"run {robot.name} --in-process", f"{robot.description}; in this process"),
        *(over_ros if ros else ()),
        (f"run {robot.name} --in-process --view", "watch it in the browser: push the robot, pause, stop"),
        ("robots", "list the robots"),
        ("new my_robot", "write a robot of your own, with a simulation and tests"),
        (f"neuromorphic inspect {robot.name}/{robot.perception}", "look into a network, place it on Loihi's cores"),
        ("doctor", "check this machine, its ROS and its cameras"),
        ("completion bash", "print completion for the shell; also zsh, fish"),
        ("--help", "all commands; after a command, its options"),
    ]


def print_next_steps() -> int:
    """Print the commands on standard output; returns exit status 0."""
    console = Console(highlight=False, soft_wrap=True)
    ros = find_spec("rclpy") is not None
    console.print(f"liquid-spike {__version__}. To try next:", style="bold")
    shown = [(f"liquid-spike {command}", what) for command, what in steps(robot_named(RunOptions().robot), ros)]
    longest = max(len(command) for command, _ in shown)
    beside = longest + max(len(what) for _, what in shown) + 4 <= console.width
    for command, what in shown:
        console.print(f"  {command:{longest}}  {what}" if beside else f"  {command}\n      {what}")
    if not ros:
        console.print("ROS 2 is not installed; docs/installation.md says how to")
    return 0
