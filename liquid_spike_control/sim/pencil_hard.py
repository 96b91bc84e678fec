# SPDX-License-Identifier: Apache-2.0
"""``pencil-hard``: the pencil where memory and time matter.

A pole of 0.3 to 0.5 m and 0.05 to 0.15 kg stands on a cart of 1 kg that a motor of +-5 N pushes along a rail of
+-1 m. What makes it hard:

- Time. The control period is drawn anew at every tick, from 2 to 40 ms (log-uniform, median 9 ms, mean 12.7 ms);
  a command acts 10 to 20 ms after the sensing that it answers, a constant of the episode.
- Memory. The cart's encoder tells its position in counts of 0.5 mm and no velocity; the pole is seen by the event
  camera alone, which goes blind for 50 to 200 ms every 1.5 to 4 s.
- Sight. The wall behind the pole is textured and glides by at 0.05 to 0.2 m/s even while the cart stands; every pixel
  gives 1 noise event a second, all thresholds lie up to 20 % and the lamp up to 20 % from nominal.
- Wind. In half of the episodes a constant horizontal force at the pole's centre of mass, ``m g tan(3 deg)``, so that
  the pole stands still only if it leans 3 degrees against it. Nobody tells the controller. A pole that is held
  upright instead takes the cart off the rail within 2 s, so an estimate that drifts to zero is found out.
- Gusts. Every 2 to 4 s one that changes the velocity of the pole's centre of mass by 0.15 m/s within 30 ms, which for
  the nominal pole is an impulse of 0.015 N s and a rate of 0.56 rad/s. After
  one at the beginning of the longest blackout the nominal pole can just be caught by the expert; after one of 0.2 m/s
  it cannot.

Success: for 20 s the pole is within +-0.6 rad and the cart within +-0.97 m. Whoever stays on the rail in the wind
has held the target tilt: the mean force on the whole is then zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import TaskError
from .plant import PencilPlant
from .tasks import PencilEpisode, PoleTask, draw_scales

#: Cart force limit of ``sim/pencil_hard.xml`` [N].
FORCE_LIMIT = 5.0
#: Resolution of the cart's encoder [m].
ENCODER_COUNT_M = 0.0005
#: Of the nominal pole in ``sim/pencil_hard.xml``: mass [kg], length [m].
POLE_MASS_KG, POLE_LENGTH_M = 0.1, 0.4
GRAVITY = 9.81


@dataclass(frozen=True, slots=True, kw_only=True)
class PencilHardEpisode(PencilEpisode):
    """What chance decides for one episode.

    Attributes:
        seed: of the episode; the wall's texture and the camera's noise follow from it too.
        threshold_scale: factor on the camera's contrast threshold.
        latency_ms: between sensing and force [ms].
        wind: constant force on the pole's centre of mass [N].
        glide: velocity of the wall [m/s].
        blackouts_ms: first and last millisecond + 1 of each blackout, int64 ``(m, 2)``.
        periods_ms: control periods, one after the other, int64 ``(k,)``; they add up to more than the duration.
    """

    seed: int
    threshold_scale: float
    latency_ms: int
    wind: float
    glide: float
    blackouts_ms: np.ndarray
    periods_ms: np.ndarray


@dataclass(frozen=True, kw_only=True)
class PencilHardTask(PoleTask):
    """The task's numbers; pairs are ranges that an episode (or a tick) draws from uniformly unless stated.

    Attributes:
        period_range_s: shortest and longest control period, drawn log-uniformly at every tick [s].
        gust: change of velocity of the pole's centre of mass in one gust, of either sign [m/s].
        pole_mass_kg, pole_length_m: of the pole [kg], [m].
        threshold_spread: of the contrast threshold of the whole camera.
        latency_s: between sensing and force [s].
        blackout_s: how long the camera is blind [s].
        blackout_interval_s: from the end of one blackout to the beginning of the next [s].
        lean: angle at which the pole stands still in the wind [rad].
        windy: part of the episodes that have wind.
        glide: speed of the wall, of either sign [m/s].

    Raises:
        TaskError: a number is out of range.
    """

    name = "pencil-hard"
    version = 1
    period_s: float = 0.008
    period_range_s: tuple[float, float] = (0.002, 0.040)
    gust: float = 0.15
    pole_mass_kg: tuple[float, float] = (0.05, 0.15)
    pole_length_m: tuple[float, float] = (0.3, 0.5)
    threshold_spread: float = 0.2
    latency_s: tuple[float, float] = (0.010, 0.020)
    blackout_s: tuple[float, float] = (0.050, 0.200)
    blackout_interval_s: tuple[float, float] = (1.5, 4.0)
    lean: float = math.radians(3.0)
    windy: float = 0.5
    glide: tuple[float, float] = (0.05, 0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (
            ("period_range_s", 0.001), ("pole_mass_kg", 0.01), ("pole_length_m", 0.1), ("latency_s", 0.001),
            ("blackout_interval_s", 0.01),
        ):  # fmt: skip
            if getattr(self, name)[0] < least:
                raise TaskError(f"task pencil-hard: {name} = {getattr(self, name)}; give at least {least}")
        if self.gust < 0 or not 0 <= self.windy <= 1:
            raise TaskError("task pencil-hard: gust is a magnitude, at least 0, and windy a part of 1")

    def draw(self, seed: int) -> PencilHardEpisode:
        """Draw an episode; the same task and seed give the same episode."""
        rng = np.random.default_rng(seed)
        tilt = rng.uniform(-self.tilt, self.tilt)
        mass, length = rng.uniform(*self.pole_mass_kg), rng.uniform(*self.pole_length_m)
        friction, light, threshold = draw_scales(rng, self.friction_spread, self.lighting_spread, self.threshold_spread)
        latency = round(1e3 * rng.uniform(*self.latency_s))
        windy, side = rng.random() < self.windy, rng.choice([-1.0, 1.0])
        wind = side * mass * GRAVITY * math.tan(self.lean) if windy else 0.0
        glide = rng.choice([-1.0, 1.0]) * rng.uniform(*self.glide)
        times, impulses = self._draw_pushes(rng, mass * self.gust)
        most = int(self.duration_s / self.blackout_interval_s[0]) + 1
        lengths = rng.uniform(*self.blackout_s, size=most)
        ends = np.cumsum(rng.uniform(*self.blackout_interval_s, size=most) + lengths)
        blackouts = np.round(1e3 * np.stack([ends - lengths, ends], 1)).astype(np.int64)
        most = int(self.duration_s / self.period_range_s[0]) + 1
        shortest, longest = np.log(self.period_range_s)
        periods = np.round(1e3 * np.exp(rng.uniform(shortest, longest, size=most))).astype(np.int64)
        return PencilHardEpisode(
            tilt, mass / POLE_MASS_KG, length / POLE_LENGTH_M, friction, light, times, impulses, seed=seed,
            threshold_scale=threshold, latency_ms=latency, wind=wind, glide=glide, blackouts_ms=blackouts,
            periods_ms=periods,
        )  # fmt: skip


class PencilHardPlant(PencilPlant):
    """The pole on the weaker cart: late force, wind, a wall that glides by; MuJoCo's dynamics, 1 ms steps.

    Args:
        task: what episodes are drawn from.
    """

    observation_names = ("cart_position",)
    observation_units = ("m",)
    model_file = "sim/pencil_hard.xml"
    task: PencilHardTask
    episode: PencilHardEpisode

    def __init__(self, task: PencilHardTask | None = None) -> None:
        super().__init__(task or PencilHardTask())

    def begin(self, episode: PencilHardEpisode, start_ns: int = 0) -> None:  # type: ignore[override]
        """Begin a given episode at time ``start_ns``."""
        self._on_the_way = [0.0] * episode.latency_ms
        self._blackout = 0
        now = np.arange(round(self.task.duration_s * 1e3) + 1) * 1e-3
        forces = np.full(len(now), episode.wind)
        for start, impulse in zip(episode.push_times_s, episode.push_impulses, strict=True):
            forces[(now >= start) & (now < start + self.task.push_duration_s)] += impulse / self.task.push_duration_s
        self._air = forces.tolist()
        super().begin(episode, start_ns)

    def step(self, force: float) -> None:
        """One millisecond; ``force`` [N] is what is commanded now and acts after the latency."""
        slot = self._steps % len(self._on_the_way)
        late, self._on_the_way[slot] = self._on_the_way[slot], force
        super().step(late)

    def _push_force(self) -> float:
        """Of wind and gusts [N]."""
        return self._air[min(self._steps, len(self._air) - 1)]

    @property
    def forces_on_the_way(self) -> np.ndarray:
        """Forces that are commanded and do not act yet, the next one first [N], ``(latency_ms,)``."""
        first = self._steps % len(self._on_the_way)
        return np.array(self._on_the_way[first:] + self._on_the_way[:first])

    @property
    def wall_m(self) -> float:
        """How far the wall has glided [m]."""
        return self.episode.glide * self.elapsed_s

    def blind(self, step: int) -> bool:
        """Whether the camera gives no events in the millisecond ``step`` (0: the first); steps never run back."""
        blackouts = self.episode.blackouts_ms
        while self._blackout < len(blackouts) and step >= blackouts[self._blackout, 1]:
            self._blackout += 1
        return self._blackout < len(blackouts) and step >= blackouts[self._blackout, 0]

    def forward_kinematics(self) -> None:
        """Bring the bodies, the lamp and the camera to where the joints are, for pictures."""
        self._mujoco.mj_kinematics(self.model, self.data)
        self._mujoco.mj_camlight(self.model, self.data)

    def observe(self) -> np.ndarray:
        """Cart position in whole counts of the encoder [m], ``(1,)``."""
        return np.round(self.data.qpos[:1] / ENCODER_COUNT_M) * ENCODER_COUNT_M

    @property
    def state(self) -> np.ndarray:
        """Cart position [m] and velocity [m/s], pole angle [rad] and rate [rad/s]; for experts only."""
        (x, angle), (v, rate) = self.data.qpos, self.data.qvel
        return np.array([x, v, angle, rate])
