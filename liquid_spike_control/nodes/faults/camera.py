# SPDX-License-Identifier: Apache-2.0
"""The event camera misbehaves: it dies, it storms, its link loses and repeats packets, its clock jumps."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from event_camera_msgs.msg import EventPacket
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import JointState

from ...events.codec import encode
from ...resources import shipped_model
from ...types import EVENT
from .. import graph
from ..convert import to_ns, to_packet, to_time
from ..diagnostics import read_status
from ..graph import NodeSpec
from .commands import jumped_stamps
from .lost_nodes import worst
from .measurement import Measurement
from .packets import counted_losses, spoilt
from .rig import Received, Rig, wait_for

PERIOD_NS = 5_000_000
SIZE = 64
#: The rated rate of the pencil's camera, which its liveliest packets under a push come to [events/s].
RATED_HZ = 200_000
STORM = 10


def nodes(*names: str, backend: str = "offload") -> tuple[NodeSpec, ...]:
    """Some nodes of the graph in real time on the system's clock, in the order of activation."""
    perception = str(shipped_model("pencil/perception.nir"))
    controller = {"controller_model": str(shipped_model("pencil/controller.safetensors"))}
    parameters: dict[str, dict[str, object]] = {
        "gate": {**controller, "use_sim_time": False},
        "controller": {**controller},
        "neuromorphic": {"perception_model": perception},
        "perception": {"perception_model": perception, "backend": backend},
    }
    return tuple(
        NodeSpec(name, {"mode": "realtime", "diagnostics_period_s": 0.1} | own)
        for name, own in parameters.items()
        if name in names
    )


class StandIn:
    """Nodes on the system's clock, and in front of them a camera and encoders of this process; a context manager.

    Args:
        specs: of the nodes, see :func:`nodes`.

    Attributes:
        events: events in a packet.
        estimates: of the perception.
        commands: of the gate.
        diagnostics: of the nodes.
    """

    def __init__(self, specs: tuple[NodeSpec, ...]) -> None:
        self._specs = specs
        self.events = 50
        self._rng = np.random.default_rng(0)
        self._seq = 0
        self._sent: dict[int, int] = {}

    def __enter__(self) -> Self:
        self._closing = ExitStack()
        try:
            self.rig = self._closing.enter_context(Rig(self._specs, up=False))
            node = self.rig.observer.node
            sensor = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
            self._packets = node.create_publisher(EventPacket, graph.EVENTS, sensor)
            self._joints = node.create_publisher(JointState, graph.JOINT_STATES, 10)
            self.estimates = self.rig.observer.subscribe(JointState, graph.ESTIMATE)
            self.commands = self.rig.observer.subscribe(JointState, graph.GATED_COMMAND)
            self.diagnostics = self.rig.observer.subscribe(DiagnosticArray, graph.DIAGNOSTICS)
            self.rig.bring_up()
            wait_for(self._packets.get_subscription_count, 10, "the perception's subscription")
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._closing.close()

    def run(self) -> None:
        """Send a packet each period from now on."""
        self._running = True
        self._thread = threading.Thread(target=self._drive, daemon=True)
        self._thread.start()
        self._closing.callback(self.halt)
        wait_for(lambda: len(self.estimates) > 20, 20, "estimates")

    def halt(self) -> int:
        """Send no more; gives the time of the last packet [ns since the epoch]."""
        self._running = False
        self._thread.join(5)
        return self._last_ns

    def _drive(self) -> None:
        due = time.time_ns()
        while self._running:
            self.send(self._seq, due)
            self._seq += 1
            due = max(due + PERIOD_NS, time.time_ns() - PERIOD_NS)
            time.sleep(max(0, due - time.time_ns()) * 1e-9)

    def send(self, seq: int, stamp_ns: int) -> None:
        """Send joint states and the packet of the period that ends at ``stamp_ns``."""
        base = stamp_ns - PERIOD_NS
        events = np.zeros(self.events, EVENT)
        events["t"] = np.sort(base + self._rng.integers(1, PERIOD_NS - 1000, self.events))
        for field, most in (("x", SIZE), ("y", SIZE), ("p", 2)):
            events[field] = self._rng.integers(0, most, self.events)
        message = JointState(name=["cart_slide"], position=[0.0], velocity=[0.0])
        message.header.stamp = to_time(stamp_ns)
        self._joints.publish(message)
        packet = to_packet(encode(events, "evt3", base), "evt3", stamp_ns, base, SIZE, SIZE, seq % 2**64)
        self._last_ns = self._sent[stamp_ns] = time.time_ns()
        self._packets.publish(packet)

    def complaints(self, since_ns: int) -> list[tuple[Received, str, str]]:
        """Return the perception's diagnostics since a time, with level and message."""
        late = [h for h in list(self.diagnostics) if h.arrived_ns > since_ns]
        statuses = [(h, read_status(h.message).get("perception")) for h in late]
        return [(h, status["level"], status["message"]) for h, status in statuses if status]

    def status(self) -> dict[str, str]:
        """The perception's next status."""
        n = len(self.diagnostics)
        return wait_for(
            lambda: [s for h in self.diagnostics[n:] if (s := read_status(h.message).get("perception"))],
            5, "diagnostics",
        )[-1]  # fmt: skip

    def stamps(self) -> np.ndarray:
        """Stamps of all estimates so far [ns]."""
        return np.array([to_ns(h.message.header.stamp) for h in list(self.estimates)])

    def ages_ms(self, received: list[Received]) -> np.ndarray:
        """From sending a packet to the arrival of its estimate [ms]."""
        return np.array([(h.arrived_ns - self._sent[to_ns(h.message.header.stamp)]) / 1e6 for h in received])

    def rss_mb(self) -> np.ndarray:
        """Resident memory of each node [MB]."""
        return np.array([resident_mb(self.rig.pid(spec.name)) for spec in self._specs])


def resident_mb(pid: int) -> float:
    """Resident memory of a process [MB]."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def camera_dead(thorough: bool = False) -> list[Measurement]:
    """No packets: STALE. Empty packets, as of a still scene: healthy."""
    n = 20 if thorough else 3
    stale, unhealthy, still = [], 0, 0
    with StandIn(nodes("perception", backend="in_process")) as robot:
        for _ in range(n):
            robot.events = 0
            robot.run()
            time.sleep(0.3)
            since = time.time_ns()
            before = len(robot.estimates)
            time.sleep(0.7)
            unhealthy += sum(level in ("2", "3") for _, level, _ in robot.complaints(since))
            still += len(robot.estimates) == before
            died = robot.halt()
            time.sleep(0.5)
            reported = [h.arrived_ns for h, level, _ in robot.complaints(died) if level == "3"]
            stale.append((reported[0] - died) / 1e6 if reported else np.nan)
    return [
        Measurement("no packets", "STALE", worst(stale), 200, f"ms, of {n}"),
        Measurement("empty packets (still scene)", "healthy, estimates go on", unhealthy + still, 0, f"of {n} not"),
    ]


def event_storm(thorough: bool = False) -> list[Measurement]:
    """Ten times the rated rate for 60 s if thorough, or 5: and in the middle the perception stands still for 0.2 s."""
    seconds = 60.0 if thorough else 5.0
    with StandIn(nodes("perception", "neuromorphic", "controller", "gate")) as robot:
        robot.run()
        time.sleep(1.0)
        held = robot.rss_mb()
        robot.events = STORM * RATED_HZ * PERIOD_NS // 1_000_000_000
        began = len(robot.estimates)
        time.sleep(seconds / 2)
        middle = len(robot.estimates)
        robot.rig.send("perception", signal.SIGSTOP)
        time.sleep(0.2)
        went_on = robot.rig.send("perception", signal.SIGCONT)
        time.sleep(seconds / 2)
        grown = robot.rss_mb() - held
        status = robot.status()
        robot.halt()
        storm = robot.estimates[began:middle]
        late = [h for h in robot.estimates[middle:] if h.arrived_ns > went_on]
    injected = f"{STORM * RATED_HZ / 1e6:g} M events/s for {seconds:g} s"
    return [
        Measurement(injected, "age of 99 % of the estimates", float(np.percentile(robot.ages_ms(storm), 99)), 20, "ms",
                    speed=True),
        Measurement("and a perception that stood still 0.2 s", "age of 99 % of the estimates after it",
                    float(np.percentile(robot.ages_ms(late), 99)), 20, "ms", speed=True),
        Measurement("the same", "oldest dropped and counted", float(int(status.get("too_old", 0)) == 0), 0,
                    f"({status.get('too_old', 0)} dropped)"),
        Measurement(injected, "memory of each node", float(grown.max()), 50, "MB more"),
    ]  # fmt: skip


def seq_gap(thorough: bool = False) -> list[Measurement]:
    """A link that loses, delays and repeats packets, before the decoder and before the running perception: all counted
    exactly, and time never runs back.
    """
    n = 2000 if thorough else 400
    with StandIn(nodes("perception", backend="in_process")) as robot:
        began = time.time_ns()
        order = spoilt(n, np.random.default_rng(2))
        for seq in order:
            robot.send(seq, began + seq * PERIOD_NS)
            time.sleep(0.002)
        time.sleep(0.3)
        status, stamps = robot.status(), robot.stamps()
    lost = n - len(set(order))
    backward = int((np.diff(stamps) <= 0).sum())
    return [
        *counted_losses(),
        Measurement("the same, into the running node", "losses counted exactly", abs(int(status["lost"]) - lost), 0,
                    f"off, of {lost}"),
        Measurement("the same, into the running node", "estimates in order", backward, 0, f"of {len(stamps)} not"),
    ]  # fmt: skip


def clock_jump(thorough: bool = False) -> list[Measurement]:
    """Stamps that run back a second, jump ten ahead, or repeat: commands stay bounded, and the running perception
    answers the next packet.
    """
    found = jumped_stamps()
    with StandIn(nodes("perception", backend="in_process")) as robot:
        stamp, seq = time.time_ns(), 0
        for name, jump_ns in (("-1 s", -1_000_000_000), ("+10 s", 10_000_000_000), ("equal stamps", -PERIOD_NS)):
            for _ in range(40):
                robot.send(seq, stamp)
                stamp, seq = stamp + PERIOD_NS, seq + 1
                time.sleep(0.005)
            time.sleep(0.3)
            decoded = int(robot.status().get("events", 0))
            stamp += jump_ns
            jumped = stamp
            for _ in range(20):
                robot.send(seq, stamp)
                stamp, seq = stamp + PERIOD_NS, seq + 1
                time.sleep(0.005)
            time.sleep(0.3)
            decoded = int(robot.status().get("events", 0)) - decoded
            answered = robot.stamps()[-25:]
            after = answered[(answered >= jumped) & (answered < jumped + 20 * PERIOD_NS)]
            late = (after.min() - jumped) / 1e6 if len(after) else np.nan
            injected = f"stamps jump: {name}, running node"
            found += [
                Measurement(injected, "next packet answered", late, 5, "ms"),
                Measurement(injected, "its events are taken", 20 * robot.events - decoded, robot.events, "events lost"),
            ]
    return found
