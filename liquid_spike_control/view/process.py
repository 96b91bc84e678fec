# SPDX-License-Identifier: Apache-2.0
"""The process of the view of a loop: ``python -m liquid_spike_control.view.process``, started by the loop's own."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time

from ..assembly import new_backend, new_perception, read_robot_perception
from ..background import give_way
from ..errors import LiquidSpikeError
from ..neuromorphic.emulator.loihi import LoihiEmulator
from ..parent_death import end_with_parent
from ..robot import Robot
from ..robot_file import read_robot
from ..tasks.of_robot import task_of
from .link import Link, announce
from .network import NetworkView
from .sample import Order
from .screen import Screen
from .server import PageServer

#: Between two looks at what the loop sent [s].
PERIOD_S = 0.02


def new_screen(robot: Robot, settings: dict, duration_s: float | None, perception: str | None, scene: bool) -> Screen:
    """A screen for a robot, with a network of its own where it has a perception.

    Args:
        robot: the robot.
        settings, duration_s: of its task.
        perception: another model than the description's.
        scene: whether there is a simulation.

    Raises:
        LiquidSpikeError: a model or the scene is missing, damaged or does not fit.
    """
    task = task_of(robot, duration_s, **settings) if scene else None
    if not robot.estimates:
        return Screen(robot, task)
    model = read_robot_perception(robot, perception)
    backend = new_backend(model)
    # an emulator of other neuron models shows no layers
    layers = backend if isinstance(backend, LoihiEmulator) else None
    return Screen(robot, task, None if layers is None else NetworkView(new_perception(robot, model), layers))


def main() -> None:
    """Serve until the loop's end of the link is closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--robot", required=True)
    parser.add_argument("--settings", default="{}")
    parser.add_argument("--duration", type=float)
    parser.add_argument("--perception")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    end_with_parent()
    link = Link(socket.socket(fileno=options.socket))
    try:
        robot = read_robot(options.robot)
        screen = new_screen(robot, json.loads(options.settings), options.duration, options.perception, True)
        with PageServer(screen, link.ask, options.port) as page:
            announce(page.link, waits=True)
            give_way()  # only now: the loop waits for the page
            reported = False
            while not link.broken:
                if page.opened_pages and not reported:
                    link.ask(Order("open"))
                    reported = True
                for sample, facts, screen.lost in link.heard():
                    if facts is not None:
                        screen.facts = facts
                    if sample is not None:
                        screen.add(sample)
                time.sleep(PERIOD_S)
    except LiquidSpikeError as error:
        print(f"view: {error}", file=sys.stderr, flush=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
