# SPDX-License-Identifier: Apache-2.0
"""Perceive with spikes, decide with a liquid neural network, act through a safety gate.

The public names; each is loaded when it is used.

>>> import liquid_spike_control as lsc
>>> robot = lsc.robot_named("swing-up")
>>> loop = lsc.new_loop(robot, truth=True)
>>> loop.reset(seed=0)
>>> while not loop.world.over:
...     record = loop.tick()
>>> loop.world.task.success
True
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from .kernel_cache import provide_cache as _provide_cache
from .kernel_sources import keep_by_sources as _keep_by_sources

if TYPE_CHECKING:
    from .assembly import new_loop, read_robot_controller, read_robot_perception
    from .control.files import controller_of, read_controller_file
    from .control.gate import GateLimits, Verdict, admit, watchdog
    from .errors import LiquidSpikeError
    from .events.camera import EventCamera, EventCameraModel
    from .events.files import open_events, write_events
    from .loop import Loop
    from .neuromorphic import emulate, quantise, read_model
    from .perception import Perception
    from .records.replay import replay
    from .robot import Camera, Command, Estimate, MujocoPlace, Reading, Robot, RosPlace, Setpoint
    from .robot_file import read_robot
    from .robots.catalogue import robot_named, task_named
    from .sim.world import World
    from .tasks.episode import run_episode
    from .tasks.mujoco_task import MujocoTask
    from .types import EVENT, Quantities, SpikeTrain

__version__ = "0.1.0"

_MODULES = {
    "assembly": ("new_loop", "read_robot_controller", "read_robot_perception"),
    "control.files": ("controller_of", "read_controller_file"),
    "control.gate": ("GateLimits", "Verdict", "admit", "watchdog"),
    "errors": ("LiquidSpikeError",),
    "events.camera": ("EventCamera", "EventCameraModel"),
    "events.files": ("open_events", "write_events"),
    "loop": ("Loop",),
    "neuromorphic": ("emulate", "quantise", "read_model"),
    "perception": ("Perception",),
    "records.replay": ("replay",),
    "robot": ("Camera", "Command", "Estimate", "MujocoPlace", "Reading", "Robot", "RosPlace", "Setpoint"),
    "robot_file": ("read_robot",),
    "robots.catalogue": ("robot_named", "task_named"),
    "sim.world": ("World",),
    "tasks.episode": ("run_episode",),
    "tasks.mujoco_task": ("MujocoTask",),
    "types": ("EVENT", "Quantities", "SpikeTrain"),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "EVENT",
    "Camera",
    "Command",
    "Estimate",
    "EventCamera",
    "EventCameraModel",
    "GateLimits",
    "LiquidSpikeError",
    "Loop",
    "MujocoPlace",
    "MujocoTask",
    "Perception",
    "Quantities",
    "Reading",
    "Robot",
    "RosPlace",
    "Setpoint",
    "SpikeTrain",
    "Verdict",
    "World",
    "admit",
    "controller_of",
    "emulate",
    "new_loop",
    "open_events",
    "quantise",
    "read_controller_file",
    "read_model",
    "read_robot",
    "read_robot_controller",
    "read_robot_perception",
    "replay",
    "robot_named",
    "run_episode",
    "task_named",
    "watchdog",
    "write_events",
]

_provide_cache()
_keep_by_sources()


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(_import_module(f".{_WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
