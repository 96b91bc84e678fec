# SPDX-License-Identifier: Apache-2.0
"""The state-based tasks as Gymnasium environments, for other people's learners.

>>> import gymnasium, liquid_spike_control.tasks.environments
>>> env = gymnasium.make("LiquidSpike/SwingUp-v0")
"""

from __future__ import annotations

from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces

from ..errors import TaskError
from ..robots.hover.task import Hover
from ..robots.swing_up.task import SwingUp

#: Size of a picture: rows, columns.
PICTURE = (240, 320)
_TASKS: dict[str, type[SwingUp] | type[Hover]] = {"SwingUp": SwingUp, "Hover": Hover}


class TaskEnv(gymnasium.Env):
    """One step is one nominal control period.

    Observation: float32, what the task's :meth:`~.task.ControlTask.observe` gives, in the task's units.

    Action: float32, commands as fractions of their limits, -1 to 1.

    Reward: the task's. The episode terminates when the task is over before its time, and is truncated at its time.
    ``info`` tells ``success`` (final at the end) and ``elapsed_s``.

    Args:
        task: ``"SwingUp"`` or ``"Hover"``.
        full: show the velocities too; by default as in the catalogue's ``swing-up`` (no) and ``hover`` (yes).
        render_mode: ``"rgb_array"`` for pictures of the scene, or None.

    Raises:
        TaskError: the task or the render mode is unknown.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}

    def __init__(self, task: str, full: bool | None = None, render_mode: str | None = None) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise TaskError(f"render_mode '{render_mode}' is unknown; give rgb_array or None")
        if task not in _TASKS:
            raise TaskError(f"unknown task '{task}'; known tasks: {', '.join(_TASKS)}")
        self.render_mode = render_mode
        self.task = _TASKS[task]() if full is None else _TASKS[task](full)
        self.observation_space = spaces.Box(-np.inf, np.inf, (len(self.task.observation_names),), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (len(self.task.command_names),), np.float32)
        self._renderer: mujoco.Renderer | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin an episode; the seed decides everything that chance decides."""
        super().reset(seed=seed)
        self.task.reset(seed if seed is not None else int(self.np_random.integers(2**31)))
        return self._observation(), self._info()

    def step(self, action: np.ndarray):
        """Hold a command for one control period."""
        task = self.task
        task.advance(np.asarray(action, float) * task.command_limits, task.period_s)
        truncated = task.elapsed_s > task.duration_s - 1e-9
        return self._observation(), task.reward, task.over and not truncated, truncated, self._info()

    def render(self) -> np.ndarray | None:
        """The scene, uint8 (240, 320, 3), in mode ``rgb_array``."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            self._renderer = mujoco.Renderer(self.task.model, *PICTURE)
        self._renderer.update_scene(self.task.data, "overview")
        return self._renderer.render()

    def close(self) -> None:
        """Release the GL context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _observation(self) -> np.ndarray:
        return self.task.observe().astype(np.float32)

    def _info(self) -> dict[str, Any]:
        return {"success": self.task.success, "elapsed_s": self.task.elapsed_s}


for _name in _TASKS:
    gymnasium.register(
        id=f"LiquidSpike/{_name}-v0",
        entry_point="liquid_spike_control.tasks.environments:TaskEnv",
        kwargs={"task": _name},
    )
