# SPDX-License-Identifier: Apache-2.0
"""Fast-DDS profile of a process: the shipped one, unless the user names another.

Fast-DDS by itself has 512 KiB of shared memory a process, and loses best-effort messages that do not fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from ..resources import share

#: Where Fast-DDS looks for the name of its profiles' file: up to 2.14 (Jazzy), and from 3.0 (Kilted), where the older
#: name gives a warning on every start.
VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
PROFILE = "config/fastdds.xml"


def profile_file(environment: Mapping[str, str]) -> str:
    """The profiles' file: the one that the environment names, under either name, or the shipped one."""
    given = [environment[name] for name in VARIABLES if environment.get(name)]
    return given[0] if given else str(share(PROFILE))


def profile_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a process needs before it joins ROS: the variable that its Fast-DDS reads."""
    return {VARIABLES[rclpy_version() >= (8,)]: profile_file(environment)}


@cache
def rclpy_version() -> tuple[int, ...]:
    """Version of rclpy, (7, 1, 6) on Jazzy; empty without it."""
    for name in ("ros-rclpy", "rclpy"):  # the wheels, a system ROS
        try:
            return tuple(int(part) for part in version(name).split(".")[:3])
        except (PackageNotFoundError, ValueError):
            continue
    return ()
