# SPDX-License-Identifier: Apache-2.0
"""Lane car: its tracks, its expert, its tyres, what its camera sees, bad input."""

import math

import numpy as np
import pytest

from liquid_spike_control.assembly import new_estimator, new_loop, read_robot_perception
from liquid_spike_control.checkpoint import read_controller
from liquid_spike_control.errors import TaskError
from liquid_spike_control.liquid.controller import new_controller
from liquid_spike_control.nodes.run import run_command
from liquid_spike_control.options import RunOptions
from liquid_spike_control.robots.catalogue import robot_named, sensed_task_named, task_named
from liquid_spike_control.robots.lane_car.expert import AHEAD, WHEELBASE, LaneKeeper
from liquid_spike_control.robots.lane_car.road import SIDE_M, SIZE, RoadLook, draw_road
from liquid_spike_control.robots.lane_car.track import APART, LENGTH, NEIGHBOURS, SHARPEST, draw_track
from liquid_spike_control.sim.renderer import Renderer
from liquid_spike_control.sim.world import World
from liquid_spike_control.spiking.layers import read_layers
from liquid_spike_control.tasks.episode import ExpertController, run_episode
from liquid_spike_control.tasks.of_robot import task_of
from liquid_spike_control.tasks.perturbations import Perturbation


@pytest.mark.parametrize("seed", range(6))
def test_tracks_are_closed_smooth_and_wide_enough(seed):
    track = draw_track(np.random.default_rng(seed))
    steps = np.diff(track.points, axis=0, append=track.points[:1])
    lengths = np.hypot(*steps.T)
    assert np.allclose(lengths, track.spacing, rtol=0.02) and LENGTH[0] - 0.1 < track.length < LENGTH[1] + 0.1
    headings = np.unwrap(np.arctan2(*steps.T[::-1]))
    off = headings - track.heading
    turned = np.diff(headings) / track.spacing
    assert np.abs(turned - track.curvature[1:]).max() < 0.1 and np.abs(track.curvature).max() <= SHARPEST
    assert np.abs(off - 2 * math.pi * round(off[0] / 2 / math.pi)).max() < 0.03
    n = len(track.points)
    for i in range(0, n, 40):
        along = np.abs(np.arange(n) - i)
        far = np.minimum(along, n - along) * track.spacing > NEIGHBOURS + 0.3
        assert np.hypot(*(track.points[far] - track.points[i]).T).min() > APART - 0.2


def test_tracks_turn_both_ways():
    turns = [math.copysign(1, draw_track(np.random.default_rng(seed)).curvature.sum()) for seed in range(8)]
    assert {-1.0, 1.0} == set(turns)


def test_the_expert_drives_laps():
    task = task_named("lane_car")
    for seed in range(1000, 1006):
        result = run_episode(task, ExpertController(task.expert(), task), Perturbation("calm"), seed)
        assert result.success and result.total_reward == pytest.approx(task.track.length, abs=0.1)
        assert abs(task.offset) < 0.06 and result.elapsed_s < 16


def test_a_car_that_does_not_steer_leaves_the_lane_and_one_that_stands_fails():
    task = task_named("lane_car")
    for command in ([0.0, 1.5], [0.0, 0.0]):
        task.reset(1000)
        while not task.over:
            task.advance(np.array(command), 0.02)
        assert not task.success and task.failed == (command[1] > 0)


def test_an_episode_is_its_seed_s():
    runs = []
    for seed in (4, 4, 5):
        task = task_named("lane_car")
        task.set_duration(2.0)
        run_episode(task, ExpertController(task.expert(), task), Perturbation("calm"), seed)
        runs.append(task.data.qpos.tobytes() + draw_road(task.track, task._road_seed, RoadLook()).tobytes())
    assert runs[0] == runs[1] != runs[2]


def test_it_turns_as_a_bicycle_does():
    task = task_named("lane_car")
    task.reset(2)
    task._steering_bias = 0.0
    for _ in range(60):
        task.advance(np.array([0.2, 1.0]), 0.02)
    speed, angle, rate, _ = task.observe()
    assert angle == pytest.approx(0.2, abs=1e-3) and speed == pytest.approx(1.0, abs=0.05)
    assert rate - task._rate_bias == pytest.approx(speed * math.tan(angle) / WHEELBASE, rel=0.05)


def test_truths_are_where_the_car_is_on_the_lane():
    task = task_named("lane_car")
    expert = task.expert()
    for seed in (7, 8):
        task.reset(seed)
        for _ in range(100):
            task.advance(expert.act(task) + [0.1, 0.0], 0.02)
        offset, heading, curvature = task.estimates()
        x, y, yaw = task.data.qpos[:3]
        from_lane = [x, y] - task.track.points
        nearest = int(np.argmin(np.hypot(*from_lane.T)))
        lane = task.track.heading[nearest]
        to_the_left = from_lane[nearest] @ [-math.sin(lane), math.cos(lane)]
        assert offset == pytest.approx(to_the_left, abs=0.003) and abs(offset) > 0.01
        assert abs(math.remainder(yaw - lane - heading, 2 * math.pi)) < 0.03
        ahead = nearest + round(AHEAD / task.track.spacing)
        assert curvature == pytest.approx(task.track.curvature[ahead % len(task.track.points)], abs=0.05)


def test_the_law_on_estimates_is_the_expert_s():
    task = task_named("lane_car")
    keeper = LaneKeeper(task)
    task.reset(3)
    seen = np.concatenate([task.observe(), task.estimates()])
    assert np.array_equal(task.bounded(keeper.step(seen, 0.02)), task.expert().act(task))


@pytest.mark.parametrize(
    ("seed", "settings"),
    [(1, {}), (2, {"lighting": "shadows"}), (3, {"texture": "patches"}), (4, {"lines": "centre", "contrast": 0.5})],
)
def test_quick_pictures_are_the_renderer_s(seed, settings):
    robot = robot_named("lane_car")
    task = task_of(robot, **settings)
    task.reset(seed)
    task.before_picture()
    with Renderer(task.model, "forward", 64, 32) as renderer:
        task.dress(renderer)
        rendered, quick = renderer.render(task.data), task.pictures(robot.cameras[0]).render(task.data)
    assert np.corrcoef(rendered.ravel(), quick.ravel())[0, 1] > 0.99
    assert np.abs(rendered - quick).mean() < 4 and rendered.std() > 10


def test_lines_are_where_the_lane_is():
    track = draw_track(np.random.default_rng(3))
    ground = draw_road(track, 3, RoadLook()).astype(float)

    def grey(offset):
        points = track.points + offset * np.array([-np.sin(track.heading), np.cos(track.heading)]).T
        columns, rows = ((points * [1, -1] + SIDE_M / 2) * SIZE / SIDE_M).astype(int).T
        return ground[rows, columns]

    assert min(grey(0.3).min(), grey(-0.3).min()) > 1.5 * max(np.median(grey(0.15)), np.median(grey(-0.15)))
    dusk = draw_road(track, 3, RoadLook(lighting="dusk"))
    assert np.median(dusk) < 0.2 * np.median(ground)
    faint = draw_road(track, 3, RoadLook(contrast=0.3))
    assert np.count_nonzero(faint != ground) > 1000 and (faint <= ground).all()


def events_of(seconds, **settings):
    with World(task_of(robot_named("lane_car"), **settings), rendered=False) as world:
        expert = world.task.expert()
        world.reset(1)
        return np.array([len(world.advance(expert.act(world.task)).events[0]) for _ in range(round(seconds / 0.02))])


def test_events_show_the_lane_but_not_in_a_blackout():
    clear, dark = events_of(2.0), events_of(2.0, blackouts=1.0)
    assert 5_000 < clear.sum() < 100_000 and (clear > 0).all()
    silent = dark == 0
    first = int(np.argmax(silent))
    assert 10 < silent.sum() < 90 and first > 0 and np.array_equal(dark[: first - 1], clear[: first - 1])
    plain = events_of(0.5).sum()
    assert events_of(0.5, noise=20.0).sum() > plain
    assert events_of(0.5, threshold=0.7).sum() > 1.1 * plain > 1.1 * events_of(0.5, threshold=1.5).sum()


def test_the_mismatch_of_thresholds_is_a_setting_of_its_own():
    camera = robot_named("lane_car").cameras[0]
    models = [task_of(robot_named("lane_car"), mismatch=factor).camera_model(camera) for factor in (1.0, 2.0, 100.0)]
    assert [model.threshold_mismatch for model in models] == pytest.approx([0.03, 0.06, 0.1])
    assert len({(model.contrast_threshold, model.shot_noise_hz) for model in models}) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lines": "dotted"}, "lines: 'dotted' is unknown; give edges or centre"),
        ({"texture": "snow"}, "texture: 'snow' is unknown; give fractal or patches"),
        ({"lighting": "night"}, "lighting: 'night' is unknown; give even or shadows or dusk"),
        ({"noise": math.nan}, "noise: nan; give a finite number of at least 0"),
        ({"threshold": 0.0}, "threshold: 0.0; give a factor of 0.1 to 10"),
        ({"mismatch": math.inf}, "mismatch: inf; give a finite number of at least 0"),
        ({"blackouts": -1.0}, "blackouts: -1.0; give a finite number of at least 0"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(TaskError, match="robot.yaml") as refusal:
        task_named("lane_car", **settings)
    assert message in str(refusal.value)


def test_run_by_the_expert(capsys):
    options = RunOptions("lane_car", in_process=True, expert=True, seed=1000, duration=1.0)
    assert run_command(options) == 0 and "kept the lane" in capsys.readouterr().out


def test_the_shipped_perception_is_what_the_readme_says():
    robot = robot_named("lane_car")
    model, network = read_robot_perception(robot), read_layers(robot.file("network.yaml"))
    assert sum(p.n for p in model.graph.populations.values()) == 4736
    assert model.metadata["training_command"] == "liquid-spike train perception lane_car"
    stated = model.metadata["training"]["network"]
    assert stated["training"]["updates"] == network.training.updates and len(stated["layers"]) == len(network.layers)


def test_the_shipped_perception_knows_where_the_lane_is():
    """Three seconds of a held-out track, with events and the emulator; the car weaves."""
    with World(task_of(robot_named("lane_car")), rendered=False) as world:
        estimator, expert = new_estimator(world), world.task.expert()
        sensing, pairs = world.reset(1002), []
        estimator.reset(0)
        for _ in range(150):
            sensing = world.advance(expert.act(world.task) + [0.15 * np.sin(4 * world.task.elapsed_s), 0.0])
            pairs.append((estimator.estimate(sensing).values, world.truth))
    estimates, truths = (np.array(part)[20:] for part in zip(*pairs, strict=True))
    assert min(np.corrcoef(estimates[:, k], truths[:, k])[0, 1] for k in range(3)) > 0.7
    assert (np.sqrt(((estimates - truths) ** 2).mean(0)) < [0.05, 0.1, 0.35]).all()


def test_nineteen_neurons_keep_the_lane_on_disturbed_estimates():
    task, controller = (
        sensed_task_named("lane_car?disturbed"),
        new_controller(robot_named("lane_car").model("controller")),
    )
    for seed in (1000, 1001):
        assert run_episode(task, controller, Perturbation("calm"), seed).success
    assert controller.state.size == 19


@pytest.mark.parametrize("variant", ["cfc", "gru", "lstm", "mlp"])
def test_its_peers_were_trained_alike_and_keep_the_lane(variant):
    robot = robot_named("lane_car")
    files = [read_controller(robot.file(f)) for f in ("ncp.safetensors", robot.variants[variant].controller)]
    commands = [f.training_command for f in files]
    assert commands[1] == commands[0].replace("ncp", variant if variant != "mlp" else "mlp_stacked")
    task = sensed_task_named("lane_car?disturbed")
    assert run_episode(task, new_controller(files[1]), Perturbation("calm"), 1000).success


def test_plastic_synapses_that_learnt_by_reward_keep_the_lane():
    loop = new_loop(robot_named("lane_car"), controller="lane_car/rstdp.yaml", truth=True)
    with loop.world as world:
        loop.reset(1000)
        while not world.over:
            loop.tick()
        assert world.task.success


def test_the_reward_points_back_to_the_middle():
    task = task_named("lane_car")
    task.reset(3)
    for task.offset, task.heading in ((0.05, 0.0), (0.0, 0.1), (-0.3, 0.0)):
        steer, speed = task.reinforcement()
        assert np.isnan(speed)
        assert steer == pytest.approx(-np.clip((task.offset + 0.5 * task.heading) / 0.1, -1, 1))
