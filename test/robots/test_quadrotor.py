# SPDX-License-Identifier: Apache-2.0
"""Quadrotor landing: its expert, its ground, what its camera's motion is, bad input."""

import math

import mujoco
import numpy as np
import pytest

from liquid_spike_control.assembly import new_estimator, read_robot_controller, read_robot_perception
from liquid_spike_control.checkpoint import read_controller
from liquid_spike_control.errors import LiquidSpikeError, RobotError, TaskError
from liquid_spike_control.estimate_lag import EstimateLag
from liquid_spike_control.nodes.run import run_command
from liquid_spike_control.options import RunOptions
from liquid_spike_control.robots.catalogue import robot_named, sensed_task_named, task_named
from liquid_spike_control.robots.quadrotor.flow_law import FlowLaw, GyroscopeBias, TrueFlowLaw
from liquid_spike_control.robots.quadrotor.flow_observer import DRAG, FlowObserver
from liquid_spike_control.robots.quadrotor.frame_flow import FrameFlow, FrameFlow30, PlanarFlow
from liquid_spike_control.robots.quadrotor.ground import REPEAT_M, SIZE, ground_texture
from liquid_spike_control.robots.quadrotor.pi_law import ScheduledPi
from liquid_spike_control.robots.quadrotor.rotation_gain import FIRST, RotationGain
from liquid_spike_control.sim.renderer import Renderer
from liquid_spike_control.sim.world import World
from liquid_spike_control.spiking.layers import read_layers
from liquid_spike_control.tasks.episode import ExpertController, run_episode
from liquid_spike_control.tasks.of_robot import task_of
from liquid_spike_control.tasks.perturbations import Perturbation, perturbation_named
from liquid_spike_control.training.recorded_episodes import Recording, recorded


def test_the_expert_lands_softly():
    task = task_named("quadrotor")
    for seed in range(5):
        result = run_episode(task, ExpertController(task.expert(), task), Perturbation("calm"), seed)
        vertical, horizontal, lean = task.touch
        assert result.success and vertical < 0.12 and horizontal < 0.3 and lean < math.radians(15)
        assert 5 < result.elapsed_s < 12 and result.total_reward > 0.4


def test_the_expert_hovers_and_falling_is_a_crash():
    task = task_named("quadrotor", aim="hover", wind_factor=2.0)
    assert run_episode(task, ExpertController(task.expert(), task), Perturbation("calm"), 3).success
    landing = task_named("quadrotor")
    landing.reset(0)
    while not landing.over:
        landing.advance(np.array([-3.0, 0, 0]), 0.02)
    assert landing.touch[0] > 2 and landing.failed and not landing.success


def test_a_hovering_vehicle_sways_so_that_its_camera_sees():
    rates, places, events = {}, {}, {}
    for sway in (0.0, 0.03):
        with World(task_of(robot_named("quadrotor"), aim="hover", sway=sway, wind_factor=0.0), rendered=False) as world:
            task, expert = world.task, world.task.expert()
            world.reset(2)
            rates[sway], places[sway], events[sway] = [], [], 0
            for k in range(250):
                sensing = world.advance(expert.act(task))
                if k >= 150:
                    rates[sway].append(task.data.qvel[3:5].copy())
                    places[sway].append(task.data.qpos[:2].copy())
                    events[sway] += len(sensing.events[0])
    moving = {sway: np.std(rates[sway], axis=0) for sway in rates}
    assert (moving[0.0] < 0.05).all() and (moving[0.03] > 0.1).all() and (moving[0.03] < 0.3).all()
    assert events[0.03] > 3 * events[0.0]
    apart = np.subtract(places[0.03], places[0.0])
    assert np.abs(apart - apart.mean(0)).max() < 0.005


def test_a_hand_made_law_lands_by_flow_and_divergence_alone():
    """On the true flow, and with errors; on the perception's own, one landing."""
    for kind, seeds in (("?truth", (0, 1)), ("?disturbed", (2, 3)), ("", (1001,))):
        task = sensed_task_named(f"quadrotor{kind}")
        law = FlowLaw(task.task)
        for seed in seeds:
            assert run_episode(task, law, Perturbation("calm"), seed).success
            assert max(task.task.touch[:2]) < 0.3


def test_estimates_that_err_as_the_perception_does_for_trainings():
    """Against what each should be, by the README's table; the same episode has the same errors, and no camera."""
    task, seen = sensed_task_named("quadrotor?estimates=seen_flow.py:SeenFlow"), []
    assert not task.world._eyes
    law = FlowLaw(task.task)
    for seed in (*range(2000, 2012), 2000):
        task.reset(seed)
        law.reset()
        rows, lag = [], EstimateLag(task.world.robot)
        while not task.over:
            rows.append(np.concatenate([task.observe()[-3:], lag.step(task.world.truth)]))
            task.advance(law.step(task.observe(), task.period_s), task.period_s)
        seen.append(np.array(rows))
        assert task.success and max(task.task.touch[:2]) < 0.3
    np.testing.assert_array_equal(seen[0], seen[-1])
    shown, true = np.hsplit(np.concatenate(seen[:-1]), 2)
    assert (np.sqrt(((shown - true) ** 2).mean(0)) < [0.15, 0.15, 0.2]).all()
    assert (np.sqrt(((shown - true) ** 2).mean(0)) > [0.05, 0.05, 0.08]).all()


def test_the_law_flies_back_from_where_wind_and_a_wrong_upright_have_driven_it():
    task = sensed_task_named("quadrotor?truth")
    drifts = []
    for gain in (TrueFlowLaw.returning, 0.0):
        law = TrueFlowLaw(task.task)
        law.returning = gain
        drifts.append([])
        for seed in range(8):
            assert run_episode(task, law, Perturbation("calm"), seed).success
            drifts[-1].append(task.task.figures()["drift, m"])
    assert np.median(drifts[0]) < 0.7 * np.median(drifts[1])


def test_the_law_finds_out_more_of_the_height_than_it_begins_with():
    task = sensed_task_named("quadrotor?truth")
    law, wrong = TrueFlowLaw(task.task), []
    for seed in range(2000, 2010):
        task.reset(seed)
        law.reset()
        wrong.append([math.log(law._observer.height / task.task.height())])
        while task.task.height() > 0.5:
            task.advance(law.step(task.observe(), task.period_s), task.period_s)
        wrong[-1].append(math.log(law._observer.height / task.task.height()))
    began, ended = np.sqrt((np.array(wrong) ** 2).mean(0))
    assert ended < 0.9 * began


def test_the_law_touches_the_ground_more_slowly_than_the_divergence_that_is_asked_for_would():
    task = sensed_task_named("quadrotor?truth")
    law, touched = TrueFlowLaw(task.task), []
    for seed in range(2000, 2004):
        assert run_episode(task, law, Perturbation("calm"), seed).success
        touched.append(task.task.touch[0])
    assert np.median(touched) < 0.1


def test_a_gyroscopes_bias_is_found_by_the_angles_that_do_not_drift():
    rng, bias = np.random.default_rng(0), np.array([0.01, -0.02])
    found, gyroscope = [], GyroscopeBias()
    for k in range(500):
        angles = 0.05 + np.array([0.03 * math.cos(0.3 * k), 0.1 * math.sin(0.02 * k)])
        rates = np.array([-0.45 * math.sin(0.3 * k), 0.1 * math.cos(0.02 * k)]) + bias
        found.append(gyroscope.step(rates + 0.02 * rng.standard_normal(2), angles, 0.02))
    assert (found[0] == 0).all() and np.abs(found[49] - bias).max() < 0.012
    assert np.abs(found[-1] - bias).max() < 0.003


def test_the_observer_finds_the_velocity_and_what_wind_adds_where_only_a_part_of_the_flow_is_shown():
    rng, lag_s, dt, shown = np.random.default_rng(1), 0.1, 0.02, np.array([0.8, 0.8, 1.0])
    observer, height = FlowObserver(lag_s, shown), 3.0
    velocity, added, seen = np.array([0.4, -0.3, 0.1]), np.array([0.6, -0.2, 0.1]), np.zeros(3)
    for _ in range(400):
        own = -2.0 * velocity - added + rng.normal(0, 0.3, 3)
        velocity = velocity + dt * (own + added - DRAG * velocity)
        height -= dt * velocity[2]
        seen = seen - math.expm1(-dt / lag_s) * (velocity / height - seen)
        observer.step(shown * seen + rng.normal(0, 0.03, 3), own, dt)
    assert np.abs(observer.velocity - velocity).max() < 0.1 and observer.height == pytest.approx(height, rel=0.2)
    assert np.abs(observer.added + DRAG * observer.velocity - added).max() < 0.15


@pytest.mark.parametrize(("kind", "lag_s"), [(FrameFlow, 1 / 60), (FrameFlow30, 1 / 30)])
def test_frames_show_the_flow(kind, lag_s):
    """At the time that their flow is of, in the motion of a landing with a lean that swings."""
    robot = robot_named("quadrotor")
    with World(task_of(robot), rendered=False) as world:
        estimator, expert = kind(world), world.task.expert()
        sensing, estimates, truths = world.reset(1004), [], []
        estimator.reset(0)
        for _ in range(150):
            sensing = world.advance(expert.act(world.task) + [0.0, 0.15 * np.sin(8 * world.task.elapsed_s), 0.0])
            estimates.append(estimator.estimate(sensing).values)
            truths.append(world.truth)
        assert estimator._taken == pytest.approx(3.0 * kind.rate_hz, abs=2)
    estimates, truths = np.array(estimates)[10:], np.array(truths)
    times = np.arange(10, 150) - lag_s / robot.period_s
    late = np.array([np.interp(times, np.arange(150), truths[:, k]) for k in range(3)]).T
    late = EstimateLag(robot).of_episode(late)
    estimates, late = estimates[20:], late[20:]  # the first is taken as it is
    errors = np.sqrt(((estimates - late) ** 2).mean(0))
    assert (errors < [0.12, 0.12, 0.08]).all() and truths[:, 0].std() > 0.3


def test_the_flow_of_a_plane_is_found_and_no_contrast_is_no_motion():
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(64) - 31.5, np.arange(64) - 31.5)
    wanted = np.array([1.7, 0.8, -0.5, -2.2, 0.3, 1.0, 0.6, -0.7])
    waves, phases = rng.uniform(-0.5, 0.5, (20, 2)), rng.uniform(0, 6, 20)

    def picture(x, y):
        return 100 + sum(10 * np.sin(a * x + b * y + c) for (a, b), c in zip(waves, phases, strict=True))

    a, b = x.copy(), y.copy()  # where a pixel of the later picture was
    for _ in range(20):
        s, t = a / 32, b / 32
        a = x - (wanted[0] + wanted[1] * s + wanted[2] * t + wanted[6] * s * s + wanted[7] * s * t)
        b = y - (wanted[3] + wanted[4] * s + wanted[5] * t + wanted[6] * s * t + wanted[7] * t * t)
    flow = PlanarFlow(64, 64, 32.0)
    assert np.abs(flow.between(picture(x, y), picture(a, b)) - wanted).max() < 0.1
    assert not flow.between(np.full((64, 64), 80.0), np.full((64, 64), 80.0)).any()


def test_figures_of_a_landing_and_of_hovering():
    task = task_named("quadrotor")
    run_episode(task, ExpertController(task.expert(), task), Perturbation("calm"), 1)
    figures = task.figures()
    assert figures["soft"] is True and figures["vertical, m/s"] == task.touch[0]
    assert figures["drift, m"] == pytest.approx(np.hypot(*task.data.qpos[:2]))
    hovering = task_named("quadrotor", aim="hover")
    run_episode(hovering, ExpertController(hovering.expert(), hovering), Perturbation("calm"), 1)
    assert 0 < hovering.figures()["once settled, m/s"] < hovering.figures()["velocity error, m/s"] < 0.5


def test_velocities_are_followed_by_the_expert_and_by_the_law_on_the_true_flow():
    """They change every 4 s; the law that is asked for none misses them."""
    task = task_named("quadrotor", aim="velocity")
    assert run_episode(task, ExpertController(task.expert(), task), Perturbation("calm"), 1).success
    assert task.figures()["once settled, m/s"] < 0.15 and task.figures()["drift, m"] < 0.4
    truth = sensed_task_named("quadrotor?truth", aim="velocity")
    errors = []
    for heard in (1.0, 0.0):
        law = TrueFlowLaw(truth.task)
        truth.reset(2)
        law.reset()
        asked = np.isin(law.observation_names, ("forward", "left"))
        while not truth.over:
            seen = truth.observe()
            truth.advance(law.step(np.where(asked, heard * seen, seen), truth.period_s), truth.period_s)
        errors.append(truth.task.figures()["once settled, m/s"])
    assert errors[0] < 0.25 < errors[1]


def test_what_is_asked_for_near_the_ground_is_slow():
    task = task_named("quadrotor")
    task.reset(1)
    task.give_setpoint("forward", 0.5)
    high = task.truth()[12:14]
    task.data.qpos[2] = 0.2
    low = task.truth()[12:14]
    assert np.hypot(*high) == pytest.approx(0.5) and np.hypot(*low) == pytest.approx(0.5 * task.height())
    assert high @ low == pytest.approx(np.hypot(*high) * np.hypot(*low))


def test_episodes_for_a_perception_are_of_the_task_s_settings(tmp_path):
    robot = robot_named("quadrotor")
    truths = []
    for settings in ({}, {"wind_factor": 0.0}, {"aim": "hover"}):
        recording = Recording(0.004, 1, 1.0, 0.0, 0.0, settings)
        truths.append(recorded(robot, recording, [2], tmp_path, 1)[0].truth)
    calm, descent = np.abs(truths[1] - truths[0]).max(0), (truths[0] - truths[2])[-1, 2]
    assert calm[:2].max() > 0.01 and descent > 0.1 and len(list(tmp_path.iterdir())) == 3


def test_hovering_is_recorded_about_no_descent(tmp_path):
    recording = Recording(0.004, 1, 1.5, 0.0, 0.0, {"aim": "hover"})
    for episode in recorded(robot_named("quadrotor"), recording, range(4), tmp_path, 1):
        assert abs(episode.truth[-1, 2]) < 0.1


@pytest.mark.parametrize("shown", [0.4, 0.9])
def test_the_gyroscope_tells_how_much_of_the_flow_is_shown(shown):
    rng = np.random.default_rng(1)
    gauge, still = RotationGain(), RotationGain()
    for k in range(300):
        rates = 0.2 * np.sin(0.02 * k * np.array([5.0, 7.0]))
        drifting = 0.1 * np.sin(0.01 * k) * np.ones(2)
        flow = shown * (rates + drifting) + 0.05 * rng.normal(size=2)
        gain = gauge.step(flow, rates + 0.02 * rng.normal(size=2), 0.02)
        unknown = still.step(flow, np.zeros(2), 0.02)
    assert gain == pytest.approx(shown, abs=0.1) and unknown == pytest.approx(FIRST)


def test_mixed_aims_are_drawn_by_the_seed():
    task = task_named("quadrotor", aim="mixed")
    aims = []
    for seed in (*range(12), 0):
        task.reset(seed)
        aims.append(task.aim)
    assert set(aims) == {"land", "hover", "velocity"} and aims[0] == aims[-1]


def test_plain_gains_land_on_the_true_flow():
    task = sensed_task_named("quadrotor?truth")
    law = ScheduledPi(task.task)
    law.lag_s = 0.001
    assert run_episode(task, law, Perturbation("calm"), 1).success and max(task.task.touch[:2]) < 0.5


def test_an_episode_is_its_seed_s():
    runs = []
    for seed in (4, 4, 5):
        task = task_named("quadrotor")
        run_episode(task, ExpertController(task.expert(), task), Perturbation("calm"), seed)
        runs.append(task.data.qpos.tobytes())
    assert runs[0] == runs[1] != runs[2]


def test_time_goes_on_to_the_end_of_the_period_in_which_it_touches():
    task = task_named("quadrotor")
    task.reset(0)
    task.data.qpos[2] = 0.3
    while not task.over:
        before = task.elapsed_s
        task.advance(np.array([-1.0, 0, 0]), 0.02)
        assert task.elapsed_s == pytest.approx(before + 0.02)
    assert not task.data.qvel.any()


@pytest.mark.parametrize(("seed", "height", "texture"), [(4, 1.0, "fractal"), (5, 3.5, "fractal"), (6, 0.1, "patches")])
def test_quick_pictures_are_the_renderer_s(seed, height, texture):
    robot = robot_named("quadrotor")
    task = task_of(robot, texture=texture)
    task.reset(seed)
    task.data.qpos[:3] = 0.3, -0.2, height
    task.before_picture()
    with Renderer(task.model, "down", 64, 64) as renderer:
        task.dress(renderer)
        rendered, quick = renderer.render(task.data), task.pictures(robot.cameras[0]).render(task.data)
    assert np.corrcoef(rendered.ravel(), quick.ravel())[0, 1] > 0.999
    assert np.abs(rendered - quick).mean() < 4 and rendered.std() > 10


def test_the_ground_is_fractal():
    texture = np.log(ground_texture(1).astype(float))
    power = np.abs(np.fft.fft(texture - texture.mean(), axis=1)) ** 2
    octaves = [power[:, k : 2 * k].mean() for k in (4, 16, 64)]
    slopes = np.diff(np.log(octaves)) / np.log(4)
    assert (slopes < -0.4).all() and (slopes > -2.0).all()  # of a row: -(2 b - 1)
    assert REPEAT_M / SIZE < 0.002 and not np.array_equal(ground_texture(1), ground_texture(2))


def test_truths_are_what_the_motion_does_to_the_picture():
    """The point where the axis meets the ground, followed for a short time by hand."""
    robot = robot_named("quadrotor")
    task = task_of(robot)
    task.reset(8)
    data, model = task.data, task.model
    data.qvel[:] = 0.4, -0.3, -0.5, 0.3, -0.2, 0.1  # angular velocity in the body's frame
    mujoco.mj_forward(model, data)
    flow_x, flow_y, divergence = task.estimates()
    camera = model.camera("down").id

    def seen(point):
        return data.cam_xmat[camera].reshape(3, 3).T @ (point - data.cam_xpos[camera])

    axis = -data.cam_xmat[camera].reshape(3, 3)[:, 2]
    normal = task._normal
    distance = -(normal @ data.cam_xpos[camera]) / (normal @ axis)
    point = data.cam_xpos[camera] + distance * axis
    mujoco.mj_integratePos(model, data.qpos, data.qvel, 1e-5)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    x, y, z = seen(point)
    assert flow_x == pytest.approx(x / -z / 1e-5, rel=1e-3)
    assert flow_y == pytest.approx(y / -z / 1e-5, rel=1e-3)
    assert divergence == pytest.approx((1 + z / distance) / 1e-5, rel=1e-3, abs=1e-3)


def test_a_camera_that_looks_at_nothing_has_no_truth():
    task = task_named("quadrotor")
    task.reset(0)
    mujoco.mju_euler2Quat(task.data.qpos[3:7], np.array([0, 0, math.pi]), "zyx")
    mujoco.mj_forward(task.model, task.data)
    assert np.isnan(task.estimates()).all()


def test_events_show_the_ground():
    robot = robot_named("quadrotor")
    with World(task_of(robot), rendered=False) as world:
        expert = world.task.expert()
        world.reset(1)
        events = [len(world.advance(expert.act(world.task)).events[0]) for _ in range(50)]
    assert 3_000 < sum(events) < 100_000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"aim": "fly"}, "aim: 'fly' is unknown; give land or hover or velocity or mixed"),
        ({"texture": "snow"}, "texture: 'snow' is unknown; give fractal or patches"),
        ({"wind_factor": math.nan}, "wind_factor: nan; give a finite number of at least 0"),
        ({"sway": -0.1}, "sway: -0.1; give a finite number of at least 0"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(TaskError, match="robot.yaml") as refusal:
        task_named("quadrotor", **settings)
    assert message in str(refusal.value)


def test_an_unknown_camera_or_field_is_named(tmp_path):
    folder = robot_named("quadrotor").file(".")
    for file in ("scene.xml", "task.py"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    text = (folder / "robot.yaml").read_text().replace("task: task.py:Landing\n", "")
    for found, instead, message in (
        ("field: divergence", "field: expansion", "give flow_x, flow_y, translation_x"),
        ("{camera: down, field: div", "{camera: up, field: div", "no camera 'up'; name one of overview, down"),
    ):
        (tmp_path / "robot.yaml").write_text(text.replace(found, instead))
        with pytest.raises(RobotError, match=r"estimates.*divergence.*mujoco") as refusal:
            task_of(robot_named(tmp_path))
        assert message in str(refusal.value)


@pytest.mark.slow
def test_run_by_the_expert(capsys):
    options = RunOptions("quadrotor", in_process=True, expert=True, seed=1)
    assert run_command(options) == 0 and "landed" in capsys.readouterr().out
    with pytest.raises(LiquidSpikeError, match="add --in-process"):
        run_command(RunOptions("quadrotor", expert=True))


def test_disturbed_estimates_are_the_truth_with_errors_of_the_episode():
    task = sensed_task_named("quadrotor?disturbed")
    expert, seen = task.expert(), []
    for seed in (3, 3, 4):
        task.reset(seed)
        estimates, truths = [], []
        for _ in range(150):
            task.advance(expert.act(task), 0.02)
            estimates.append(task.observe()[-3:])
            truths.append(task.world.truth)
        seen.append(np.array(estimates))
        error = np.std(seen[-1] - truths, axis=0)
        assert (error > 0.03).all() and (error < 0.4).all()
        assert np.corrcoef(seen[-1][:, 0], np.array(truths)[:, 0])[0, 1] > 0.5
    assert np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[0], seen[2])


def test_the_shipped_perception_is_what_the_readme_says():
    robot = robot_named("quadrotor")
    model = read_robot_perception(robot)
    network = read_layers(robot.file("network.yaml"))
    assert sum(p.n for p in model.graph.populations.values()) == 7680
    assert {c.delay for c in model.graph.connections} == {0, 8, 22, 50}
    assert model.metadata["training_command"] == "liquid-spike train perception quadrotor"
    stated = model.metadata["training"]["network"]
    assert stated["training"]["updates"] == network.training.updates and len(stated["layers"]) == len(network.layers)
    assert robot.model("perception").stat().st_size < 1_000_000


TAUGHT = "--chunk 100 --faults 0.0 --teacher flow_law.py:FlowLaw --estimates seen_flow.py:SeenFlow"


@pytest.mark.parametrize(
    ("name", "how"), [("controller", TAUGHT), ("gru", "--rounds 8 --set aim=mixed --faults 0.0 --estimates disturbed")]
)
def test_the_shipped_networks_take_every_setpoint_and_land_on_true_flow(name, how):
    robot = robot_named("quadrotor")
    path = robot.file(f"{name}.safetensors")
    assert how in read_controller(path).training_command
    controller, task = read_robot_controller(robot, path), sensed_task_named("quadrotor?truth")
    assert controller.observation_names == task.observation_names
    result = run_episode(task, controller, perturbation_named("clean"), 3000)
    assert result.success and task.task.figures()["soft"]


def test_the_shipped_perception_follows_the_flow():
    """Two seconds of a landing on a held-out ground, with events and the emulator."""
    robot = robot_named("quadrotor")
    with World(task_of(robot), rendered=False) as world:
        estimator, expert = new_estimator(world), world.task.expert()
        sensing, pairs = world.reset(1004), []
        estimator.reset(0)
        for _ in range(100):
            sensing = world.advance(expert.act(world.task) + [0.0, 0.15 * np.sin(8 * world.task.elapsed_s), 0.0])
            pairs.append((estimator.estimate(sensing).values, world.truth))
    estimates, truths = (np.array(part) for part in zip(*pairs, strict=True))
    errors = np.sqrt(((estimates - EstimateLag(robot).of_episode(truths))[20:] ** 2).mean(0))
    assert (errors[:2] < 0.6 * truths[20:, :2].std(0)).all() and errors[2] < 0.25
