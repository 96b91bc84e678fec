# SPDX-License-Identifier: Apache-2.0
"""An ordinary camera in the event camera's place, to compare with the spiking perception: flow from two frames.

The whole picture moves as that of a plane does, by a flow of eight parameters (Longuet-Higgins, "The visual ambiguity
of a moving plane", 1984). In tangents x, y from the middle:

    u = a0 + a1 x + a2 y + c0 x^2 + c1 x y,  v = b0 + b1 x + b2 y + c0 x y + c1 y^2

They are those that make the later frame, warped back, the earlier one: Lucas and Kanade's least squares (1981) with the
gradients of the earlier frame (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004), from a coarse level of a
pyramid to the whole resolution. The middle's flow is (a0, b0), and (a1 + b2) / 2 the speed towards the plane over the
distance, but for what sideways motion above a slope adds.
"""

from __future__ import annotations

import math

import numpy as np

from ...estimate_lag import EstimateLag
from ...robot import names
from ...sim.world import Sensing, World
from ...types import Quantities

#: Levels of the pyramid, and steps of Gauss and Newton on each.
LEVELS, STEPS = 3, 4
#: Part of the mean diagonal that is added to it: above ground without contrast nothing moves.
RIDGE = 1e-4


class PlanarFlow:
    """Flow of a plane between pictures of one size.

    Args:
        width, height: of the pictures, multiples of ``2 ** (LEVELS - 1)`` [pixels].
        focal: distance of the picture from the eye [pixels].
    """

    def __init__(self, width: int, height: int, focal: float) -> None:
        self._grids = []
        for level in range(LEVELS):
            columns, rows = np.meshgrid(np.arange(width >> level) + 0.5, np.arange(height >> level) + 0.5)
            columns, rows = columns - columns.mean(), rows - rows.mean()
            x, y = columns * 2**level / focal, rows * 2**level / focal
            one, zero = np.ones_like(x), np.zeros_like(x)
            right = np.stack([one, x, y, zero, zero, zero, x * x, x * y])
            down = np.stack([zero, zero, zero, one, x, y, x * y, y * y])
            self._grids.append((columns, rows, right, down))

    def between(self, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        """What moves the earlier picture to the later one.

        Args:
            earlier, later: float ``(height, width)``, row 0 at the top.

        Returns:
            ``(8,)``: a0, a1, a2 to the right, b0, b1, b2 downwards, c0, c1; displacements in pixels.
        """
        pairs = [(earlier.astype(float), later.astype(float))]
        for _ in range(LEVELS - 1):
            pairs.append((_halved(pairs[-1][0]), _halved(pairs[-1][1])))
        flow = np.zeros(8)
        for level in reversed(range(LEVELS)):
            flow = _refined(2 * flow, *pairs[level], *self._grids[level])
        return flow


def _refined(
    flow: np.ndarray, earlier: np.ndarray, later: np.ndarray, columns: np.ndarray, rows: np.ndarray,
    right: np.ndarray, down: np.ndarray,
) -> np.ndarray:  # fmt: skip
    slope_down, slope_right = np.gradient(earlier)
    gradients = slope_right * right + slope_down * down  # (8, rows, columns)
    for _ in range(STEPS):
        to = np.tensordot(flow, right, 1), np.tensordot(flow, down, 1)
        warped, inside = _sampled(later, columns + to[0], rows + to[1])
        seen = gradients[:, inside]
        hessian = seen @ seen.T
        hessian[np.diag_indices(8)] += RIDGE * np.trace(hessian) / 8 + 1e-9
        flow = flow - np.linalg.solve(hessian, seen @ (warped - earlier)[inside])
    return flow


def _halved(picture: np.ndarray) -> np.ndarray:
    return (picture[::2, ::2] + picture[1::2, ::2] + picture[::2, 1::2] + picture[1::2, 1::2]) / 4


def _sampled(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear values at places from the middle [pixels], and which of them are inside."""
    rows, columns = picture.shape
    column, row = x + columns / 2 - 0.5, y + rows / 2 - 0.5
    inside = (column >= 0) & (column <= columns - 1) & (row >= 0) & (row <= rows - 1)
    left = np.clip(np.floor(column).astype(int), 0, columns - 2)
    top = np.clip(np.floor(row).astype(int), 0, rows - 2)
    a, b = column - left, row - top
    upper = (1 - a) * picture[top, left] + a * picture[top, left + 1]
    lower = (1 - a) * picture[top + 1, left] + a * picture[top + 1, left + 1]
    return (1 - b) * upper + b * lower, inside


class FrameFlow:
    """Flow of the picture's middle and divergence from the last two frames; between frames the last estimate stands.

    Exposure, readout and computation take no time, and grey levels are whole numbers without noise: that favours the
    frames.

    Args:
        world: whose pictures, by the first camera.

    Attributes:
        rate_hz: frames a second, each taken at the next picture of the event camera's simulation.
    """

    rate_hz = 60.0

    def __init__(self, world: World) -> None:
        self._world, self._names, self._lag = world, names(world.robot.estimates), EstimateLag(world.robot)
        camera = world.robot.cameras[0]
        model = world.task.model
        fovy = math.radians(float(model.camera(camera.mujoco or camera.name).fovy[0]))
        self._focal = camera.height / 2 / math.tan(fovy / 2)
        self._flow = PlanarFlow(camera.width, camera.height, self._focal)
        world.watchers.append(self._look)

    def reset(self, stamp_ns: int) -> None:
        """The first frame is taken at ``stamp_ns``."""
        self._start_ns, self._taken = stamp_ns, 1
        self._frame, self._stamp_ns = np.rint(self._world.picture()), stamp_ns
        self._values = np.zeros(3)
        self._lag.reset()

    def _look(self, stamp_ns: int) -> None:
        if stamp_ns < self._start_ns + round(self._taken / self.rate_hz * 1e9):
            return
        self._taken += 1
        frame, dt = np.rint(self._world.picture()), (stamp_ns - self._stamp_ns) * 1e-9
        a0, a1, _, b0, _, b2, _, _ = (self._flow.between(self._frame, frame) / self._focal / dt).tolist()
        self._values = np.array([a0, -b0, (a1 + b2) / 2])
        self._frame, self._stamp_ns = frame, stamp_ns

    def estimate(self, sensing: Sensing) -> Quantities:
        """Flow to the right and upwards [rad/s] and divergence [1/s], with the lag of the description's estimates."""
        return Quantities(sensing.stamp_ns, self._names, self._lag.step(self._values))


class FrameFlow30(FrameFlow):
    """The same with 30 frames a second."""

    rate_hz = 30.0
