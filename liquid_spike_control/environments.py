# SPDX-License-Identifier: Apache-2.0
"""Robots as Gymnasium environments, for other learning libraries: ``LiquidSpike/<Name>-v0`` for each robot listed.

>>> import gymnasium, liquid_spike_control.environments
>>> env = gymnasium.make("LiquidSpike/SwingUp-v0")
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces

from .errors import TaskError
from .robot import Robot, names
from .robots.catalogue import descriptions, robot_named
from .sim.world import Sensing, World
from .tasks.of_robot import task_of

#: Size of a picture of the scene: rows, columns.
PICTURE = (240, 320)
#: Cameras of a scene that show all of it; the first that there is.
OVERVIEWS = ("overview", "track")


class RobotEnv(gymnasium.Env):
    """A robot in its world; one step is one control period of the task.

    Observation: float32 ``(n,)``, readings and setpoints in the description's order and units. Of a robot with event
    cameras a dict instead: ``readings``, the same; and ``events``, uint8 (2, height, width): how many OFF (0) and ON
    (1) events each pixel gave in the last period, at most 255, row 0 at the top. Of several cameras the keys are
    ``<camera>/events``.

    Action: float32 ``(m,)``, -1 to 1, mapped linearly to each command's least to most.

    Reward: the task's. The episode terminates when the task is over before its time, and is truncated at its time.
    ``info`` holds ``success`` (final at the end), ``elapsed_s`` and the true value of each estimate by its name.

    Args:
        robot: its name in the catalogue, its folder or yaml file, or its description.
        render_mode: ``"rgb_array"`` for pictures of the scene, or None.
        rendered: render every picture of the event cameras; if not, the task's quicker ones where it has them.
        settings: of the task, e.g. ``push=0.02`` or ``duration_s=5.0``.

    Attributes:
        robot, world, task: of the environment.

    Raises:
        RobotError: there is no such robot, or it has no simulation.
        TaskError: the render mode is unknown, or a setting is out of range.
        RenderingError: there is no off-screen GL, at the first reset of a robot with cameras.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}

    def __init__(
        self, robot: str | Path | Robot, render_mode: str | None = None, rendered: bool = True, **settings: Any
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise TaskError(f"render_mode '{render_mode}' is unknown; give rgb_array or None")
        self.render_mode = render_mode
        self.robot = robot if isinstance(robot, Robot) else robot_named(robot)
        self.metadata = type(self).metadata | {"render_fps": round(1 / self.robot.period_s)}
        self.task = task_of(self.robot, **settings)
        self.world = World(self.task, rendered)
        readings = spaces.Box(-np.inf, np.inf, (len(self.robot.seen),), np.float32)
        self.observation_space: spaces.Space = readings
        self._keys = self._event_keys()
        if self._keys:
            sizes = [(2, camera.height, camera.width) for camera in self.robot.cameras]
            pictures = {key: spaces.Box(0, 255, size, np.uint8) for key, size in zip(self._keys, sizes, strict=True)}
            self.observation_space = spaces.Dict({"readings": readings, **pictures})
        self.action_space = spaces.Box(-1.0, 1.0, (len(self.robot.commands),), np.float32)
        self._middle, self._half = (self.task.most + self.task.least) / 2, (self.task.most - self.task.least) / 2
        self._overview: mujoco.Renderer | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin an episode; the seed decides everything that chance decides."""
        super().reset(seed=seed)
        episode = seed if seed is not None else int(self.np_random.integers(2**31))
        return self._observation(self.world.reset(episode)), self._info()

    def step(self, action: np.ndarray):
        """Hold a command for one control period."""
        task = self.task
        sensing = self.world.advance(self._middle + self._half * np.asarray(action, float))
        truncated = task.elapsed_s > task.duration_s - 1e-9
        terminated = task.failed or (task.over and not truncated)
        return self._observation(sensing), task.reward, terminated, truncated, self._info()

    def render(self) -> np.ndarray | None:
        """The scene, uint8 (240, 320, 3), in mode ``rgb_array``."""
        if self.render_mode is None:
            return None
        model = self.task.model
        if self._overview is None:
            size = model.vis.global_
            size.offheight, size.offwidth = max(size.offheight, PICTURE[0]), max(size.offwidth, PICTURE[1])
            self._overview = mujoco.Renderer(model, *PICTURE)
        cameras = (mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name) for name in OVERVIEWS)
        self._overview.update_scene(self.task.data, next((camera for camera in cameras if camera >= 0), -1))
        return self._overview.render()

    def close(self) -> None:
        """Release the GL contexts."""
        if self._overview is not None:
            self._overview.close()
            self._overview = None
        self.world.close()

    def _event_keys(self) -> tuple[str, ...]:
        cameras = names(self.robot.cameras)
        return ("events",) if len(cameras) == 1 else tuple(f"{name}/events" for name in cameras)

    def _observation(self, sensing: Sensing) -> np.ndarray | dict[str, np.ndarray]:
        readings = sensing.readings.values.astype(np.float32)
        if not self._keys:
            return readings
        pictures = {}
        for key, camera, events in zip(self._keys, self.robot.cameras, sensing.events, strict=True):
            counts = np.zeros((2, camera.height, camera.width), np.int64)
            np.add.at(counts, (events["p"], events["y"], events["x"]), 1)
            pictures[key] = np.minimum(counts, 255).astype(np.uint8)
        return {"readings": readings, **pictures}

    def _info(self) -> dict[str, Any]:
        truth = zip(names(self.robot.estimates), self.world.truth.tolist(), strict=True)
        return {"success": self.task.success, "elapsed_s": self.task.elapsed_s, **dict(truth)}


def environment_id(robot: str) -> str:
    """Gymnasium's name of a robot: ``swing-up`` is ``LiquidSpike/SwingUp-v0``."""
    words = robot.replace("_", "-").split("-")
    return f"LiquidSpike/{''.join(word.capitalize() for word in words)}-v0"


for _name in descriptions():
    gymnasium.register(
        environment_id(_name), entry_point="liquid_spike_control.environments:RobotEnv", kwargs={"robot": _name}
    )
