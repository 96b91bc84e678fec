# SPDX-License-Identifier: Apache-2.0
"""The event camera: frames in, events out.

Each pixel remembers the log intensity ``M`` at its last event and fires when the log intensity ``L(t)`` has
moved by a contrast threshold::

    ON  at t:  L(t) >= M + theta_on     then  M += theta_on
    OFF at t:  L(t) <= M - theta_off    then  M -= theta_off

Between two frames ``L`` is linear in time, so the events carry the times of the crossings (ESIM). What a real
pixel adds:

- ``L = ln(I + stray)`` above ``lin_log_threshold`` and linear below it, since no photoreceptor sees ratios in
  the dark (v2e);
- a first-order low-pass whose cutoff grows with the light, ``f = cutoff_hz * (I + 20) / 275`` (v2e),
  integrated exactly at any frame interval, the light of a frame taken for that of the interval;
- a leak that makes ``M`` sink by ``leak_hz * contrast_threshold`` a second, which causes ON events of a still
  picture. It is computed as a ramp added to ``L``, so leak events too carry their exact times. With a leak, a
  pixel starts at a random phase of it, as a pixel that has looked at the same picture for long;
- shot noise: a Poisson process of events, ON and OFF alike, anywhere in the picture;
- hot pixels: a few pixels that fire ON events by a Poisson process of their own;
- thresholds that differ from pixel to pixel and from ON to OFF;
- a refractory period: an event that follows the previous one of its pixel too soon is not sent. ``M`` follows
  nevertheless (as in ESIM), and noise does not move ``M``.

Noise is drawn in continuous time: it does not depend on how the time is cut into frames, and costs nothing
between its events.

Rebecq, Gehrig, Scaramuzza: ESIM: an Open Event Camera Simulator, CoRL 2018.
Hu, Liu, Delbruck: v2e: From Video Frames to Realistic DVS Events, CVPR Workshops 2021.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from ..errors import TaskError
from .camera_kernels import (
    FIRE_OFF,
    FIRE_ON,
    HOT_NEXT,
    HOT_RATE,
    LEAK,
    LEAST_THETA,
    MEMORY,
    RAMP_NS,
    REFRACTORY_NS,
    RESET_NS,
    SHOT_NEXT,
    SHOT_RATE,
    STAMP_NS,
    THETA_OFF,
    THETA_ON,
    WIDTH,
    integrate,
    low_pass,
    lower_ramp,
    next_arrival,
    photoreceptor,
    start_pixels,
)
from .words import from_words

_LEAST_THRESHOLD = 0.01
#: The leak's ramp restarts at this height [log intensity]: 67 minutes at the default leak.
_HIGHEST_RAMP = 8.0
_MAY_BE_ZERO = ("threshold_mismatch", "shot_noise_hz", "leak_hz", "hot_pixel_fraction", "hot_pixel_hz",
                "stray_light", "refractory_ns")  # fmt: skip


@dataclass(frozen=True)
class EventCameraModel:
    """Parameters of a simulated event camera.

    Attributes:
        width: columns [pixels].
        height: rows [pixels].
        contrast_threshold: mean of ``theta_on`` and ``theta_off`` [log intensity].
        threshold_mismatch: standard deviation of the thresholds [log intensity]; none falls below 0.01.
        refractory_ns: least time between two events of a pixel [ns].
        shot_noise_hz: noise events of a pixel, both polarities together [Hz].
        leak_hz: ON events of a pixel in a still picture [Hz].
        cutoff_hz: cutoff of the photoreceptor's low-pass at intensity 255 [Hz]; None is no low-pass.
        hot_pixel_fraction: part of the pixels that are hot, 0..1.
        hot_pixel_hz: events of a hot pixel [Hz].
        stray_light: light scattered in the lens, the same on every pixel [DN, intensity 0..255].
        lin_log_threshold: intensity below which the photoreceptor is linear [DN], more than 1.

    Raises:
        TaskError: a value is out of range; the message names the field.
    """

    width: int
    height: int
    contrast_threshold: float = 0.2
    threshold_mismatch: float = 0.02
    refractory_ns: int = 500_000
    shot_noise_hz: float = 0.1
    leak_hz: float = 0.01
    cutoff_hz: float | None = None
    hot_pixel_fraction: float = 0.0
    hot_pixel_hz: float = 10.0
    stray_light: float = 0.0
    lin_log_threshold: float = 20.0

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "cutoff_hz":
                continue
            least = "0 or more" if field.name in _MAY_BE_ZERO else "greater than 0"
            number = isinstance(value, (int, float, np.integer, np.floating)) and math.isfinite(value)
            if not number or value < 0 or (value == 0 and field.name not in _MAY_BE_ZERO):
                raise TaskError(f"event camera: {field.name} must be a finite number {least}, not {value!r}")
        for name in ("width", "height"):
            value = getattr(self, name)
            if value != int(value) or value > 65535:
                raise TaskError(
                    f"event camera: {name} must be a whole number of at most 65535, not {value!r}"
                )
        if self.lin_log_threshold <= 1:
            raise TaskError(f"event camera: lin_log_threshold must exceed 1, not {self.lin_log_threshold!r}")
        if self.hot_pixel_fraction > 1:
            raise TaskError(
                f"event camera: hot_pixel_fraction must be 0 to 1, not {self.hot_pixel_fraction!r}"
            )


class EventCamera:
    """A simulated event camera. Call :meth:`reset` first, then :meth:`step` for each frame."""

    def __init__(self, model: EventCameraModel):
        self.model = model
        n = model.width * model.height
        # Two buffers of log intensity take turns in being the last frame. Other layouts: camera_kernels.
        self._log = np.zeros((2, n), np.float32)
        self._latest = 0
        self._pixels = np.zeros((5, n), np.float32)
        self._last_event_ns = np.zeros(n, np.int64)
        self._rng = np.zeros(1, np.uint64)
        self._noise = np.zeros(6)
        self._clock = np.zeros(5, np.int64)
        self._hot = np.zeros(0, np.int64)
        self._stray = np.float32(model.stray_light)
        self._knee = np.float32(model.lin_log_threshold)
        self._was_reset = False

    def reset(self, intensity: np.ndarray, stamp_ns: int, seed: int) -> None:
        """Restart with a first frame; the seed decides mismatch, hot pixels and noise.

        Args:
            intensity: shape ``(height, width)``, 0..255.
            stamp_ns: time of the frame [ns].
            seed: 0 or more. The same seed and frames give the same events, bit by bit.

        Raises:
            ValueError: the frame's shape is not the camera's.
        """
        self._photoreceptor(intensity)
        self._begin(stamp_ns, seed)

    def reset_log(self, log_intensity: np.ndarray, stamp_ns: int, seed: int) -> None:
        """Restart with a frame of log intensity; see :meth:`reset`."""
        self._log[1 - self._latest] = self._flat(log_intensity)
        self._begin(stamp_ns, seed)

    def step(self, intensity: np.ndarray, stamp_ns: int) -> np.ndarray:
        """Return the events between the last frame and this one.

        Args:
            intensity: shape ``(height, width)``, 0..255; float32 is fastest.
            stamp_ns: time of the frame [ns].

        Returns:
            EVENT, sorted by time, ``last stamp < t <= stamp_ns``.

        Raises:
            ValueError: the frame's shape is not the camera's, the stamp is not later than the last, or the
                camera was never reset.
        """
        return from_words(self.step_words(intensity, stamp_ns))

    def step_words(self, intensity: np.ndarray, stamp_ns: int) -> np.ndarray:
        """The events of :meth:`step` as words, see :mod:`.words`: int64 ``(2 * n,)``."""
        self._photoreceptor(intensity)
        return self._advance(stamp_ns)

    def step_log(self, log_intensity: np.ndarray, stamp_ns: int) -> np.ndarray:
        """Return the events up to a frame of log intensity, from :meth:`log_intensity`; see :meth:`step`."""
        self._log[1 - self._latest] = self._flat(log_intensity)
        return from_words(self._advance(stamp_ns))

    def log_intensity(self, intensity: np.ndarray) -> np.ndarray:
        """Convert intensity to log intensity, with this camera's stray light and linear range."""
        return log_intensity(intensity, self.model.stray_light, self.model.lin_log_threshold)

    @property
    def thresholds(self) -> tuple[np.ndarray, np.ndarray]:
        """``theta_on`` and ``theta_off`` as drawn at the last reset, each float32 ``(height, width)``."""
        shape = (self.model.height, self.model.width)
        return self._pixels[THETA_ON].reshape(shape).copy(), self._pixels[THETA_OFF].reshape(shape).copy()

    def scale_thresholds(self, factor: float) -> None:
        """Multiply all thresholds from now on, until the next reset.

        What each pixel has gathered of its threshold so far stays the same part of it: none fires for the change alone.

        Args:
            factor: above 0; no threshold falls below 0.01.
        """
        pixels, clock = self._pixels, self._clock
        level = self._log[self._latest] + np.float32(self._noise[LEAK] * (clock[STAMP_NS] - clock[RAMP_NS]))
        before = pixels[THETA_ON : THETA_OFF + 1].copy()
        after = np.maximum(before * np.float32(factor), np.float32(_LEAST_THRESHOLD))
        gathered = level - pixels[MEMORY]
        gathered *= np.where(gathered > 0, after[0] / before[0], after[1] / before[1])
        pixels[THETA_ON : THETA_OFF + 1] = after
        pixels[MEMORY] = level - gathered
        pixels[FIRE_ON], pixels[FIRE_OFF] = pixels[MEMORY] + after[0], pixels[MEMORY] - after[1]
        self._noise[LEAST_THETA] = after.min()

    def _flat(self, frame: np.ndarray) -> np.ndarray:
        if frame.shape != (self.model.height, self.model.width):
            raise ValueError(f"a frame is {self.model.height} x {self.model.width}, not {frame.shape}")
        return frame.reshape(-1)

    def _photoreceptor(self, intensity: np.ndarray) -> None:
        frame = np.ascontiguousarray(self._flat(intensity), np.float32)
        photoreceptor(frame, self._stray, self._knee, self._log[1 - self._latest])

    def _begin(self, stamp_ns: int, seed: int) -> None:
        model, n = self.model, self._log.shape[1]
        self._latest = 1 - self._latest
        random = np.random.Generator(np.random.PCG64(seed))
        thresholds = random.normal(model.contrast_threshold, model.threshold_mismatch, (2, n))
        self._pixels[THETA_ON : THETA_OFF + 1] = np.maximum(thresholds, _LEAST_THRESHOLD)
        memory = self._log[self._latest]
        if model.leak_hz > 0:
            memory = memory - random.random(n, np.float32) * self._pixels[THETA_ON]
        start_pixels(memory, self._pixels)
        self._last_event_ns.fill(-(2**62))
        self._hot = np.sort(random.choice(n, round(model.hot_pixel_fraction * n), replace=False))
        self._rng[0] = random.integers(2**64, dtype=np.uint64)
        self._noise[LEAK] = model.leak_hz * model.contrast_threshold * 1e-9
        self._noise[SHOT_RATE] = model.shot_noise_hz * n * 1e-9
        self._noise[HOT_RATE] = model.hot_pixel_hz * len(self._hot) * 1e-9
        self._noise[LEAST_THETA] = self._pixels[THETA_ON : THETA_OFF + 1].min()
        self._noise[[SHOT_NEXT, HOT_NEXT]] = 0
        next_arrival(self._rng, self._noise, SHOT_RATE)
        next_arrival(self._rng, self._noise, HOT_RATE)
        self._clock[[RESET_NS, STAMP_NS, RAMP_NS]] = stamp_ns
        self._clock[REFRACTORY_NS] = model.refractory_ns
        self._clock[WIDTH] = model.width
        self._was_reset = True

    def _advance(self, stamp_ns: int) -> np.ndarray:
        last_ns = self._clock[STAMP_NS]
        if stamp_ns <= last_ns or not self._was_reset:
            raise ValueError(
                f"the frame's stamp {stamp_ns} must be later than the last, {last_ns}, after a reset"
            )
        if self.model.cutoff_hz is not None:
            last, now = self._log[self._latest], self._log[1 - self._latest]
            low_pass(last, now, (stamp_ns - last_ns) * 1e-9, self.model.cutoff_hz, self._knee)
        parts = int(self._noise[LEAK] * (stamp_ns - last_ns) / _HIGHEST_RAMP) + 1
        if parts == 1:
            return self._integrate(stamp_ns)
        last, now, words = self._log[self._latest].copy(), self._log[1 - self._latest].copy(), []
        for k in range(1, parts + 1):
            part = np.float32(k / parts)
            self._log[1 - self._latest] = last + (now - last) * part if k < parts else now
            words.append(self._integrate(int(last_ns) + (stamp_ns - int(last_ns)) * k // parts))
        return np.concatenate(words)

    def _integrate(self, stamp_ns: int) -> np.ndarray:
        if self._noise[LEAK] * (stamp_ns - self._clock[RAMP_NS]) > _HIGHEST_RAMP:
            lower_ramp(self._pixels, self._noise, self._clock)
        words = integrate(
            self._log,
            self._latest,
            self._pixels,
            self._last_event_ns,
            self._rng,
            self._noise,
            self._clock,
            self._hot,
            stamp_ns,
        )
        self._latest = 1 - self._latest
        return words


def log_intensity(
    intensity: np.ndarray, stray_light: float = 0.0, lin_log_threshold: float = 20.0
) -> np.ndarray:
    """What the photoreceptor makes of frames, for tables to be played by :meth:`EventCamera.step_log`.

    Args:
        intensity: any shape, 0..255.
        stray_light: added to every pixel [DN].
        lin_log_threshold: intensity below which the result is linear [DN].

    Returns:
        float32 of the same shape: ``ln(intensity + stray_light)``, linear in the dark.
    """
    frames = np.ascontiguousarray(intensity, np.float32)
    log = np.empty_like(frames)
    photoreceptor(frames.reshape(-1), np.float32(stray_light), np.float32(lin_log_threshold), log.reshape(-1))
    return log
