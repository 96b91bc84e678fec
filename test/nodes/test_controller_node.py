# SPDX-License-Identifier: Apache-2.0
"""The controller node in this process: readings of several publishers, stamps that do not fit, broken numbers."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import rclpy
from processes import wait_for
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from liquid_spike_control.neuromorphic.files.compiled import read_network
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.capture import get_message
from liquid_spike_control.nodes.controller import ControllerNode
from liquid_spike_control.nodes.convert import to_time
from liquid_spike_control.nodes.diagnostics import ERROR, OK, WARN
from liquid_spike_control.nodes.graph import GraphOptions, describe
from liquid_spike_control.resources import share, shipped_model
from liquid_spike_control.robots.catalogue import robot_named

START, MS = 10**9, 1_000_000


class Bench:
    """An active node of a robot's graph, and messages brought to it as the middleware would."""

    def __init__(self, **options) -> None:
        given = {"controller_model": shipped_model("pencil/controller.safetensors"), "backend": "in_process"} | options
        (derived,) = (spec for spec in describe(GraphOptions(mode="realtime", **given)) if spec.name == "controller")
        said = {"live_inputs": "false", "tolerance_s": "0.002"}
        parameters = [a for key, value in said.items() for a in ("-p", f"{key}:={value}")]
        rclpy.init(args=["test", *derived.arguments(), *parameters])
        self.node = ControllerNode()
        assert self.node.trigger_configure().name == "SUCCESS"
        assert self.node.trigger_activate().name == "SUCCESS"

    def close(self) -> None:
        self.node.destroy_node()
        rclpy.shutdown()
        gc.collect()

    def joints(self, stamp_ns: int, **columns: float) -> None:
        message = JointState(name=["cart_slide"], **{field: [value] for field, value in columns.items()})
        message.header.stamp = to_time(stamp_ns)
        self.node._on_joints(0, message)

    def estimate(self, stamp_ns: int, angle: float = 0.01, rate: float = 0.0) -> None:
        message = JointState(name=["pole_angle", "pole_rate"], position=[angle, rate])
        message.header.stamp = to_time(stamp_ns)
        self.node._on_estimate(message)

    @property
    def commands(self) -> int:
        return self.node.diagnostics.counts.get("commands", 0)

    def said(self) -> tuple[bytes, str]:
        """Level and message since the last."""
        diagnostics = self.node.diagnostics
        level, message = diagnostics.level, diagnostics.message
        diagnostics.level, diagnostics.message = OK, "ok"
        return level, message


@pytest.fixture
def bench(probe):
    for topic in (graph.JOINT_STATES, graph.ESTIMATE):  # a robot, a perception and a gate, for activation
        probe.node.create_publisher(JointState, topic, 10)
    probe.hear(JointState, graph.COMMAND)
    bench = Bench()
    yield bench
    bench.close()


def test_a_setpoint_that_the_controller_does_not_know_is_left_out(ros_domain, tmp_path):
    """One that the quadrotor got after its CfC was trained."""
    text = share("config/robot_quadrotor_mavros.yaml").read_text()
    place = "{topic: /climb, type: geometry_msgs/msg/TwistStamped, field: twist.linear.z}"
    added = f"setpoints:\n  - {{name: climb, unit: m/s, scale: 1.0, default: 0.0, ros: {place}}}\n"
    path = tmp_path / "robot.yaml"
    path.write_text(text.replace("setpoints:\n", added))
    specs = describe(GraphOptions(path, simulated=False, mode="realtime"))
    (derived,) = (spec for spec in specs if spec.name == "controller")
    rclpy.init(args=["test", *derived.arguments()])
    node = ControllerNode()
    try:
        assert node.trigger_configure().name == "SUCCESS"
        known = set(node._controller.observation_names)
        assert set(derived.parameters["setpoint_names"]) - known == {"climb"}
    finally:
        node.destroy_node()
        rclpy.shutdown()
        gc.collect()


def test_joint_states_may_come_from_two_publishers(bench):
    """One sends positions, the other velocities: they are merged joint by joint, with the older stamp."""
    for k in range(5):
        stamp = START + 5 * k * MS
        bench.estimate(stamp)
        assert bench.commands == k
        bench.joints(stamp, position=0.1)
        assert bench.commands == k  # the velocity is that of the last time
        bench.joints(stamp, velocity=0.2)
        assert bench.commands == k + 1
    assert bench.said() == (OK, "ok")


def test_where_stamps_do_not_fit_the_topic_and_the_offset_are_named(bench):
    topic = bench.node._sources[0].topic
    bench.estimate(START)
    bench.estimate(START + 5 * MS)
    assert bench.said() == (WARN, f"{topic}: no message has contained cart_position, cart_velocity")
    bench.joints(START + 205 * MS, position=0.1, velocity=0.2)
    bench.estimate(START + 10 * MS)
    level, message = bench.said()
    assert level == WARN and f"{topic}: the stamp nearest to the estimate's is +200.0 ms off" in message
    assert bench.commands == 0 and bench.node.diagnostics.counts["unanswered"] == 2


def test_a_driver_without_stamps_is_named(bench):
    bench.joints(0, position=0.1, velocity=0.2)
    bench.estimate(START)
    bench.estimate(START + 5 * MS)
    level, message = bench.said()
    assert level == WARN and message.endswith("its stamps are 0; let the robot's driver stamp its messages")


def test_the_observation_that_is_not_finite_is_named_and_the_next_one_is_answered(bench):
    bench.joints(START, position=0.1, velocity=0.2)
    bench.estimate(START, rate=np.nan)
    level, message = bench.said()
    assert level == ERROR and message.startswith("pole_rate was not finite")
    bench.joints(START + 5 * MS, position=0.1, velocity=0.2)
    bench.estimate(START + 5 * MS)
    assert bench.said() == (OK, "ok") and bench.commands == 2


# ---- learning by reward ----


class RewardedBench(Bench):
    """The lane car's, with a controller that goes on learning by reward."""

    def __init__(self, learnt) -> None:
        model = shipped_model("lane_car/rstdp.yaml")
        super().__init__(robot="lane_car", controller_model=model, rewards=True, learnt=learnt)
        self._stamp = START

    def reward(self, **values: float) -> None:
        self.node._on_reward(JointState(name=[*values], position=[*values.values()]))

    def tick(self) -> str:
        """One command; returns what the diagnostics say of the learning."""
        self._stamp += 20 * MS
        for number, source in enumerate(self.node._sources):
            interfaces = source.interfaces
            self.node._on_joints(number, interfaces.write(self._stamp, np.full(len(interfaces.names), 0.5)))
        message = JointState(name=["lateral_offset", "heading_error", "curvature"], position=[0.05, 0.1, 0.0])
        message.header.stamp = to_time(self._stamp)
        self.node._on_estimate(message)
        return self.node._learner.account()["learning"]


@pytest.fixture
def rewarded(probe, tmp_path):
    for place in robot_named("lane_car").reading_places():
        probe.node.create_publisher(get_message(place.type), place.topic, 10)
    probe.node.create_publisher(JointState, graph.ESTIMATE, 10)
    probe.hear(JointState, graph.COMMAND)
    bench = RewardedBench(tmp_path / "learnt.safetensors")
    yield bench
    bench.close()


def test_in_real_time_the_latest_reward_counts_once_and_a_command_waits_for_none(probe, rewarded, tmp_path):
    heard = probe.hear(JointState, graph.TAKEN_REWARD)
    wait_for(rewarded.node._taken_publisher.get_subscription_count, 10, "match")  # it is said once
    assert rewarded.tick() == "on"
    rewarded.reward(steering=0.5, speed=np.nan)
    rewarded.reward(steering=-1.0)
    rewarded.reward(lamp=1.0)
    for _ in range(3):
        rewarded.tick()
    assert rewarded.commands == 4 and rewarded.node.diagnostics.counts["of_other_commands"] == 1
    probe.spin_until(lambda: heard, 10, "the reward that was taken")
    (taken,) = heard
    assert taken.name == ["steering", "speed"] and taken.position[0] == -1.0 and np.isnan(taken.position[1])
    assert taken.header.stamp == to_time(START + 40 * MS)
    assert rewarded.node.trigger_deactivate().name == "SUCCESS"
    values, kept = rewarded.node.diagnostics.values, tmp_path / "learnt.safetensors"
    assert values["learnt_hash"] == read_network(kept).hash[:16] and values["learnt_file"] == str(kept)


def test_a_reward_that_is_not_finite_is_named_and_freezes_learning(rewarded):
    assert rewarded.tick() == "on" and rewarded.said() == (OK, "ok")
    for bad in ({"steering": np.nan}, {"steering": np.inf}, {"speed": 1.0}):
        rewarded.reward(**bad)
        assert rewarded.tick() == "frozen: a reward was not finite"
        level, message = rewarded.said()
        assert level == ERROR and message.startswith("learning has frozen itself: a reward was not finite (steering); ")
        rewarded.reward(steering=1.0)
        assert rewarded.tick().startswith("frozen") and rewarded.said() == (OK, "ok")
        assert rewarded.node._on_set_learning(SetBool.Request(data=True), SetBool.Response()).success
        assert rewarded.tick() == "on"
    assert rewarded.commands == 10


@pytest.mark.parametrize("parameters", [{"rewards": True}, {"learnt_file": "learnt.safetensors"}])
def test_a_controller_that_cannot_learn_is_not_configured_to(ros_domain, parameters, capfd):
    (derived,) = (spec for spec in describe(GraphOptions(mode="realtime")) if spec.name == "controller")
    rclpy.init(args=["test", *replace(derived, parameters=derived.parameters | parameters).arguments()])
    node = ControllerNode()
    try:
        assert node.trigger_configure().name == "FAILURE"
    finally:
        node.destroy_node()
        rclpy.shutdown()
        gc.collect()
    said = capfd.readouterr().err
    assert "controller.safetensors: " in said and "learn" in said
