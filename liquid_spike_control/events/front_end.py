# SPDX-License-Identifier: Apache-2.0
"""What lies between an event camera and the network's input, described once: crop, grouping, filters, undistortion.

A :class:`FrontEndSettings` stands beside a camera in a robot's description, and travels as JSON to the perception node
and into its bags. :class:`~.filters.FrontEnd` is the stage that it describes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec

from ..errors import TaskError
from .camera_info import CameraInfo, read_camera_info
from .hot_pixels import MOST_PIXELS, read_hot_pixels

#: Longest refractory and background time [s].
LONGEST_S = 1.0


class Crop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the picture [pixels]; undistorted, where there is a ``camera_info``."""

    left: int
    top: int
    width: int
    height: int


class FrontEndSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The front end of one camera; without a field its step is left out. The steps come in this order.

    Attributes:
        hot_pixels: pixels whose events are dropped: a file of ``liquid-spike events hot-pixels``, or columns and rows.
        camera_info: calibration by which the picture is undistorted and rectified: a file of ROS's camera_calibration,
            or its content.
        crop: of the picture.
        group: columns and rows of the crop that make one column and row of the network's picture.
        refractory_s: an event is dropped that follows another one of its sensor pixel, which was not, within this
            time [s].
        background_s: an event is dropped unless one of the 8 sensor pixels around its own had one within this
            time [s]; such events are mostly noise. Delbruck: Frame-free dynamic digital vision, 2008.
        decimate: of so many events of one polarity of a pixel of the network's picture, the last one passes.
    """

    hot_pixels: str | tuple[tuple[int, int], ...] | None = None
    camera_info: str | CameraInfo | None = None
    crop: Crop | None = None
    group: tuple[int, int] = (1, 1)
    refractory_s: float = 0.0
    background_s: float = 0.0
    decimate: int = 1

    def check(self, width: int, height: int) -> None:
        """Check what needs no file against a sensor of ``width`` columns and ``height`` rows.

        Raises:
            TaskError: the first field that does not fit, by its name.
        """
        crop = self.cropped(width, height)
        if min(crop.width, crop.height) < 1:
            _refuse("crop", f"{crop.width} x {crop.height}", "give a width and a height of at least 1 pixel")
        if min(crop.left, crop.top) < 0 or crop.left + crop.width > width or crop.top + crop.height > height:
            found = f"{crop.width} x {crop.height} pixels from column {crop.left} and row {crop.top}"
            _refuse("crop", found, f"give a part of the sensor's {width} x {height}")
        for what, pixels, group in (("columns", crop.width, self.group[0]), ("rows", crop.height, self.group[1])):
            if group < 1:
                _refuse("group", list(self.group), "give whole numbers of at least 1")
            if pixels % group:
                _refuse("group", list(self.group), f"give a divisor of the {pixels} {what}, or another crop")
        for field in ("refractory_s", "background_s"):
            value = getattr(self, field)
            if not (math.isfinite(value) and 0 <= value <= LONGEST_S):
                _refuse(field, value, f"give 0 to {LONGEST_S:g} s")
        if not 1 <= self.decimate <= 65535:
            _refuse("decimate", self.decimate, "give 1 to 65535 events")
        if isinstance(self.hot_pixels, tuple):
            if len(self.hot_pixels) > MOST_PIXELS:
                _refuse("hot_pixels", len(self.hot_pixels), f"give at most {MOST_PIXELS}; raise the rate of a hot one")
            for x, y in self.hot_pixels:
                if not (0 <= x < width and 0 <= y < height):
                    _refuse("hot_pixels", [x, y], f"give columns and rows of the sensor's {width} x {height}")
        if isinstance(self.camera_info, CameraInfo):
            self.camera_info.check(width, height)

    def cropped(self, width: int, height: int) -> Crop:
        """The crop, of a sensor of ``width`` columns and ``height`` rows."""
        return self.crop or Crop(left=0, top=0, width=width, height=height)

    def picture(self, width: int, height: int) -> tuple[int, int]:
        """Columns and rows of the network's picture."""
        crop = self.cropped(width, height)
        return crop.width // self.group[0], crop.height // self.group[1]

    def with_contents(self, folder: Path, width: int, height: int) -> FrontEndSettings:
        """The same with the contents of its files in the place of their names.

        Args:
            folder: where the files are.
            width, height: of the sensor [pixels].

        Raises:
            TaskError: a file is missing, damaged, or of a sensor of another size.
        """
        settings = self
        if isinstance(self.hot_pixels, str):
            pixels = read_hot_pixels(folder / self.hot_pixels, width, height)
            settings = msgspec.structs.replace(settings, hot_pixels=pixels)
        if isinstance(self.camera_info, str):
            info = read_camera_info(folder / self.camera_info)
            settings = msgspec.structs.replace(settings, camera_info=info)
        settings.check(width, height)
        return settings


class Sensor(NamedTuple):
    """A camera's columns and rows, and the front end behind it."""

    width: int
    height: int
    settings: FrontEndSettings


def to_json(settings: Sequence[FrontEndSettings]) -> str:
    """Front ends, one a camera, as the perception node's parameter has them; empty if none does anything."""
    return "" if all(s == FrontEndSettings() for s in settings) else msgspec.json.encode(list(settings)).decode()


def from_json(text: str, sizes: Sequence[tuple[int, int]]) -> tuple[Sensor, ...]:
    """The sensors of :func:`to_json`; none where the text is empty.

    Args:
        text: that :func:`to_json` gave.
        sizes: columns and rows of each camera.

    Raises:
        TaskError: it is not of this form, names a file, or does not fit the cameras.
    """
    if not text:
        return ()
    try:
        settings = msgspec.json.decode(text, type=list[FrontEndSettings])
    except (msgspec.DecodeError, RecursionError) as error:
        raise TaskError(f"front_end: {error}; leave it to the robot's description") from None
    if len(settings) != len(sizes):
        raise TaskError(f"front_end: {len(settings)} for {len(sizes)} cameras; give one for each")
    for entry, size in zip(settings, sizes, strict=True):
        if isinstance(entry.hot_pixels, str) or isinstance(entry.camera_info, str):
            raise TaskError("front_end: the name of a file; give its content, or describe it in the robot's file")
        entry.check(*size)
    return tuple(Sensor(*size, entry) for entry, size in zip(settings, sizes, strict=True))


def _refuse(field: str, found: object, remedy: str) -> NoReturn:
    raise TaskError(f"{field}: {found}; {remedy}")
