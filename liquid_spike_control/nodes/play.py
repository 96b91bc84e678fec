# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike events play``: publish a recording on a topic, instead of a camera's driver."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..errors import LiquidSpikeError, TaskError
from ..events.codec import encode
from ..records.event_bag import PacketForm, packets
from ..records.event_source import EventSource, open_source
from ..records.progress import ProgressBar
from ..terminal import Console
from ..types import EVENT
from .graph import domain_id, environment
from .interrupts import Interrupts
from .ros import require_ros

if TYPE_CHECKING:
    from ..options import EventsPlayOptions

SECOND_NS = 1_000_000_000
#: KeepLast depth, as camera drivers have it.
DEPTH = 10
#: How long to wait for a subscriber: discovery takes up to 2 s [s].
WAIT_S = 3.0
#: How long the last packets are given to leave [s].
LINGER_S = 0.2


def play_command(options: EventsPlayOptions) -> int:
    """Publish a recording's packets, best effort, stamped with the wall clock; 0 at its end or after Ctrl-C.

    With a ``speed`` other than 1 the times between events are divided by it, as if the scene had moved so fast.

    Raises:
        LiquidSpikeError: an option or the recording is wrong.
    """
    if not 0.001 <= options.speed <= 1000:
        raise TaskError(f"--speed {options.speed:g}; give 0.001 to 1000")
    form = PacketForm(options.encoding, round(options.window * SECOND_NS), options.driver)
    require_ros("events play")
    source = open_source(options.file, options.topic, options.size, options.clock == "sensor", options.track)
    os.environ.update(environment())
    domain_id(dict(os.environ))
    with Interrupts() as interrupts:
        camera = _play(source, form, options, lambda: interrupts.came)
    Console(highlight=False, soft_wrap=True).print(
        f"{options.file}: {camera.packets} packets with {camera.events} events on {options.topic}, {camera.late} late"
    )
    return 0


def _play(source: EventSource, form: PacketForm, options: EventsPlayOptions, ended: Callable[[], bool]) -> _Camera:
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    camera = _Camera(source, form, options)
    try:
        with ProgressBar("playing", "packets") as bar:
            camera.prepare(ended)
            while not ended():
                if not camera.play(ended, bar) or not options.repeat:
                    break
        if not camera.packets:
            raise LiquidSpikeError(f"{options.file}: there is no event in it; was it recorded to its end?")
        time.sleep(LINGER_S)
    finally:
        camera.close()
        rclpy.shutdown()
    return camera


class _Camera:
    """A publisher of packets at their times."""

    def __init__(self, source: EventSource, form: PacketForm, options: EventsPlayOptions) -> None:
        from event_camera_msgs.msg import EventPacket
        from rclpy.node import Node
        from rclpy.qos import QoSProfile, QoSReliabilityPolicy

        self._source, self._form, self._options = source, form, options
        self._node = Node("liquid_spike_play", enable_rosout=False)
        qos = QoSProfile(depth=DEPTH, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        self._publisher = self._node.create_publisher(EventPacket, options.topic, qos)
        self.packets = self.events = self.late = 0

    def prepare(self, ended) -> None:
        """Load the kernels, and wait for a subscription, as long as :data:`WAIT_S` at most."""
        encode(np.zeros(1, EVENT), self._form.encoding, 0)
        until = time.monotonic() + WAIT_S
        while not (self._publisher.get_subscription_count() or ended() or time.monotonic() > until):
            time.sleep(0.01)

    def play(self, ended, bar: ProgressBar) -> bool:
        """From beginning to end; returns whether it got there.

        Args:
            ended: whether to give up.
            bar: is shown the packets.
        """
        from .convert import to_packet

        form, began = self._form, time.monotonic_ns()
        start_ns = time.time_ns() // 1000 * 1000
        pieces = map(self._faster, self._source.pieces())
        for packet in packets(pieces, form, start_ns):
            due = began + packet.end_ns - start_ns
            while (rest := due - time.monotonic_ns()) > 0:
                if ended():
                    return False
                time.sleep(min(rest * 1e-9, 0.1))
            self.late += -rest > form.window_ns
            self._publisher.publish(
                to_packet(
                    packet.data, form.encoding, packet.stamp_ns, packet.base_ns,
                    self._source.width, self._source.height, self.packets,
                )  # fmt: skip
            )
            self.packets += 1
            self.events += packet.n_events
            bar.show(self.packets, None)
            if ended():
                return False
        return True

    def _faster(self, events: np.ndarray) -> np.ndarray:
        if self._options.speed == 1:
            return events
        events = events.copy()
        events["t"] = np.ceil(events["t"] / (1000 * self._options.speed)).astype(np.int64) * 1000
        return events

    def close(self) -> None:
        """Leave the graph."""
        self._node.destroy_node()
