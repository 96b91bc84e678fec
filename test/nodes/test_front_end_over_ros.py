# SPDX-License-Identifier: Apache-2.0
"""A camera of more pixels than the network's picture: the same bytes in process, over ROS in lock-step and replayed."""

import json
from pathlib import Path

import pytest
import yaml
from processes import run

from liquid_spike_control.events.front_end import from_json
from liquid_spike_control.nodes.graph import GraphOptions, describe
from liquid_spike_control.records.replay import replay
from liquid_spike_control.records.setup import Topics
from liquid_spike_control.robots.catalogue import robot_named

PENCIL = Path(robot_named("pencil").source)
CALIBRATION = {
    "image_width": 160, "image_height": 144, "distortion_model": "plumb_bob",
    "camera_matrix": {"rows": 3, "cols": 3, "data": [197.0, 0, 79.5, 0, 197.0, 71.5, 0, 0, 1]},
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [-0.1, 0.02, 0.0, 0.0, 0.0]},
}  # fmt: skip
FRONT_END = {
    "hot_pixels": "hot_pixels.json", "camera_info": "eye.yaml", "group": [2, 2], "decimate": 4,
    "crop": {"left": 16, "top": 8, "width": 128, "height": 128}, "refractory_s": 0.001, "background_s": 0.01,
}  # fmt: skip


@pytest.fixture
def robot(tmp_path) -> Path:
    """The pencil with a camera of 160 x 144 pixels, some of them hot."""
    folder = tmp_path / "pencil_large"
    folder.mkdir()
    values = yaml.safe_load(PENCIL.read_text())
    values["cameras"][0] |= {"width": 160, "height": 144, "supersample": [2, 1], "front_end": FRONT_END}
    values["cameras"][0]["model"] |= {"hot_pixel_fraction": 0.001}
    values |= {"scene": str(PENCIL.parent / "scene.xml"), "perception": str(PENCIL.parent / "perception.nir")}
    values["controller"] = str(PENCIL.parent / "controller.safetensors")
    (folder / "robot.yaml").write_text(yaml.safe_dump(values))
    (folder / "task.py").write_text("from liquid_spike_control.robots.pencil.task import Pencil\n")
    (folder / "eye.yaml").write_text(yaml.safe_dump(CALIBRATION))
    mask = {"width": 160, "height": 144, "pixels": [[16, 8], [80, 70], [81, 70]]}
    (folder / "hot_pixels.json").write_text(json.dumps(mask))
    return folder


@pytest.mark.slow
@pytest.mark.lockstep
@pytest.mark.parametrize("backend", ["offload", "in_process"])
def test_lockstep_commands_are_those_of_the_loop_and_of_the_replay(robot, backend, ros_domain, tmp_path):
    one, many, bag = tmp_path / "one.json", tmp_path / "many.json", tmp_path / "out.mcap"
    episode = (str(robot), "--seed", "3", "--duration", "0.5")
    alone = run(*episode, "--in-process", "--json", str(one), timeout=110)
    assert alone.returncode in (0, 1), alone.stderr
    how = ("--mode", "lockstep", "--backend", backend, "--json", str(many), "--record", str(bag))
    over_ros = run(*episode, *how, timeout=110)
    assert over_ros.returncode == alone.returncode, over_ros.stderr
    a, b = json.loads(one.read_text()), json.loads(many.read_text())
    assert a["ticks"] == b["ticks"] > 20
    assert a["commands_sha256"] == b["commands_sha256"]
    # the bag holds all that the front end needs: the description and its files may be gone
    for file in (robot / "eye.yaml", robot / "hot_pixels.json"):
        file.unlink()
    outcome = replay(bag, None, None, Topics(), robot=robot_named("pencil"))
    assert outcome.identical and len(outcome.setup.sensors) == 1
    counted = {c.topic: c.identical for c in outcome.comparisons}
    assert counted["/controller/command"] >= a["ticks"] - 1


def test_the_node_s_parameter_is_the_description_s_front_end_with_the_files_contents(robot):
    (perception,) = (s for s in describe(GraphOptions(robot=str(robot), mode="lockstep")) if s.name == "perception")
    (sensor,) = from_json(perception.parameters["front_end"], [(160, 144)])
    assert sensor.settings.hot_pixels == ((16, 8), (80, 70), (81, 70)) and sensor.settings.group == (2, 2)
    assert sensor.settings.camera_info.distortion_coefficients.data[0] == -0.1


@pytest.mark.parametrize(("file", "says", "how"), [
    ("hot_pixels.json", "front_end.hot_pixels: ", ("--in-process",)),
    ("eye.yaml", "front_end.camera_info: ", ("--mode", "lockstep")),
])  # fmt: skip
def test_a_file_that_is_not_there_is_one_line_and_exit_2(robot, file, says, how, ros_domain):
    (robot / file).unlink()
    done = run(str(robot), "--duration", "0.5", *how)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and says in done.stderr and "No such file" in done.stderr
