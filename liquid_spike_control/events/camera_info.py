# SPDX-License-Identifier: Apache-2.0
"""Calibrations of cameras, as ROS's camera_calibration writes them."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from ..errors import TaskError
from ..inputs import read_yaml

#: Distortion models of ``sensor_msgs/CameraInfo``, and the greatest number of their coefficients.
MODELS = {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}
_REMEDY = "give a file that camera_calibration wrote"


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix in the order of its rows."""

    rows: int
    cols: int
    data: tuple[float, ...]


class CameraInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The calibration of a camera; fields as in ``sensor_msgs/CameraInfo`` and in the files of camera_calibration.

    Attributes:
        image_width, image_height: of the sensor [pixels].
        distortion_model: one of :data:`MODELS`.
        camera_matrix: K, 3 x 3, of the distorted picture [pixels].
        distortion_coefficients: D, one row.
        rectification_matrix: R, 3 x 3; none is the identity.
        projection_matrix: P, 3 x 4, of the undistorted picture; none is K.
    """

    image_width: int
    image_height: int
    distortion_model: str
    camera_matrix: Matrix
    distortion_coefficients: Matrix
    rectification_matrix: Matrix | None = None
    projection_matrix: Matrix | None = None

    def check(self, width: int, height: int) -> None:
        """Check the calibration against a sensor of ``width`` columns and ``height`` rows.

        Raises:
            TaskError: a field is wrong, or the picture is of another size.
        """
        if (self.image_width, self.image_height) != (width, height):
            size = f"{self.image_width} x {self.image_height} pixels"
            raise TaskError(f"camera_info: {size}; give the calibration of the sensor's {width} x {height}")
        if self.distortion_model not in MODELS:
            known = ", ".join(MODELS)
            raise TaskError(f"camera_info.distortion_model: '{self.distortion_model}'; give one of {known}")
        most = MODELS[self.distortion_model]
        for field, shape in (("camera_matrix", (3, 3)), ("rectification_matrix", (3, 3)),
                             ("projection_matrix", (3, 4)), ("distortion_coefficients", None)):  # fmt: skip
            matrix = getattr(self, field)
            if matrix is None:
                continue
            size = "x".join(map(str, shape)) if shape else f"1x{most} or fewer"
            fits = (matrix.rows, matrix.cols) == shape if shape else matrix.rows == 1 and 0 <= matrix.cols <= most
            if not fits or len(matrix.data) != matrix.rows * matrix.cols or not all(map(math.isfinite, matrix.data)):
                found = f"{matrix.rows}x{matrix.cols} with {len(matrix.data)} numbers"
                raise TaskError(f"camera_info.{field}: {found}; give {size} finite numbers")
        if not (self.camera_matrix.data[0] > 0 and self.camera_matrix.data[4] > 0):
            raise TaskError("camera_info.camera_matrix: no focal lengths; calibrate the camera first")


def read_camera_info(path: Path) -> CameraInfo:
    """The calibration in a file of camera_calibration.

    Raises:
        TaskError: the file is missing or none of those; names it.
    """
    try:
        return msgspec.convert(read_yaml(path), CameraInfo)
    except OSError as error:
        raise TaskError(f"camera_info: {path}: {error.strerror}; {_REMEDY}") from None
    except (ValueError, msgspec.ValidationError) as error:
        raise TaskError(f"camera_info: {path}: {error}; {_REMEDY}") from None

