# SPDX-License-Identifier: Apache-2.0
"""The simulator's process on its own; the test is the rest of the graph."""

import json
import os
import signal
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from event_camera_msgs.msg import EventPacket
from processes import ACTIVATE, CONFIGURE, started, wait_for
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState

from liquid_spike_control.events.codec import Decoder
from liquid_spike_control.joints import JOINT_STATE, Readings
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.convert import from_joint_state, to_ns, to_time
from liquid_spike_control.nodes.diagnostics import read_status
from liquid_spike_control.nodes.simulator import COMMAND_WAIT_NS
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.sim.world import World as SimulatedWorld

TICK_NS = 5_000_000
TRUTH = ("cart_position", "cart_velocity", "pole_angle", "pole_rate")


class World:
    """An active simulator."""

    def __init__(self, probe, process):
        self.probe, self.process = probe, process
        self.clock = probe.hear(Clock, graph.CLOCK)
        self.joints = probe.hear(JointState, graph.JOINT_STATES)
        self.packets = probe.hear(EventPacket, graph.EVENTS)
        self.truth = probe.hear(JointState, graph.GROUND_TRUTH)
        self.told = probe.hear(DiagnosticArray, graph.DIAGNOSTICS)
        self.commands = probe.node.create_publisher(JointState, graph.GATED_COMMAND, 10)
        assert probe.change("simulator", CONFIGURE)
        topics = (graph.CLOCK, graph.JOINT_STATES, graph.EVENTS, graph.GROUND_TRUTH)
        probe.spin_until(lambda: all(probe.node.count_publishers(t) for t in topics), 10, "discovery")
        wait_for(self.commands.get_subscription_count, 10, "match")
        assert probe.change("simulator", ACTIVATE)

    def command(self, force: float, stamp_ns: int) -> None:
        message = JointState(name=["cart_slide"], effort=[force])
        message.header.stamp = to_time(stamp_ns)
        self.commands.publish(message)

    def told_last(self, key: str) -> str | None:
        values = [read_status(message).get("simulator", {}) for message in self.told]
        return next((v[key] for v in reversed(values) if key in v), None)


@pytest.fixture
def world(probe, request):
    with started("simulator", seed=3, diagnostics_period_s=0.1, **request.param) as process:
        yield World(probe, process)


@pytest.mark.parametrize("world", [{"mode": "lockstep", "answer_timeout_s": 3.0}], indirect=True)
def test_lockstep_waits_for_the_command_of_the_stamp_and_for_no_other(world):
    """And what it then publishes is what the same simulation gives in this process."""
    spin = world.probe.spin_until
    decoder = Decoder()
    encoders = Readings(JOINT_STATE, ("cart_position", "cart_velocity"), ("cart_slide/position", "cart_slide/velocity"))
    with SimulatedWorld(task_named("pencil")) as simulation:
        expected = simulation.reset(3, 1_000_000_000)
        for tick in range(40):
            spin(lambda n=tick: len(world.truth) > n and len(world.packets) > n, 5, f"tick {tick}")
            stamp = expected.stamp_ns
            assert stamp == 1_000_000_000 + tick * TICK_NS
            assert [to_ns(m.clock) for m in world.clock][tick] == stamp
            joints = encoders.read(world.joints[tick])
            assert (joints.stamp_ns, joints.values.tobytes()) == (stamp, expected.readings.values.tobytes())
            packet = world.packets[tick]
            assert (to_ns(packet.header.stamp), packet.time_base, packet.seq) == (
                stamp,
                stamp - TICK_NS,
                tick,
            )
            events = decoder.decode(
                packet.events, packet.encoding, packet.time_base, packet.width, packet.height
            )
            assert len(events) == len(expected.events[0])
            if tick in (3, 7):
                world.command(9.0, stamp - TICK_NS)  # the command of another stamp does not move the world
                world.probe.spin_for(0.1)
                assert len(world.clock) == tick + 1
            force = float(np.sin(tick))
            world.command(force, stamp)
            expected = simulation.advance(np.array([force]))
    # then nobody answers, and it says who
    spin(lambda: world.told_last("silent"), 10, "the end of the wait")
    assert world.told_last("finished") == "True"
    assert len(world.clock) == 41


@pytest.mark.parametrize("world", [{"mode": "realtime"}], indirect=True)
def test_in_real_time_the_plant_stops_by_itself_when_commands_stop(world):
    spin = world.probe.spin_until
    spin(lambda: world.clock, 5, "the first tick")
    while world.told_last("command") != "[0.5]":
        n = len(world.clock)
        assert n < 400, "commands do not arrive"
        spin(lambda n=n: len(world.clock) > n, 2, "a tick")
        world.command(0.5, to_ns(world.clock[-1].clock))
    last = to_ns(world.clock[-1].clock)
    spin(lambda: world.told_last("command") == "[0.0]", 3, "the plant's own stop")
    assert int(world.told_last("deadline_misses")) > 0
    stamps = np.array([to_ns(m.clock) for m in world.clock])
    assert np.all(np.diff(stamps) == TICK_NS)
    assert stamps[-1] - last > 60_000_000


@pytest.mark.parametrize("world", [{"mode": "realtime"}], indirect=True)
def test_the_world_slows_down_for_a_graph_that_is_late_and_goes_on_without_one_that_is_dead(world):
    """An expert whose every command comes 15 ms after its sensing: two periods of 5 ms take 15 ms of the wall clock."""
    spin, ticks, expert = world.probe.spin_until, 200, task_named("pencil").expert().law(task_named("pencil"))
    arrived: list[float] = []
    answered = ahead = 0
    began = time.monotonic()
    while answered < ticks:
        assert time.monotonic() - began < 20
        world.probe.executor.spin_once(timeout_sec=0.001)
        now = time.monotonic()
        arrived += [now] * (len(world.truth) - len(arrived))
        if answered < len(arrived) and now - arrived[answered] >= 0.015:
            truth = from_joint_state(world.truth[answered], TRUTH)
            world.command(float(np.clip(expert.step(truth.values), -10, 10)[0]), truth.stamp_ns)
            answered += 1
            ahead += len(arrived) - answered > 3
    # more than that only where this process itself was kept waiting
    assert ahead < 0.2 * ticks, "the world ran away from the commands"
    factor = (len(world.truth) - 1) * TICK_NS * 1e-9 / (time.monotonic() - began)
    assert factor <= 0.75
    # nobody answers any more: it waits once, and then keeps the wall clock's pace
    world.probe.spin_for(1.2 * COMMAND_WAIT_NS * 1e-9)
    before, began = len(world.truth), time.monotonic()
    world.probe.spin_for(0.2)
    # 1 on an idle machine; one that were to wait for each command would make 0.14
    assert (len(world.truth) - before) * TICK_NS * 1e-9 > 0.25 * (time.monotonic() - began)
    spin(lambda: world.told_last("command") == "[0.0]", 2, "the plant's own stop")
    assert float(world.told_last("real_time_factor_least")) <= 0.75
    assert int(world.told_last("deadline_misses")) >= 0.9 * ticks


@pytest.mark.parametrize("world", [{"mode": "realtime"}], indirect=True)
def test_commands_that_queue_up_are_taken_at_once_and_the_newest_counts(world):
    """A simulator that the machine kept from running for a while: ten commands wait for it."""
    world.probe.spin_until(lambda: len(world.clock) > 5, 5, "the first ticks")
    os.kill(world.process.pid, signal.SIGSTOP)
    world.probe.spin_for(0.05)
    latest = to_ns(world.clock[-1].clock)
    for k in range(10):
        world.command(0.01 * k, latest - (9 - k) * 1000)
    world.probe.spin_for(0.1)
    os.kill(world.process.pid, signal.SIGCONT)
    world.probe.spin_until(lambda: world.told_last("command") == "[0.09]", 2, "the newest command")
    # what was lost is given up, not run after
    world.probe.spin_until(lambda: world.told_last("real_time_factor_least"), 2, "the factor")
    assert float(world.told_last("real_time_factor_least")) < 0.9


@pytest.mark.parametrize("world", [{"mode": "realtime"}], indirect=True)
def test_a_command_that_is_not_finite_does_not_reach_the_plant(world):
    world.probe.spin_until(lambda: world.clock, 5, "the first tick")
    for value in (np.nan, np.inf, -np.inf):
        world.command(value, to_ns(world.clock[-1].clock))
    world.probe.spin_until(lambda: world.told_last("malformed") == "3", 3, "the count")
    assert np.isfinite(json.loads(world.told_last("command"))).all()
