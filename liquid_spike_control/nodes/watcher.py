# SPDX-License-Identifier: Apache-2.0
"""What a view knows of a graph: samples from its topics, facts from its diagnostics; and orders back to it."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import WrenchStamped
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from ..events.codec import Decoder
from ..events.stream import EventStream
from ..events.windows import Windows
from ..joints import Readings
from ..robot import Robot, names
from ..types import EPISODE_GAP_NS, Quantities
from ..view.facts import facts_of
from ..view.process import new_screen
from ..view.sample import Order, Sample
from ..view.server import PageServer
from . import graph
from .capture import Capture
from .convert import from_joint_state, to_joint_state, to_ns
from .diagnostics import read_status
from .graph import GraphOptions

#: A tick without a command is shown when the graph is so far past its stamp, in periods and at least in seconds.
LATE_PERIODS, LATE_S = 4, 0.2
#: How long a service may take [s].
_ANSWER_S = 1.0


@contextmanager
def joined(namespace: str) -> Iterator[Node]:
    """A node of the view on the ROS domain."""
    place = ("-r", f"__ns:=/{namespace}") if namespace else ()
    rclpy.init(args=["--ros-args", "--enclave", "/operator", *place], signal_handler_options=SignalHandlerOptions.NO)
    node = Node(graph.VIEW, enable_rosout=False, start_parameter_services=False)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown()


def parameters(node: Node, of: str, wanted: Sequence[str]) -> dict[str, Any] | None:
    """Parameters of another node; None if it does not answer.

    Args:
        node: that asks.
        of: name of the other, below this one's namespace.
        wanted: names of its parameters: texts and numbers.
    """
    client = node.create_client(GetParameters, f"{of}/get_parameters")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if not client.wait_for_service(_ANSWER_S):
            return None
        future = client.call_async(GetParameters.Request(names=list(wanted)))
        executor.spin_until_future_complete(future, _ANSWER_S)
        if not future.done() or len(future.result().values) != len(wanted):
            return None
        kinds = {2: "integer_value", 3: "double_value", 4: "string_value"}
        values = future.result().values
        return {name: getattr(v, kinds.get(v.type, "string_value")) for name, v in zip(wanted, values, strict=True)}
    finally:
        executor.remove_node(node)
        node.destroy_client(client)


def _readings(robot: Robot) -> dict[str, list[tuple[Readings, int]]]:
    """How the topics of a real robot's readings and setpoints are read, and where each value stands among them."""
    found: dict[str, list[tuple[Readings, int]]] = {}
    for number, (entry, place) in enumerate(zip(robot.seen, robot.reading_places(), strict=True)):
        one = Readings(place.type, (entry.name,), (place.field,)), number
        found.setdefault(graph.absolute(place.topic), []).append(one)
    return found


class Watcher:
    """Shows a graph on a page; a context manager.

    Args:
        node: of the view; nobody else spins it.
        options: of the graph.
        port: of the page; any free one if 0.

    Attributes:
        page: the server.

    Raises:
        LiquidSpikeError: a model or the scene does not fit.
    """

    def __init__(self, node: Node, options: GraphOptions, port: int) -> None:
        robot = self._robot = options.description
        given = options.perception_model
        self._screen = new_screen(
            robot, dict(options.settings), options.duration_s, str(given) if given else None, options.simulated
        )
        self.page = PageServer(self._screen, self._give, port)
        self._node, self._simulated = node, options.simulated
        places = graph.command_places(options)
        self._gated = Readings(places[0].type, names(robot.commands), tuple(p.field for p in places))
        self._gated_topic = graph.absolute(places[0].topic)
        lefts = np.cumsum([0, *(camera.width for camera in robot.cameras)]).tolist()
        self._events = {graph.absolute(c.events_topic): x for c, x in zip(robot.cameras, lefts, strict=False)}
        self._decoders = {topic: Decoder() for topic in self._events}
        # a real camera's packets come as the driver sends them: they are cut as the perception cuts them
        drivers = [] if options.simulated else [c for c in robot.cameras if c.clock == "sensor"]
        self._streams = {graph.absolute(camera.events_topic): EventStream(True) for camera in drivers}
        self._windows = {topic: Windows(round(robot.period_s * 1e9)) for topic in self._streams}
        self._begun = False
        self._readings = {} if options.simulated else _readings(robot)
        self._seen = [*(math.nan for _ in robot.readings), *(s.default for s in robot.setpoints)]
        self._pending: dict[int, Sample] = {}
        self._status: dict[str, dict[str, str]] = {}
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._lateness_ns = round(max(LATE_PERIODS * robot.period_s, LATE_S) * 1e9)
        self._heard = time.monotonic()
        self._commanded = -1
        wanted = {graph.GROUND_TRUTH, graph.POSE, graph.ESTIMATE, graph.COMMAND, graph.DIAGNOSTICS, self._gated_topic}
        self._capture = Capture(graph.VIEW_CAPTURE, lossy=True)
        for topic, kind in graph.topics(options).items():
            if topic in wanted or topic in self._events or topic in self._readings:
                self._capture.add(topic, kind, graph.relative(topic))
        self._mended = time.monotonic()
        self._e_stop = node.create_publisher(Bool, graph.relative(graph.E_STOP), 10)
        self._push = node.create_publisher(WrenchStamped, graph.relative(graph.PUSH), 10)
        self._setpoint = node.create_publisher(JointState, graph.relative(graph.SETPOINT), 10)
        self._services = {
            "pause": node.create_client(SetBool, "simulator/set_pause"),
            "step": node.create_client(Trigger, "simulator/step_simulation"),
            "release": node.create_client(Trigger, "gate/reset_e_stop"),
        }
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)

    def __enter__(self) -> Watcher:
        self.page.__enter__()
        return self

    def __exit__(self, *_) -> None:
        self.page.__exit__()
        self._executor.remove_node(self._node)
        self._capture.close()

    def poll(self) -> None:
        """Take what has come, show what is complete, and do what was asked for."""
        for topic, _, data in self._capture.drain():
            self._take(topic, deserialize_message(data, self._capture.types[topic]))
        self._show()
        while not self._orders.empty():
            self._obey(self._orders.get())
        self._executor.spin_once(timeout_sec=0)
        if time.monotonic() - self._mended > 1:
            self._mended = time.monotonic()
            self._capture.resubscribe()

    def _take(self, topic: str, message: Any) -> None:
        if topic == graph.DIAGNOSTICS:
            self._status |= read_status(message)
            self._screen.facts = facts_of(self._status, self._robot)
            return
        robot = self._robot
        self._heard = time.monotonic()
        if topic == self._gated_topic:
            command = self._gated.read(message)
            if command is not None and (stamp := command.stamp_ns or self._newest_command()):
                self._at(stamp).output = command.values.tolist()
            return
        if topic in self._readings:
            self._read(topic, message)
            return
        if topic in self._streams:
            self._cut(topic, message)
            return
        sample = self._at(to_ns(message.header.stamp))
        if topic == graph.GROUND_TRUTH:
            sample.truth = from_joint_state(message, (*names(robot.seen), *names(robot.estimates))).values.tolist()
        elif topic == graph.POSE:
            sample.pose = list(message.position)
        elif topic == graph.ESTIMATE:
            sample.estimate = from_joint_state(message, names(robot.estimates)).values.tolist()
            if not self._begun:
                self._begun = True
                for windows in self._windows.values():  # end where the perception's end
                    windows.reset(sample.stamp_ns)
        elif topic == graph.COMMAND:
            sample.command = from_joint_state(message, names(robot.commands)).values.tolist()
            if not self._simulated:
                sample.truth = list(self._seen)
        else:
            events = self._decoders[topic].decode(
                message.events, message.encoding, message.time_base, message.width, message.height
            )
            if self._events[topic]:
                events = events.copy()
                events["x"] += self._events[topic]
            sample.events += events.tobytes()

    def _newest_command(self) -> int:
        """Stamp of the newest tick with a command, for messages that have none [ns]; 0 without one."""
        return max((stamp for stamp, sample in self._pending.items() if sample.command), default=0)

    def _read(self, topic: str, message: Any) -> None:
        """Keep what a real robot reads."""
        for readings, place in self._readings[topic]:
            if (found := readings.read(message)) is not None:
                self._seen[place] = float(found.values[0])

    def _cut(self, topic: str, message: Any) -> None:
        """Give a driver's packets to the ticks that their events belong to."""
        stream, windows = self._streams[topic], self._windows[topic]
        steps = stream.clock.steps
        events = stream.read(message, to_ns(message.header.stamp))
        if not self._begun:
            return
        if stream.clock.steps > steps:
            self._begun = False  # the perception begins an episode too
            return
        if (window := windows.add(events, stream.latest_ns)) is not None:
            cut, end_ns = window
            self._at(end_ns).events += cut.tobytes()

    def _at(self, stamp_ns: int) -> Sample:
        return self._pending.setdefault(stamp_ns, Sample(stamp_ns))

    def _show(self) -> None:
        """Show the ticks whose commands have come or are late, in their order."""
        if not self._pending:
            return
        quiet = time.monotonic() - self._heard > LATE_S
        late = max(self._pending) - (0 if quiet else self._lateness_ns)
        # topics are taken one after the other: what led to a command may have come behind this look at its own topic
        due = max(late, self._commanded)
        self._commanded = max((stamp for stamp, sample in self._pending.items() if sample.output), default=-1)
        for stamp in sorted(stamp for stamp in self._pending if stamp <= due):
            sample = self._pending.pop(stamp)
            # what came after its tick was shown adds nothing; far back, it is a new episode
            behind = 0 <= self._screen.last_stamp_ns - stamp < EPISODE_GAP_NS
            if not behind and (sample.truth or not self._simulated):
                self._screen.add(sample)

    def _give(self, order: Order) -> None:
        """Keep an order for the thread that has the node."""
        if not self._simulated and order.do not in ("stop", "release"):
            raise ValueError("a real robot takes only the e-stop from here")
        self._orders.put(order)

    def _obey(self, order: Order) -> None:
        stamp = self._screen.last_stamp_ns
        if order.do == "stop":
            self._e_stop.publish(Bool(data=True))
        elif order.do == "push":
            push = WrenchStamped()
            push.header.frame_id = order.body
            push.wrench.force.x, push.wrench.force.y, push.wrench.force.z = order.impulse
            self._push.publish(push)
        elif order.do == "setpoint":
            self._setpoint.publish(to_joint_state(Quantities(stamp, (order.name,), np.array([order.value]))))
        elif order.do in ("pause", "go"):
            self._services["pause"].call_async(SetBool.Request(data=order.do == "pause"))
        else:
            self._services[order.do].call_async(Trigger.Request())

