# SPDX-License-Identifier: Apache-2.0
"""A bag through the same models in this process: are the commands the recorded ones, byte for byte?

Events go through perception and emulator, the estimates with the recorded joint states through the controller, the
commands through the gate. What the graph did not answer, because a message was lost or dropped on its way, is not
given to the next stage either: so the state of each stage follows the node's, and every message that the bag does hold
can be told to the last bit. In lock-step nothing may be lost, and a missing answer is a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..assembly import new_backend
from ..checkpoint import read_controller
from ..errors import ModelError, TaskError
from ..joints import to_ns
from ..liquid.controller import LiquidController
from ..perception import Perception
from ..spiking.nir_io import read_perception_model
from ..types import Quantities
from .bag import Bag
from .chain import ControllerReplay, PerceptionReplay
from .comparison import Comparison
from .contents import Contents, Published, digest, event_packets, read_contents
from .gate_replay import GateReplay
from .mcap_file import file_hash
from .setup import Description, Setup, Topics, read_description, setup_of

#: Joint states that are tried for a command, where the tolerance leaves a choice.
CANDIDATES = 4
Progress = Callable[[int, int], None]


@dataclass
class Replay:
    """The outcome.

    Attributes:
        path: of the bag.
        description, setup, contents: what the bag tells and holds.
        comparisons: one a topic, in the direction of the data.
        estimates, commands: replayed, by stamp [ns].
        notes: what bears on the outcome.
    """

    path: Path
    description: Description
    setup: Setup
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
    progress: Progress = lambda done, total: None,
) -> Replay:
    """Replay a bag.

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
        ModelError: a model is damaged, does not fit the bag, or is not the one of the bag.
    """
    bag = Bag(path)
    description = read_description(bag)
    setup = setup_of(description, topics, mode)
    contents = read_contents(bag, topics, setup)
    if not contents.n_events or not contents.commands:
        empty = topics.command if contents.n_events else setup.events
        raise TaskError(f"{path}: nothing on {empty}; record that topic, or name the one that has it")
    outcome = Replay(path, description, setup, contents)
    if bag.cut:
        outcome.notes.append(f"cut: {bag.cut}; replayed up to there")

    model, file = read_perception_model(perception_model), read_controller(controller_model)
    perception, controller = Perception(model), LiquidController(file)
    for source, found, wanted in (
        (perception_model, perception.feature_names, setup.estimate_names),
        (controller_model, file.command_names, setup.command_names),
    ):
        if found != wanted:
            names = f"{', '.join(found)}, the bag has {', '.join(wanted)}"
            raise ModelError(f"{source}: it tells {names}; give the model that was recorded")
    files = {"perception_model": perception_model, "controller_model": controller_model}
    outcome.notes += _check_models(outcome, files, model.hash, other_models)

    with new_backend(model, "float" if setup.backend == "float" else "loihi") as backend:
        stage = PerceptionReplay(perception, backend, setup.sensor_clock, setup.window_ns)
        packets = _taken(outcome, bag, (perception.width, perception.height), progress)
        _replay_perception(outcome, topics, packets, stage)
    _replay_controller(outcome, topics, controller, stages)
    commands = {c.quantities.stamp_ns: c.quantities.values for c in contents.commands} if stages else outcome.commands
    gate = GateReplay(setup.limits_with(controller.command_limits), setup.lockstep)
    outcome.comparisons.append(gate.compare(contents, commands, setup.gated))
    return outcome


def _check_models(outcome: Replay, files: dict[str, Path], network: str, other_models: bool) -> list[str]:
    """Compare the models' hashes with the bag's.

    Returns:
        What was found, where it is not as it should be.

    Raises:
        ModelError: a file is not the one of the bag, and ``other_models`` is not given.
    """
    told, unknown, wrong = outcome.description.models, [], []
    for name, path in files.items():
        sha = file_hash(path)
        if name not in told:
            unknown.append(f"the bag does not tell the hash of its {name.replace('_', ' ')}")
        elif sha != told[name]:
            wrong.append(f"{path}: its hash is {sha[:16]}, the bag was recorded with {told[name][:16]}")
    if not network.startswith(outcome.contents.network):
        wrong.append(f"the network is {network[:16]}, the bag's spikes are of {outcome.contents.network}")
    if wrong and not other_models:
        raise ModelError(f"{wrong[0]}; give --perception-model and --controller-model, or --other-models to go on")
    return unknown + wrong


def _taken(outcome: Replay, bag: Bag, size: tuple[int, int], progress: Progress) -> Iterator[Any]:
    """The packets of events that the perception took: those that it answered, where the bag tells.

    With a packet a window, an answer has the packet's stamp. Where the perception cuts windows of its own, they begin
    at the stamp of the first packet that it took, and every later one counts as taken.
    """
    contents, setup = outcome.contents, outcome.setup
    answered = set(contents.spikes_in) or {e.quantities.stamp_ns for e in contents.estimates}
    if not answered:
        outcome.notes.append("neither spikes nor estimates are in the bag: every packet counts as received")
    earliest, latest = min(answered, default=0), max(answered, default=0)
    account = Comparison(outcome.setup.events)
    begun = False
    for number, packet in enumerate(event_packets(bag, setup.events)):
        progress(number + 1, contents.n_events)
        stamp = to_ns(packet.header.stamp)
        if window := setup.window_ns:
            taken = begun or stamp >= earliest or (earliest - stamp) % window == 0
            late = stamp >= earliest
        else:
            taken = not answered or stamp in answered
            late = number == 0 and packet.seq > 0
        if not taken or (packet.width, packet.height) != size:
            if setup.lockstep and begun and stamp < latest:
                account.differs(stamp, "", "a packet of events that was not answered")
            else:
                account.unanswered += 1
            continue
        if late and not begun:
            outcome.notes.append(
                f"the bag begins in mid-run (packet {packet.seq}): the state of network and controller before it is"
                " unknown, and not forgotten to the last bit; --stages still checks the gate"
            )
        begun = True
        yield packet
    if account.unanswered or account.differing:
        outcome.comparisons.insert(0, account)


def _replay_perception(
    outcome: Replay, topics: Topics, packets: Iterator[Any], stage: PerceptionReplay
) -> None:
    contents = outcome.contents
    recorded = {e.quantities.stamp_ns: e.quantities for e in contents.estimates}
    spikes_in, spikes_out = Comparison(topics.spikes_in), Comparison(topics.spikes_out)
    estimates = Comparison(topics.estimate)
    for packet in packets:
        perceived = stage.perceive(packet)
        if perceived is None:
            continue
        stamp = perceived.estimate.stamp_ns
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
        else:
            estimates.unanswered += 1
    for stamp in recorded.keys() - outcome.estimates.keys():
        estimates.differs(stamp, _text(recorded[stamp].values), "")
    outcome.comparisons += [c for c in (spikes_in, spikes_out) if c.identical or c.differing] + [estimates]


def _replay_controller(outcome: Replay, topics: Topics, controller: LiquidController, stages: bool) -> None:
    contents, account = outcome.contents, Comparison(topics.command)
    recorded_estimates = {e.quantities.stamp_ns: e.quantities for e in contents.estimates}
    near = _Nearby(contents.joints, outcome.setup.tolerance_ns)
    stage, borrowed, without = ControllerReplay(controller), 0, 0
    answered = set()
    for command in contents.commands:
        stamp, values = command.quantities.stamp_ns, command.quantities.values
        answered.add(stamp)
        estimate = outcome.estimates.get(stamp)
        if stages or estimate is None:
            estimate = recorded_estimates.get(stamp, estimate)
            borrowed += not stages and estimate is not None
        joints = near.to(stamp, command.at_ns)
        if estimate is None or not joints:
            without += 1
            account.unanswered += 1
            outcome.commands[stamp] = values
            continue
        made = stage.command(estimate, joints, values.tobytes())
        outcome.commands[stamp] = made
        account.compare(stamp, values.tobytes(), made.tobytes(), (_text(values), _text(made)))
    if borrowed:
        outcome.notes.append(f"the events of {borrowed} commands are not in the bag: recorded estimates were taken")
    if without:
        outcome.notes.append(f"{without} commands have neither events nor estimate, or no joint state, in the bag")
    for stamp in sorted(outcome.estimates.keys() - answered):
        if outcome.setup.lockstep and min(answered) < stamp < max(answered):
            account.differs(stamp, "", "an estimate that was not answered")
        else:
            account.unanswered += 1
    outcome.comparisons.append(account)


class _Nearby:
    """The joint states that the controller may have taken."""

    def __init__(self, joints: list[Published], tolerance_ns: int) -> None:
        self._joints = sorted(joints, key=lambda j: j.quantities.stamp_ns)
        self._stamps = np.array([j.quantities.stamp_ns for j in self._joints], np.int64)
        self._tolerance_ns = tolerance_ns

    def to(self, stamp_ns: int, before_ns: int) -> list[Quantities]:
        """Those within the tolerance of a stamp and published before a time [ns], the nearest first."""
        begin = np.searchsorted(self._stamps, stamp_ns - self._tolerance_ns)
        end = np.searchsorted(self._stamps, stamp_ns + self._tolerance_ns, "right")
        exact = not self._tolerance_ns  # then there is no choice, whatever the clocks of two machines say
        found = [j.quantities for j in self._joints[begin:end] if exact or j.at_ns <= before_ns]
        return sorted(found, key=lambda quantities: abs(quantities.stamp_ns - stamp_ns))[:CANDIDATES]


def _text(values: np.ndarray) -> str:
    return ", ".join(repr(value) for value in values.tolist())
