# SPDX-License-Identifier: Apache-2.0
"""Train the pencil's spiking perception: truncated backpropagation through time on pencils that run all the while.

Many pencils run at once and never stop (:mod:`.streams`). Each is balanced by LQR on a mixture of the truth and
the network's own estimate, so the network learns on the motion that its own errors cause. After every chunk of
80 ms the compiled backward pass gives the gradient, and the state is carried into the next chunk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..control.experts import pencil_lqr
from ..events.binning import SpikeBinner
from ..sim.plant import FORCE_LIMIT, PencilPlant
from ..sim.tasks import ESTIMATE_NAMES, ESTIMATE_UNITS, MILLISECOND_NS, PencilTask
from ..simulation import PENCIL_CAMERA
from ..spiking import bptt
from ..spiking.graph import CubaPopulation, Linear, SpikingGraph
from ..spiking.network import SpikingNetwork
from ..spiking.nir_io import write_perception_model
from ..spiking.readout import Readout
from .least_squares import ReadoutMoments
from .receptive_fields import oriented_bands
from .streams import PERCEPTION_SEEDS, PencilStream, PictureTable

#: The network's outputs are in these units [rad], [rad/s].
FEATURE_SCALES = np.array([0.1, 0.6], np.float32)
#: An error counts as large when it exceeds this ...
ERROR_FLOOR = np.array([0.0015, 0.03], np.float32)
#: ... plus this fraction of the true value; fast and wide motion may be estimated less exactly.
ERROR_FRACTION = 0.025
#: Errors above so many times that count linearly instead of by their square.
KNEE, REFINING_KNEE = 4.0, 12.0
#: The part of a stage in which synapses are taken away; after it what is none stays none, and the rest settle.
SHRUNK, PRUNED = (0.3, 0.7), (0.05, 0.5)
#: The part of the pruning after which its aim should be met; the remainder mends what rises again.
PRUNED_BY = 0.8
#: The readout is settled on these pushes [N s], the larger with less weight, ...
SETTLING_PUSHES = (0.0, 0.02, 0.02, 0.02, 0.02, 0.04, 0.06, 0.1)
#: ... with this much ridge.
RIDGE = 1e-3


@dataclass(frozen=True)
class PerceptionTraining:
    """What the training is made of; the defaults made the shipped model.

    Attributes:
        n_updates: optimiser steps of the first stage.
        n_refinements: further steps on short episodes.
        n_prunings: further steps in which the weakest synapses are pruned; as many refinements follow as before.
        n_streams: pencils at once.
        chunk_ms: length of the truncated backpropagation [ms]; a multiple of the control period.
        n_neurons: size of the population.
        half_width_px: half the width of a neuron's band of input synapses [pixels].
        row_group: rows of pixels that share an axon.
        amplitude: largest initial input weight, as a fraction of the threshold.
        threshold: the population's integer threshold.
        learning_rate: at the start; it falls to a twentieth along a cosine.
        settling_chunks: how long the pencils run on which the readout is solved at the end.
        operations_per_s: synaptic operations a second that the first stage aims at, over all its pushes: weights
            shrink the faster the more spikes they carry, until the aim is met.
        pruned_operations_per_s: the same for the pruning.
        n_variants: pole lengths and lamps in the table of pictures.
        pushes: impulses [N s] of the training tasks; repeated values are drawn more often.
        seed: of everything.
    """

    n_updates: int = 8000
    n_refinements: int = 1500
    n_prunings: int = 3000
    n_streams: int = 48
    chunk_ms: int = 80
    n_neurons: int = 224
    half_width_px: float = 6.0
    row_group: int = 4
    amplitude: float = 0.12
    threshold: int = 512
    learning_rate: float = 2e-3
    operations_per_s: float = 450e3
    pruned_operations_per_s: float = 240e3
    settling_chunks: int = 300
    n_variants: int = 10
    pushes: tuple[float, ...] = (0.0, 0.02, 0.02, 0.02, 0.04, 0.06, 0.08, 0.1, 0.11)
    seed: int = 1


@dataclass(frozen=True)
class Stage:
    """A part of the training, with optimiser and pencils of its own.

    Attributes:
        name: what is done.
        n_updates: optimiser steps.
        rate: the learning rate, as a part of the configuration's.
        short: episodes of 3.5 s, so that the network learns to find the pole sooner; else 20 s.
    """

    name: str
    n_updates: int
    rate: float
    short: bool


def stages(config: PerceptionTraining) -> tuple[Stage, ...]:
    """What is done, in order; at the end the readout is settled."""
    return (
        Stage("learning", config.n_updates, 1.0, short=False),
        Stage("refining", config.n_refinements, 0.3, short=True),
        Stage("pruning", config.n_prunings, 0.5, short=False),
        Stage("refining again", config.n_refinements, 0.15, short=True),
    )


class PerceptionTrainer:
    """Holds the streams, the network and the optimiser.

    For each of the :meth:`stages`: :meth:`begin`, and :meth:`update` ``n_updates`` times; then :meth:`settle`.

    Attributes:
        task_name, camera, error_floor, settling_pushes: what another task's trainer says instead.
    """

    task_name, camera, error_floor = "pencil", PENCIL_CAMERA, ERROR_FLOOR
    settling_pushes: tuple[float, ...] = SETTLING_PUSHES

    def __init__(self, config: PerceptionTraining, progress: Callable[[float], None] | None = None) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        self._prepare(progress)
        self._pressure, self._floor = 1e-3, 1.0 / config.threshold
        self._operations_per_s: float | None = None
        self._unpruned: float | None = None
        self._axon_rate = np.zeros(self.network.n_axons)
        self._spike_rate = np.zeros(config.n_neurons)
        # A third each: the network alone, the truth with a wandering error, and a mixture
        self._trust = np.resize([1.0, 0.0, 1.0, 0.5], config.n_streams)
        self._wander, self._wander_scale = np.zeros((config.n_streams, 2)), 1.0
        self.begin(self.stages()[0])

    def stages(self) -> tuple[Stage, ...]:
        """What is done, in order."""
        return stages(self.config)

    def _prepare(self, progress: Callable[[float], None] | None) -> None:
        """Pictures, a new network, and who drives."""
        task = PencilTask()
        self.table = PictureTable(task, self.camera, self.config.n_variants, self.config.seed, progress)
        self.network = _new_network(self.config)
        self._lqr = pencil_lqr(task)
        self._period_ms = round(task.period_s * 1e3)

    def _new_stream(self, pushes: Sequence[float], tilt: float, duration_s: float, binner: SpikeBinner,
                    seed: int) -> PencilStream:  # fmt: skip
        tasks = [PencilTask(push=push, tilt=tilt, duration_s=duration_s) for push in pushes]
        return PencilStream(self.table, self.camera, tasks, binner, seed, self.config.n_streams)

    def _pushes(self) -> np.ndarray:
        """Impulse of a push in each of the streams [N s]."""
        return np.array([stream.task.push for stream in self.streams])

    def begin(self, stage: Stage) -> None:
        """Begin a stage: new pencils, the network's state at zero, a new optimiser."""
        config = self.config
        if stage.short:
            self._new_streams(config.pushes, math.radians(6.0), PERCEPTION_SEEDS[len(PERCEPTION_SEEDS) // 4], 3.5)
            self._rng = np.random.default_rng([config.seed, 2])
        else:
            self._new_streams(config.pushes, math.radians(8.0), PERCEPTION_SEEDS[0], 20.0)
            self._rng = np.random.default_rng(config.seed)
        self._wander[:] = 0
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
        self._knee = REFINING_KNEE if stage.short else KNEE
        self.stage, self.done = stage, 0

    def _new_streams(
        self, pushes: Sequence[float], tilt: float, first_seed: int, duration_s: float
    ) -> None:
        """New pencils, and the network's state at zero."""
        config, camera, count = self.config, self.camera, self.config.n_streams
        binners = [SpikeBinner(camera.width, camera.height, config.row_group, MILLISECOND_NS) for _ in range(count)]
        self.streams = [
            self._new_stream(pushes, tilt, duration_s, binners[i], first_seed + i) for i in range(count)
        ]
        n, n_out, steps = config.n_neurons, self.network.w_out.shape[1], config.chunk_ms + 1
        self._u, self._v, self._s = (np.zeros((count, steps, n), np.float32) for _ in range(3))
        self._r = np.zeros((count, steps, n_out), np.float32)
        self._pending = [np.empty(0, np.int32) for _ in range(count)]
        self._estimate = np.zeros((count, 2), np.float32)

    def update(self) -> dict[str, float]:
        """One chunk of all streams and one optimiser step; returns figures worth logging."""
        net = self.network
        self._schedule()
        effective = net.effective()
        w = {name: np.ascontiguousarray(x.detach().numpy()) for name, x in effective.items()}
        offset = net.offset.detach().numpy()
        n_events = self._run_chunk(w, offset)
        truth = self._truth / FEATURE_SCALES
        traces = torch.tensor(self._r[:, 1:], requires_grad=True)
        estimate = net.read(traces)
        target = torch.tensor(truth)
        pushes = self._pushes().astype(np.float32)
        allowed = self.error_floor / FEATURE_SCALES * np.sqrt(1 + pushes / 0.04)[:, None]
        scaled = (estimate - target) / (torch.tensor(allowed)[:, None] + ERROR_FRACTION * target.abs())
        error = (torch.sqrt(1 + (scaled / self._knee) ** 2) - 1) * self._knee**2
        loss = error.mean()
        self._optimiser.zero_grad()
        loss.backward()
        assert traces.grad is not None
        g_traces = traces.grad.numpy()
        gradients = bptt.backward(
            self._indptr, self._ids, w["w_rec"], w["w_out"], w["du"], w["dv"], w["dr"], self._u, self._v, self._s,
            self._r, np.ascontiguousarray(g_traces), net.n_axons, 2,
        )  # fmt: skip
        names = ("w_in", "w_rec", "w_out", "du", "dv", "dr", "bias")
        torch.autograd.backward(
            [effective[name] for name in names], [torch.from_numpy(g.sum(0)) for g in gradients]
        )
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        self._optimiser.step()
        figures = self._figures(loss.item(), estimate.detach().numpy(), truth, w, n_events)
        if self.stage.name == "learning":
            self._shrink(figures["operations_per_s"])
        elif self.stage.name == "pruning":
            self._prune(figures["operations_per_s"])
        self.done += 1
        return figures

    def _shrink(self, operations_per_s: float) -> None:
        """Shrink the weights that cost the most, until the network works as little as it should."""
        if not SHRUNK[0] <= self.done / self.stage.n_updates < SHRUNK[1]:
            return
        self._pressure *= math.exp(0.01 * np.clip(operations_per_s / self.config.operations_per_s - 1, -1, 1))
        rate = self._optimiser.param_groups[0]["lr"]
        self.network.shrink(rate * self._pressure * self._axon_rate, rate * self._pressure * self._spike_rate)

    def _prune(self, operations_per_s: float) -> None:
        """Take away the weakest synapses, as many as bring the work down to what it should be by now.

        Gradual pruning by magnitude (Zhu and Gupta 2017, eq. 1: most of it early, while much can still be learnt).
        A spike costs one operation a synapse however strong, so one threshold for all takes what matters least.
        """
        aim, last = self.config.pruned_operations_per_s, self._operations_per_s or operations_per_s
        work = self._operations_per_s = last + 0.02 * (operations_per_s - last)
        fraction = self.done / self.stage.n_updates
        if not PRUNED[0] <= fraction < PRUNED[1]:
            return
        self._unpruned = self._unpruned or work
        left = max(0.0, 1 - (fraction - PRUNED[0]) / (PRUNED_BY * (PRUNED[1] - PRUNED[0])))
        now = aim + (self._unpruned - aim) * left**3
        if work > now:
            self._floor *= 1 + min(0.01, 0.05 * (work / now - 1))
        self.network.prune(self._floor)

    @torch.no_grad()
    def settle(self, n_chunks: int) -> None:
        """Solve the readout by least squares on new pencils that the network balances alone.

        Args:
            n_chunks: how long they run, in chunks.
        """
        config, net = self.config, self.network
        self._new_streams(self.settling_pushes, math.radians(5.0), PERCEPTION_SEEDS[len(PERCEPTION_SEEDS) // 2], 20.0)
        self._trust[:], self._wander_scale = 1.0, 0.0
        w = {name: np.ascontiguousarray(x.numpy()) for name, x in net.effective().items()}
        offset, n_taus = net.offset.numpy().copy(), w["dr"].size // 2
        columns = [slice(f * n_taus, (f + 1) * n_taus) for f in range(2)]
        moments = [
            ReadoutMoments(w["w_out"][:, c].T, offset[f], 1 - w["dr"][c], config.n_streams)
            for f, c in enumerate(columns)
        ]
        for _ in range(n_chunks):
            self._run_chunk(w, offset)
            weight = 1 / (1 + (self._pushes() / 0.02) ** 2)
            for f, moment in enumerate(moments):
                for t in range(config.chunk_ms):
                    moment.advance(self._spiked[:, t])
                    if t % self._period_ms == self._period_ms - 1:
                        moment.observe(self._truth[:, t, f] / FEATURE_SCALES[f], weight)
                    moment.forget(self._begun[:, t])
        for f, (c, moment) in enumerate(zip(columns, moments, strict=True)):
            weights, net.offset[f] = moment.solve(RIDGE)
            net.w_out[:, c] = torch.from_numpy(weights.T.astype(np.float32))

    def write(self, path: Path, command: str) -> str:
        """Write the network as a NIR file; returns its hash.

        Args:
            path: where to.
            command: what made it, for the metadata.
        """
        w = {name: x.detach().double().numpy() for name, x in self.network.effective().items()}
        n, scale = self.network.n_neurons, 1.0 / self.network.threshold
        population = CubaPopulation(w["du"], w["dv"], np.ones(n), w["bias"])
        graph = SpikingGraph(
            self.network.n_axons,
            {"pole": population},
            [Linear("input", "pole", w["w_in"].T), Linear("pole", "pole", w["w_rec"].T)],
            outputs=("pole",),
        )
        mix = np.kron(np.diag(FEATURE_SCALES.astype(float)), np.ones(w["dr"].size // 2))
        offset = self.network.offset.detach().double().numpy() * FEATURE_SCALES
        readout = Readout(w["w_out"].T, w["dr"], mix, offset)
        camera = self.camera
        metadata = {
            "task": self.task_name,
            "feature_names": list(ESTIMATE_NAMES),
            "feature_units": list(ESTIMATE_UNITS),
            "input_encoding": {"width": camera.width, "height": camera.height, "row_group": self.config.row_group},
            "camera": asdict(camera),
            "weight_scale": {"pole": scale},
            "training_command": command,
            "training_seeds": [PERCEPTION_SEEDS[0], PERCEPTION_SEEDS[-1]],
            "training": self._recipe(),
        }
        return write_perception_model(path, graph, readout, metadata, dt=1e-3)

    def _recipe(self) -> dict[str, Any]:
        """The configuration, for the metadata."""
        return asdict(self.config)

    def _schedule(self) -> None:
        net, fraction = self.network, self.done / self.stage.n_updates
        warm = min(1.0, (self.done + 1) / 100)
        cosine = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * fraction))
        for group in self._optimiser.param_groups:
            group["lr"] = self.stage.rate * self.config.learning_rate * warm * cosine
        ends = {"learning": SHRUNK[1], "pruning": PRUNED[1]}
        if self.stage.name in ends and self.done == int(ends[self.stage.name] * self.stage.n_updates):
            net.freeze_synapses()

    def _run_chunk(self, w: dict[str, np.ndarray], offset: np.ndarray) -> int:
        config = self.config
        n_streams, n_steps, period = config.n_streams, config.chunk_ms, self._period_ms
        for array in (self._u, self._v, self._s, self._r):
            array[:, 0] = array[:, -1]
        self._truth = np.empty((n_streams, n_steps, 2), np.float32)
        self._begun = np.zeros((n_streams, n_steps), bool)
        self._spiked = np.empty((n_streams, n_steps, config.n_neurons), np.float32)
        self._indptr = np.zeros((n_streams, n_steps + 1), np.int64)
        self._ids = np.zeros((n_streams, 4096), np.int32)
        state = (self._u, self._v, self._s, self._r)
        parameters = [w[name] for name in ("w_in", "w_rec", "w_out", "du", "dv", "dr", "bias")]
        for first in range(0, n_steps, period):
            for b, (stream, force) in enumerate(zip(self.streams, self._forces(), strict=True)):
                spikes, truth = stream.advance(force, period)
                self._truth[b, first : first + period] = truth
                self._append(b, first, spikes)
            bptt.forward(first, first + period, self._indptr, self._ids, *parameters, *state)  # type: ignore[call-arg]
            last = self._r[:, first + period].reshape(n_streams, 2, -1).sum(-1)
            self._estimate = (last + offset) * FEATURE_SCALES
            for b, stream in enumerate(self.streams):
                self._spiked[b, first : first + period] = self._s[b, first + 1 : first + period + 1]
                if stream.over:
                    stream.reset()
                    self._begun[b, first + period - 1] = True
                    self._pending[b] = np.empty(0, np.int32)
                    self._estimate[b] = 0
                    for array in state:
                        array[b, first + period] = 0
        return int(self._indptr[:, -1].sum())

    def _append(self, b: int, first: int, spikes) -> None:
        """Put a stream's axon spikes where they act: one step after the step they belong to."""
        pending, last = self._pending[b], spikes.indptr[-2]
        self._pending[b] = spikes.ids[last:]
        begin = self._indptr[b, first]
        end = begin + len(pending) + last
        while end > self._ids.shape[1]:
            self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)], axis=1)
        self._ids[b, begin : begin + len(pending)] = pending
        self._ids[b, begin + len(pending) : end] = spikes.ids[:last]
        self._indptr[b, first + 1 : first + 1 + spikes.n_steps] = begin + len(pending) + spikes.indptr[:-1]

    def _forces(self) -> np.ndarray:
        """LQR on a mixture of estimate and truth with a wandering error."""
        noise = self._rng.normal(size=self._wander.shape) * (0.002, 0.02)
        self._wander += 0.02 * (-self._wander) + self._wander_scale * noise
        forces = np.empty(len(self.streams))
        for b, stream in enumerate(self.streams):
            truth = stream.plant.truth + self._wander[b]
            pole = self._trust[b] * self._estimate[b] + (1 - self._trust[b]) * truth
            observation = np.concatenate([stream.plant.observe(), pole])
            forces[b] = np.clip(self._lqr.step(observation), -FORCE_LIMIT, FORCE_LIMIT).item()
        return forces

    def _figures(self, loss, estimate, truth, w, n_events) -> dict[str, float]:
        alone = (self._trust == 1.0) & (self._pushes() == 0.02)
        error = (estimate - truth) * FEATURE_SCALES
        rms = np.sqrt((error[alone] ** 2).mean((0, 1))) if alone.any() else np.full(2, np.nan)
        seconds = self.config.n_streams * self.config.chunk_ms * 1e-3
        spikes = self._s[:, 1:].sum((0, 1))
        fan_in = (w["w_in"] != 0).sum(1)
        used = np.concatenate([self._ids[b, : self._indptr[b, -1]] for b in range(len(self._ids))])
        seen = np.bincount(used, minlength=self.network.n_axons) / seconds
        self._axon_rate += 0.02 * (seen - self._axon_rate)
        self._spike_rate += 0.02 * (spikes / seconds - self._spike_rate)
        operations = fan_in[used].sum() + spikes @ (w["w_rec"] != 0).sum(1)
        return {
            "loss": loss,
            "angle_deg": float(np.degrees(rms[0])),
            "rate": float(rms[1]),
            "operations_per_s": float(operations / seconds),
            "spikes_per_s": float(spikes.sum() / seconds),
            "axon_spikes_per_s": n_events / seconds,
        }


def _new_network(config: PerceptionTraining) -> SpikingNetwork:
    camera = PENCIL_CAMERA
    input_weights = oriented_bands(
        PencilPlant(PencilTask()).view, config.n_neurons, camera.width, camera.height, config.row_group,
        config.half_width_px, config.amplitude, 0.5, config.seed,
    )  # fmt: skip
    mask = ~np.eye(config.n_neurons, dtype=bool)
    return SpikingNetwork(
        input_weights, mask, config.threshold,
        synaptic_taus=np.array([1.5, 2, 3, 5, 2, 3, 5, 10.0]),
        membrane_taus=np.array([3, 5, 10, 20, 80, 5, 20, 40.0]),
        readout_taus=np.array([2, 6, 15, 40.0]), n_features=2, seed=config.seed,
    )  # fmt: skip
