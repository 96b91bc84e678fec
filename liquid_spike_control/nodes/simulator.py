# SPDX-License-Identifier: Apache-2.0
"""The simulator node: the world, its clock and its sensors, in lock-step with the graph or at wall-clock
pace.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from event_camera_msgs.msg import EventPacket
from geometry_msgs.msg import WrenchStamped
from rclpy.executors import Executor
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from ..errors import GraphError, LiquidSpikeError
from ..joints import by_topic
from ..robot import Robot, names
from ..robot_file import read_robot
from ..types import Quantities
from . import graph
from .convert import SECOND_NS, to_joint_state, to_packet, to_time
from .diagnostics import ERROR, WARN, read_status
from .graph_node import GraphNode
from .interfaces import JOINT_STATE, Interfaces, rewards_of
from .process import run

#: In the order of the data: node, and the value of its diagnostics that holds the last stamp it answered.
CHAIN = (
    ("perception", "encoded_ns"),
    ("neuromorphic", "answered_ns"),
    ("perception", "answered_ns"),
    ("controller", "answered_ns"),
    ("gate", "answered_ns"),
)
#: Time between the last stamp of an episode and the first of the next; the nodes take such a jump as a new
#: episode.
EPISODE_PAUSE_NS = SECOND_NS
#: Stamps whose time of publication is remembered, to measure late commands too.
LATEST = 64
#: What the simulator makes up when it is late; beyond that the world slows down, or the other nodes would have less
#: than a period for each command [ns].
CATCH_UP_NS = 1_000_000
#: The world waits for the command of the period before, so that packets do not queue up in a graph that is short of
#: processor time: at most so long [ns], and not again until commands come. A graph that is dead does not hold it up.
COMMAND_WAIT_NS = 250_000_000
#: Most callbacks between two steps of the world: a flood of messages does not stop it.
MOST_CALLBACKS = 16
#: A real-time factor is taken over at least so much of the wall clock [s], and below this one is a warning.
FACTOR_PERIOD_S, SLOW = 0.25, 0.95
#: In real time a world without a camera moves in steps of about this length [s].
STEP_S = 0.001


class SimulatorNode(GraphNode):
    """Publishes what is sensed at ``t_k``, takes the command stamped ``t_k``, and moves the world to
    ``t_{k+1}``.

    In lock-step it waits for that command, and ends with an error that names the silent stage when it does
    not come within ``answer_timeout_s``. In real time the world moves with the steady clock, a millisecond at a
    time, and each step takes the latest command: the graph works while the next pictures are rendered. A command
    that comes later than one period after its sensing was published is a deadline miss; the last one holds until
    it is ``command_timeout_s`` old, then the robot gets its safe command. Where the machine is busy, so
    that this process is late or commands are behind by more than a period, the world slows down: its real-time factor
    falls below 1, and no period is cut short. Services: ~/reset_world (a new episode, later in time), ~/set_pause,
    ~/step_simulation (one tick).
    """

    def __init__(self) -> None:
        super().__init__("simulator")
        self._source = self.parameter("robot", "", "path of the robot's description (robot.yaml)")
        self._settings = self.parameter("settings", "{}", "of its task, as a JSON object")
        self._duration_s = self.parameter(
            "duration_s", 0.0, "simulated time of an episode [s]; 0: the task's own", 0.0, 1e6
        )
        self._seed = self.parameter("seed", 0, "of the episode; ~/reset_world takes the next", 0, 2**31 - 1)
        gated = graph.relative(graph.GATED_COMMAND)
        self._topic = self.parameter("command_topic", gated, "where the gated commands come")
        self._type = self.parameter("command_type", JOINT_STATE, "type of those messages; one that carries a stamp")
        self._interfaces = self.parameter(
            "command_interfaces", Parameter.Type.STRING_ARRAY, "joint/field of each command, or the path to a number"
        )
        self._judges = self.parameter("rewards", False, "whether it publishes the task's reward of each command")
        self._answer_s = self.parameter("answer_timeout_s", 5.0, "lock-step: wait for a command [s]", 0.01, 600.0)
        timeout = self.parameter(
            "command_timeout_s", 0.1, "older than this, the safe command takes a command's place [s]", 0.001, 2.0
        )
        self._command_timeout_ns = round(timeout * 1e9)
        self._realtime = self.mode == "realtime"
        self._paused = self._finished = self._fresh = False
        self._received = 0

    def configure(self) -> None:
        """Make the world and draw its first picture, which takes the GL context up."""
        from ..events.codec import encode
        from ..sim.world import World
        from ..tasks.of_robot import task_of

        if not self._source:
            raise GraphError("parameter robot: not set; give the path of a robot.yaml")
        self._robot = robot = read_robot(self._source)
        self._encode = encode
        self._cameras = robot.cameras if robot.estimates else ()
        task = task_of(robot, self._duration_s or None, **_settings(self._settings))
        self._world = World(task, sighted=bool(self._cameras))
        self._safe = np.array([command.safe for command in robot.commands])
        self._nominal_ns = round(robot.period_s * 1e9)
        self._truth_names = (*names(robot.seen), *names(robot.estimates))
        self._world.reset(self._seed)
        for camera, events in zip(self._cameras, self._world.advance(self._safe).events, strict=False):
            self._encode(events, camera.encoding, 0)
        self._gated = Interfaces(self._type, names(robot.commands), self._interfaces or (), "command")
        self._clock_publisher = self.add_publisher(ClockMessage, graph.CLOCK)
        self._readings = [
            (self.add_publisher(interfaces.message_type, topic, subscribers=("controller",)), numbers, interfaces)
            for topic, numbers, interfaces in _by_topic(robot)
        ]
        self._events = [
            (self.add_publisher(EventPacket, camera.events_topic, subscribers=("perception",)), camera)
            for camera in self._cameras
        ]
        self._truth_publisher = self.add_publisher(JointState, graph.relative(graph.GROUND_TRUTH))
        self._pose_publisher = self.add_publisher(JointState, graph.relative(graph.POSE))
        if self._judges:
            task.reinforcement()  # one that has none says so
            self._rewards = rewards_of(names(robot.commands))
            self._reward_publisher = self.add_publisher(
                JointState, graph.relative(graph.REWARD), subscribers=("controller",)
            )
        self.add_subscription(self._gated.message_type, self._topic, self._on_command)
        self.add_subscription(WrenchStamped, graph.relative(graph.PUSH), self._on_push, optional=True)
        self.add_subscription(JointState, graph.relative(graph.SETPOINT), self._on_setpoint, optional=True)
        if not self._realtime:
            self.add_subscription(DiagnosticArray, graph.relative(graph.DIAGNOSTICS), self._on_diagnostics)
        self.create_service(Trigger, "~/reset_world", self._on_reset_world)
        self.create_service(SetBool, "~/set_pause", self._on_set_pause)
        self.create_service(Trigger, "~/step_simulation", self._on_step)

    def activate(self) -> None:
        """Begin the episode of the seed at 1 s: in ROS a stamp of 0 means that there is none."""
        self._seq = 0
        self._statuses: dict[str, dict[str, str]] = {}
        self._published: dict[int, int] = {}  # stamp to time, of what is not answered yet
        self._deadlines: dict[int, int] = {}  # the same, of what is not late yet
        self._begin(self._seed, SECOND_NS)

    def _begin(self, seed: int, start_ns: int) -> None:
        self._sensing = self._world.reset(seed, start_ns)
        self._finished = False
        self._steps_due = 0
        self._command, self._command_stamp_ns = self._safe, start_ns - self._world.last_period_ns
        self._reward = 0.0
        self._answered_ns = -1
        self._stopped, self._attended = False, True
        self._began = time.monotonic()
        self._deadlines.clear()
        self._factors_from = (self._began, 0.0)
        self._slowest: float | None = None
        self._fresh = True

    def _pace(self) -> None:
        """Tie the stamp of the sensing to the steady clock's now."""
        self._epoch_ns = time.monotonic_ns() - self._sensing.stamp_ns

    # the tick

    def work(self, executor: Executor) -> None:
        """One tick, or a rest where there is nothing to simulate."""
        if not self.active or self._finished or (self._paused and not self._steps_due):
            executor.spin_once(timeout_sec=0.1)
            return
        if self._fresh:
            self._fresh = False
            self._pace()
        stamp = self._sensing.stamp_ns
        self._publish_sensing()
        self.rest()  # the others have it now
        moved = self._run_period(executor, stamp) if self._realtime else self._await_answer(executor, stamp)
        if moved and self._at(stamp):
            self._sense()

    def _at(self, stamp: int) -> bool:
        """Whether the episode continues from ``stamp``: not deactivated, and not reset."""
        return self.active and self._sensing.stamp_ns == stamp

    def _run_period(self, executor: Executor, stamp: int) -> bool:
        """Move the world on by one period as the wall clock goes; False if the episode ended in between."""
        spent = 0
        for _ in range(self._world.begin_period(step_s=STEP_S)):
            self._wait_until_due(executor, stamp)
            if not self._at(stamp):
                return False
            began = time.perf_counter_ns()
            self._world.step(self._command)
            spent += time.perf_counter_ns() - began
        self.diagnostics.latency("work simulate").add(spent)
        self._wait_for_graph(executor, stamp)
        self.diagnostics.latency("late").add(self._wait_until_due(executor, stamp))
        self._look_at_deadlines()
        if stamp - self._command_stamp_ns > self._command_timeout_ns:
            self._command = self._safe
            self.diagnostics.complain(ERROR, "no command: the robot gets its safe one")
            if not self._stopped:
                self._stopped = True
                self.report()  # at once, also where it had stopped a moment ago
        return True

    def _wait_until_due(self, executor: Executor, stamp: int) -> int:
        """Take the commands that came, then rest until the wall clock is where the world is; returns how late it was
        [ns]. What cannot be made up is given up.
        """
        self._drain(executor)
        due = self._epoch_ns + self._world.now_ns
        while self._at(stamp) and (rest := due - time.monotonic_ns()) > 0:
            executor.spin_once(timeout_sec=rest * 1e-9)
        late = time.monotonic_ns() - due
        self._epoch_ns += max(0, late - CATCH_UP_NS)
        return late

    def _wait_for_graph(self, executor: Executor, stamp: int) -> None:
        """Hold the world while the command of the period before is still to come."""
        self._drain(executor)
        end = time.monotonic_ns() + COMMAND_WAIT_NS
        while self._attended and self._at(stamp) and self._command_stamp_ns < stamp - self._world.last_period_ns:
            if (rest := end - time.monotonic_ns()) <= 0:
                self._attended = False
                return
            executor.spin_once(timeout_sec=rest * 1e-9)

    def _drain(self, executor: Executor) -> None:
        """Run the callbacks that wait: of the commands that queue the newest counts, not the oldest."""
        for _ in range(MOST_CALLBACKS):
            received = self._received
            executor.spin_once(timeout_sec=0.0)
            if self._received == received:
                return

    def _look_at_deadlines(self) -> None:
        """Count the commands that did not come within a period of their sensing."""
        now = time.perf_counter_ns()
        for stamp in [stamp for stamp, due in self._deadlines.items() if due < now]:
            del self._deadlines[stamp]
            self.diagnostics.count("deadline_misses")

    def _sense(self) -> None:
        """End the tick: sense, and see whether the episode is over."""
        if self._realtime:
            self._sensing = self._world.sense()
        else:
            began = time.perf_counter_ns()
            self._sensing = self._world.advance(self._command)
            self.diagnostics.latency("work simulate").add(time.perf_counter_ns() - began)
        self.diagnostics.count("ticks")
        self._reward += self._world.task.reward
        self._steps_due = max(0, self._steps_due - 1)
        if self._world.over:
            self._finished = True
            self._wall_s = time.monotonic() - self._began
            self._log_outcome()
            self.report()

    def _log_outcome(self) -> None:
        outcome = "success" if self._world.task.success else "failure"
        elapsed_s = self._world.task.elapsed_s
        speed = elapsed_s / max(self._wall_s, 1e-9)
        self.get_logger().info(f"{outcome} after {elapsed_s:.2f} simulated seconds, {speed:.2f}x real time")

    def _await_answer(self, executor: Executor, stamp: int) -> bool:
        due = time.monotonic() + self._answer_s
        while self.active and self._answered_ns != stamp and self._sensing.stamp_ns == stamp:
            if time.monotonic() > due:
                self._finished = True
                silent = self._silent_stage(stamp)
                self.get_logger().error(f"lock-step: {silent} did not answer stamp {stamp} ns in {self._answer_s} s")
                self.diagnostics.values["silent"] = silent
                self.report()
                return False
            executor.spin_once(timeout_sec=0.1)
        return self._answered_ns == stamp

    # topics

    def _publish_sensing(self) -> None:
        sensing = self._sensing
        stamp, values = sensing.stamp_ns, sensing.readings.values
        base = stamp - self._world.last_period_ns
        packets = [
            to_packet(
                self._encode(events, camera.encoding, base), camera.encoding, stamp, base, camera.width, camera.height,
                self._seq,
            )
            for camera, events in zip(self._cameras, sensing.events, strict=False)
        ]  # fmt: skip
        readings = [interfaces.write(stamp, values[numbers]) for _, numbers, interfaces in self._readings]
        now = self._published[stamp] = time.perf_counter_ns()
        if self._realtime:
            self._deadlines[stamp] = now + self._nominal_ns
        if len(self._published) > LATEST:
            del self._published[next(iter(self._published))]
        self._clock_publisher.publish(ClockMessage(clock=to_time(stamp)))
        if self._judges:
            self._reward_publisher.publish(self._rewards.write(stamp, self._world.task.reinforcement()))
        for (publisher, *_), message in zip(self._readings, readings, strict=True):
            publisher.publish(message)
        for (publisher, _), packet in zip(self._events, packets, strict=True):
            publisher.publish(packet)
        self._seq += 1
        self.diagnostics.count("events", sum(map(len, sensing.events)))
        truth = np.concatenate([values, self._world.truth])
        self._truth_publisher.publish(to_joint_state(Quantities(stamp, self._truth_names, truth)))
        if self._pose_publisher.get_subscription_count():  # only for a subscriber that draws the scene
            self._pose_publisher.publish(to_joint_state(Quantities(stamp, (), self._world.task.pose())))

    def _on_command(self, message: Any) -> None:
        self._received += 1
        command = self._gated.read(message)
        if command is None or not np.isfinite(command.values).all():
            self.diagnostics.count("malformed")
            return
        if command.stamp_ns < self._command_stamp_ns:
            self.diagnostics.count("late_commands")
            return
        stamp = self._sensing.stamp_ns
        if (published := self._published.pop(command.stamp_ns, None)) is not None:
            now = time.perf_counter_ns()
            self.diagnostics.latency("sensing to command").add(now - published)
            if now > self._deadlines.pop(command.stamp_ns, now):
                self.diagnostics.count("deadline_misses")
        if command.stamp_ns < stamp:
            self.diagnostics.count("late_commands")
        self._command, self._command_stamp_ns = command.values, command.stamp_ns
        self._answered_ns = command.stamp_ns
        self._stopped, self._attended = False, True

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._statuses |= read_status(message)

    def _silent_stage(self, stamp: int) -> str:
        """Return the first node in the chain that did not report an answer to ``stamp``."""
        chain = CHAIN if self._cameras else CHAIN[-2:]
        for node, answer in chain:
            if node in self._statuses and self._statuses[node].get(answer) != str(stamp):
                return node
        return "no node"

    # services

    def _on_push(self, message: WrenchStamped) -> None:
        """Strike a body: frame_id is its name, the force an impulse in the world's frame [N s]."""
        force = message.wrench.force
        self._meddle(partial(self._world.task.push, message.header.frame_id, (force.x, force.y, force.z)))

    def _on_setpoint(self, message: JointState) -> None:
        """Give setpoints other values: each is the position of a joint of its name."""
        for name, value in zip(message.name, message.position, strict=False):
            self._meddle(partial(self._world.task.give_setpoint, name, value))

    def _meddle(self, act: Callable[[], None]) -> None:
        try:
            act()
        except LiquidSpikeError as error:
            self.diagnostics.count("malformed")
            self.get_logger().warning(str(error))

    def _on_reset_world(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if not self.active:
            response.message = "the simulator is not active"
            return response
        self._seed += 1
        self._begin(self._seed, self._world.now_ns + EPISODE_PAUSE_NS)
        response.success, response.message = True, f"episode of seed {self._seed}"
        return response

    def _on_set_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._paused = request.data
        self._fresh = True
        response.success, response.message = True, "paused" if request.data else "running"
        return response

    def _on_step(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self.active and self._paused
        response.message = "one tick" if response.success else "pause first: ~/set_pause"
        if response.success:
            self._steps_due += 1
            self._fresh = True
        return response

    def diagnose(self) -> None:
        """Report how the episode goes."""
        if not (self.active or self.diagnostics.counts):
            return
        task = self._world.task
        if not self._finished:
            self._wall_s = time.monotonic() - self._began
        self.diagnostics.values |= {
            "wall_s": f"{self._wall_s:.3f}",
            "seed": self._seed,
            "elapsed_s": f"{task.elapsed_s:.3f}",
            "duration_s": task.duration_s,
            "command": json.dumps(self._command.tolist()),
            "reward": f"{self._reward:.6g}",
            "paused": self._paused,
            "finished": self._finished,
            "failed": task.failed,
            "success": task.success,
        }
        if self._realtime:
            self._diagnose_factor(task.elapsed_s)

    def _diagnose_factor(self, elapsed_s: float) -> None:
        """Report how fast the world goes: over the time since the last look, and where it went slowest."""
        now, (began, elapsed_then_s) = time.monotonic(), self._factors_from
        if self._finished or self._paused or now - began < FACTOR_PERIOD_S:
            return
        factor = (elapsed_s - elapsed_then_s) / (now - began)
        self._factors_from = now, elapsed_s
        self._slowest = factor if self._slowest is None else min(factor, self._slowest)
        self.diagnostics.values |= {
            "real_time_factor": f"{factor:.3f}",
            "real_time_factor_least": f"{self._slowest:.3f}",
        }
        if factor < SLOW:
            self.diagnostics.complain(WARN, f"the machine is busy: the world runs at {factor:.2f} of real time")


def _by_topic(robot: Robot) -> list[tuple[str, list[int], Interfaces]]:
    """The topics of the readings and setpoints: name, which of them, and how they are written."""
    seen, places = robot.seen, robot.reading_places()
    grouped = by_topic([place.topic for place in places], [place.type for place in places])
    return [
        (topic, mine, Interfaces(kind, [seen[i].name for i in mine], [places[i].field for i in mine], "joint"))
        for (topic, kind), mine in grouped.items()
    ]


def _settings(text: str) -> dict[str, Any]:
    try:
        settings = json.loads(text)
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise GraphError(f"parameter settings: {text[:80]}; give a JSON object")
    return settings


def main() -> None:
    """Run the node."""
    run(SimulatorNode)


if __name__ == "__main__":
    main()
