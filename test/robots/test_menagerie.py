# SPDX-License-Identifier: Apache-2.0
"""Robots of MuJoCo Menagerie, each by a yaml file alone: what they sense is MuJoCo's, bit for bit.

The models are those of ``pip install mujoco-menagerie``, which downloads them; ``MENAGERIE_ROOT``: a folder of them.
"""

import re

import mujoco
import numpy as np
import pytest
import yaml

from liquid_spike_control.robot_file import read_robot
from liquid_spike_control.sim.world import World
from liquid_spike_control.tasks.of_robot import task_of

menagerie = pytest.importorskip("mujoco_menagerie", reason="pip install mujoco-menagerie")

#: An arm, a quadruped, a drone, a hand and a biped.
ROBOTS = ("kuka_iiwa_14", "unitree_go1", "skydio_x2", "shadow_hand", "unitree_g1")
PERIODS = 200
#: Joints whose position is one number.
ONE_NUMBER = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))


@pytest.fixture(params=ROBOTS)
def scene(request):
    """Path of a robot's scene."""
    robot = menagerie.get(request.param)
    try:
        return robot.xml(robot.default_scene)
    except menagerie.MenagerieError as error:
        pytest.skip(f"{request.param} cannot be had: {error}")


def described(scene, model: mujoco.MjModel) -> dict:
    """A description of all that a scene's sensors, joints and actuators are."""
    quantity = re.compile(r"[^A-Za-z0-9_]").sub
    readings, commands = [], []
    for i in range(model.nsensor):
        sensor = model.sensor(i)
        readings += [
            {"name": quantity("_", f"{sensor.name}_{k}"), "unit": "1", "scale": 1.0,
             "mujoco": {"sensor": sensor.name, "index": k}} for k in range(int(sensor.dim[0]))
        ]  # fmt: skip
    for i in range(model.njnt):
        joint = model.joint(i)
        if joint.type[0] in ONE_NUMBER:
            readings += [
                {"name": quantity("_", f"joint_{joint.name}_{field}"), "unit": "1", "scale": 1.0,
                 "mujoco": {"joint": joint.name, "field": field}} for field in ("position", "velocity")
            ]  # fmt: skip
    for i in range(model.nu):
        actuator = model.actuator(i)
        least, most = actuator.ctrlrange.tolist() if actuator.ctrllimited[0] else (-1.0, 1.0)
        commands.append(
            {"name": quantity("_", f"command_{actuator.name}"), "unit": "1", "least": least, "most": most,
             "rate": 1e6, "safe": min(max(0.0, least), most), "mujoco": {"actuator": actuator.name}}
        )  # fmt: skip
    period_s = 4 * model.opt.timestep
    return {"name": "stranger", "period_s": period_s, "max_age_s": 0.1, "scene": str(scene), "readings": readings,
            "commands": commands}  # fmt: skip


def test_a_yaml_file_is_all_it_takes(scene, tmp_path):
    model = mujoco.MjModel.from_xml_path(str(scene))
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump(described(scene, model)))
    robot = read_robot(path)
    world = World(task_of(robot))
    sensing = world.reset(0)

    data = mujoco.MjData(model)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    hinges = [i for i in range(model.njnt) if model.jnt_type[i] in ONE_NUMBER]
    joints = np.array([(model.jnt_qposadr[i], model.nq + model.jnt_dofadr[i]) for i in hinges], int).ravel()
    least, most = (np.array([getattr(c, end) for c in robot.commands]) for end in ("least", "most"))
    rng = np.random.default_rng(1)
    for _ in range(PERIODS):
        expected = np.concatenate([data.sensordata, np.concatenate([data.qpos, data.qvel])[joints]])
        assert sensing.readings.values.tobytes() == expected.tobytes()
        command = rng.uniform(least, most) * 0.3
        command = np.clip(command, least, most)
        sensing = world.advance(command)
        data.ctrl[:] = command
        mujoco.mj_step(model, data, 4)
    assert np.isfinite(sensing.readings.values).all()
