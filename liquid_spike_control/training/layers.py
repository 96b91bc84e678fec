# SPDX-License-Identifier: Apache-2.0
"""Train a layered spiking perception for any robot: surrogate gradients on recorded episodes, weights on Loihi's grid.

The episodes are the expert's in simulation (:mod:`.recorded_episodes`), or cut from bags (:mod:`.bag_episodes`).

Many episodes run side by side in random order; after every chunk the gradient is taken, truncated at its start, and the
state is carried on. Then the network runs on the Loihi emulator, and the readout is solved anew by least squares on the
spikes that it gives there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from ..errors import TaskError
from ..robot import Robot, names, scales, units
from ..spiking.layered_network import LayersState, TrainableLayers
from ..spiking.layers import LayeredNetwork, as_told
from ..spiking.nir_io import PerceptionModel, read_perception_model, write_perception_model
from ..spiking.readout import Readout
from .descent import cosine, pseudo_huber, set_rate
from .layer_pruning import LayerPruning, check_cores
from .readout_fit import FITTED, SETTLING_S, Accuracy, accuracy_of, solve_readout
from .recorded_episodes import EpisodeSet, RecordedEpisode, front_end_of
from .resume import read_checkpoint, write_checkpoint

#: Errors above so many times the allowed one count linearly.
KNEE = 3.0
#: Updates between two checkpoints.
CHECKPOINT_EVERY = 50
#: Episodes on which the readout of a half-trained network is solved.
HALF_FITTED = 24
#: Weight of the budget of synaptic operations in the loss.
BUDGET_WEIGHT = 0.5
#: Where compiled steps run.
PROCESSOR = torch.device("cpu")


def check_network(robot: Robot, network: LayeredNetwork) -> None:
    """Check that a network fits a robot.

    Raises:
        TaskError: the robot has no estimates, or a parameter does not fit it.
    """
    if not robot.estimates:
        raise TaskError(f"{robot.source}: estimates: none; add cameras and what is to be estimated from their events")
    known = names(robot.estimates)
    for field in ("mirror_columns", "mirror_rows"):
        for name in getattr(network.training, field) or {}:
            if name not in known:
                raise TaskError(f"training.{field}: '{name}'; name one of the estimates: {', '.join(known)}")
    _, (_, height) = front_end_of(robot)
    if height % network.row_group:
        raise TaskError(f"row_group: {network.row_group}; give a divisor of the picture's height, {height}")


class Streams:
    """Recorded episodes side by side, each begun anew as another when it ends.

    Args:
        episodes: from which they are drawn.
        network: its training says how they are varied.
        shape: of the input, ``(2, rows, columns)``.
        estimates: names, in order.
        target_scales: of the estimates.
        seed: of the order.
    """

    def __init__(
        self, episodes: Sequence[RecordedEpisode], network: LayeredNetwork, shape: tuple[int, int, int],
        estimates: Sequence[str], target_scales: np.ndarray, seed: int,
    ) -> None:  # fmt: skip
        self._episodes, self._shape, self._scales = episodes, shape, target_scales
        self._training = network.training
        self._per_tick = episodes[0].steps_per_tick
        tick_s = self._per_tick * network.step_s
        self.ticks = max(1, round(network.training.chunk_s / tick_s))
        self._settling = math.ceil(SETTLING_S / tick_s)
        self._mirrors = [
            None if given is None else np.array([given.get(name, 1.0) for name in estimates])
            for given in (network.training.mirror_columns, network.training.mirror_rows)
        ]
        self._rng = np.random.default_rng([seed, 11])
        #: Episode, tick, and whether columns, rows and polarities are swapped, of each stream.
        self.places = [self._new() for _ in range(network.training.streams)]
        for place in self.places:  # they do not all begin at once
            place[1] = int(self._rng.integers(max(1, len(episodes[place[0]].truth) - self.ticks)))

    def _new(self) -> list[int]:
        swaps = [self._mirrors[0] is not None, self._mirrors[1] is not None, self._training.swap_polarity]
        drawn, number = self._rng.integers(2, size=3), int(self._rng.integers(len(self._episodes)))
        return [number, 0, *(int(may and drawn[k]) for k, may in enumerate(swaps))]

    def chunk(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
        """The next chunk.

        Returns:
            Input spikes, float32 ``(B, T, 2, rows, columns)``; truths in their scales ``(B, ticks, n)`` and their
            weights ``(B, ticks)``; and which streams begin an episode after it.
        """
        n, ticks, per = len(self.places), self.ticks, self._per_tick
        x = np.zeros((n, ticks * per, *self._shape), np.float32)
        truth, weight = np.zeros((n, ticks, len(self._scales)), np.float32), np.zeros((n, ticks), np.float32)
        over = []
        for b, place in enumerate(self.places):
            number, tick, columns, rows, polarity = place
            episode = self._episodes[number]
            end = min(tick + ticks, len(episode.truth))
            first, last = tick * per, end * per
            indptr = episode.spikes.indptr[first : last + 1]
            steps = np.repeat(np.arange(last - first), np.diff(indptr))
            own = x[b].reshape(ticks * per, -1)
            own[steps, episode.spikes.ids[indptr[0] : indptr[-1]]] = 1
            sign = np.ones(len(self._scales))
            for axis, (swapped, mirror) in enumerate(((columns, self._mirrors[0]), (rows, self._mirrors[1]))):
                if swapped and mirror is not None:
                    x[b] = np.flip(x[b], 3 - axis)
                    sign = sign * mirror
            if polarity:
                x[b] = np.flip(x[b], 1)
            truth[b, : end - tick] = episode.truth[tick:end] * sign / self._scales
            weight[b, : end - tick] = np.arange(tick, end) >= self._settling
            place[1] = end
            if end == len(episode.truth):
                over.append(b)
                self.places[b] = self._new()
        return x, truth, weight, over


class LayersTrainer:
    """Trains a network; :meth:`update` as often as its description says, then :meth:`finish`.

    Args:
        robot: with cameras and estimates.
        network: the description.
        seed: of the network and of the order of the episodes.
        episodes: to learn from, and held out.
        device: that gradients are computed on; by default the processor, by compiled steps.

    Raises:
        TaskError: the robot has no estimates, the network does not fit it, a budget cannot be met, or no events come.
    """

    def __init__(
        self, robot: Robot, network: LayeredNetwork, seed: int, episodes: EpisodeSet, device: torch.device = PROCESSOR
    ) -> None:
        check_network(robot, network)
        self.robot, self.network, self._seed, self._source = robot, network, seed, episodes.source
        _, (width, height) = front_end_of(robot)
        self.held_out = episodes.held_out
        self.episodes = [episode for episode in episodes.training if len(episode.truth) > 1]
        if not any(len(episode.spikes.ids) for episode in self.episodes):
            raise TaskError(f"{episodes.name}: cameras: they gave no event; does the camera see what moves?")
        torch.manual_seed(seed)
        self.scales = scales(robot.estimates)
        self.net = TrainableLayers(network, width, height, len(self.scales), seed)
        self.streams = Streams(
            self.episodes, network, self.net.shapes[0], names(robot.estimates), self.scales, seed
        )
        self.net.calibrate(torch.from_numpy(self.streams.chunk()[0]))
        self._check_budget()
        check_cores(network, width, height)
        #: Channels of each layer that the network has, where some were left out.
        self._kept: list[np.ndarray] | None = None
        self._begin_with(self.net.on(device))
        self.done = 0
        #: Hash of the half-trained network that on-policy episodes were driven by; empty before there are any.
        self.driven_by = ""

    def _begin_with(self, net: TrainableLayers) -> None:
        """Train this network from now on."""
        training, self.net = self.network.training, net
        self._pruning = LayerPruning(net, training.updates)
        self._state = net.initial_state(training.streams)
        self._optimiser = torch.optim.Adam(net.parameters(), lr=training.learning_rate, betas=(0.9, 0.99))

    @property
    def wants_own(self) -> bool:
        """Whether it is time for episodes that the network itself has driven, see :meth:`half`."""
        training = self.network.training
        return bool(training.on_policy) and not self.driven_by and self.done >= training.updates // 2

    def half(self, folder: Path, command: str) -> PerceptionModel:
        """Write the network as it is now, its readout solved, into a folder under its hash, to drive with."""
        path = folder / "half.nir"
        model = self.write(path, command)
        readout = solve_readout(model, self.robot, self.network.training, self.episodes[:HALF_FITTED])
        model = self.write(path, command, readout)
        path.rename(folder / f"{model.hash}.nir")
        return model

    def learn_from(self, own: Sequence[RecordedEpisode], driven_by: str) -> None:
        """Learn from these episodes, too, as new ones begin.

        Args:
            own: episodes that the network has driven.
            driven_by: hash of that network.
        """
        self.episodes += [episode for episode in own if len(episode.truth) > 1]
        self.driven_by = driven_by

    def _check_budget(self) -> None:
        """Refuse a budget that the events of the recorded episodes exceed in the first layer alone, or where that is
        pruned, with one synapse each.
        """
        budget = self.network.operations_per_s
        events = sum(len(e.spikes.ids) for e in self.episodes)
        rate = events / (sum(len(e.truth) for e in self.episodes) * self.robot.period_s)
        pruned = self.network.training.prune is not None
        least = rate if pruned else rate * self.net.fan_out(0)
        if budget is not None and pruned and least > budget:
            raise TaskError(f"operations_per_s: {budget:g}: there are {rate:.3g} input spikes/s; give more")
        if budget is not None and least > budget:
            found = f"{rate:.3g} input spikes/s cost {least:.3g} in the first layer alone"
            raise TaskError(f"operations_per_s: {budget:g}: {found}; give more, or the layer fewer channels and delays")

    def update(self) -> dict[str, float]:
        """One chunk of all streams and one step of the optimiser; returns figures worth logging.

        Raises:
            TaskError: channels are to be left out, and the network does not fit its cores with one a layer.
        """
        if self._pruning.begins(self.done) and self._kept is None:
            self._kept, rates = self._pruning.chosen(), self._pruning
            self._begin_with(self.net.of_channels(self._kept))
            self._pruning.take_over(rates, self._kept)
        training, net = self.network.training, self.net
        warm = min(1.0, (self.done + 1) / 30)
        set_rate(self._optimiser, training.learning_rate * cosine(self.done / training.updates) * warm)
        *arrays, over = self.streams.chunk()
        x, target, weight = (torch.from_numpy(array).to(net.offset.device) for array in arrays)
        total, loss, operations, squares, spikes = self._loss(x, target, weight[..., None])
        self._optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        self._optimiser.step()
        self._pruning.observe(spikes)
        self._pruning.lessen(self.done + 1)
        for b in over:
            self._state.forget(b)
        self.done += 1
        rms = torch.sqrt(squares).cpu().numpy() * self.scales
        figures = {"loss": float(loss.detach()), "operations_per_s": float(operations.detach())}
        return figures | dict(zip(names(self.robot.estimates), rms.tolist(), strict=True))

    def _loss(self, x: Tensor, target: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor]]:
        """What the optimiser lessens, the part of it that is the estimates', the synaptic operations a second, the mean
        squares of errors, and all spikes.
        """
        training = self.network.training
        per_tick = x.shape[1] // target.shape[1]
        estimates, spikes = self.net(x, self._state)
        error = estimates[:, per_tick - 1 :: per_tick] - target
        allowed = training.floor + training.fraction * target.abs()
        scaled = pseudo_huber(error / allowed, KNEE)
        loss = (scaled * counts).sum() / counts.sum().clamp(min=1) / len(self.scales)
        operations = self.net.operations(spikes) / (len(x) * x.shape[1] * self.network.step_s)
        total = loss
        if self.network.operations_per_s and training.prune is None:
            total = total + BUDGET_WEIGHT * torch.relu(operations / self.network.operations_per_s - 1)
        squares = (error.detach() ** 2 * counts).sum((0, 1)) / counts.sum().clamp(min=1)
        return total, loss, operations, squares, spikes

    # a training that was interrupted

    def _recipe(self) -> dict[str, Any]:
        network = msgspec.json.decode(msgspec.json.encode(as_told(self.network)))
        return {"robot": self.robot.name, "network": network, "seed": self._seed, "episodes": self._source}

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        state = self._state
        write_checkpoint(path, self._recipe(), {
            "network": self.net.state_dict(), "optimiser": self._optimiser.state_dict(), "done": self.done,
            "thresholds": self.net.thresholds, "places": self.streams.places,
            "order": self.streams._rng.bit_generator.state, "before": state.before, "traces": state.traces,
            "neurons": state.neurons, "driven_by": self.driven_by, "pruning": self._pruning.state(),
            "kept": None if self._kept is None else [mine.tolist() for mine in self._kept],
        })  # fmt: skip

    def restore(self, path: Path, own: Callable[[str], Sequence[RecordedEpisode]] = lambda driven_by: ()) -> None:
        """Go on from a checkpoint; ``own`` gives the episodes that the network of a hash has driven.

        Raises:
            TaskError: the file is damaged, or of another training.
        """
        state = read_checkpoint(path, self._recipe())
        if state.get("kept") is not None:
            self._kept = [np.array(mine) for mine in state["kept"]]
            self._begin_with(self.net.of_channels(self._kept))
        if "pruning" in state:
            self._pruning.restore(state["pruning"])
        self.net.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.done, self.net.thresholds, self.streams.places = state["done"], state["thresholds"], state["places"]
        self.streams._rng.bit_generator.state = state["order"]
        device = self.net.offset.device
        neurons = [[part.to(device) for part in layer] for layer in state["neurons"]]
        self._state = LayersState([part.to(device) for part in state["before"]], neurons, state["traces"].to(device))
        if driven_by := state.get("driven_by", ""):
            self.learn_from(own(driven_by), driven_by)

    # the end of it

    def write(self, path: Path, command: str, readout: Readout | None = None) -> PerceptionModel:
        """Write the network, with the trained readout or another one; returns it as it reads back."""
        _, (width, height) = front_end_of(self.robot)
        metadata = {
            "task": self.robot.name,
            "feature_names": list(names(self.robot.estimates)),
            "feature_units": list(units(self.robot.estimates)),
            "input_encoding": {"width": width, "height": height, "row_group": self.network.row_group},
            "camera": [msgspec.to_builtins(camera.model) for camera in self.robot.cameras],
            "weight_scale": self.net.weight_scale(),
            "training_command": command,
            **self._source,
            "training": {"network": as_told(self.network), "seed": self._seed},
        }
        readout = readout or self.net.to_readout(self.scales)
        write_perception_model(path, self.net.graph(), readout, metadata, dt=self.network.step_s)
        return read_perception_model(path)

    def finish(self, path: Path, command: str, progress: Callable[[float], None] = lambda part: None) -> Accuracy:
        """Solve the readout on the emulator's spikes, write the model, and measure it on the held-out episodes."""
        model = self.write(path, command)
        fitted = self.episodes[:FITTED]
        total = len(fitted) + 2 * len(self.held_out)
        readout = solve_readout(model, self.robot, self.network.training, fitted, lambda n: progress(n / total))
        model = self.write(path, command, readout)
        return accuracy_of(model, self.robot, self.held_out, lambda n: progress((len(fitted) + n) / total))
