# SPDX-License-Identifier: Apache-2.0
"""The gate's process on its own: what the world may send it, and what leaves it last."""

import json
import math
import signal
import time

import pytest
from geometry_msgs.msg import PoseStamped
from processes import ACTIVATE, CONFIGURE, DEACTIVATE, started, wait_for
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from liquid_spike_control.joints import angles_of
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.convert import to_time


class Gate:
    """An active gate that listens to the system's clock, and a controller that is the test."""

    def __init__(self, probe, process):
        self.probe, self.process = probe, process
        self.heard = probe.hear(JointState, graph.GATED_COMMAND)
        self.commands = probe.node.create_publisher(JointState, graph.COMMAND, 10)
        self.stops = probe.node.create_publisher(Bool, graph.E_STOP, 10)
        assert probe.change("gate", CONFIGURE)
        wait_for(
            lambda: self.commands.get_subscription_count() and self.stops.get_subscription_count(),
            10,
            "match",
        )
        assert probe.change("gate", ACTIVATE)

    def send(self, force: float, ahead_ns: int = 0) -> int:
        message = JointState(name=["cart_force"], position=[force])
        stamp = time.time_ns() + ahead_ns
        message.header.stamp = to_time(stamp)
        self.commands.publish(message)
        return stamp

    def answer(self, force: float, ahead_ns: int = 0) -> float:
        """What the gate makes of a command: its message with the command's stamp."""
        stamp = to_time(self.send(force, ahead_ns))

        def answered():
            return [m.effort[0] for m in self.heard if m.header.stamp == stamp]

        return self.probe.spin_until(answered, 2, f"answer to {force}")[0]


@pytest.fixture
def gate(probe):
    with started("gate", mode="realtime", use_sim_time="false", command_frame_id="cart") as process:
        yield Gate(probe, process)


def test_commands_are_bounded_and_broken_ones_are_answered_safely(gate):
    assert gate.answer(2.5) == 2.5
    assert gate.answer(1e6) <= 10.0
    assert gate.answer(math.nan) == 0.0
    assert gate.answer(math.inf) == 0.0
    assert gate.answer(1.25) == 1.25  # the next valid one is taken
    assert {m.header.frame_id for m in gate.heard} == {"cart"}


def test_when_commands_stop_the_safe_command_goes_out_in_50_ms(gate):
    for _ in range(40):
        gate.send(3.0)
        gate.probe.spin_for(0.005)
    assert gate.heard[-1].effort[0] == 3.0
    last = time.monotonic()
    gate.probe.spin_until(lambda: gate.heard[-1].effort[0] == 0.0, 1, "safe command")
    # 50 ms on an idle machine; here the machine may be busy
    assert time.monotonic() - last < 0.5
    first_safe = next(m for m in gate.heard if m.effort[0] == 0.0 and m.header.stamp.sec > 0)
    assert first_safe.effort[0] == 0.0


def test_the_safe_command_has_stages(probe):
    """None before the first command; then the first stage, later the next, and the first again as the last message."""
    with started("gate", mode="realtime", use_sim_time="false", safe_after_s="[0.6]", safe_then="[-12.0]") as process:
        gate = Gate(probe, process)
        gate.probe.spin_until(lambda: gate.heard, 3, "the watchdog")
        assert {m.effort[0] for m in gate.heard} == {-12.0}
        assert gate.answer(3.0) == 3.0
        gate.probe.spin_until(lambda: gate.heard[-1].effort[0] == 0.0, 2, "the first stage")
        gate.probe.spin_until(lambda: gate.heard[-1].effort[0] == -12.0, 3, "the next stage")
        seen = [m for m in gate.heard if m.effort[0] == 0.0]
        lasted = [m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec for m in (seen[0], seen[-1])]
        assert 0.3 < lasted[1] - lasted[0] < 1.5  # 0.6 s on an idle machine
        assert gate.answer(-9.0) == -9.0
        assert probe.change("gate", DEACTIVATE)
        gate.probe.spin_until(lambda: gate.heard[-1].effort[0] == 0.0, 2, "the last message")


def test_an_attitude_and_a_thrust_as_a_drone_takes_them(probe):
    """Commands in newtons and radians; the message has a quaternion and a thrust from 0 to 1."""
    names, fields = ["thrust", "roll", "pitch"], ["position.z * 0.0425 + 0.25", "orientation.roll", "orientation.pitch"]
    of_drone = {
        "command_names": names, "command_units": ["N", "rad", "rad"], "lower": [-3.0, -0.35, -0.35],
        "upper": [3.0, 0.35, 0.35], "rate": [300.0, 35.0, 35.0], "safe": [-0.8, 0.0, 0.0], "safe_after_s": [0.3],
        "safe_then": [-5.9, 0.0, 0.0], "command_interfaces": [f"pose.{field}" for field in fields],
    }  # fmt: skip
    given = {name: json.dumps(value) for name, value in of_drone.items()}
    kind = "geometry_msgs/msg/PoseStamped"
    with started("gate", mode="realtime", use_sim_time="false", command_type=kind, **given):
        heard = probe.hear(PoseStamped, graph.GATED_COMMAND)
        commands = probe.node.create_publisher(JointState, graph.COMMAND, 10)
        assert probe.change("gate", CONFIGURE)
        wait_for(commands.get_subscription_count, 10, "match")
        assert probe.change("gate", ACTIVATE)
        message = JointState(name=names, position=[2.0, 0.1, -0.9])
        message.header.stamp = stamp = to_time(time.time_ns())
        commands.publish(message)
        pose = probe.spin_until(lambda: [m.pose for m in heard if m.header.stamp == stamp], 3, "answer")[0]
        assert pose.position.z == 2.0 * 0.0425 + 0.25
        roll, pitch, yaw = angles_of(*(getattr(pose.orientation, axis) for axis in "wxyz"))
        assert (roll, pitch, yaw) == pytest.approx((0.1, -0.35, 0.0), abs=1e-12)
        probe.spin_until(lambda: heard[-1].pose.position.z == -0.8 * 0.0425 + 0.25, 2, "sinking")
        probe.spin_until(lambda: abs(heard[-1].pose.position.z) < 1e-3, 3, "no thrust")
        assert heard[-1].pose.orientation.w == 1.0


def test_by_the_simulations_clock_commands_do_not_age_while_it_stands(probe):
    """A simulation that runs slower than the wall clock: 30 ms are 30 ms of its time."""
    with started("gate", mode="realtime", use_sim_time="true") as process:
        clock = probe.node.create_publisher(Clock, graph.CLOCK, 10)
        gate = Gate(probe, process)
        wait_for(clock.get_subscription_count, 10, "match")
        now = 1_000_000_000

        def go_on(ms: int) -> None:
            nonlocal now
            now += ms * 1_000_000
            clock.publish(Clock(clock=to_time(now)))
            probe.spin_for(0.1)

        go_on(5)
        message = JointState(name=["cart_force"], position=[3.0])
        message.header.stamp = to_time(now)
        gate.commands.publish(message)
        probe.spin_until(lambda: gate.heard and gate.heard[-1].effort[0] == 3.0, 2, "the command")
        go_on(25)  # and 100 ms of the wall clock
        assert gate.heard[-1].effort[0] == 3.0
        go_on(10)
        probe.spin_until(lambda: gate.heard[-1].effort[0] == 0.0, 2, "the safe command")


def test_stale_and_future_commands_do_not_pass(gate):
    gate.answer(1.0)
    gate.send(7.0, ahead_ns=-500_000_000)
    gate.send(7.0, ahead_ns=+500_000_000)
    gate.probe.spin_for(0.3)
    assert 7.0 not in [m.effort[0] for m in gate.heard]


def test_the_e_stop_latches_until_it_is_reset(gate):
    assert gate.answer(2.0) == 2.0
    gate.stops.publish(Bool(data=True))
    gate.probe.spin_until(lambda: gate.heard[-1].effort[0] == 0.0, 1, "e-stop")
    gate.stops.publish(Bool(data=False))
    gate.probe.spin_for(0.1)
    assert gate.answer(2.0) == 0.0
    assert gate.probe.call(Trigger, "/gate/reset_e_stop", Trigger.Request()).success
    assert gate.answer(2.0) == 2.0
    assert not gate.probe.call(Trigger, "/gate/reset_e_stop", Trigger.Request()).success


@pytest.mark.parametrize("how", ["deactivate", signal.SIGINT, signal.SIGTERM])
def test_the_safe_command_is_the_last_one_sent(gate, how):
    for _ in range(10):
        gate.answer(4.0)
    if how == "deactivate":
        assert gate.probe.change("gate", DEACTIVATE)
    else:
        gate.process.send_signal(how)
        wait_for(lambda: gate.process.poll() is not None, 5, "end of the gate")
        assert gate.process.returncode == 0
    gate.probe.spin_for(0.2)
    assert gate.heard[-1].effort[0] == 0.0
