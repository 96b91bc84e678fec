# SPDX-License-Identifier: Apache-2.0
"""Train the pencil's spiking perception: truncated backpropagation through time on pencils that run all the while.

Many pencils run at once and never stop (:mod:`.streams`). Each is balanced by LQR on a mixture of the truth and
the network's own estimate, so the network learns on the motion that its own errors cause. After every chunk of
80 ms the compiled backward pass gives the gradient, and the state is carried into the next chunk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from ...errors import TaskError
from ...events.binning import SpikeBinner
from ...robot import names, units
from ...spiking import bptt
from ...spiking.graph import CubaPopulation, Linear, SpikingGraph
from ...spiking.network import SpikingNetwork
from ...spiking.nir_io import write_perception_model
from ...spiking.readout import Readout
from ...training.axon_spikes import AxonSpikes
from ...training.descent import cosine, pseudo_huber, set_rate
from ...training.least_squares import StreamMoments
from ...training.own_training import Stage
from ...training.pruning import Pruning
from ...training.receptive_fields import oriented_bands
from ...training.seeds import PERCEPTION_SEEDS
from ...types import MILLISECOND_NS
from .description import CAMERA, ROBOT
from .episodes import PencilEpisodes
from .expert import cart_pole_lqr
from .recipe import PerceptionTraining, stages
from .streams import PencilStream, PictureTable
from .task import Pencil

#: The network's outputs are in these units [rad], [rad/s].
FEATURE_SCALES = np.array([0.1, 0.6], np.float32)
#: An error counts as large when it exceeds this ...
ERROR_FLOOR = np.array([0.0015, 0.03], np.float32)
#: ... plus this fraction of the true value; fast and wide motion may be estimated less exactly.
ERROR_FRACTION = 0.025
#: Errors above so many times that count linearly instead of by their square.
KNEE, REFINING_KNEE = 4.0, 12.0
#: The readout is settled on these pushes [N s], the larger with less weight, ...
SETTLING_PUSHES = (0.0, 0.02, 0.02, 0.02, 0.02, 0.04, 0.06, 0.1)
#: ... with this much ridge.
RIDGE = 1e-3


class PerceptionTrainer:
    """Holds the streams, the network and the optimiser.

    For each of the :meth:`stages`: :meth:`begin`, and :meth:`update` ``n_updates`` times; then :meth:`settle`.

    Attributes:
        task_name, camera, error_floor, settling_pushes: what another task's trainer says instead.
    """

    task_name, camera, error_floor = "pencil", CAMERA, ERROR_FLOOR
    settling_pushes: tuple[float, ...] = SETTLING_PUSHES

    def __init__(self, config: PerceptionTraining, progress: Callable[[float], None] | None = None) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        self._prepare(progress)
        self._pruning = Pruning(self.network, config.operations_per_s, config.pruned_operations_per_s)
        # A third each: the network alone, the truth with a wandering error, and a mixture
        self._trust = np.resize([1.0, 0.0, 1.0, 0.5], config.n_streams)
        self._wander, self._wander_scale = np.zeros((config.n_streams, 2)), 1.0
        self.begin(self.stages()[0])

    @classmethod
    def of_command(
        cls, seed: int, updates: int | None, start: Path | None, progress: Callable[[float], None]
    ) -> Self:
        """See :class:`~...training.own_training.OwnTraining`."""
        if start is not None:
            raise TaskError(f"--perception {start}: this training starts from nothing; leave it out")
        config = PerceptionTraining(seed=seed)
        if updates is not None:
            share = updates / config.n_updates
            config = replace(
                config, n_updates=updates, n_refinements=math.ceil(share * config.n_refinements),
                n_prunings=math.ceil(share * config.n_prunings),
            )  # fmt: skip
        return cls(config, progress)

    @property
    def n_neurons(self) -> int:
        """Of the network."""
        return self.config.n_neurons

    def progress_text(self, recent: Sequence[dict[str, float]]) -> str:
        """Errors under pushes of 0.02 N s, loss and work."""
        figures = {name: np.array([each[name] for each in recent]) for name in recent[0]}
        angle, rate = (np.sqrt(np.nanmean(figures[name] ** 2)) for name in ("angle_deg", "rate"))
        return (
            f"loss {figures['loss'].mean():.2f}, at 0.02 N s: {angle:.2f} deg {rate:.3f} rad/s,"
            f" {figures['operations_per_s'].mean() / 1e3:.0f} k synaptic operations/s"
        )

    def finish(self) -> None:
        """Settle the readout, if the recipe does."""
        if self.config.settling_chunks:
            self.settle(self.config.settling_chunks)

    def stages(self) -> tuple[Stage, ...]:
        """What is done, in order."""
        return stages(self.config)

    def _prepare(self, progress: Callable[[float], None] | None) -> None:
        """Pictures, a new network, and who drives."""
        task = PencilEpisodes()
        self.table = PictureTable(task, self.camera, self.config.n_variants, self.config.seed, progress)
        self.network = _new_network(self.config)
        self._lqr = cart_pole_lqr(ROBOT, ROBOT.period_s)
        self._period_ms = round(ROBOT.period_s * 1e3)

    def _new_stream(self, pushes: Sequence[float], tilt: float, duration_s: float, binner: SpikeBinner,
                    seed: int) -> PencilStream:  # fmt: skip
        tasks = [PencilEpisodes(push=push, tilt=tilt, duration_s=duration_s) for push in pushes]
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

    def _new_streams(self, pushes: Sequence[float], tilt: float, first_seed: int, duration_s: float) -> None:
        """New pencils, and the network's state at zero."""
        config, camera, count = self.config, self.camera, self.config.n_streams
        binners = [SpikeBinner(camera.width, camera.height, config.row_group, MILLISECOND_NS) for _ in range(count)]
        self.streams = [self._new_stream(pushes, tilt, duration_s, binners[i], first_seed + i) for i in range(count)]
        n, n_out, steps = config.n_neurons, self.network.w_out.shape[1], config.chunk_ms + 1
        self._u, self._v, self._s = (np.zeros((count, steps, n), np.float32) for _ in range(3))
        self._r = np.zeros((count, steps, n_out), np.float32)
        self._axon_spikes = AxonSpikes(count, config.chunk_ms)
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
        loss = pseudo_huber(scaled, self._knee).mean()
        self._optimiser.zero_grad()
        loss.backward()
        assert traces.grad is not None
        g_traces = traces.grad.numpy()
        gradients = bptt.backward(
            self._axon_spikes.indptr, self._axon_spikes.ids, w["w_rec"], w["w_out"], w["du"], w["dv"], w["dr"],
            self._u, self._v, self._s, self._r, np.ascontiguousarray(g_traces), net.n_axons, 2,
        )  # fmt: skip
        names = ("w_in", "w_rec", "w_out", "du", "dv", "dr", "bias")
        torch.autograd.backward([effective[name] for name in names], [torch.from_numpy(g.sum(0)) for g in gradients])
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        self._optimiser.step()
        figures = self._figures(loss.item(), estimate.detach().numpy(), truth, w, n_events)
        rate = self._optimiser.param_groups[0]["lr"]
        self._pruning.lessen(self.stage.name, self.done / self.stage.n_updates, figures["operations_per_s"], rate)
        self.done += 1
        return figures

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
            StreamMoments(w["w_out"][:, c].T, offset[f], 1 - w["dr"][c], config.n_streams)
            for f, c in enumerate(columns)
        ]
        for _ in range(n_chunks):
            self._run_chunk(w, offset)
            weight = 1 / (1 + (self._pushes() / 0.02) ** 2)
            for f, moment in enumerate(moments):
                for t in range(config.chunk_ms):
                    moment.advance(self._spiked[:, t])
                    if t % self._period_ms == self._period_ms - 1:
                        moment.observe_now(self._truth[:, t, f] / FEATURE_SCALES[f], weight)
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
            "feature_names": list(names(ROBOT.estimates)),
            "feature_units": list(units(ROBOT.estimates)),
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
        fraction = self.done / self.stage.n_updates
        warm = min(1.0, (self.done + 1) / 100)
        set_rate(self._optimiser, self.stage.rate * self.config.learning_rate * warm * cosine(fraction))
        self._pruning.freeze(self.stage.name, self.done, self.stage.n_updates)

    def _run_chunk(self, w: dict[str, np.ndarray], offset: np.ndarray) -> int:
        config = self.config
        n_streams, n_steps, period = config.n_streams, config.chunk_ms, self._period_ms
        for array in (self._u, self._v, self._s, self._r):
            array[:, 0] = array[:, -1]
        self._truth = np.empty((n_streams, n_steps, 2), np.float32)
        self._begun = np.zeros((n_streams, n_steps), bool)
        self._spiked = np.empty((n_streams, n_steps, config.n_neurons), np.float32)
        axon_spikes = self._axon_spikes
        axon_spikes.begin()
        state = (self._u, self._v, self._s, self._r)
        parameters = [w[name] for name in ("w_in", "w_rec", "w_out", "du", "dv", "dr", "bias")]
        for first in range(0, n_steps, period):
            for b, (stream, force) in enumerate(zip(self.streams, self._forces(), strict=True)):
                spikes, truth = stream.advance(force, period)
                self._truth[b, first : first + period] = truth
                axon_spikes.append(b, first, spikes)
            end = first + period
            bptt.forward(first, end, axon_spikes.indptr, axon_spikes.ids, *parameters, *state)  # type: ignore[call-arg]
            last = self._r[:, first + period].reshape(n_streams, 2, -1).sum(-1)
            self._estimate = (last + offset) * FEATURE_SCALES
            for b, stream in enumerate(self.streams):
                self._spiked[b, first : first + period] = self._s[b, first + 1 : first + period + 1]
                if stream.over:
                    stream.reset()
                    self._begun[b, first + period - 1] = True
                    axon_spikes.forget(b)
                    self._estimate[b] = 0
                    for array in state:
                        array[b, first + period] = 0
        return int(axon_spikes.indptr[:, -1].sum())

    def _forces(self) -> np.ndarray:
        """LQR on a mixture of estimate and truth with a wandering error."""
        noise = self._rng.normal(size=self._wander.shape) * (0.002, 0.02)
        self._wander += 0.02 * (-self._wander) + self._wander_scale * noise
        forces = np.empty(len(self.streams))
        for b, stream in enumerate(self.streams):
            truth = stream.plant.true_state() + self._wander[b]
            pole = self._trust[b] * self._estimate[b] + (1 - self._trust[b]) * truth
            observation = np.concatenate([stream.plant.observe(), pole])
            forces[b] = self._lqr.step(observation).item()
        return forces

    def _figures(self, loss, estimate, truth, w, n_events) -> dict[str, float]:
        alone = (self._trust == 1.0) & (self._pushes() == 0.02)
        error = (estimate - truth) * FEATURE_SCALES
        rms = np.sqrt((error[alone] ** 2).mean((0, 1))) if alone.any() else np.full(2, np.nan)
        seconds = self.config.n_streams * self.config.chunk_ms * 1e-3
        spikes = self._s[:, 1:].sum((0, 1))
        fan_in = (w["w_in"] != 0).sum(1)
        used = self._axon_spikes.all()
        self._pruning.observe(np.bincount(used, minlength=self.network.n_axons) / seconds, spikes / seconds)
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
    camera = CAMERA
    input_weights = oriented_bands(
        Pencil(ROBOT).view, config.n_neurons, camera.width, camera.height, config.row_group,
        config.half_width_px, config.amplitude, 0.5, config.seed,
    )  # fmt: skip
    mask = ~np.eye(config.n_neurons, dtype=bool)
    return SpikingNetwork(
        input_weights, mask, config.threshold,
        synaptic_taus=np.array([1.5, 2, 3, 5, 2, 3, 5, 10.0]),
        membrane_taus=np.array([3, 5, 10, 20, 80, 5, 20, 40.0]),
        readout_taus=np.array([2, 6, 15, 40.0]), n_features=2, seed=config.seed,
    )  # fmt: skip
