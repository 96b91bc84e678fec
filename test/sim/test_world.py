# SPDX-License-Identifier: Apache-2.0
"""The simulated robot: its readings are MuJoCo's own numbers, its cameras see what is drawn, and time is whole."""

import math

import msgspec
import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from liquid_spike_control.events.camera import EventCamera
from liquid_spike_control.events.camera_streams import side_by_side
from liquid_spike_control.robot import Camera, Command, Estimate, MujocoPlace, Optics, Reading, Robot, Setpoint, names
from liquid_spike_control.robots.catalogue import robot_named, task_named
from liquid_spike_control.sim.world import World, picture_size
from liquid_spike_control.tasks.of_robot import task_of

SCENE = """
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <light pos="0 -1 3"/>
    <body name="cart" pos="0 0 1">
      <joint name="slide" type="slide" axis="1 0 0" damping="0.1"/>
      <geom type="box" size="0.1 0.1 0.1" mass="1" rgba="1 1 1 1"/>
      <body name="link" pos="0 0 0.1">
        <joint name="hinge" axis="0 1 0" damping="0.05"/>
        <geom type="capsule" fromto="0 0 0 0 0 0.5" size="0.03" mass="0.3" rgba="1 1 1 1"/>
        <site name="tip" pos="0 0 0.5" euler="10 20 30"/>
      </body>
    </body>
    <body name="drone" pos="2 0 1"><freejoint/><geom size="0.1" mass="1"/><site name="imu"/></body>
    <camera name="left" pos="-0.3 -2 1.2" xyaxes="1 0 0 0 0 1"/>
    <camera name="right" pos="0.3 -2 1.2" xyaxes="1 0 0 0 0 1"/>
  </worldbody>
  <sensor>
    <jointpos joint="slide" name="slide_position"/>
    <jointvel joint="hinge" name="hinge_rate"/>
    <accelerometer site="tip" name="accelerometer"/>
    <gyro site="tip" name="gyro"/>
    <velocimeter site="imu" name="velocimeter"/>
    <framequat objtype="body" objname="drone" name="attitude"/>
    <framepos objtype="site" objname="tip" name="tip_position"/>
    <actuatorfrc actuator="servo" name="servo_force"/>
    <subtreecom body="cart" name="centre"/>
    <magnetometer site="imu" name="magnetometer"/>
    <clock name="clock"/>
  </sensor>
  <actuator>
    <motor name="push" joint="slide" gear="2"/>
    <position name="servo" joint="hinge" kp="3"/>
  </actuator>
  <keyframe><key name="start" qpos="0.05 0.2 2 0 1 1 0 0 0" qvel="0 0.5 0 0 0 0.1 0.2 0.3"/></keyframe>
</mujoco>
"""
COMMANDS = (
    Command(name="force", unit="N", least=-1.0, most=3.0, rate=100.0, safe=0.0, mujoco=MujocoPlace(actuator="push")),
    Command(name="target", unit="rad", least=-0.5, most=0.5, rate=9.0, safe=0.0, mujoco=MujocoPlace(actuator="servo")),
)
CLEAN = Optics(shot_noise_hz=0.0, leak_hz=0.0, threshold_mismatch=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    (folder / "scene.xml").write_text(SCENE)
    return folder


def robot_of(folder, *readings: Reading, period_s: float = 0.02, **fields) -> Robot:
    readings = readings or (at("x", body="cart", field="x"),)
    return Robot(
        name="world", period_s=period_s, max_age_s=0.1, commands=COMMANDS, readings=readings, scene="scene.xml",
        folder=str(folder), **fields,
    )  # fmt: skip


def at(name: str, resolution: float | None = None, **place) -> Reading:
    return Reading(name=name, unit="1", scale=1.0, resolution=resolution, mujoco=MujocoPlace(**place))


def camera(name: str, mujoco_name: str | None = None, frame_s: float = 0.002, model: Optics = CLEAN) -> Camera:
    return Camera(name=name, width=48, height=32, mujoco=mujoco_name, frame_s=frame_s, model=model)


def pushes(n: int) -> np.ndarray:
    """Commands ``(n, 2)``, some beyond the limits."""
    return np.random.default_rng(3).normal(0, 1.5, (n, 2))


def bounded(commands: np.ndarray) -> np.ndarray:
    return np.clip(commands, [-1.0, -0.5], [3.0, 0.5])


# readings


def test_sensors_are_sensordata_bit_for_bit(folder):
    model = mujoco.MjModel.from_xml_string(SCENE)
    readings = [
        at(f"{model.sensor(s).name}_{i}", sensor=model.sensor(s).name, index=i)
        for s in range(model.nsensor) for i in range(model.sensor_dim[s])
    ]  # fmt: skip
    assert len(readings) == model.nsensordata == 26
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    with World(task_of(robot_of(folder, *readings))) as world:
        sensing = world.reset(0)
        assert sensing.readings.values.tobytes() == data.sensordata.tobytes()
        for command in pushes(60):
            data.ctrl[:] = bounded(command)
            mujoco.mj_step(model, data, 10)
            sensing = world.advance(command)
            assert sensing.readings.values.tobytes() == data.sensordata.tobytes()
    assert np.abs(data.sensordata).min() >= 0 and np.isfinite(data.sensordata).all() and data.time > 1.19


def test_joints_have_position_velocity_sine_and_cosine(folder):
    fields = ("position", "velocity", "sine", "cosine")
    readings = [at(f"{j}_{f}", joint=j, field=f) for j in ("slide", "hinge") for f in fields]
    task = task_of(robot_of(folder, *readings))
    task.reset(0)
    for command in pushes(30):
        task.advance(command, 0.02)
        (x, angle), (v, rate) = task.data.qpos[:2], task.data.qvel[:2]
        expected = [x, v, math.sin(x), math.cos(x), angle, rate, math.sin(angle), math.cos(angle)]
        assert task.observe().tolist() == expected
    assert abs(angle) > 0.01 and abs(x) > 0.01


@pytest.mark.parametrize("kind, name", [("body", "drone"), ("site", "tip")])
def test_bodies_and_sites_have_place_and_attitude(folder, kind, name):
    fields = ("x", "y", "z", "roll", "pitch", "yaw")
    task = task_of(robot_of(folder, *(at(f, **{kind: name}, field=f) for f in fields)))
    task.reset(0)
    for command in pushes(30):
        task.advance(command, 0.02)
        frame = getattr(task.data, kind)(name)
        *place, roll, pitch, yaw = task.observe()
        assert place == frame.xpos.tolist()
        expected = Rotation.from_matrix(frame.xmat.reshape(3, 3)).as_euler("ZYX")
        np.testing.assert_allclose([yaw, pitch, roll], expected, atol=1e-12)
    assert min(abs(roll), abs(pitch), abs(yaw)) > 1e-3


def test_attitude_where_pitch_is_a_right_angle(folder):
    task = task_of(robot_of(folder, at("pitch", body="drone", field="pitch")))
    for sign in (1, -1):
        task.data.qpos[5:9] = math.sqrt(0.5), 0, sign * math.sqrt(0.5), 0
        mujoco.mj_forward(task.model, task.data)
        assert task.observe()[0] == pytest.approx(sign * math.pi / 2, abs=1e-7)


def test_a_resolution_rounds_to_the_nearest_multiple(folder):
    place = {"joint": "slide", "field": "position"}
    task = task_of(robot_of(folder, at("fine", **place), at("coarse", 0.01, **place)))
    task.reset(0)
    for command in pushes(50):
        task.advance(command, 0.02)
        fine, coarse = task.observe()
        assert coarse == round(fine / 0.01) * 0.01 and abs(coarse - fine) <= 0.005 + 1e-12
    assert fine != coarse


def test_what_has_no_place_is_not_a_number_and_setpoints_follow(folder):
    wind = Reading(name="wind", unit="m/s", scale=1.0)
    goal = Setpoint(name="goal", unit="m", scale=1.0, default=0.25)
    estimate = Estimate(name="tilt", unit="rad", scale=1.0, mujoco=MujocoPlace(joint="hinge", field="position"))
    lost = Estimate(name="lost", unit="rad", scale=1.0)
    robot = robot_of(folder, at("x", body="cart", field="x"), wind, setpoints=(goal,), cameras=(camera("left"),),
                     estimates=(estimate, lost))  # fmt: skip
    with World(task_of(robot), sighted=False) as world:
        sensing = world.reset(0)
        assert sensing.readings.names == ("x", "wind", "goal")
        np.testing.assert_array_equal(sensing.readings.values, [0.05, np.nan, 0.25])
        np.testing.assert_array_equal(world.truth, [0.2, np.nan])


# commands


def test_commands_are_limited_and_neutral_where_they_are_no_numbers(folder):
    task = task_of(robot_of(folder))
    for given, applied in (((9, -9), (3, -0.5)), ((-9, 0.2), (-1, 0.2)), ((math.nan, math.inf), (0, 0))):
        task.advance(np.array(given, float), 0.02)
        assert task.data.ctrl.tolist() == [*map(float, applied)]


# time


def test_time_passes_in_periods_from_the_stamp_of_the_beginning(folder):
    with World(task_of(robot_of(folder))) as world:
        assert world.reset(0, start_ns=7_000).stamp_ns == world.now_ns == 7_000
        for k in range(1, 4):
            assert world.advance(np.zeros(2)).stamp_ns == 7_000 + k * 20_000_000
        assert world.advance(np.zeros(2), 0.006).stamp_ns == 7_000 + 66_000_000
        assert world.last_period_ns == 6_000_000
        assert world.task.data.time == pytest.approx(0.066)
        assert world.advance(np.zeros(2)).stamp_ns == 7_000 + 86_000_000


def test_an_episode_begins_with_the_keyframe_and_ends_after_its_time(folder):
    with World(task_of(robot_of(folder), duration_s=0.1)) as world:
        world.reset(0)
        assert world.task.data.qpos[:2].tolist() == [0.05, 0.2] and world.task.data.qvel[1] == 0.5
        ends = []
        for _ in range(5):
            world.advance(np.zeros(2))
            ends.append(world.over)
        assert ends == [False] * 4 + [True] and world.task.success


def test_a_task_draws_its_own_periods():
    with World(task_named("pencil-hard"), rendered=False) as world:
        world.reset(3)
        drawn = world.task.episode.periods_ms[:20].tolist()
        stamps = [world.advance(np.zeros(1)).stamp_ns for _ in drawn]
    assert np.diff([0, *stamps]).tolist() == [ms * 1_000_000 for ms in drawn] and len(set(drawn)) > 5


def test_fewer_pictures_change_events_and_nothing_else(monkeypatch):
    """Periods of 2 to 40 ms with a picture each 4 ms, and one at their ends."""
    stamps = []
    step = EventCamera.step_words

    def stamped(camera, picture, stamp_ns):
        stamps.append(stamp_ns)
        return step(camera, picture, stamp_ns)

    monkeypatch.setattr(EventCamera, "step_words", stamped)
    runs = []
    for frame_s in (None, 0.004):
        stamps.clear()
        with World(task_named("pencil-hard"), rendered=False, frame_s=frame_s) as world:
            sensings = [world.reset(7)] + [world.advance(np.array([0.5 * (-1) ** k])) for k in range(40)]
        runs.append((sensings, list(stamps)))
    (exact, each_ms), (coarse, fewer) = runs
    assert [s.stamp_ns for s in exact] == [s.stamp_ns for s in coarse]
    readings = names(world.robot.seen).index("event_rate")
    np.testing.assert_array_equal(
        *(np.delete([s.readings.values for s in run], readings, axis=1) for run in (exact, coarse))
    )
    ends = [s.stamp_ns for s in exact[1:]]
    assert set(ends) <= set(fewer) and len(fewer) < 0.45 * len(each_ms)
    assert max(np.diff([0, *fewer])) == 4_000_000 and min(np.diff(ends)) < 4_000_000
    n_exact, n_coarse = (sum(len(s.events[0]) for s in run) for run in (exact, coarse))
    assert n_coarse == pytest.approx(n_exact, rel=0.1) and n_coarse > 1000


def test_the_reward_does_not_depend_on_how_often_a_picture_is_taken():
    """A fall within a period, with pictures and without."""
    rewards = []
    for sighted in (True, False):
        with World(task_named("pencil", push=0.0), sighted=sighted) as world:
            world.reset(3)
            told = []
            while not world.over:
                world.advance(np.array([5.0]))
                told.append(world.task.reward)
        rewards.append(told)
    assert rewards[0] == pytest.approx(rewards[1]) and 0 <= rewards[0][-1] < 0.005 and len(told) > 10


# event cameras


def content(events: np.ndarray) -> bytes:
    """Of events, without the padding of their records."""
    return b"".join(np.ascontiguousarray(events[field]).tobytes() for field in events.dtype.names)


def test_events_lie_within_their_period(folder):
    with World(task_of(robot_of(folder, cameras=(camera("left"),)))) as world:
        before, total = world.reset(0, start_ns=5_000_000).stamp_ns, 0
        for command in pushes(20):
            sensing = world.advance(command)
            (events,) = sensing.events
            assert np.all(np.diff(events["t"]) >= 0)
            assert np.all((events["t"] > before) & (events["t"] <= sensing.stamp_ns))
            before, total = sensing.stamp_ns, total + len(events)
    assert total > 500


def test_a_rate_is_that_of_its_own_camera(folder):
    rates = [Reading(name=f"{eye}_rate", unit="kHz", scale=1.0, camera=eye) for eye in ("right", "left")]
    robot = robot_of(folder, *rates, cameras=(camera("left"), camera("right")))
    with World(task_of(robot)) as world:
        assert world.reset(0).readings.values.tolist() == [0, 0]
        for command, duration_s in zip(pushes(12), [0.02, 0.004] * 6, strict=True):
            sensing = world.advance(command, duration_s)
            left, right = sensing.events
            np.testing.assert_allclose(sensing.readings.values, [len(e) / duration_s / 1e3 for e in (right, left)])
    assert len(left) != len(right)
    with World(task_of(robot), sighted=False) as world:
        world.reset(0)
        sensing = world.advance(pushes(1)[0])
        assert [len(e) for e in sensing.events] == [0, 0] and sensing.readings.values.tolist() == [0, 0]


def test_two_cameras_see_each_what_one_alone_sees(folder):
    pair = (camera("left"), camera("nose", "right"))

    def seen(*cameras):
        with World(task_of(robot_of(folder, cameras=cameras))) as world:
            world.reset(0)
            sensings = [world.advance(command) for command in pushes(10)]
        return [np.concatenate([s.events[k] for s in sensings]) for k in range(len(cameras))]

    both = seen(*pair)
    for own, alone in zip(both, (seen(pair[0]), seen(pair[1])), strict=True):
        assert len(own) > 200 and content(own) == content(alone[0])
    assert both[0]["x"].mean() > both[1]["x"].mean() + 5  # the cart is to the right of the left camera


def test_side_by_side(folder):
    cameras = (camera("left"), msgspec.structs.replace(camera("right"), width=40, height=50))
    assert picture_size(cameras) == (88, 50) and picture_size(cameras[:1]) == (48, 32)
    with World(task_of(robot_of(folder, cameras=cameras))) as world:
        world.reset(0)
        events = world.advance(np.array([3.0, 0.5])).events
    joined = side_by_side(events, cameras)
    left = joined["x"] < 48
    assert len(joined) == sum(map(len, events)) and np.all(np.diff(joined["t"]) >= 0)
    assert content(joined[left]) == content(events[0])
    right = joined[~left].copy()
    right["x"] -= 48
    assert content(right) == content(events[1]) and right["x"].max() < 40 and len(right) > 10
    assert side_by_side(events[:1], cameras[:1]) is events[0]


class Noting:
    """A camera's step that notes its stamps."""

    def __init__(self, step, stamps: list[int]) -> None:
        self._step, self._stamps = step, stamps

    def __call__(self, picture: np.ndarray, stamp_ns: int) -> np.ndarray:
        self._stamps.append(stamp_ns)
        return self._step(picture, stamp_ns)


def test_a_slower_camera_takes_fewer_pictures(folder):
    robot = robot_of(folder, cameras=(camera("left", frame_s=0.002), camera("right", "left", frame_s=0.01)))
    with World(task_of(robot)) as world:
        world.reset(0)
        taken: list[list[int]] = [[], []]
        for eye, stamps in zip(world._eyes, taken, strict=True):
            eye._model.step_words = Noting(eye._model.step_words, stamps)
        for _ in range(3):
            world.advance(np.zeros(2))
    assert taken[0] == list(range(2_000_000, 60_000_001, 2_000_000))
    assert taken[1] == list(range(10_000_000, 60_000_001, 10_000_000))


def test_the_same_seed_gives_the_same_bytes_and_each_camera_noise_of_its_own(folder):
    noisy = Optics(shot_noise_hz=20.0)
    robot = robot_of(folder, cameras=(camera("left", model=noisy), camera("again", "left", model=noisy)))

    def seen(seed):
        with World(task_of(robot)) as world:
            world.reset(seed)
            sensings = [world.advance(np.zeros(2)) for _ in range(5)]
        return [content(np.concatenate([s.events[k] for s in sensings])) for k in range(2)]

    one, again, other = seen(1), seen(1), seen(2)
    assert one == again and one[0] != other[0] and one[1] != other[1] and one[0] != one[1]


def test_the_shipped_readings_are_the_joints():
    task = task_named("pencil")
    task.reset(5)
    for _ in range(10):
        task.advance(np.array([1.0]), 0.005)
        assert task.observe().tolist() == [task.data.qpos[0], task.data.qvel[0]]
        assert task.estimates().tolist() == [task.data.qpos[1], task.data.qvel[1]]
    assert robot_named("pencil").period_s == task.period_s == 0.005
