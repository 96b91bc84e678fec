# SPDX-License-Identifier: Apache-2.0
"""Pictures that are left out while nothing moves: how far the picture has moved, and what that does to the events."""

import math

import msgspec
import mujoco
import numpy as np
import pytest

from liquid_spike_control.errors import RobotError
from liquid_spike_control.robot import Camera, Command, MujocoPlace, Optics, Reading, Robot
from liquid_spike_control.robots.catalogue import robot_named
from liquid_spike_control.sim.image_motion import RAYS, ImageMotion
from liquid_spike_control.sim.world import World
from liquid_spike_control.tasks.of_robot import task_of

#: A camera that looks along y at a wall, and a ball before it that moves sideways; nothing else moves it.
SCENE = """
<mujoco>
  <option timestep="0.001" gravity="0 0 0"/>
  <worldbody>
    <light pos="0 -1 3"/>
    <geom type="box" size="5 0.1 5" pos="0 3 0" rgba="0.4 0.4 0.4 1"/>
    <body name="ball" pos="0 2 0">
      <joint name="slide" type="slide" axis="1 0 0"/><geom size="0.2" mass="1" rgba="1 1 1 1"/>
    </body>
    <body name="eye"><joint name="turn" axis="0 0 1"/><geom size="0.01" mass="1" pos="0 -0.2 0"/>
      <camera name="eye" xyaxes="1 0 0 0 0 1" fovy="60"/>
    </body>
  </worldbody>
  <actuator><motor name="push" joint="slide"/></actuator>
</mujoco>
"""
WIDTH, HEIGHT = 64, 48
FOCAL = HEIGHT / 2 / math.tan(math.radians(30))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    (folder / "scene.xml").write_text(SCENE)
    return folder


def world_of(folder, motion_px, frame_s=0.001, **model):
    optics = Optics(**{"shot_noise_hz": 0.0, "leak_hz": 0.0, "threshold_mismatch": 0.0} | model)
    return World(task_of(Robot(
        name="eye", period_s=0.02, max_age_s=0.1, scene="scene.xml", folder=str(folder),
        readings=(Reading(name="x", unit="m", scale=1.0, mujoco=MujocoPlace(joint="slide", field="position")),),
        commands=(Command(name="force", unit="N", least=-9.0, most=9.0, rate=1e4, safe=0.0,
                          mujoco=MujocoPlace(actuator="push")),),
        cameras=(Camera(name="eye", width=WIDTH, height=HEIGHT, frame_s=frame_s, motion_px=motion_px, model=optics),),
    )))  # fmt: skip


def moved_to(turn=0.0, x=0.0):
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    motion = ImageMotion(model, "eye", WIDTH, HEIGHT)
    mujoco.mj_forward(model, data)
    motion.mark(data)
    assert motion.moved(data) == 0
    data.qpos[:] = x, turn
    mujoco.mj_forward(model, data)
    return motion.moved(data)


def test_a_turn_moves_every_pixel():
    least, edge = FOCAL * 0.01, (RAYS - 1) / RAYS * WIDTH / 2 / FOCAL
    assert least * (1 + edge**2) == pytest.approx(moved_to(turn=0.01), rel=0.05)  # more towards the edge
    assert moved_to(turn=2.0) == math.inf  # the wall is behind the camera


def test_what_moves_in_a_still_picture_is_seen():
    nearest = FOCAL * 0.02 / 1.8  # of the ball's box
    assert moved_to(x=0.02) == pytest.approx(nearest, rel=0.05)


def test_a_still_scene_takes_no_pictures_and_a_quick_one_many(folder):
    with world_of(folder, 0.5) as world:
        world.reset(0)
        assert [len(world.advance(np.zeros(1)).events[0]) for _ in range(5)] == [0] * 5
        assert world.n_pictures == 1
        taken = []
        for _ in range(12):
            before = world.n_pictures
            world.advance(np.array([9.0]))
            taken.append(world.n_pictures - before)
    assert taken[0] == 1 and taken == sorted(taken)[: len(taken)]
    speed = 9.0 * 0.23  # in the middle of the last period [m/s]
    assert taken[-1] == pytest.approx(FOCAL * speed / 1.8 * 0.02 / 0.5, abs=2)


def test_events_are_nearly_those_of_all_pictures(folder):
    seen, pictures = [], []
    for motion_px in (None, 0.2):
        with world_of(folder, motion_px) as world:
            world.reset(0)
            events = np.concatenate([world.advance(np.array([9.0])).events[0] for _ in range(10)])
            pictures.append(world.n_pictures)
        seen.append(events)
    assert pictures[0] == 201 and pictures[1] < 0.7 * pictures[0]
    assert len(seen[1]) == pytest.approx(len(seen[0]), rel=0.1) and len(seen[0]) > 300
    places = [np.histogram2d(e["x"], e["y"], (16, 12), ((0, WIDTH), (0, HEIGHT)))[0].ravel() for e in seen]
    assert np.corrcoef(*places)[0, 1] > 0.97


def test_noise_goes_on_where_nothing_moves(folder):
    with world_of(folder, 0.5, shot_noise_hz=5.0) as world:
        world.reset(0)
        n = sum(len(world.advance(np.zeros(1)).events[0]) for _ in range(10))
        assert world.n_pictures == 1
    assert n == pytest.approx(5.0 * WIDTH * HEIGHT * 0.2, rel=0.1)


def test_no_shipped_robot_leaves_pictures_out_and_a_bad_number_is_named():
    robot = robot_named("quadrotor")
    assert all(camera.motion_px is None for camera in robot.cameras)
    cameras = tuple(msgspec.structs.replace(camera, motion_px=0.0) for camera in robot.cameras)
    with pytest.raises(RobotError, match=r"cameras.*motion_px"):
        msgspec.structs.replace(robot, cameras=cameras)
