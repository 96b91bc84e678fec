# SPDX-License-Identifier: Apache-2.0
"""ROS messages to the arrays of the core and back. No decisions are made here."""

from __future__ import annotations

import array

from builtin_interfaces.msg import Time
from event_camera_msgs.msg import EventPacket
from sensor_msgs.msg import JointState

from ..events.codec import decode_spikes, encode_spikes
from ..joints import SECOND_NS, from_joint_state, to_ns
from ..types import Quantities, SpikeTrain

__all__ = [
    "HASH_DIGITS", "MAX_STEPS", "SECOND_NS", "SPIKES", "from_joint_state", "packet_to_spikes", "spikes_to_packet",
    "to_joint_state", "to_ns", "to_packet", "to_time",
]  # fmt: skip

#: Encoding of address-event spikes in an EventPacket, see docs/architecture.md.
SPIKES = "spikes"
#: Hex digits of a network's hash that a packet carries in ``header.frame_id``.
HASH_DIGITS = 16
#: Default limit of the steps in a packet of spikes.
MAX_STEPS = 10_000


def to_time(stamp_ns: int) -> Time:
    """Nanoseconds as a ROS time."""
    return Time(sec=stamp_ns // SECOND_NS, nanosec=stamp_ns % SECOND_NS)


def to_joint_state(quantities: Quantities) -> JointState:
    """Named quantities as the graph's own JointState: each is the position of a joint of its name."""
    message = JointState()
    message.header.stamp = to_time(quantities.stamp_ns)
    message.name = list(quantities.names)
    message.position = quantities.values.tolist()
    return message


def to_packet(
    data: bytes, encoding: str, stamp_ns: int, time_base_ns: int, width: int, height: int, seq: int
) -> EventPacket:
    """An EventPacket around encoded events, stamped with the end of the interval that they cover.

    ``array`` is what makes this quick: rclpy copies any other type byte by byte.
    """
    message = EventPacket()
    message.header.stamp = to_time(stamp_ns)
    message.encoding = encoding
    message.time_base = time_base_ns
    message.width = width
    message.height = height
    message.seq = seq
    message.events = array.array("B", data)
    return message


def spikes_to_packet(
    spikes: SpikeTrain, n_neurons: int, network_hash: str, stamp_ns: int, start_ns: int, seq: int
) -> EventPacket:
    """Address-event spikes as an EventPacket."""
    packet = to_packet(encode_spikes(spikes), SPIKES, stamp_ns, start_ns, n_neurons, spikes.n_steps, seq)
    packet.header.frame_id = network_hash[:HASH_DIGITS]
    return packet


def packet_to_spikes(
    message: EventPacket, n_neurons: int, network_hash: str, max_steps: int = MAX_STEPS
) -> SpikeTrain:
    """Read address-event spikes and check them.

    Args:
        message: any packet.
        n_neurons: neurons of the population.
        network_hash: of the network that they must be of.
        max_steps: most steps of a packet; the number that a packet states decides how much memory is taken.

    Raises:
        ValueError: the packet is of another network or population, or is malformed; the error names the fault.
    """
    if message.encoding != SPIKES:
        raise ValueError(f"encoding '{message.encoding}' instead of '{SPIKES}'")
    if message.header.frame_id != network_hash[:HASH_DIGITS]:
        raise ValueError(f"network '{message.header.frame_id}' instead of '{network_hash[:HASH_DIGITS]}'")
    if message.width != n_neurons:
        raise ValueError(f"{message.width} neurons instead of {n_neurons}")
    if message.height > max_steps:
        raise ValueError(f"{message.height} steps, more than {max_steps}")
    spikes = decode_spikes(message.events, message.height, n_neurons)
    if spikes is None:
        raise ValueError("malformed spikes")
    return spikes
