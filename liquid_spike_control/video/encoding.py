# SPDX-License-Identifier: Apache-2.0
"""Frames into a file: GIF by Pillow, MP4 by the ffmpeg that imageio-ffmpeg brings (the extra ``video``)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..errors import OutputError
from ..extras import missing_package
from ..outputs import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Frames a second by suffix; a GIF counts in hundredths of a second.
RATES_HZ = {".gif": 12.5, ".mp4": 25.0}
#: Colours of a GIF, taken from so many of its frames.
_COLOURS, _SAMPLES = 128, 8


def check_encoder(path: Path) -> None:
    """Refuse a video that could not be written, before the work.

    Raises:
        MissingPackageError: MP4 without imageio-ffmpeg.
        OutputError: imageio-ffmpeg is there without a program for this machine.
    """
    if path.suffix.lower() == ".mp4":
        _ffmpeg()


def encode(
    path: Path, frames: Iterable[np.ndarray], rate_hz: float, colours: Sequence[tuple[int, int, int]] = ()
) -> None:
    """Write a video, whole or not at all; the format is the suffix's.

    Args:
        path: ``.gif`` or ``.mp4``.
        frames: uint8 ``(height, width, 3)``, all of one size, with even numbers for MP4; at least one.
        rate_hz: frames a second.
        colours: that a GIF is to keep as they are, each 0 to 255; at most 64.

    Raises:
        MissingPackageError: MP4 without imageio-ffmpeg.
        OutputError: the file cannot be written, or the encoder fails.
    """
    ffmpeg = _ffmpeg() if path.suffix.lower() == ".mp4" else None
    with written(path) as temporary:
        if ffmpeg is None:
            _gif(temporary, iter(frames), rate_hz, colours)
        else:
            _mp4(ffmpeg, temporary, iter(frames), rate_hz)


def _gif(path: Path, frames: Iterator[np.ndarray], rate_hz: float, kept: Sequence[tuple[int, int, int]]) -> None:
    """All frames share one palette without dithering, and what stands still is transparent, which costs little."""
    images = [Image.fromarray(frame) for frame in frames]
    some = images[:: max(1, len(images) // _SAMPLES)]
    sheet = Image.new("RGB", (some[0].width, some[0].height * len(some)))
    for number, image in enumerate(some):
        sheet.paste(image, (0, number * image.height))
    palette = sheet.quantize(_COLOURS, Image.Quantize.MEDIANCUT)
    colours = np.zeros((_COLOURS, 3), int)
    found = np.array((palette.getpalette() or [])[: 3 * _COLOURS]).reshape(-1, 3)
    colours[: len(found)] = found
    # thin lines are rare among all pixels, and would get the colour of something else
    rare = np.argsort(np.bincount(np.asarray(palette).ravel(), minlength=_COLOURS)[:_COLOURS], kind="stable")
    for index, colour in zip(rare, kept, strict=False):
        colours[index] = colour
    colours[colours.sum(axis=1).argmax()] = 255  # paper is white, not the mean of what is nearly so
    palette.putpalette(colours.astype(np.uint8).tobytes())
    before: np.ndarray | None = None
    changes = []
    for image in images:
        now = np.asarray(image.quantize(palette=palette, dither=Image.Dither.NONE))
        differs = now if before is None else np.where(now == before, _COLOURS, now).astype(np.uint8)
        change = Image.fromarray(differs)
        change.putpalette(colours.astype(np.uint8).tobytes() + b"\0\0\0")
        changes.append(change)
        before = now
    changes[0].save(
        path, format="GIF", save_all=True, append_images=changes[1:], duration=round(1000 / rate_hz), loop=0,
        disposal=1, optimize=False, transparency=_COLOURS,
    )  # fmt: skip


def _ffmpeg():
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise missing_package(error) or error from None
    try:
        imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise OutputError(f"no ffmpeg ({' '.join(str(error).split())}); install ffmpeg, or write a .gif") from None
    return imageio_ffmpeg


def _mp4(imageio_ffmpeg, path: Path, frames: Iterator[np.ndarray], rate_hz: float) -> None:
    first = next(frames)
    height, width, _ = first.shape
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=rate_hz, codec="libx264", pix_fmt_out="yuv420p", quality=None,
        macro_block_size=2, ffmpeg_log_level="error",
        # the index first, so that a browser can begin before it has all
        output_params=["-crf", "23", "-preset", "veryfast", "-movflags", "+faststart", "-f", "mp4"],
    )  # fmt: skip
    writer.send(None)
    try:
        for frame in chain([first], frames):
            writer.send(np.ascontiguousarray(frame))
    except OSError as error:
        raise OutputError(f"{path}: ffmpeg ended ({' '.join(str(error).split())[:200]}); try a .gif") from None
    finally:
        writer.close()
