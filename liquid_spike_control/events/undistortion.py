# SPDX-License-Identifier: Apache-2.0
"""Where the pixels of a calibrated camera lie in its undistorted and rectified picture.

The lens' models are those of ``sensor_msgs/CameraInfo``, which are OpenCV's; here they are inverted, pixel by pixel.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from .camera_info import CameraInfo


def undistorted(info: CameraInfo) -> np.ndarray:
    """Where the sensor's pixels lie in the undistorted picture.

    Args:
        info: checked.

    Returns:
        float64, shape ``(height, width, 2)``: column and row of each pixel's centre [pixels], not rounded; NaN where
        the lens' model cannot be inverted or the ray does not meet the picture's plane.
    """
    coefficients = np.zeros(8)
    given = info.distortion_coefficients.data
    coefficients[: len(given)] = given
    k = np.array(info.camera_matrix.data).reshape(3, 3)
    r = np.eye(3) if info.rectification_matrix is None else np.array(info.rectification_matrix.data).reshape(3, 3)
    p = k if info.projection_matrix is None else np.array(info.projection_matrix.data).reshape(3, 4)[:, :3]
    if not p.any():
        p = k
    fisheye = info.distortion_model == "equidistant"
    return _undistort(info.image_width, info.image_height, k, coefficients, p @ r, fisheye)


@numba.njit(cache=True)
def distort(x, y, c):
    """Where the lens puts the ray (x, y, 1), by k1 k2 p1 p2 k3 and, of a rational_polynomial, k4 k5 k6."""
    r2 = x * x + y * y
    above = 1 + r2 * (c[0] + r2 * (c[1] + r2 * c[4]))
    below = 1 + r2 * (c[5] + r2 * (c[6] + r2 * c[7]))
    radial = above / below
    return (
        x * radial + 2 * c[2] * x * y + c[3] * (r2 + 2 * x * x),
        y * radial + c[2] * (r2 + 2 * y * y) + 2 * c[3] * x * y,
    )


@numba.njit(cache=True)
def _ray(u, v, c):
    """The ray that the lens puts at (u, v), by Newton's method from there; NaN where there is none."""
    x, y = u, v
    for _ in range(30):
        du, dv = distort(x, y, c)
        du, dv = du - u, dv - v
        h = 1e-6
        right, left = distort(x + h, y, c), distort(x - h, y, c)
        down, up = distort(x, y + h, c), distort(x, y - h, c)
        a, b = (right[0] - left[0]) / (2 * h), (down[0] - up[0]) / (2 * h)
        d, e = (right[1] - left[1]) / (2 * h), (down[1] - up[1]) / (2 * h)
        det = a * e - b * d
        if not det > 0:  # beyond the radius where the polynomial folds over
            return np.nan, np.nan
        x -= (e * du - b * dv) / det
        y -= (a * dv - d * du) / det
        if du * du + dv * dv < 1e-20:
            return x, y
    return np.nan, np.nan


@numba.njit(cache=True)
def _fisheye_ray(u, v, c):
    """The ray that an equidistant lens puts at (u, v): its angle from the axis by Newton's method."""
    distorted = math.sqrt(u * u + v * v)
    if distorted < 1e-12:
        return u, v
    theta = distorted
    for _ in range(30):
        t2 = theta * theta
        value = theta * (1 + t2 * (c[0] + t2 * (c[1] + t2 * (c[2] + t2 * c[3])))) - distorted
        slope = 1 + t2 * (3 * c[0] + t2 * (5 * c[1] + t2 * (7 * c[2] + t2 * 9 * c[3])))
        if not slope > 0:
            return np.nan, np.nan
        theta -= value / slope
        if abs(value) < 1e-10:
            break
    else:
        return np.nan, np.nan
    if not 0 < theta < 0.5 * math.pi:
        return np.nan, np.nan
    scale = math.tan(theta) / distorted
    return u * scale, v * scale


@numba.njit(cache=True)
def _undistort(width, height, k, c, projection, fisheye):
    places = np.empty((height, width, 2))
    for row in range(height):
        for column in range(width):
            v = (row - k[1, 2]) / k[1, 1]
            u = (column - k[0, 2] - k[0, 1] * v) / k[0, 0]
            x, y = _fisheye_ray(u, v, c) if fisheye else _ray(u, v, c)
            depth = projection[2, 0] * x + projection[2, 1] * y + projection[2, 2]
            if depth > 1e-9:
                places[row, column, 0] = (projection[0, 0] * x + projection[0, 1] * y + projection[0, 2]) / depth
                places[row, column, 1] = (projection[1, 0] * x + projection[1, 1] * y + projection[1, 2]) / depth
            else:
                places[row, column] = np.nan
    return places
