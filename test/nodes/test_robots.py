# SPDX-License-Identifier: Apache-2.0
"""Every shipped robot over ROS in lock-step: the bytes of the loop in one process, recorded and replayed."""

import json

import pytest
from cli_here import cli
from processes import run

from liquid_spike_control.nodes.graph import GraphOptions, describe, topics
from liquid_spike_control.records.replay import replay
from liquid_spike_control.records.setup import Topics
from liquid_spike_control.robots.catalogue import descriptions, robot_named

#: Simulated seconds; half-cheetah's expert needs none longer.
DURATION = "1"
WITH_CONTROLLER = [name for name in descriptions() if robot_named(name).controller and name != "pencil"]
#: Their graphs are like that of swing-up: readings in, commands out, no camera.
ALIKE = set(WITH_CONTROLLER) - {"hover"}


@pytest.mark.lockstep
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in ALIKE else ()) for name in WITH_CONTROLLER]
)
def test_lockstep_commands_are_those_of_the_loop(name, ros_domain, tmp_path):
    one, many, bag = tmp_path / "one.json", tmp_path / "many.json", tmp_path / "out.mcap"
    episode = (name, "--seed", "1003", "--duration", DURATION)
    alone = cli("run", *episode, "--in-process", "--json", one)
    assert alone.returncode in (0, 1), alone.stderr
    over_ros = run(*episode, "--mode", "lockstep", "--json", str(many), "--record", str(bag), timeout=110)
    assert over_ros.returncode == alone.returncode, over_ros.stderr
    a, b = json.loads(one.read_text()), json.loads(many.read_text())
    assert a["ticks"] == b["ticks"] > 20
    assert a["commands_sha256"] == b["commands_sha256"]
    assert a["success"] == b["success"]
    outcome = replay(bag, None, None, Topics())
    assert outcome.identical
    gated = {c.topic: c.identical for c in outcome.comparisons}
    assert gated["/controller/command"] >= a["ticks"] - 1


def test_a_robot_without_a_camera_has_neither_perception_nor_offload_node():
    options = GraphOptions(robot="hover")
    assert [spec.name for spec in describe(options)] == ["gate", "controller", "simulator"]
    assert not {topic for topic in topics(options) if "neuromorphic" in topic or "perception" in topic}


def test_an_unknown_robot_names_the_way_to_add_one():
    done = cli("run", "crayon")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("liquid-spike: unknown robot 'crayon'; known: ")
    assert "liquid-spike new crayon" in line
