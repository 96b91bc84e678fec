# SPDX-License-Identifier: Apache-2.0
"""The textured wall behind ``pencil-hard``'s pole: its texture, and what the camera sees of it.

The wall is parallel to the picture, so a camera that moves along the rail sees one panorama that shifts; the pole
stands before it. A picture is therefore the panorama, shifted, with the pole laid over it:

    I(y, x) = light * (pole(y, x) + (1 - coverage(y, x)) * panorama(y, x + shift))

which is what the renderer gives (a test compares them) at a fiftieth of its cost. Training draws its pictures so;
evaluation renders.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Of ``scene.xml``: texels of the wall (rows, columns), size of a texel [m], height of the wall's middle,
#: where the texture begins [m].
TEXELS = (256, 512)
TEXEL_M = 0.005
MIDDLE_M = 0.32
#: Mean of the texture [DN], and standard deviation and size of its blotches [log intensity], [texels].
TEXTURE_MEAN, TEXTURE_CONTRAST, TEXTURE_BLOTCH = 77.0, 0.25, 6.0


def wall_texture(seed: int) -> np.ndarray:
    """The wall of an episode: smooth log-normal noise that joins at its edges, uint8 ``TEXELS``."""
    rng = np.random.default_rng([seed, 2])
    noise = np.fft.rfft2(rng.normal(size=TEXELS))
    fy, fx = np.fft.fftfreq(TEXELS[0])[:, None], np.fft.rfftfreq(TEXELS[1])[None, :]
    smooth = np.fft.irfft2(noise * np.exp(-2 * (np.pi * TEXTURE_BLOTCH) ** 2 * (fx**2 + fy**2)), TEXELS)
    smooth *= TEXTURE_CONTRAST / smooth.std()
    return np.clip(np.round(TEXTURE_MEAN * np.exp(smooth)), 0, 255).astype(np.uint8)


class Panorama:
    """What a camera sees of a wall, whatever its place on the rail.

    Args:
        texture: from :func:`wall_texture`.
        brightness: picture intensity of a white wall, 0..255, over 255.
        height: rows of the picture; it is as wide.
        view_m: height of the picture on the wall [m].
        centre_m: height of the picture's centre [m].

    Attributes:
        rows: float32 ``(height, TEXELS[1])``, intensity at the centre of each texel, averaged over a pixel.
        pitch: texels a pixel.
    """

    def __init__(self, texture: np.ndarray, brightness: float, height: int, view_m: float, centre_m: float) -> None:
        self.pitch = view_m / height / TEXEL_M
        fy, fx = np.fft.fftfreq(TEXELS[0])[:, None], np.fft.rfftfreq(TEXELS[1])[None, :]
        box = np.sinc(fy * self.pitch) * np.sinc(fx * self.pitch)
        averaged = np.fft.irfft2(np.fft.rfft2(texture.astype(float)) * box, TEXELS)
        row = (MIDDLE_M - centre_m) / TEXEL_M + (np.arange(height) + 0.5 - height / 2) * self.pitch - 0.5
        i = np.floor(row).astype(int)
        weight = (row - i)[:, None]
        rows = (1 - weight) * averaged[i % TEXELS[0]] + weight * averaged[(i + 1) % TEXELS[0]]
        self.rows = (brightness * rows).astype(np.float32)


@njit(cache=True, nogil=True, fastmath=True)
def compose(rows, pitch, shift_m, coverage, pole, spans, first, spacing, angle, light, out):
    """A picture: the panorama seen from ``shift_m``, and the pole at an angle before it.

    Args:
        rows, pitch: of a :class:`Panorama`.
        shift_m: place of the camera on the wall [m].
        coverage, pole: float32 ``(n_angles, height, width)``: how much of a pixel the pole covers, and the intensity
            that it adds there.
        spans: int64 ``(n_angles, height, 2)``: columns outside of these the pole does not touch.
        first, spacing: of the angles [rad].
        angle: of the pole [rad]; between two of the table it is interpolated.
        light: factor on all.
        out: float32 ``(height, width)``, intensity 0..255.
    """
    height, width = out.shape
    n_texels = rows.shape[1]
    column = np.empty(width, np.int64)
    part = np.empty(width, np.float32)
    for x in range(width):
        place = n_texels / 2 - 0.5 + shift_m / TEXEL_M + (x + 0.5 - width / 2) * pitch
        floor = np.floor(place)
        column[x] = np.int64(floor) % n_texels
        part[x] = np.float32(place - floor)
    place = min(max((angle - first) / spacing, 0.0), coverage.shape[0] - 1.001)
    k = int(place)
    high = np.float32(place - k)
    low = np.float32(1) - high
    light = np.float32(light)
    for y in range(height):
        row, line = rows[y], out[y]
        for x in range(width):
            i = column[x]
            left = row[i]
            right = row[i + 1] if i + 1 < n_texels else row[0]
            line[x] = light * (left + part[x] * (right - left))
        for x in range(min(spans[k, y, 0], spans[k + 1, y, 0]), max(spans[k, y, 1], spans[k + 1, y, 1])):
            covered = low * coverage[k, y, x] + high * coverage[k + 1, y, x]
            line[x] = line[x] * (np.float32(1) - covered) + light * (low * pole[k, y, x] + high * pole[k + 1, y, x])
