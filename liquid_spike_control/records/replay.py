# SPDX-License-Identifier: Apache-2.0
"""Replay of a bag through the same models in this process, compared with the recorded messages byte for byte.

Events go through perception and emulator, the estimates with the recorded joint states through the controller, the
commands through the gate. In lock-step nothing may be lost: each stage is given what the stage before it made in the
replay, from the events to the robot's command, and a missing answer is a difference. In real time messages are lost or
dropped on their way, which no bag contains: each stage gets the recorded inputs of its node, and an input without an
answer counts as lost. So a stage's state follows the node's, and a difference appears at the stage that causes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..assembly import new_backend
from ..control.files import controller_of, read_controller_file
from ..errors import ModelError, TaskError
from ..events.filters import FrontEnd
from ..joints import MULTI_ARRAY, to_ns
from ..neuromorphic.backend import Backend
from ..perception import Perception
from ..robot import Robot
from ..robots.catalogue import robot_named
from ..spiking.nir_io import PerceptionModel, read_perception_model
from ..types import Quantities
from . import node_comparison as stages
from .bag import Bag
from .chain import ControllerReplay, EncoderReplay, NetworkReplay, ReadoutReplay
from .comparison import Comparison
from .contents import Contents, event_packets, read_contents
from .gate_replay import GateReplay
from .mcap_file import file_hash
from .setup import Description, Setup, Topics, read_description, setup_of

#: Where the perception cuts windows, a packet that it lost shows in so many of them at most: in its own, and until the
#: offset between the camera's clock and the robot's has settled again.
WINDOWS_A_PACKET = 10
Progress = Callable[[int, int], None]


@dataclass
class Replay:
    """The outcome.

    Attributes:
        path: of the bag.
        robot: whose graph it was.
        description, setup, contents: of the bag.
        comparisons: one a topic, in the direction of the data.
        estimates, commands: replayed, by stamp [ns].
        notes: what bears on the outcome.
    """

    path: Path
    robot: Robot
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
    perception_model: Path | None = None,
    controller_model: Path | None = None,
    topics: Topics = Topics(),  # noqa: B008 - frozen
    mode: str | None = None,
    other_models: bool = False,
    progress: Progress = lambda done, total: None,
    robot: Robot | None = None,
) -> Replay:
    """Replay a bag through the models and compare every message with the recorded one.

    Args:
        path: of the bag.
        perception_model, controller_model: model files; default: those that the bag names, if they still exist
            unchanged, or else the robot's.
        topics: of the messages; default: as in the bag or the robot's description.
        mode: "lockstep" or "realtime"; the bag's by default, or else realtime.
        other_models: replay although the models' hashes are not those of the bag.
        progress: called with the number of finished packets, and of all packets.
        robot: of the recorded graph, if the bag does not contain it; the simulated one of the bag, or the pencil.

    Returns:
        The comparisons by topic, notes, and the replayed contents.

    Raises:
        TaskError: there is no such bag, or it has nothing to replay.
        ModelError: a model is damaged, does not fit the bag, or is not the one of the bag.
    """
    bag = Bag(path)
    description = read_description(bag)
    robot = robot or recorded_robot(description)
    setup = setup_of(description, topics, mode, robot)
    contents = read_contents(bag, topics, setup)
    sighted = bool(setup.estimate_names)
    if (sighted and not contents.n_events) or not contents.commands:
        empty = topics.command if contents.n_events or not sighted else " and ".join(setup.events)
        raise TaskError(f"{path}: nothing on {empty}; record that topic, or name the one that has it")
    outcome = Replay(path, robot, description, setup, contents)
    if bag.cut:
        outcome.notes.append(f"cut: {bag.cut}; replayed up to there")

    files = {"controller_model": controller_model or own_model(description, "controller", robot)}
    file = read_controller_file(files["controller_model"])
    known = [(files["controller_model"], file.command_names, setup.command_names)]
    model = None
    if sighted:
        files["perception_model"] = perception_model or own_model(description, "perception", robot)
        model = read_perception_model(files["perception_model"])
        known.insert(0, (files["perception_model"], Perception(model).feature_names, setup.estimate_names))
    rewarded = bool(description.parameter("controller", "rewards", False))
    controller = controller_of(file, description.parameter("controller", "spiking_backend", "loihi"), rewarded)
    if rewarded and not contents.rewards:
        outcome.notes.append(f"nothing on {topics.rewards}: the rewards by which the controller learnt are unknown")
    if getattr(controller, "adaptation", None) is not None:
        controller.learning = bool(description.parameter("controller", "learning", True))  # type: ignore[union-attr]
    for source, found, expected in known:
        if found != expected:
            names = f"{', '.join(found)}, the bag has {', '.join(expected)}"
            raise ModelError(f"{source}: its outputs are {names}; give the model that was recorded")
    outcome.notes += _check_models(outcome, files, model.hash if model else "", other_models)

    if model is not None:
        with new_backend(model, "float" if setup.backend == "float" else "loihi") as backend:
            _replay_perception(outcome, topics, bag, model, backend, progress)
    else:  # the first source of readings sets the pace
        pace = [source for source, default in zip(contents.joints, setup.defaults, strict=True) if default is None][:1]
        stamps = [message.quantities.stamp_ns for source in pace for message in source]
        outcome.estimates = {stamp: Quantities(stamp, (), np.empty(0)) for stamp in stamps}
    account = Comparison(topics.command)
    estimates = outcome.estimates
    if contents.estimates and not setup.lockstep:
        estimates = {e.quantities.stamp_ns: e.quantities for e in contents.estimates}
    near = stages.Nearby(contents.joints, setup.tolerance_ns, setup.defaults)
    decider = ControllerReplay(controller, contents.learning, contents.rewards if rewarded else None)
    outcome.commands = stages.decide(estimates, near, decider, contents.commands, account, setup.lockstep)
    outcome.comparisons.append(account)
    commands = outcome.commands
    if not setup.lockstep:
        commands = {c.quantities.stamp_ns: c.quantities.values for c in contents.commands}
    limits, stamped = setup.limits_with(controller.command_limits), setup.gated_readings.kind != MULTI_ARRAY
    gate = GateReplay(limits, setup.lockstep, stamped)
    outcome.comparisons.append(gate.compare(contents, commands, setup.gated))
    return outcome


def own_model(description: Description, node: str, robot: Robot) -> Path:
    """The model that the bag names, if it is still there and the same, or else the robot's."""
    name = f"{node}_model"
    path = Path(description.parameter(node, name, ""))
    if path.is_file() and file_hash(path) == description.models.get(name):
        return path
    return robot.model(node)


def recorded_robot(description: Description) -> Robot:
    """The simulated robot of the bag, if its description is still there, or else the pencil."""
    path = Path(description.parameter("simulator", "robot", ""))
    return robot_named(path if path.is_file() and path.suffix == ".yaml" else "pencil")


def _check_models(outcome: Replay, files: dict[str, Path], network: str, other_models: bool) -> list[str]:
    """Compare the models' hashes with the bag's.

    Returns:
        What was found, where it is not as it should be.

    Raises:
        ModelError: a file is not the one of the bag, and ``other_models`` is not given.
    """
    recorded, unknown, wrong = outcome.description.models, [], []
    for name, path in files.items():
        sha = file_hash(path)
        if name not in recorded:
            unknown.append(f"the bag does not contain the hash of its {name.replace('_', ' ')}")
        elif sha != recorded[name]:
            wrong.append(f"{path}: its hash is {sha[:16]}, the bag was recorded with {recorded[name][:16]}")
    if network and not network.startswith(outcome.contents.network):
        wrong.append(f"the network is {network[:16]}, the bag's spikes are of {outcome.contents.network}")
    if wrong and not other_models:
        raise ModelError(f"{wrong[0]}; give --perception-model and --controller-model, or --other-models")
    return unknown + wrong


def _taken(
    outcome: Replay, bag: Bag, sizes: Sequence[tuple[int, int]], progress: Progress
) -> Iterator[tuple[int, Any]]:
    """Yield the packets of events that the perception took: those that it answered, if the bag has the answers.

    With a packet a window, an answer has the packet's stamp. Where the perception cuts windows of its own, they begin
    at the stamp of the first packet that it took, and every later one counts as taken.
    """
    contents, setup = outcome.contents, outcome.setup
    answered = {p.stamp_ns for p in contents.spikes_in} or {e.quantities.stamp_ns for e in contents.estimates}
    if not answered:
        outcome.notes.append("neither spikes nor estimates are in the bag: every packet counts as received")
    earliest, latest = min(answered, default=0), max(answered, default=0)
    account = Comparison(" and ".join(setup.events))
    begun = False
    for count, (camera, packet) in enumerate(event_packets(bag, setup.events), 1):
        progress(count, contents.n_events)
        stamp = to_ns(packet.header.stamp)
        if window := setup.window_ns:
            taken = begun or stamp >= earliest or (earliest - stamp) % window == 0
            late = stamp >= earliest
        else:
            taken = not answered or stamp in answered
            late = count == 1 and packet.seq > 0
        if not taken or (packet.width, packet.height) != sizes[camera]:
            if setup.lockstep and begun and stamp < latest:
                account.differs(stamp, "", "a packet of events that was not answered")
            else:
                account.unanswered += 1
            continue
        if late and not begun:
            outcome.notes.append(
                f"the bag begins in mid-run (packet {packet.seq}): the state of network and controller before it is"
                " unknown, and not forgotten to the last bit, so their outputs differ a little"
            )
        begun = True
        yield camera, packet
    if account.unanswered or account.differing:
        outcome.comparisons.insert(0, account)


def _replay_perception(
    outcome: Replay, topics: Topics, bag: Bag, model: PerceptionModel, backend: Backend, progress: Progress
) -> None:
    contents, setup = outcome.contents, outcome.setup
    perception = Perception(model, FrontEnd(setup.sensors) if setup.sensors else None)
    encoder = EncoderReplay(perception, setup.streams, setup.window_ns)
    accounts = [Comparison(topic) for topic in (topics.spikes_in, topics.spikes_out, topics.estimate)]
    taken = _taken(outcome, bag, [perception.picture] if len(setup.sizes) == 1 else setup.sizes, progress)
    made = stages.encode(taken, encoder, contents.spikes_in, accounts[0], setup.lockstep)
    if setup.window_ns and 0 < accounts[0].differing <= WINDOWS_A_PACKET * contents.dropped:
        outcome.notes.append(
            f"the perception lost or dropped {contents.dropped} packets of events, by its diagnostics, and a bag does"
            f" not contain which: {accounts[0].differing} packets of spikes were made without them"
        )
        accounts[0].excuse()
    offloaded = bool(contents.spikes_in or contents.spikes_out)
    network = NetworkReplay(backend, perception.step_ns, None if offloaded else encoder.begins)
    given = made if setup.lockstep else contents.spikes_in or made
    ran = stages.run(given, network, contents.spikes_out, accounts[1], setup.lockstep)
    readout = ReadoutReplay(Perception(model), model.readout.n_neurons, encoder.begins)
    given = ran if setup.lockstep else contents.spikes_out or ran
    outcome.estimates = stages.decode(given, readout, contents.estimates, accounts[2], setup.lockstep)
    outcome.comparisons += accounts if offloaded else accounts[2:]
