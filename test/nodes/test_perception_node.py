# SPDX-License-Identifier: Apache-2.0
"""The perception node in this process: what it does with packets that are damaged, and when there are too many."""

import gc
import time

import numpy as np
import pytest
import rclpy
from event_camera_msgs.msg import EventPacket
from sensor_msgs.msg import JointState

from liquid_spike_control.events.codec import encode
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.convert import to_packet
from liquid_spike_control.nodes.diagnostics import OK, WARN
from liquid_spike_control.nodes.graph import GraphOptions, describe
from liquid_spike_control.nodes.perception import STALL_NS, PerceptionNode
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.types import EVENT

MS = 1_000_000
START = 10**9


class Bench:
    """An active node, and packets of 5 ms brought to it as the middleware would, so and so old."""

    def __init__(self) -> None:
        options = GraphOptions(mode="realtime", backend="in_process")
        (derived,) = (spec for spec in describe(options) if spec.name == "perception")
        said = {"perception_model": shipped_model("pencil/perception.nir"), "live_inputs": "false", "sheds": "true"}
        parameters = [a for key, value in said.items() for a in ("-p", f"{key}:={value}")]
        rclpy.init(args=["test", *derived.arguments(), *parameters])
        self.node = PerceptionNode()
        assert self.node.trigger_configure().name == "SUCCESS"
        assert self.node.trigger_activate().name == "SUCCESS"
        self.receiver = self.node._connections._listening[0][1]
        self.seq = 0

    def close(self) -> None:
        self.node.destroy_node()
        rclpy.shutdown()
        gc.collect()

    def take(self, events, age_ms=0.0, spoil=lambda data: data) -> tuple[bytes, str]:
        """Take a packet; the level and message of the diagnostics since the last."""
        base = START + self.seq * 5 * MS
        events = events.copy()
        events["t"] += base
        packet = to_packet(spoil(encode(events, "evt3", base)), "evt3", base + 5 * MS, base, 64, 64, self.seq)
        self.seq += 1
        diagnostics = self.node.diagnostics
        diagnostics.level, diagnostics.message = OK, "ok"
        self.receiver(packet, {"source_timestamp": time.time_ns() - int(age_ms * MS)})
        assert self.node.failure is None
        return diagnostics.level, diagnostics.message

    def count(self, name) -> int:
        self.node.diagnose()
        return int((self.node.diagnostics.counts | self.node.diagnostics.values).get(name, 0))


@pytest.fixture
def bench(probe):
    probe.node.create_publisher(EventPacket, graph.EVENTS, 10)  # a camera and a controller, for activation
    probe.hear(JointState, graph.ESTIMATE)
    bench = Bench()
    yield bench
    bench.close()


def events_of(n) -> np.ndarray:
    rng = np.random.default_rng(n)
    events = np.zeros(n, EVENT)
    events["t"] = np.sort(rng.integers(1, 5000, n)) * 1000
    events["x"], events["y"], events["p"] = rng.integers(0, 64, n), rng.integers(0, 64, n), rng.integers(0, 2, n)
    return events


def test_of_packets_that_come_late_it_sheds_events(bench):
    assert bench.take(events_of(1000)) == (OK, "ok")
    assert (bench.count("shed"), bench.count("estimates")) == (0, 1)
    assert bench.take(events_of(1200), age_ms=6.5) == (OK, "ok")  # a stall, which is caught up
    assert (bench.count("shed"), bench.count("estimates")) == (0, 2)
    time.sleep(2e-9 * STALL_NS)
    assert bench.take(events_of(1200), age_ms=3) == (OK, "ok")
    level, message = bench.take(events_of(1200), age_ms=6.5)
    assert (level, message) == (WARN, "too many events: 1 of 3 is perceived")
    assert (bench.count("shed"), bench.count("packets_shed_from"), bench.count("estimates")) == (800, 1, 4)
    assert bench.take(events_of(1000)) == (OK, "ok")
    assert (bench.count("shed"), bench.count("estimates"), bench.count("events")) == (800, 5, 5600)
    time.sleep(2e-9 * STALL_NS)
    assert bench.take(events_of(1000), age_ms=6.5) == (OK, "ok")  # late anew
    assert bench.take(events_of(1000), age_ms=30)[0] == WARN
    assert (bench.count("too_old"), bench.count("estimates")) == (1, 6)


def test_padding_is_no_loss_and_the_level_rises_where_events_are_dropped(bench):
    def padded(data):
        return data + b"\x99\x99" * 50

    assert bench.take(events_of(100), spoil=padded) == (OK, "ok")
    assert (bench.count("skipped"), bench.count("events"), bench.count("malformed")) == (50, 100, 0)
    level, message = bench.take(events_of(100), spoil=lambda data: data[:-1])
    assert level == WARN and "1 malformed" in message
    no_row = np.array([8 << 12, 6 << 12, 2 << 12 | 3], "<u2").tobytes()
    level, message = bench.take(events_of(1), spoil=lambda data: no_row)
    assert level == WARN and "1 incomplete" in message


def test_one_false_time_silences_no_later_packet(bench):
    """A TIME_HIGH that is 1000 counts, 4.1 s, too great, and an event after it."""

    def falsified(data):
        high = (int.from_bytes(data[:2], "little") + 1000) & 0xFFF
        return data + np.array([8 << 12 | high, 2 << 12 | 3], "<u2").tobytes()

    assert bench.take(events_of(100)) == (OK, "ok")
    level, message = bench.take(events_of(100), spoil=falsified)
    assert level == WARN and "1 out_of_span" in message
    for _ in range(3):
        assert bench.take(events_of(100)) == (OK, "ok")
    assert (bench.count("events"), bench.count("backward")) == (500, 0)
