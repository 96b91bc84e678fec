# SPDX-License-Identifier: Apache-2.0
"""The task pencil-hard: what chance decides, late force, wind, blackouts, pictures, and who can balance it."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from liquid_spike_control.bench.robot import RobotBenchmark
from liquid_spike_control.errors import ModelError, TaskError
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.robots.catalogue import robot_named, task_named
from liquid_spike_control.robots.pencil_hard.expert import EstimateLatePencilLqr, PencilHardExpert
from liquid_spike_control.robots.pencil_hard.task import (
    ENCODER_COUNT_M,
    PencilHard,
    PencilHardEpisodes,
    with_threshold,
)
from liquid_spike_control.robots.pencil_hard.wall import TEXELS, wall_texture
from liquid_spike_control.sim.world import World

ROBOT = robot_named("pencil-hard")
CAMERA, FORCE_LIMIT = ROBOT.cameras[0].event_camera(), ROBOT.commands[0].most
TASK = PencilHardEpisodes()


def test_an_episode_follows_from_its_seed_and_stays_in_the_task_s_ranges():
    episodes = [TASK.draw(seed) for seed in range(200)]
    again = TASK.draw(3)
    assert again.wind == episodes[3].wind and np.array_equal(again.periods_ms, episodes[3].periods_ms)
    assert all(0.3 <= 0.4 * e.length_scale <= 0.5 and 0.05 <= 0.1 * e.mass_scale <= 0.15 for e in episodes)
    assert {e.latency_ms for e in episodes} == set(range(10, 21))
    assert 80 <= sum(e.wind != 0 for e in episodes) <= 120
    assert all(0.05 <= abs(e.glide) <= 0.2 for e in episodes)
    for e in episodes:
        assert e.periods_ms.min() >= 2 and e.periods_ms.max() <= 40 and e.periods_ms.sum() > 20_000
        lengths = np.diff(e.blackouts_ms)
        assert lengths.min() >= 49 and lengths.max() <= 201
        assert e.blackouts_ms[-1, 1] > 20_000
        assert np.all(e.blackouts_ms[1:, 0] - e.blackouts_ms[:-1, 1] >= 1499)
    periods = np.concatenate([e.periods_ms for e in episodes])
    assert np.median(periods) == pytest.approx(math.sqrt(2 * 40), abs=0.6)
    assert periods.mean() == pytest.approx(12.7, abs=0.2)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"duration_s": 0.0}, "duration_s"),
        ({"gust": -0.1}, "gust"),
        ({"windy": 1.5}, "windy"),
        ({"latency_s": (0.02, 0.01)}, "latency_s"),
        ({"latency_s": (0.0, 0.01)}, "latency_s"),
        ({"period_range_s": (0.0001, 0.01)}, "period_range_s"),
        ({"lighting_spread": 1.0}, "lighting_spread"),
        ({"rail": math.nan}, "rail"),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(changes, named):
    with pytest.raises(TaskError, match=f"task pencil-hard: .*{named}"):
        PencilHardEpisodes(**changes)


def plant_of(seed: int, **changes) -> PencilHard:
    plant = task_named("pencil-hard")
    plant.begin_episode(replace(TASK.draw(seed), **changes))
    return plant


def test_a_force_acts_after_the_latency_and_not_before():
    plant = plant_of(0, latency_ms=13, tilt=0.0, wind=0.0)
    speeds = []
    for _ in range(20):
        plant.step(FORCE_LIMIT)
        speeds.append(plant.data.qvel[0])
    assert np.all(np.array(speeds[:13]) == 0)
    assert speeds[13] > 0.003 and speeds[19] > speeds[13]


def test_forces_on_the_way_are_what_will_act():
    plant = plant_of(0, latency_ms=4, wind=0.0)
    for force in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        plant.step(force)
    assert plant.forces_on_the_way.tolist() == [3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize("mass_scale", [0.5, 1.5])
def test_the_pole_stands_still_against_the_wind_only_if_it_leans(mass_scale):
    wind = 0.1 * mass_scale * 9.81 * math.tan(TASK.lean)
    calm = {"push_impulses": np.zeros(11), "mass_scale": mass_scale, "wind": wind, "latency_ms": 1}
    leaning = plant_of(0, tilt=-TASK.lean, **calm)
    leaning._on_the_way = [-wind]
    leaning.step(-wind)
    assert np.abs(leaning.data.qacc).max() < 1e-3
    # Held upright instead, it takes the cart along: by g tan(lean), off the rail within 2 s
    upright = plant_of(0, tilt=0.0, **calm)
    expert = PencilHardExpert(upright)
    expert._lqr._equilibrium[:] = 0
    expert._lqr._gain = expert._lqr._gain * [0, 0, 1, 1]
    while not upright.fallen and upright.elapsed_s < 3:
        upright.step(float(expert.act(upright)[0]))
    assert 0.9 < upright.elapsed_s < 2.3 and abs(upright.data.qpos[0]) > TASK.rail


def drive(plant: PencilHard, act) -> PencilHard:
    """To the end of the episode or the fall; ``act`` gets the time since its last answer [s]."""
    elapsed_s = ROBOT.period_s
    while not plant.fallen and plant.elapsed_s < TASK.duration_s:
        force, elapsed_s = act(elapsed_s), plant.next_period_s()
        for _ in range(round(elapsed_s * 1e3)):
            plant.step(force)
    return plant


def test_the_expert_balances_every_episode():
    for seed in range(6):
        plant = task_named("pencil-hard")
        plant.reset(seed)
        expert = PencilHardExpert(plant)
        assert not drive(plant, lambda _, plant=plant, expert=expert: float(expert.act(plant)[0])).fallen, seed


def on_estimates(seed: int, forgets_s: float) -> PencilHard:
    """LQR on the true angle, of which what stands still is forgotten with this time constant (inf: never)."""
    plant = task_named("pencil-hard")
    plant.reset(seed)
    lqr, slow = EstimateLatePencilLqr(plant), 0.0

    def act(elapsed_s: float) -> float:
        nonlocal slow
        angle, rate = plant.true_state()
        slow += -math.expm1(-elapsed_s / forgets_s) * (angle - slow)
        position, displacement, _ = plant.observe()
        return float(lqr.step(np.array([position, displacement, angle - slow, rate]), elapsed_s)[0])

    return drive(plant, act)


def test_an_estimate_that_drifts_to_zero_is_found_out():
    for seed in range(4):
        assert not on_estimates(seed, math.inf).fallen, seed
        drifting = on_estimates(seed, 0.5)
        assert drifting.fallen and drifting.elapsed_s < 15, seed


def test_the_encoder_counts():
    plant = plant_of(1)
    plant.data.qpos[0] = 0.01234
    assert plant.observe()[0] == pytest.approx(0.0125, abs=1e-12)
    assert plant.observe()[0] / ENCODER_COUNT_M == pytest.approx(round(plant.observe()[0] / ENCODER_COUNT_M))


def test_all_thresholds_of_an_episode_are_off_by_one_factor():
    episode = TASK.draw(5)
    assert with_threshold(CAMERA, episode).contrast_threshold == 0.2 * episode.threshold_scale != 0.2


def test_a_wall_follows_from_its_seed_and_joins_at_its_edges():
    wall = wall_texture(7).astype(float)
    assert wall.shape == TEXELS and np.array_equal(wall, wall_texture(7)) and not np.array_equal(wall, wall_texture(8))
    step = np.abs(np.diff(wall, axis=1)).max()
    assert np.abs(wall[:, 0] - wall[:, -1]).max() <= step + 1
    assert 0.15 < np.log(wall).std() < 0.35


def play(world: World, seed: int, n_ticks: int = 40):
    """Pictures and sensings under the same forces."""
    forces = np.random.default_rng(1).normal(size=n_ticks)
    sensings, pictures = [world.reset(seed)], [world.picture().copy()]
    for force in forces:
        sensings.append(world.advance(np.array([force])))
        pictures.append(world.picture().copy())
    return sensings, np.array(pictures)


def test_composed_pictures_are_the_rendered_ones():
    with World(task_named("pencil-hard")) as rendered, World(task_named("pencil-hard"), rendered=False) as composed:
        truth, composition = play(rendered, 3, 12), play(composed, 3, 12)
    error = composition[1] - truth[1]
    assert np.sqrt((error**2).mean()) < 1.0 and np.abs(error).max() < 15
    events = [sum(len(s.events[0]) for s in sensings) for sensings, _ in (truth, composition)]
    assert events[1] == pytest.approx(events[0], rel=0.05) and events[0] > 100


def test_same_seed_same_bytes_and_blind_in_a_blackout():
    with World(task_named("pencil-hard"), rendered=False) as world:
        first, _ = play(world, 11)
        second, _ = play(world, 11)
    assert all(np.array_equal(a.events[0], b.events[0]) for a, b in zip(first, second, strict=True))
    assert all(np.array_equal(a.readings.values, b.readings.values) for a, b in zip(first, second, strict=True))

    task = task_named("pencil-hard", blackout_interval_s=(0.1, 0.1), blackout_s=(0.1, 0.1))
    with World(task, rendered=False) as world:
        sensings, _ = play(world, 11)
        blackouts = task.episode.blackouts_ms
    events = np.concatenate([s.events[0] for s in sensings])["t"] // 1_000_000
    last = sensings[-1].stamp_ns // 1_000_000
    assert last > 200
    in_blackout = np.zeros(last + 1, bool)
    for begin, end in blackouts:
        in_blackout[begin:end] = True
    assert len(events) > 50 and not in_blackout[np.clip(events, 0, last)].any()


@pytest.mark.slow
def test_the_shipped_models_run_without_torch_and_ros():
    program = """
import sys
for name in ("torch", "ncps", "rclpy", "sensor_msgs", "event_camera_msgs"):
    sys.modules[name] = None
from liquid_spike_control.bench.robot import RobotBenchmark
variants = ("cfc_loihi", "spiking_loihi")
benchmark = RobotBenchmark("pencil-hard", range(7, 8), variants, duration_s=0.3, jobs=1)
for name, figures in benchmark.episodes():
    assert figures.success and figures.n_events > 300, (name, figures)
print("ran")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "ran" in done.stdout


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"names": ("cfc_frames",)}, "unknown variant 'cfc_frames'; known variants: expert"),
        ({"seeds": range(1_500_000_000, 1_500_000_001)}, "meet the training seeds"),
        ({"seeds": range(5, 5)}, "is empty"),
    ],
)
def test_what_cannot_be_benchmarked_is_refused(changes, named):
    given = {"source": "pencil-hard", "seeds": range(5, 6), "names": ("cfc_loihi",)} | changes
    with pytest.raises(TaskError, match=named):
        RobotBenchmark(**given)


def test_the_pencil_s_controller_is_refused():
    other = shipped_model("pencil/controller.safetensors")
    with pytest.raises(ModelError, match=r"pencil/controller.safetensors: observation_names"):
        RobotBenchmark("pencil-hard", range(5, 6), ("cfc_loihi",), controller=other)
