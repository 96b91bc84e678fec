# SPDX-License-Identifier: Apache-2.0
"""The controller node: joint state and estimate of one stamp in, the network's command out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from ..checkpoint import check_fits
from ..control.files import controller_of, read_controller_file
from ..errors import GraphError, LiquidSpikeError
from ..joints import Merger, by_topic, setpoints_of
from ..loop import observation_for
from ..types import Quantities
from . import graph
from .convert import from_joint_state, to_joint_state
from .diagnostics import ERROR, WARN
from .graph_node import EPISODE_GAP_NS, GraphNode
from .interfaces import JOINT_STATE, Interfaces, rewards_of
from .process import run

#: Of ~/set_learning, so many are kept for the diagnostics.
MOST_CHANGES = 100


@dataclass
class Source:
    """One topic of readings.

    Attributes:
        topic: its name.
        interfaces: which numbers of its messages are read.
        recent: the last readings.
        merger: joins messages of which each holds some of the joints.
        default: the setpoints of the topic until one is given; None where it has readings. A setpoint holds until the
            next one, however old it is.
    """

    topic: str
    interfaces: Interfaces
    recent: deque[Quantities] = field(default_factory=lambda: deque(maxlen=16))
    merger: Merger = field(default_factory=Merger)
    default: Quantities | None = None

    def begin(self) -> None:
        """Forget the readings."""
        self.recent.clear()
        self.merger = Merger(self.default)
        if self.default is not None:
            self.recent.append(self.default)

    def take(self, readings: Quantities) -> Quantities | None:
        """Keep a message's readings; what is known with them, or None while something has never come."""
        if (whole := self.merger.add(readings)) is not None:
            self.recent.append(whole)
        return whole

    def at(self, stamp_ns: int, tolerance_ns: int) -> Quantities | None:
        """The readings nearest to a stamp; None where none is within the tolerance. The last setpoints."""
        if self.default is not None:
            return self.recent[-1]
        nearest = min(self.recent, key=lambda readings: abs(readings.stamp_ns - stamp_ns), default=None)
        return nearest if nearest is not None and abs(nearest.stamp_ns - stamp_ns) <= tolerance_ns else None


class ControllerNode(GraphNode):
    """Answers each estimate with a command of the same stamp, as soon as the joint state of that stamp is
    there. Where the controller learns while it runs, ~/set_learning turns that on and off,
    and ~/save_learnt writes what was learnt to the file of the parameter learnt_file, as deactivation does.

    With the parameter rewards it learns by those of the topic reward. In lock-step a command waits for the reward of
    its stamp; in real time it takes the latest that has come since the command before, if one has. What it took is
    published, with the stamp of the command, for a replay.
    """

    def __init__(self) -> None:
        super().__init__("controller")
        self._file = self.parameter("controller_model", "", "path of the controller file (.safetensors, .nir or .yaml)")
        self._backend = self.parameter(
            "spiking_backend", "loihi", "what runs the network of a spiking controller (.nir): loihi or float",
            choices=("loihi", "float"),
        )  # fmt: skip
        self._learns = self.parameter("learning", True, "whether a controller that can learn while it runs does")
        self._learnt_file = self.parameter(
            "learnt_file", "", "where ~/save_learnt and deactivation keep what was learnt (.safetensors)"
        )
        self._rewarded = self.parameter(
            "rewards", False, "learn by the topic reward: -1 to 1, the position of a joint of the command's name"
        )
        self._tolerance_s = self.parameter(
            "tolerance_s", Parameter.Type.DOUBLE,
            "how far a joint state's stamp may be from the estimate's [s]; 0: it must be the same", 0.0, 1.0,
        )  # fmt: skip
        self._period_s = self.parameter("period_s", 0.005, "control period of the robot [s]", 0.0001, 1.0)
        texts = Parameter.Type.STRING_ARRAY
        joints = graph.relative(graph.JOINT_STATES)
        self._topic = self.parameter("joint_topic", joints, "topic of the robot's own state")
        self._type = self.parameter("joint_type", JOINT_STATE, "type of those messages; any that carries a stamp")
        self._joint_names = self.parameter("joint_names", texts, "quantities read there, as the controller calls them")
        self._joint_units = self.parameter("joint_units", texts, "unit of each")
        self._joint_interfaces = self.parameter(
            "joint_interfaces", texts, "joint/field of each, or the path to a number of another message"
        )
        self._joint_topics = self.parameter("joint_topics", texts, "topic of each, where there are several")
        self._joint_types = self.parameter("joint_types", texts, "type of each, where there are several topics")
        self._setpoint_names = self.parameter("setpoint_names", texts, "setpoints among them")
        self._setpoint_defaults = self.parameter(
            "setpoint_defaults", Parameter.Type.DOUBLE_ARRAY,
            "value of each, which holds until one is given; not set: they come with the readings",
        )
        self._estimate_names = self.parameter("estimate_names", texts, "estimates of the perception")
        self._estimate_units = self.parameter("estimate_units", texts, "unit of each")
        self._command_names = self.parameter("command_names", texts, "commands of the robot")
        self._command_units = self.parameter("command_units", texts, "unit of each")

    def configure(self) -> None:
        """Read the file, check its inputs and outputs against the robot's, warm the kernels."""
        self.demand("command_names", "command_units", "tolerance_s")
        self._tolerance_ns = round(self._tolerance_s * 1e9)
        if self._estimate_names is None:
            self.demand("joint_names")
        if self._joint_names is not None:
            self.demand("joint_units", "joint_interfaces")
        if self._setpoint_defaults and len(self._setpoint_names or ()) != len(self._setpoint_defaults):
            raise GraphError("parameter setpoint_defaults: give one for each of setpoint_names")
        if self._estimate_names is not None:
            self.demand("estimate_units")
        for name in ("joint_names", "estimate_names", "command_names"):
            given = self.get_parameter(name).value or ()
            if len(set(given)) < len(given):
                raise GraphError(f"parameter {name}: {list(given)}; give none twice")
        file = read_controller_file(self._file)
        check_fits(
            file,
            observation_names=(*(self._joint_names or ()), *(self._estimate_names or ())),
            observation_units=(*(self._joint_units or ()), *(self._estimate_units or ())),
            command_names=self._command_names,
            command_units=self._command_units,
            period_s=self._period_s,
            setpoints=self._setpoint_names or (),
        )
        if ignored := [name for name in self._setpoint_names or () if name not in file.observation_names]:
            self.get_logger().warning(f"{file.source} does not follow these setpoints: {', '.join(ignored)}")
        self._controller = controller_of(file, self._backend, self._rewarded)
        self._judged: Any = self._controller if self._rewarded else None
        self._controller.warm()
        self._learner: Any = getattr(self._controller, "adaptation", None)
        if self._learner is not None:
            self._learner.learning = self._learns
        elif self._learnt_file:
            raise GraphError(f"parameter learnt_file: {file.source}: {graph.STILL}")
        self._to_learn: bool | None = None
        self._learning_changes: deque[str] = deque(maxlen=MOST_CHANGES)
        self.create_service(SetBool, "~/set_learning", self._on_set_learning)
        self.create_service(Trigger, "~/save_learnt", self._on_save_learnt)
        self._publisher = self.add_publisher(JointState, graph.relative(graph.COMMAND))
        self._sources = self._new_sources()
        self._pace = next((i for i, source in enumerate(self._sources) if source.default is None), -1)
        for number, source in enumerate(self._sources):
            take = partial(self._on_joints, number)
            needed = source.default is None  # a setpoint is optional
            self.add_subscription(
                source.interfaces.message_type, source.topic, take, from_robot=needed, optional=not needed
            )
        if self._estimate_names is not None:
            self.add_subscription(JointState, graph.relative(graph.ESTIMATE), self._on_estimate)
        if self._rewarded:
            self._rewards = rewards_of(self._controller.command_names)
            self._taken_publisher = self.add_publisher(JointState, graph.relative(graph.TAKEN_REWARD))
            reward, waits = graph.relative(graph.REWARD), self.mode == "lockstep"
            self.add_subscription(JointState, reward, self._on_reward, optional=not waits)

    def _new_sources(self) -> list[Source]:
        """The topics of the readings, each with the readings that it carries."""
        names = self._joint_names or ()
        topics = self._joint_topics or [self._topic] * len(names)
        types = self._joint_types or [self._type] * len(names)
        for name, given in (("joint_topics", topics), ("joint_types", types)):
            if len(given) != len(names):
                raise GraphError(f"parameter {name}: {list(given)}; give one for each of {', '.join(names)}")
        if self._joint_interfaces is not None and len(self._joint_interfaces) != len(names):
            # as one topic's, which names what is missing
            Interfaces(types[0], names, self._joint_interfaces, "joint")
        setpoints = self._setpoint_names or (), self._setpoint_defaults or ()
        return [
            Source(
                topic,
                Interfaces(kind, [names[i] for i in mine], [self._joint_interfaces[i] for i in mine], "joint"),
                default=setpoints_of([names[i] for i in mine], *setpoints),
            )
            for (topic, kind), mine in by_topic(topics, types).items()
        ]

    def activate(self) -> None:
        """Begin an episode."""
        for source in self._sources:
            source.begin()
        self._waiting: Quantities | None = None
        self._last_stamp_ns: int | None = None
        self._frozen = ""
        self._reward: Quantities | None = None

    def deactivate(self) -> None:
        """Report what was learnt, and keep it where a file is given."""
        if self._learner is None:
            return
        self.diagnostics.values |= self._learner.account()
        if self._learnt_file:
            try:
                self.diagnostics.values |= self._keep()
            except LiquidSpikeError as error:
                self.get_logger().error(f"parameter learnt_file: {error}")

    def _on_set_learning(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """Learn or not from the next command on."""
        response.success = self._learner is not None
        if response.success:
            self._to_learn = request.data
            response.message = f"learning {'on' if request.data else 'off'}, from the next command on"
        else:
            response.message = f"{self._file}: {graph.STILL}"
        return response

    def _on_save_learnt(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Write what was learnt so far; the next command waits for the disk."""
        if self._learner is None:
            response.message = f"{self._file}: {graph.STILL}"
        elif not self._learnt_file:
            response.message = "parameter learnt_file: not set; give the path of a file"
        else:
            try:
                saved = self._keep()["learnt_hash"]
                response.success, response.message = True, f"weights: {self._learnt_file}, weights_hash: '{saved}'"
            except LiquidSpikeError as error:
                response.message = str(error)
        return response

    def _keep(self) -> dict[str, str]:
        """Write what was learnt so far; returns the file and its hash."""
        from ..control.learnt_weights import kept

        return kept(Path(self._learnt_file), self._learner)

    def _change_learning(self, stamp: int) -> None:
        """Apply the request of ~/set_learning; the diagnostics record its stamp for a replay."""
        if self._to_learn is not None and self._learner is not None:
            self._learner.learning = self._to_learn
            self._learning_changes.append(f"{stamp}:{'on' if self._to_learn else 'off'}")
            self._to_learn = None

    def _on_joints(self, number: int, message: Any) -> None:
        source = self._sources[number]
        readings = source.interfaces.read(message)
        if readings is None:
            self.diagnostics.count("of_other_joints")
            return
        if (readings := source.take(readings)) is None:
            return
        if source.default is not None:
            return  # the next observation has it
        if self._estimate_names is None and number == self._pace:
            # without a perception the first source of readings sets the pace
            self._take(Quantities(readings.stamp_ns, (), np.empty(0)))
        elif self._waiting is not None:
            self._decide(self._waiting)

    def _on_reward(self, message: JointState) -> None:
        if (rewards := self._rewards.read(message)) is None:
            self.diagnostics.count("of_other_commands")
            return
        self._reward = rewards
        if self._waiting is not None and self.mode == "lockstep":
            self._decide(self._waiting)

    def _on_estimate(self, message: JointState) -> None:
        self._take(from_joint_state(message, tuple(self._estimate_names)))

    def _take(self, estimate: Quantities) -> None:
        if self._waiting is not None:
            self.diagnostics.count("unanswered")
            self.diagnostics.complain(WARN, self._why_unanswered(self._waiting.stamp_ns))
        self._decide(estimate)

    def _why_unanswered(self, stamp: int) -> str:
        """Return why an estimate has no readings of its stamp."""
        missing_from = [source for source in self._sources if source.at(stamp, self._tolerance_ns) is None]
        if not missing_from:
            return f"{graph.REWARD}: no reward has come with the estimate's stamp"
        source = missing_from[0]
        if not source.recent:
            missing = ", ".join(source.merger.missing(source.interfaces.names))
            return f"{source.topic}: no message has contained {missing}"
        nearest = min((readings.stamp_ns for readings in source.recent), key=lambda at: abs(at - stamp))
        if nearest == 0:
            return f"{source.topic}: its stamps are 0; let the robot's driver stamp its messages"
        offset_ms, tolerance_ms = (nearest - stamp) / 1e6, self._tolerance_ns / 1e6
        return (
            f"{source.topic}: the stamp nearest to the estimate's is {offset_ms:+.1f} ms off, tolerance_s allows"
            f" {tolerance_ms:g} ms; have both the same clock?"
        )

    def _decide(self, estimate: Quantities) -> None:
        stamp = estimate.stamp_ns
        found = [source.at(stamp, self._tolerance_ns) for source in self._sources]
        readings = [quantities for quantities in found if quantities is not None]
        if len(readings) < len(found) or self._awaits_reward(stamp):
            self._waiting = estimate
            self.diagnostics.count("waited")
            return
        self._waiting = None
        observation = observation_for(self._controller.observation_names, *readings, estimate)
        poisoned = self._controller.poisoned
        elapsed_s = self._elapsed_s(stamp)
        self._change_learning(stamp)
        taken, self._reward = self._reward, None
        if taken is not None:
            self._judged.judge(taken.values)
        command = self._controller.step(observation, elapsed_s)
        if self._controller.poisoned > poisoned:
            named = zip(self._controller.observation_names, observation, strict=True)
            broken = ", ".join(name for name, value in named if not np.isfinite(value)) or "the controller's state"
            self.diagnostics.complain(ERROR, f"{broken} was not finite: state reset, command withheld")
        if self._learner is not None and self._learner.frozen != self._frozen:
            self._frozen = self._learner.frozen
            if self._frozen:
                remedy = "what was learnt before stays; ~/set_learning lets it learn again"
                broken = self._without_reward(taken)
                self.diagnostics.complain(ERROR, f"learning has frozen itself: {self._frozen}{broken}; {remedy}")
        names = self._controller.command_names
        self._publisher.publish(to_joint_state(Quantities(stamp, names, command)))
        if taken is not None:
            self._taken_publisher.publish(self._rewards.write(stamp, taken.values))
        self.diagnostics.count("commands")
        self.answered(stamp)

    def _without_reward(self, taken: Quantities | None) -> str:
        """Names of the learnt commands whose reward is missing or not finite, in brackets; empty if none is."""
        if taken is None:
            return ""
        named = zip(taken.names, taken.values, strict=True)
        broken = [name for name, value in named if name in self._judged.learnt_names and not np.isfinite(value)]
        return f" ({', '.join(broken)})" if broken else ""

    def _awaits_reward(self, stamp: int) -> bool:
        """Whether the reward that belongs to a stamp is still to come: in lock-step the bytes are always the same."""
        if not self._rewarded or self.mode != "lockstep":
            return False
        return self._reward is None or self._reward.stamp_ns != stamp

    def _elapsed_s(self, stamp: int) -> float:
        last, self._last_stamp_ns = self._last_stamp_ns, stamp
        if last is None or not 0 <= stamp - last <= EPISODE_GAP_NS:
            self._controller.reset()
            self.diagnostics.count("episodes")
            return self._controller.nominal_period_s
        return (stamp - last) * 1e-9

    def diagnose(self) -> None:
        """Report steps with values that were not finite or out of range."""
        if not self.active:
            return
        self.diagnostics.values |= {"poisoned": self._controller.poisoned, "clamped": self._controller.clamped}
        if self._learner is not None:
            self.diagnostics.values |= self._learner.account()
            self.diagnostics.values["learning_changes"] = " ".join(self._learning_changes)


def main() -> None:
    """Run the node."""
    run(ControllerNode)


if __name__ == "__main__":
    main()
