# SPDX-License-Identifier: Apache-2.0
"""A bag through the same models in this process: are the commands the recorded ones, byte for byte?

Events go through perception and emulator, the estimates with the recorded joint states through the controller, the
commands through the gate. What the graph did not answer, because a message was lost or dropped on its way, is not
given to the next stage either: so the state of each stage follows the node's, and every message that the bag does hold
can be told to the last bit. In lock-step nothing may be lost, and a missing answer is a difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..assembly import new_backend, pencil_limits, read_pencil_controller, read_pencil_perception
from ..control.gate import GateLimits
from ..errors import ModelError, TaskError
from ..joints import to_ns
from ..liquid.controller import LiquidController
from ..perception import Perception
from ..sim.tasks import task_by_name
from ..types import Quantities
from .bag import Bag
from .chain import ControllerReplay, PerceptionReplay
from .comparison import Comparison
from .contents import Contents, Topics, digest, event_packets, read_contents
from .gate_replay import GateReplay
from .mcap_file import file_hash

#: Joint states that are tried for a command, where the tolerance leaves a choice.
CANDIDATES = 4


@dataclass
class Replay:
    """The outcome.

    Attributes:
        path: of the bag.
        strict: whether it was held to lock-step's rules.
        comparisons: one a topic, in the direction of the data.
        contents: what the bag holds.
        estimates, commands: replayed, by stamp [ns].
        notes: what bears on the outcome.
    """

    path: Path
    strict: bool
    contents: Contents
    comparisons: list[Comparison] = field(default_factory=list)
    estimates: dict[int, Quantities] = field(default_factory=dict)
    commands: dict[int, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Whether no message differs."""
        return not any(comparison.differing for comparison in self.comparisons)


def replay(
    path: Path,
    perception_model: Path,
    controller_model: Path,
    topics: Topics,
    mode: str | None = None,
    other_models: bool = False,
    stages: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Replay:
    """Replay a bag of the pencil's graph.

    Args:
        path: of the bag.
        perception_model, controller_model: their files.
        topics: where the messages are.
        mode: "lockstep" or "realtime"; as the bag tells if not given, or else realtime.
        other_models: replay although the models' hashes are not those of the bag.
        stages: give each stage what the bag holds, not what the stage before it made in the replay; so a difference
            stays where it arises.
        progress: is called with the packets that are done, and all of them.

    Raises:
        TaskError: there is no such bag, or nothing in it to replay.
        ModelError: a model is damaged, or is not the one of the bag.
    """
    bag = Bag(path)
    contents = read_contents(bag, topics)
    if not contents.n_events or not contents.commands:
        empty = topics.command if contents.n_events else topics.events
        raise TaskError(f"{path}: nothing on {empty}; record that topic, or name the one that has it")
    model, notes = read_pencil_perception(perception_model), []
    if bag.cut:
        notes.append(f"cut: {bag.cut}; replayed up to there")
    notes += _check_models(contents, {"perception_model": perception_model, "controller_model": controller_model},
                           model.hash, other_models)  # fmt: skip
    controller = read_pencil_controller(controller_model, task_by_name("pencil"))
    strict = (mode or contents.parameter("gate", "mode")) == "lockstep"
    outcome = Replay(path, strict, contents, notes=notes)
    kind = contents.parameter("neuromorphic", "backend")
    with new_backend(model, "float" if kind == "float" else "loihi") as backend:
        _replay_perception(outcome, bag, topics, PerceptionReplay(Perception(model), backend), progress)
    _replay_controller(outcome, topics, controller, stages)
    commands = {c.quantities.stamp_ns: c.quantities.values for c in contents.commands} if stages else outcome.commands
    gate = GateReplay(_limits(contents, controller), strict)
    outcome.comparisons.append(gate.compare(contents, commands, topics.gated))
    return outcome


def _check_models(contents: Contents, files: dict[str, Path], network: str, other_models: bool) -> list[str]:
    """Compare the models' hashes with the bag's.

    Returns:
        What was found, where it is not as it should be.

    Raises:
        ModelError: a file is not the one of the bag, and ``other_models`` is not given.
    """
    found = []
    for name, path in files.items():
        if name not in contents.models:
            found.append(f"the bag does not tell the hash of its {name.replace('_', ' ')}")
        elif file_hash(path) != contents.models[name]:
            found.append(
                f"{path}: its hash is {file_hash(path)[:16]}, the bag was recorded with {contents.models[name][:16]}"
            )
    if contents.network and not network.startswith(contents.network):
        found.append(f"the network is {network[:16]}, the bag's spikes are of {contents.network}")
    wrong = [line for line in found if "does not tell" not in line]
    if wrong and not other_models:
        raise ModelError(f"{wrong[0]}; give --perception-model and --controller-model, or --other-models to go on")
    return found


def _limits(contents: Contents, controller: LiquidController) -> GateLimits:
    """The recorded gate's limits; the pencil's own where the bag does not tell."""
    own = pencil_limits(controller.command_limits)
    told = {name: contents.parameter("gate", name) for name in ("lower", "upper", "rate", "safe", "max_age_s")}
    if None in told.values():
        return own
    limit = controller.command_limits
    return GateLimits(
        own.names, np.maximum(told["lower"], -limit), np.minimum(told["upper"], limit), np.array(told["rate"]),
        round(told["max_age_s"] * 1e9), np.array(told["safe"]),
    )  # fmt: skip


def _replay_perception(
    outcome: Replay, bag: Bag, topics: Topics, perception: PerceptionReplay, progress: Callable[[int, int], None]
) -> None:
    contents = outcome.contents
    recorded = {e.quantities.stamp_ns: e.quantities for e in contents.estimates}
    answered = set(contents.spikes_in) or set(recorded)
    if not answered:
        outcome.notes.append("neither spikes nor estimates are in the bag: every packet counts as received")
    spikes_in, spikes_out = Comparison(topics.spikes_in), Comparison(topics.spikes_out)
    estimates = Comparison(topics.estimate)
    latest = max(answered, default=0)
    begun = False
    for number, packet in enumerate(event_packets(bag, topics)):
        progress(number + 1, contents.n_events)
        if number == 0 and packet.seq:
            outcome.notes.append(
                f"the bag begins in mid-run (packet {packet.seq}): the state of network and"
                " controller before it is unknown, and not forgotten to the last bit; --stages still checks the gate"
            )
        stamp = to_ns(packet.header.stamp)
        if answered and stamp not in answered:
            if outcome.strict and begun and stamp < latest:
                estimates.differs(stamp, "", "a packet of events that was not answered")
            else:
                estimates.unanswered += 1
            continue
        begun = True
        perceived = perception.perceive(packet)
        outcome.estimates[stamp] = perceived.estimate
        for account, held, data in (
            (spikes_in, contents.spikes_in, perceived.spikes_in),
            (spikes_out, contents.spikes_out, perceived.spikes_out),
        ):
            if stamp in held:
                account.compare(stamp, held[stamp], digest(data), ("other spikes", f"{len(data) // 8} spikes"))
        if stamp in recorded:
            told, made = recorded[stamp].values, perceived.estimate.values
            estimates.compare(stamp, told.tobytes(), made.tobytes(), (_text(told), _text(made)))
    outcome.comparisons += [c for c in (spikes_in, spikes_out) if c.identical or c.differing] + [estimates]


def _replay_controller(outcome: Replay, topics: Topics, controller: LiquidController, stages: bool) -> None:
    contents, account = outcome.contents, Comparison(topics.command)
    tolerance_ns = round((contents.parameter("controller", "tolerance_s") or 0.0) * 1e9)
    recorded_estimates = {e.quantities.stamp_ns: e.quantities for e in contents.estimates}
    stamps = np.array([j.quantities.stamp_ns for j in contents.joints], np.int64)
    order = np.argsort(stamps, kind="stable")
    stamps = stamps[order]
    stage, borrowed, without = ControllerReplay(controller), 0, 0
    answered = set()
    for command in contents.commands:
        stamp, values = command.quantities.stamp_ns, command.quantities.values
        answered.add(stamp)
        estimate = outcome.estimates.get(stamp)
        if stages or estimate is None:
            estimate = recorded_estimates.get(stamp, estimate)
            borrowed += not stages and estimate is not None
        begin = np.searchsorted(stamps, stamp - tolerance_ns)
        end = np.searchsorted(stamps, stamp + tolerance_ns, "right")
        there = [j for i in order[begin:end] if (j := contents.joints[i]).at_ns <= command.at_ns or tolerance_ns == 0]
        there.sort(key=lambda joints: abs(joints.quantities.stamp_ns - stamp))
        if estimate is None or not there:
            without += 1
            account.unanswered += 1
            outcome.commands[stamp] = values
            continue
        made = stage.command(estimate, [j.quantities for j in there[:CANDIDATES]], values.tobytes())
        outcome.commands[stamp] = made
        account.compare(stamp, values.tobytes(), made.tobytes(), (_text(values), _text(made)))
    if borrowed:
        outcome.notes.append(f"the events of {borrowed} commands are not in the bag: recorded estimates were taken")
    if without:
        outcome.notes.append(f"{without} commands have neither events nor estimate, or no joint state, in the bag")
    for stamp in outcome.estimates.keys() - answered:
        if outcome.strict and min(answered) < stamp < max(answered):
            account.differs(stamp, "", "an estimate that was not answered")
        else:
            account.unanswered += 1
    outcome.comparisons.append(account)


def _text(values: np.ndarray) -> str:
    return ", ".join(repr(value) for value in values.tolist())
