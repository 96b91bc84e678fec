# SPDX-License-Identifier: Apache-2.0
"""Our build of event_camera_msgs is, on the wire and in bags, the one of ros-event-camera."""

import time
from array import array
from pathlib import Path

import pytest
import rclpy
from event_camera_msgs.msg import EventPacket
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

#: The hash that ros-event-camera's definition has; renaming, moving or retyping a field changes it.
UPSTREAM_HASH = "RIHS01_d6fa176260b1f37e5a40845305315e150a0f18191241eb64f407442aa29844aa"
SOURCE = Path(__file__).parents[2] / "interfaces/event_camera_msgs/msg/EventPacket.msg"


@pytest.fixture(scope="module")
def typestore():
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(SOURCE.read_text(), "event_camera_msgs/msg/EventPacket"))
    return store


def packet() -> EventPacket:
    message = EventPacket(height=260, width=346, seq=2**63 + 7, time_base=123_456_789_012, encoding="evt3")
    message.header.stamp.sec, message.header.stamp.nanosec = 12, 345_678_901
    message.header.frame_id = "event_camera"
    message.events = array("B", bytes(range(256)))
    return message


def test_definition_has_the_upstream_hash(typestore):
    assert typestore.hash_rihs01("event_camera_msgs/msg/EventPacket") == UPSTREAM_HASH


def test_rclpy_and_rosbags_agree_on_the_bytes(typestore):
    data = serialize_message(packet())
    read = typestore.deserialize_cdr(data, "event_camera_msgs/msg/EventPacket")
    assert (read.height, read.width, read.seq, read.time_base) == (260, 346, 2**63 + 7, 123_456_789_012)
    assert (read.encoding, read.is_bigendian, read.header.frame_id) == ("evt3", False, "event_camera")
    assert read.events.tobytes() == bytes(range(256))
    written = bytes(typestore.serialize_cdr(read, "event_camera_msgs/msg/EventPacket"))
    assert deserialize_message(written, EventPacket) == packet()


def test_a_packet_crosses_fast_dds_under_the_upstream_hash(ros_domain):
    received = []
    context = Context()
    rclpy.init(context=context, domain_id=ros_domain)
    try:
        node = rclpy.create_node("packet_test", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        publisher = node.create_publisher(EventPacket, "events", 1)
        node.create_subscription(EventPacket, "events", received.append, 1)
        deadline = time.monotonic() + 30
        while not publisher.get_subscription_count() and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.05)
        publisher.publish(packet())
        while not received and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.05)
        (info,) = node.get_publishers_info_by_topic("events")
        assert str(info.topic_type_hash) == UPSTREAM_HASH
        assert received == [packet()]
    finally:
        rclpy.shutdown(context=context)
