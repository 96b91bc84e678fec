# SPDX-License-Identifier: Apache-2.0
"""A robot that is not simulated here, and the rewards that its own node publishes: real topics, in real time."""

import signal
import subprocess

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from processes import Probe
from robots import graph as started
from sensor_msgs.msg import JointState

from liquid_spike_control.control.reward import REWARD_UNIT, RewardController, RewardFile, RewardNetwork
from liquid_spike_control.control.reward_file import write_reward
from liquid_spike_control.neuromorphic.files.compiled import read_network
from liquid_spike_control.nodes import graph
from liquid_spike_control.records.replay import replay
from liquid_spike_control.records.setup import Topics
from liquid_spike_control.robot_file import read_robot

DT = 0.02
ROBOT = """
name: slider
period_s: 0.02
max_age_s: 0.9
tolerance_s: 0.03
controller: learner.yaml
readings:
  - {name: x, unit: m, scale: 0.5}
commands:
  - {name: speed, unit: m/s, least: -2.0, most: 2.0, rate: 1000.0, safe: 0.0}
"""


@pytest.fixture
def slider(tmp_path):
    """The description of a robot, with a controller that knows nothing."""
    network = RewardNetwork(centres=(0.0,), scales=(0.5,), limits=(2.0,), errors=(REWARD_UNIT,), period_s=DT)
    file = RewardFile(
        observation_names=("x",), observation_units=("m",), observation_scales=(0.5,), command_names=("speed",),
        command_units=("m/s",), command_limits=(2.0,), nominal_period_s=DT, task="slider", training_command="test",
        training_seeds=(0, 0), learnt=(0,), network=network, inputs=(0,), reward=8.0,
    )  # fmt: skip
    write_reward(tmp_path / "learner.yaml", file, RewardController(file))
    (tmp_path / "robot.yaml").write_text(ROBOT)
    return tmp_path / "robot.yaml"


class Slider:
    """It moves as it is told, and is put elsewhere every half second; its own node gives the rewards."""

    def __init__(self, probe: Probe, path) -> None:
        self._probe, robot = probe, read_robot(path)
        (reading,), (command,) = robot.reading_places(), robot.command_places()
        self._readings = probe.node.create_publisher(JointState, reading.topic, 10)
        self._rewards = probe.node.create_publisher(JointState, graph.REWARD, 10)
        self.commands = probe.hear(JointState, command.topic)
        self._rng, self._x = np.random.default_rng(0), 0.0

    def run(self, n: int, reward, why_not) -> None:
        """Until ``n`` more commands have come; ``reward`` is that of a place, or None."""
        wanted, ticks = len(self.commands) + n, 0
        while len(self.commands) < wanted:
            if ticks == 6000 or why_not():
                pytest.fail(why_not() or "no commands")
            if ticks % 25 == 0:
                self._x = float(self._rng.uniform(-0.6, 0.6))
            if (given := reward(self._x)) is not None:
                self._rewards.publish(JointState(name=["speed"], position=[given]))  # without a stamp
            message = JointState(name=["x"], position=[self._x])
            message.header.stamp = self._probe.node.get_clock().now().to_msg()
            self._readings.publish(message)
            self._probe.spin_for(DT)
            if self.commands:
                self._x += DT * self.commands[-1].position[0]
            ticks += 1


@pytest.mark.real_time
@pytest.mark.slow
def test_a_robot_learns_by_the_rewards_of_its_own_node(probe, slider, tmp_path):
    bag, kept = tmp_path / "out.mcap", tmp_path / "kept.safetensors"
    reports = probe.hear(DiagnosticArray, graph.DIAGNOSTICS)
    robot = Slider(probe, slider)
    with started(tmp_path, slider, "--rewards", "--learnt", str(kept), "--record", str(bag)) as child:

        def why_not():
            return "" if child.poll() is None else (tmp_path / "graph.log").read_text()

        robot.run(150, lambda x: -float(np.clip(x / 0.1, -1, 1)), why_not)
        robot.run(20, lambda x: None, why_not)  # commands wait for no reward
        robot.run(20, lambda x: np.nan, why_not)
        said = [status.message for report in reports for status in report.status]
        assert any("learning has frozen itself: a reward was not finite (speed); what was learnt" in m for m in said)
        child.send_signal(signal.SIGINT)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            pytest.fail((tmp_path / "graph.log").read_text())
    assert child.returncode == 130
    (learnt,) = (c.weights for c in read_network(kept).network.connections)
    plus, minus = learnt[:4].mean(0), learnt[4:].mean(0)  # fields of negative x excite the sign that raises x
    assert plus[1] > 0 > plus[-2] and minus[1] < 0 < minus[-2]
    outcome = replay(bag, None, None, Topics(), robot=read_robot(slider))
    (commands,) = (c for c in outcome.comparisons if c.topic == graph.COMMAND)
    assert outcome.identical and commands.identical > 80
    assert 60 < len(outcome.contents.rewards) <= commands.identical - 15
