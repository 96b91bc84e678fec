# SPDX-License-Identifier: Apache-2.0
"""Event packets of any size arrive with the profile that every start path uses."""

import os
import subprocess
import sys
import time

import pytest
from event_camera_msgs.msg import EventPacket
from processes import Probe
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from liquid_spike_control.nodes.graph import environment
from liquid_spike_control.nodes.transport import VARIABLES, profile_file, profile_variables
from liquid_spike_control.resources import share

CAMERA = """
import array, sys, time
import rclpy
from event_camera_msgs.msg import EventPacket
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

size, count, period = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
rclpy.init()
node = Node("camera")
qos = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
publisher = node.create_publisher(EventPacket, "/event_camera/events", qos)
deadline = time.monotonic() + 20
while not publisher.get_subscription_count() and time.monotonic() < deadline:
    time.sleep(0.005)
time.sleep(0.3)  # the subscription may know of us a little later than we of it
packet = EventPacket(events=array.array("B", bytes(size)))
due = time.monotonic()
for packet.seq in range(count):
    packet.events[0] = packet.events[-1] = packet.seq % 256
    publisher.publish(packet)
    due += period
    time.sleep(max(0.0, due - time.monotonic()))
sys.stdin.read()  # until the test has what is still under way
"""


def arrived(probe: Probe, size: int, count: int, period_s: float) -> list[int]:
    """Sequence numbers of what arrives whole of ``count`` best-effort packets from another process."""
    whole: list[int] = []

    def on_packet(packet: EventPacket) -> None:
        if len(packet.events) == size and packet.events[0] == packet.events[-1] == packet.seq % 256:
            whole.append(packet.seq)

    qos = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    probe.node.create_subscription(EventPacket, "/event_camera/events", on_packet, qos)
    arguments = [sys.executable, "-c", CAMERA, str(size), str(count), str(period_s)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE) as camera:
        try:
            deadline = time.monotonic() + 30
            last, heard = time.monotonic(), 0
            # the last packet ends it; where that one is lost, so does silence
            while count - 1 not in whole[-1:] and time.monotonic() < deadline:
                probe.executor.spin_once(timeout_sec=0.1)
                if len(whole) > heard:
                    last, heard = time.monotonic(), len(whole)
                if heard and time.monotonic() - last > 3:
                    break
        finally:
            camera.kill()
    return whole


@pytest.mark.real_time
@pytest.mark.parametrize(("size", "period_s"), [(921_600, 0.01), (6_000_000, 0.03)], ids=["921 kB", "6 MB"])
def test_large_best_effort_packets_all_arrive(probe, size, period_s):
    assert arrived(probe, size, 150, period_s) == list(range(150))


def test_the_graph_is_started_with_the_shipped_profile_unless_the_user_names_one(tmp_path):
    shipped = str(share("config/fastdds.xml"))
    (name,) = set(VARIABLES) & set(os.environ)
    assert environment()[name] == os.environ[name] == shipped
    own = str(tmp_path / "own.xml")
    for given in VARIABLES:  # Jazzy's Fast-DDS knows only one of the names, and Kilted's complains of it
        assert profile_variables({given: own}) == {name: own}
    assert profile_file({name: ""}) == shipped
