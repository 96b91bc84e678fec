# SPDX-License-Identifier: Apache-2.0
"""The frames of a video: the scene, what the event cameras see, and the charts, side by side."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..history import History
from ..sim.overview import Overview
from ..sim.world import picture_size
from ..tasks.mujoco_task import MujocoTask
from ..types import EVENT
from .charts import Charts

#: Size of a frame, of its header and of the scene [pixels]; a codec of films wants even numbers.
WIDTH, HEIGHT, HEADER = 800, 450, 30
SCENE_WIDTH = 384
#: Events of the last so many seconds are in a picture, at most [s].
EVENTS_S = 0.03
#: Colours of pixels that saw nothing, brighter and darker light.
DARK, BRIGHTER, DARKER = (24, 28, 36), (96, 176, 255), (255, 120, 80)
_INK, _FAINT, _PAPER = (20, 24, 32), (110, 116, 126), (255, 255, 255)
#: Colours that thin lines and single pixels have: matplotlib's first six, and those of events.
COLOURS = (
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), BRIGHTER, DARKER, DARK
)  # fmt: skip
#: Pixels between parts of a frame.
_GAP = 8


class Frames:
    """What a run looked like.

    Args:
        history: of the run, with poses where its scene is to be seen.
        task: of the robot, at the beginning of the run's episode; it is moved.
        title: what stands above.
        rate_hz: frames a second.
        length_s: how much of the run is shown [s]; all by default.
        width: of a frame [pixels].

    Attributes:
        size: width and height of a frame [pixels].
    """

    def __init__(
        self, history: History, task: MujocoTask, title: str, rate_hz: float, length_s: float | None = None,
        width: int = WIDTH,
    ) -> None:  # fmt: skip
        self._history, self._task, self._title, self.rate_hz = history, task, title, rate_hz
        # even, as codecs want it
        self.size = width // 2 * 2, round(HEIGHT * width / WIDTH) // 2 * 2
        self._sighted = bool(history.robot.cameras and history.robot.estimates)
        self._poses = np.array(sorted(history.poses))
        self._charts = Charts(history, WIDTH - SCENE_WIDTH - _GAP, HEIGHT - HEADER, length_s)
        pieces = history.events or [np.empty(0, EVENT)]
        events = np.concatenate(pieces)
        self._events = events[np.argsort(events["t"], kind="stable")]
        self._fonts = [_font(size) for size in (15, 12)]

    def __len__(self) -> int:
        return int(self._charts.duration_s * self.rate_hz) + 1

    def __iter__(self) -> Iterator[np.ndarray]:
        """Each frame, uint8 ``(height, width, 3)``.

        Raises:
            RenderingError: there is no off-screen GL.
            TaskError: a pose is of another scene.
        """
        model, data = self._task.model, self._task.data
        mujoco.mj_forward(model, data)
        height = HEIGHT - HEADER if not self._sighted else 216
        with Overview(model, data, SCENE_WIDTH, height) as overview:
            self._task.dress(overview)
            for number in range(len(self)):
                yield self._frame(overview, number / self.rate_hz)

    def _frame(self, overview: Overview, now_s: float) -> np.ndarray:
        now_ns = self._charts.start_ns + round(now_s * 1e9)
        frame = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
        draw = ImageDraw.Draw(frame)
        large, small = self._fonts
        draw.text((_GAP, 6), self._title, _INK, large)
        draw.text((WIDTH - _GAP, 6), f"{now_s:.2f} s", _FAINT, large, anchor="ra")
        if len(self._poses):
            latest = max(int(np.searchsorted(self._poses, now_ns, "right")) - 1, 0)
            self._task.take_pose(self._history.poses[int(self._poses[latest])])
            frame.paste(Image.fromarray(overview.look(self._task.data)), (0, HEADER))
        frame.paste(Image.fromarray(self._charts.page(now_s).at(now_s)), (SCENE_WIDTH + _GAP, HEADER))
        if self._sighted:
            self._paste_events(frame, draw, small, now_ns)
        return np.asarray(frame if frame.size == self.size else frame.resize(self.size, Image.Resampling.LANCZOS))

    def _paste_events(self, frame: Image.Image, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, now_ns: int):
        top = HEADER + 216 + _GAP
        window_s = min(1 / self.rate_hz, EVENTS_S)
        times = self._events["t"]
        first, last = np.searchsorted(times, (now_ns - round(window_s * 1e9), now_ns), "right")
        width, height = picture_size(self._history.robot.cameras)
        picture = Image.fromarray(event_picture(self._events[first:last], width, height))
        room = (SCENE_WIDTH - 150, HEIGHT - top)
        factor = min(room[0] / width, room[1] / height)
        frame.paste(picture.resize((round(width * factor), round(height * factor)), Image.Resampling.NEAREST), (0, top))
        x, y = round(width * factor) + 12, top + 6
        draw.text((x, y), "event camera", _INK, font)
        draw.text((x, y + 20), f"{(last - first) / window_s / 1e3:.1f} kev/s", _FAINT, font)
        for line, (text, colour) in enumerate((("brighter", BRIGHTER), ("darker", DARKER))):
            draw.rectangle((x, y + 46 + 18 * line, x + 10, y + 56 + 18 * line), colour)
            draw.text((x + 16, y + 44 + 18 * line), text, _FAINT, font)


def event_picture(events: np.ndarray, width: int, height: int) -> np.ndarray:
    """Events as a picture, the last of a pixel on top.

    Args:
        events: EVENT array, sorted by time; those outside the picture are left out.
        width, height: of the picture [pixels].

    Returns:
        uint8 ``(height, width, 3)``, row 0 at the top.
    """
    picture = np.full((height, width, 3), DARK, np.uint8)
    inside = (events["x"] < width) & (events["y"] < height)
    events = events[inside]
    colours = np.array([DARKER, BRIGHTER], np.uint8)
    picture[events["y"], events["x"]] = colours[(events["p"] > 0).astype(int)]
    return picture


def _font(size: int) -> ImageFont.FreeTypeFont:
    from matplotlib import font_manager

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
