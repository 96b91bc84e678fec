# SPDX-License-Identifier: Apache-2.0
"""The pencil as a Gymnasium environment, ``LiquidSpike/Pencil-v0``.

>>> import gymnasium, liquid_spike_control.environment
>>> env = gymnasium.make("LiquidSpike/Pencil-v0")
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from .errors import TaskError
from .robots.pencil.episodes import task_by_name
from .robots.pencil.task import FORCE_LIMIT
from .sim.world import PENCIL_CAMERA, PencilSimulation

#: Size of the picture of the whole scene: rows, columns.
OVERVIEW = (240, 320)
#: Beyond these the cart has left the rail or the simulation has diverged [m], [m/s].
JOINT_BOUNDS = np.array([1.2, 50.0], np.float32)


class PencilEnv(gymnasium.Env):
    """Balance the pole from events; one step is one control period of 5 ms.

    Observation: a dict of ``joints``, float32 (2,): cart position [m] and velocity [m/s]; and ``events``, uint8
    (2, height, width): how many OFF (0) and ON (1) events each pixel gave in the last period, row 0 at the top.

    Action: float32 (1,), cart force as a fraction of 10 N, -1 to 1.

    Reward: 1 for every period in which the pole stands and the cart is on the rail. The episode terminates when it
    does not, and is truncated after the task's duration. ``info`` holds the true angle [rad] and rate [rad/s].

    Args:
        render_mode: ``"rgb_array"`` for pictures of the whole scene, or None.
        task: changes to :class:`~liquid_spike_control.sim.tasks.PencilTask`, e.g. ``push=0.02``.

    Raises:
        TaskError: the render mode is unknown or a change is out of range.
        RenderingError: there is no off-screen GL.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}

    def __init__(self, render_mode: str | None = None, **task: Any) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise TaskError(f"render_mode '{render_mode}' is unknown; give rgb_array or None")
        self.render_mode = render_mode
        self._simulation = PencilSimulation(task_by_name("pencil", **task))
        shape = self._picture = (2, PENCIL_CAMERA.height, PENCIL_CAMERA.width)
        self.observation_space = spaces.Dict(
            {"joints": spaces.Box(-JOINT_BOUNDS, JOINT_BOUNDS), "events": spaces.Box(0, 255, shape, np.uint8)}
        )
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._overview: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin an episode; the seed decides everything that chance decides."""
        super().reset(seed=seed)
        episode = seed if seed is not None else int(self.np_random.integers(2**31))
        return self._observation(self._simulation.reset(episode)), self._info()

    def step(self, action: np.ndarray):
        """Hold a force for one control period."""
        force = FORCE_LIMIT * float(np.clip(action, -1.0, 1.0)[0])
        sensing = self._simulation.advance(force)
        plant = self._simulation.plant
        fallen = bool(plant.fallen)
        truncated = bool(plant.elapsed_s >= plant.task.duration_s)
        return self._observation(sensing), float(not fallen), fallen, truncated, self._info()

    def render(self) -> np.ndarray | None:
        """The whole scene, uint8 (240, 320, 3), in mode ``rgb_array``."""
        if self.render_mode is None:
            return None
        if self._overview is None:
            import mujoco

            model = self._simulation.plant.model
            model.vis.global_.offheight, model.vis.global_.offwidth = OVERVIEW
            self._overview = mujoco.Renderer(model, *OVERVIEW)
        self._overview.update_scene(self._simulation.plant.data, "overview")
        return self._overview.render()

    def close(self) -> None:
        """Release the GL contexts."""
        if self._overview is not None:
            self._overview.close()
            self._overview = None
        self._simulation.close()

    def _observation(self, sensing) -> dict[str, np.ndarray]:
        counts = np.zeros(self._picture, np.int64)
        events = sensing.events
        np.add.at(counts, (events["p"], events["y"], events["x"]), 1)
        return {
            "joints": np.clip(sensing.joints.values, -JOINT_BOUNDS, JOINT_BOUNDS).astype(np.float32),
            "events": np.minimum(counts, 255).astype(np.uint8),
        }

    def _info(self) -> dict[str, float]:
        angle, rate = self._simulation.plant.truth
        return {"pole_angle": float(angle), "pole_rate": float(rate)}


gymnasium.register(id="LiquidSpike/Pencil-v0", entry_point="liquid_spike_control.environment:PencilEnv")
