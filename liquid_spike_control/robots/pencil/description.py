# SPDX-License-Identifier: Apache-2.0
"""The description of the pencil, for its own trainings and benchmarks."""

from pathlib import Path

from ...robot_file import read_robot

ROBOT = read_robot(Path(__file__).parent)
CAMERA = ROBOT.cameras[0].event_camera()
