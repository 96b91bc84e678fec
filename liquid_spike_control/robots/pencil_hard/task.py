# SPDX-License-Identifier: Apache-2.0
"""``pencil-hard``: the pencil where memory and time matter.

A pole of 0.3 to 0.5 m and 0.05 to 0.15 kg stands on a cart of 1 kg that a motor of +-5 N pushes along a rail of
+-1 m. What makes it hard:

- Time. The control period is drawn anew at every tick, from 2 to 40 ms (log-uniform, median 9 ms, mean 12.7 ms);
  a command acts 10 to 20 ms after the sensing that it answers, a constant of the episode.
- Memory. The cart's encoder gives its position in counts of 0.5 mm and no velocity; the pole is seen by the event
  camera alone, which goes blind for 50 to 200 ms every 1.5 to 4 s.
- Sight. The wall behind the pole is textured and glides by at 0.05 to 0.2 m/s even while the cart stands; every pixel
  gives 1 noise event a second, all thresholds lie up to 20 % and the lamp up to 20 % from nominal.
- Wind. In half of the episodes a constant horizontal force at the pole's centre of mass, ``m g tan(3 deg)``, so that
  the pole stands still only if it leans 3 degrees against it. The controller is not informed of it. A pole that is held
  upright instead takes the cart off the rail within 2 s, so an estimate that drifts to zero is found out.
- Gusts. Every 2 to 4 s one that changes the velocity of the pole's centre of mass by 0.15 m/s within 30 ms, which for
  the nominal pole is an impulse of 0.015 N s and a rate of 0.56 rad/s. After
  one at the beginning of the longest blackout the nominal pole can just be caught by the expert; after one of 0.2 m/s
  it cannot.

Success: for 20 s the pole is within +-0.6 rad and the cart within +-0.97 m. A controller that stays on the
rail in the wind has held the target tilt: the mean force on the whole is then zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

import mujoco
import numpy as np

from ...errors import TaskError
from ...events.camera import EventCameraModel
from ...robot import Camera, Robot
from ...tasks.task import Expert
from ...tasks.variation import NOMINAL, Variation
from ..pencil.episodes import PencilEpisode, PoleEpisodes, draw_scales
from ..pencil.task import Pencil
from .sprites import sprites_of
from .steering import pencil_hard_steering
from .wall import TEXEL_M, TEXELS, wall_texture

#: Resolution of the cart's encoder [m].
ENCODER_COUNT_M = 0.0005
#: Of the nominal pole in ``scene.xml``: mass [kg], length [m].
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
class PencilHardEpisodes(PoleEpisodes):
    """What episodes are drawn from; pairs are ranges that an episode (or a tick) draws from uniformly unless stated.

    Attributes:
        period_range_s: shortest and longest control period, drawn log-uniformly at every tick [s].
        gust: change of velocity of the pole's centre of mass in one gust, of either sign [m/s].
        pole_mass_kg, pole_length_m: of the pole [kg], [m].
        n_lengths: how many lengths there are, evenly over their range, so that pictures of poles can be kept; 0: any.
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
    n_lengths: int = 0

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
        if self.n_lengths:
            lengths = np.linspace(*self.pole_length_m, self.n_lengths)
            length = lengths[np.abs(lengths - length).argmin()]
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


class PencilHard(Pencil):
    """Late force, wind, a wall that glides by; see :class:`~..pencil.task.Pencil`.

    Args:
        robot: pencil-hard.
        settings: changes to :class:`PencilHardEpisodes`.
    """

    variable: tuple[str, ...] = ()
    own_faults = True
    #: Episodes bring all faults; pictures of six lengths of poles are drawn once. A round is 8 s long. Gusts are harder
    #: than those of the task.
    imitation = MappingProxyType({
        "n_rounds": 9, "n_episodes": 24, "n_samples": 660, "settings": {"n_lengths": 6, "gust": 0.2}, "frame_s": 0.004,
        "exploration": 0.2, "passes": 12, "batch": 96, "chunk": 60, "averaging": 0.9, "huber": 0.4, "noise": 0.0,
        "drop": 0.0, "jitter": 0.0, "latency_steps": 0, "n_validations": 0,
    })  # fmt: skip
    episodes: PencilHardEpisodes
    episode: PencilHardEpisode

    def draw_from(self, robot: Robot, settings: dict) -> PencilHardEpisodes:
        """What episodes are drawn from."""
        return PencilHardEpisodes(**settings)

    def begin_episode(self, episode: PencilHardEpisode, variation: Variation = NOMINAL, start_ns: int = 0) -> None:  # type: ignore[override]
        """Begin a given episode; see :meth:`~..pencil.task.Pencil.begin_episode`."""
        self._on_the_way = [0.0] * episode.latency_ms
        self._blackout = 0
        now = np.arange(round(self.episodes.duration_s * 1e3) + 1) * 1e-3
        forces = np.full(len(now), episode.wind)
        push_s = self.episodes.push_duration_s
        for start, impulse in zip(episode.push_times_s, episode.push_impulses, strict=True):
            forces[(now >= start) & (now < start + push_s)] += impulse / push_s
        self._air = forces.tolist()
        super().begin_episode(episode, variation, start_ns)
        self._period = 0
        self._position = self._last_position = self.encoder_m

    def next_period_s(self) -> float:
        """Length of the control period that begins now [s]."""
        self._last_position = self.encoder_m
        self._period += 1
        return int(self.episode.periods_ms[self._period - 1]) * 1e-3

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

    @property
    def blind(self) -> bool:  # type: ignore[override]
        """Whether the camera gives no events in the millisecond that has just passed."""
        return self.blacked_out(self._steps - 1)

    def blacked_out(self, step: int) -> bool:
        """Whether the camera gives no events in the millisecond ``step`` (0: the first); steps never run back."""
        blackouts = self.episode.blackouts_ms
        while self._blackout < len(blackouts) and step >= blackouts[self._blackout, 1]:
            self._blackout += 1
        return bool(self._blackout < len(blackouts) and step >= blackouts[self._blackout, 0])

    @property
    def encoder_m(self) -> float:
        """Cart position in whole counts of the encoder [m]."""
        return float(np.round(self.data.qpos[0] / ENCODER_COUNT_M) * ENCODER_COUNT_M)

    def observe(self) -> np.ndarray:
        """Cart position and its change in the last control period [m]; the event rate is the camera's, NaN here."""
        position = self.encoder_m
        return np.array([position, position - self._last_position, np.nan])

    def steering(self) -> Callable[[np.ndarray, float], np.ndarray]:
        """Position and velocity of the cart, angle and rate of the pole."""
        return pencil_hard_steering

    def expert(self) -> Expert:
        """A regulator that knows the pole, the latency, the wind and the forces on their way."""
        from .expert import PencilHardExpert

        return PencilHardExpert(self)

    # the camera before the wall

    def camera_model(self, camera: Camera):
        """The camera in the present episode: all thresholds are off by one factor."""
        return with_threshold(camera.event_camera(), self.episode)

    def dress(self, renderer) -> None:
        """Upload the wall of the episode."""
        self.model.tex_data[:] = np.repeat(wall_texture(self.episode.seed).ravel(), 3)
        renderer.upload_texture(0)

    def before_picture(self) -> None:
        """Move the wall, and bring the bodies, the lamp and the camera to where the joints are."""
        self.model.geom_pos[self.model.geom("wall").id, 0] = self.wall_m % (TEXELS[1] * TEXEL_M)
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def pictures(self, camera: Camera) -> WallPictures:
        """The pole's sprites over the wall, which give the same to a grey level or two at a twentieth of the time."""
        return WallPictures(self, camera)


def with_threshold(camera: EventCameraModel, episode: PencilHardEpisode) -> EventCameraModel:
    """The camera in an episode: all thresholds are off by one factor."""
    return replace(camera, contrast_threshold=camera.contrast_threshold * episode.threshold_scale)


class WallPictures:
    """Composed pictures of one episode.

    Args:
        task: whose pole and wall.
        camera: whose picture.
    """

    def __init__(self, task: PencilHard, camera: Camera) -> None:
        self._task = task
        self._sprites = sprites_of(task, camera.width, camera.height)
        self._panorama = self._sprites.panorama(wall_texture(task.episode.seed))
        self._picture = np.empty((camera.height, camera.width), np.float32)

    def render(self, data: mujoco.MjData) -> np.ndarray:
        """The picture now, float32 (height, width), 0 to 255; overwritten by the next."""
        position, angle = data.qpos
        task = self._task
        shift, light = position - task.wall_m, task.episode.light_scale
        return self._sprites.picture(self._panorama, angle, shift, light, self._picture)
