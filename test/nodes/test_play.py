# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike events play`` in the place of a camera's driver."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from event_camera_msgs.msg import EventPacket
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from liquid_spike_control.events.codec import Decoder
from liquid_spike_control.events.files import write_events
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.convert import to_ns
from liquid_spike_control.types import EVENT


@pytest.fixture
def recording(tmp_path):
    """A tenth of a second: 2000 events, with a still scene in the middle."""
    pytest.importorskip("faery")
    rng = np.random.default_rng(0)
    events = np.zeros(2000, EVENT)
    events["t"] = np.sort(rng.integers(0, 60_000, 2000)) * 1000
    events["t"][1000:] += 40_000_000
    events["x"], events["y"], events["p"] = (rng.integers(0, n, 2000) for n in (128, 96, 2))
    write_events(tmp_path / "o.raw", iter([events]), 128, 96)
    return tmp_path / "o.raw", events


def playing(*arguments) -> subprocess.Popen:
    command = [sys.executable, "-m", "liquid_spike_control", "events", "play", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def hear(probe) -> list:
    heard: list = []
    qos = QoSProfile(depth=1000, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    probe.node.create_subscription(EventPacket, graph.EVENTS, heard.append, qos)
    return heard


def decoded(heard) -> np.ndarray:
    decoder = Decoder()
    return np.concatenate([decoder.decode(m.events, m.encoding, m.time_base, m.width, m.height) for m in heard])


@pytest.mark.real_time
@pytest.mark.parametrize("speed", [1, 0.5])
def test_every_event_is_played_at_its_time(probe, recording, speed):
    path, events = recording
    heard = hear(probe)
    began = time.time_ns()
    process = playing(path, "--speed", speed)
    try:
        probe.spin_until(lambda: process.poll() is not None, 30, "the end")
        probe.spin_for(0.1)
        said, log = process.communicate()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == 0, log
    assert f"{len(heard)} packets with 2000 events on {graph.EVENTS}" in said
    assert [m.seq for m in heard] == list(range(len(heard)))
    assert {(m.width, m.height, m.encoding) for m in heard} == {(128, 96, "evt3")}
    assert any(len(m.events) == 0 for m in heard)
    stamps = np.array([to_ns(m.header.stamp) for m in heard])
    assert (np.diff(stamps) == 5_000_000).all()
    found = decoded(heard)
    assert len(found) == 2000 and began < found["t"][0] < found["t"][-1] <= stamps[-1]
    apart = np.diff(events["t"]) / speed
    np.testing.assert_allclose(np.sort(np.diff(found["t"])), np.sort(apart), atol=2000)


@pytest.mark.real_time
def test_repeated_until_ctrl_c(probe, recording):
    heard = hear(probe)
    process = playing(recording[0], "--repeat", "--encoding", "mono")
    try:
        probe.spin_until(lambda: len(heard) > 45, 30, "three rounds of 20 packets")
        process.send_signal(signal.SIGINT)
        said, log = process.communicate(timeout=10)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == 0, log
    stamps = [to_ns(m.header.stamp) for m in heard]
    assert stamps == sorted(set(stamps))
    assert len(decoded(heard)) > 4000
