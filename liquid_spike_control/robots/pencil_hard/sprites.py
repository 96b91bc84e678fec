# SPDX-License-Identifier: Apache-2.0
"""``pencil-hard``'s pole as sprites: what the renderer shows of it at each angle, to be laid over any wall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mujoco
import numpy as np

from ...sim.renderer import Renderer
from .wall import Panorama, compose

if TYPE_CHECKING:
    from .task import PencilHard

#: Pixels rendered for one of the picture, horizontally and vertically.
SUPERSAMPLE = (8, 1)
#: Angles of a pole's sprites, over +-1.05 of the angle at which it has fallen: at its tip half a pixel apart.
N_ANGLES = 201
#: Poles whose sprites are kept, 7 MB each.
KEPT = 8
_kept: dict[tuple[float, ...], PoleSprites] = {}


def sprites_of(plant: PencilHard, width: int, height: int) -> PoleSprites:
    """The sprites of a plant's pole; where there are a few lengths, those of the latest are kept."""
    if not plant.episodes.n_lengths:
        return PoleSprites(plant, width, height)
    key = plant.episode.length_scale, plant.episodes.fall_angle, width, height
    # Under the very same lamp, whichever episode comes first
    sprites = _kept.pop(key, None) or PoleSprites(plant, width, height, lamp=plant.lamp)
    _kept[key] = sprites
    if len(_kept) > KEPT:
        del _kept[next(iter(_kept))]
    return sprites


class PoleSprites:
    """One pole, rendered before a black and before a white wall, and from these how much of each pixel it covers.

    Args:
        plant: whose pole, as long as it is now; lamp and wall are left as they were, the pole is not.
        width, height: of the picture [pixels].
        n_angles: how many.
        lamp: nominal diffuse and ambient light; by default that of the episode over its brightness, the same but for
            rounding.

    Attributes:
        white: intensity of a white wall under the nominal lamp, over 255.
    """

    def __init__(self, plant: PencilHard, width: int, height: int, n_angles: int = N_ANGLES,
                 lamp: tuple[np.ndarray, np.ndarray] | None = None) -> None:  # fmt: skip
        model, data = plant.model, plant.data
        largest = 1.05 * plant.episodes.fall_angle
        self._angles = np.linspace(-largest, largest, n_angles)
        view, _ = plant.view
        eye, wall = model.camera("event_camera").pos, model.geom("wall").pos
        self._geometry = height, view * (wall[1] - eye[1]) / abs(eye[1]), float(eye[2])
        texture, pose = model.tex_data.copy(), data.qpos.copy()
        lamp_now = model.light_diffuse.copy(), model.light_ambient.copy()
        scale = plant.episode.light_scale
        diffuse, ambient = lamp or (lamp_now[0] / scale, lamp_now[1] / scale)
        model.light_diffuse[:], model.light_ambient[:] = diffuse, ambient
        pictures = np.empty((2, n_angles, height, width), np.float32)
        with Renderer(model, "event_camera", width, height, SUPERSAMPLE) as renderer:
            for side, texel in enumerate((0, 255)):
                model.tex_data[:] = texel
                renderer.upload_texture(0)
                for i, angle in enumerate(self._angles):
                    data.qpos[:] = 0, angle
                    mujoco.mj_kinematics(model, data)
                    mujoco.mj_camlight(model, data)
                    pictures[side, i] = renderer.render(data)
        model.tex_data[:], data.qpos[:] = texture, pose
        model.light_diffuse[:], model.light_ambient[:] = lamp_now
        mujoco.mj_forward(model, data)
        self._pole, white = pictures
        bright = float(white[:, :, 0].max())  # the pole never touches a corner
        self.white = bright / 255
        self._coverage = np.maximum(1 - (white - self._pole) / bright, 0)
        touched = (self._coverage > 1e-3) | (self._pole > 0)
        some = touched.any(-1)
        first, last = touched.argmax(-1), width - touched[..., ::-1].argmax(-1)
        self._spans = np.stack([np.where(some, first, width), np.where(some, last, 0)], -1).astype(np.int64)

    def panorama(self, texture: np.ndarray) -> Panorama:
        """What the camera sees of a wall with this texture, see :func:`~.wall.wall_texture`."""
        return Panorama(texture, self.white, *self._geometry)

    def picture(self, panorama: Panorama, angle: float, shift_m: float, light: float, out: np.ndarray) -> np.ndarray:
        """Write a picture to ``out``, float32 (height, width), 0..255, and return it.

        Args:
            panorama: the wall.
            angle: of the pole [rad].
            shift_m: place of the camera on the wall [m].
            light: brightness of the lamp over its nominal.
        """
        compose(
            panorama.rows, panorama.pitch, shift_m, self._coverage, self._pole, self._spans,
            self._angles[0], self._angles[1] - self._angles[0], angle, light, out,
        )  # fmt: skip
        return out
