# SPDX-License-Identifier: Apache-2.0
"""Train the spiking perception of ``pencil-hard``: as the pencil's, on that task's motion and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from ...events.binning import SpikeBinner
from ...resources import shipped_model
from ...spiking.graph import Linear
from ...spiking.network import SpikingNetwork
from ...spiking.nir_io import read_perception_model
from ...training.own_training import Stage
from ...training.receptive_fields import oriented_bands
from ..pencil.perception import FEATURE_SCALES, PerceptionTrainer
from ..pencil.recipe import PerceptionTraining
from .description import CAMERA, ROBOT
from .streams import HardStream, PoleTable
from .task import POLE_MASS_KG, PencilHard, PencilHardEpisodes

#: Groups of the pencil's neurons that share their time constants: neuron i belongs to group i modulo this.
GROUPS = 8


@dataclass(frozen=True)
class HardPerceptionTraining(PerceptionTraining):
    """As the pencil's; ``pushes`` are those of the nominal pole. No synapse is pruned, and the readout is not settled:
    poles that fall weigh too much in its least squares.

    Attributes:
        start: perception to start from, a file of the pencil's kind; "" is the pencil's shipped one. From another one,
            which has seen the wall, the learning rate begins at half.
    """

    n_updates: int = 3000
    n_streams: int = 32
    chunk_ms: int = 120
    n_neurons: int = 224
    half_width_px: float = 12.0
    operations_per_s: float = 5e6
    settling_chunks: int = 0
    n_variants: int = 6
    pushes: tuple[float, ...] = (0.0, 0.01, 0.02, 0.02, 0.02, 0.03)
    start: str = ""


class HardPerceptionTrainer(PerceptionTrainer):
    """The trainer on ``pencil-hard``."""

    config: HardPerceptionTraining
    task_name, camera = "pencil-hard", CAMERA
    error_floor = np.array([0.006, 0.08], np.float32)
    streams: list[HardStream]  # type: ignore[assignment]

    @classmethod
    def of_command(
        cls, seed: int, updates: int | None, start: Path | None, progress: Callable[[float], None]
    ) -> Self:
        """See :class:`~...training.own_training.OwnTraining`."""
        config = HardPerceptionTraining(seed=seed, start=str(start or ""))
        return cls(config if updates is None else replace(config, n_updates=updates), progress)

    def stages(self) -> tuple[Stage, ...]:
        """Learning is all that is done."""
        return (Stage("learning", self.config.n_updates, 0.5 if self.config.start else 1.0, short=False),)

    def _recipe(self) -> dict[str, Any]:
        return super()._recipe() | {"start": Path(self.config.start).name}

    def _prepare(self, progress: Callable[[float], None] | None) -> None:
        self.table = PoleTable(self.camera, self.config.n_variants, progress=progress)  # type: ignore[assignment]
        self.network = _network_of_the_pencil(self.config)
        self._period_ms = round(ROBOT.period_s * 1e3)

    def _new_stream(  # type: ignore[override]
        self, pushes: Sequence[float], tilt: float, duration_s: float, binner: SpikeBinner, seed: int
    ) -> HardStream:
        tasks = [PencilHardEpisodes(gust=push / POLE_MASS_KG, tilt=tilt, duration_s=duration_s) for push in pushes]
        return HardStream(self.table, self.camera, tasks, binner, seed, self.config.n_streams)  # type: ignore[arg-type]

    def _pushes(self) -> np.ndarray:
        return np.round([stream.plant.episodes.gust * POLE_MASS_KG for stream in self.streams], 6)

    def _forces(self) -> np.ndarray:
        """The expert on a mixture of estimate and truth with a wandering error."""
        noise = self._rng.normal(size=self._wander.shape) * (0.004, 0.04)
        self._wander += 0.03 * (-self._wander) + self._wander_scale * noise
        forces = np.empty(len(self.streams))
        for b, stream in enumerate(self.streams):
            state = stream.plant.truth()
            truth = state[2:] + self._wander[b]
            state[2:] = self._trust[b] * self._estimate[b] + (1 - self._trust[b]) * truth
            forces[b] = stream.expert.step(state, stream.plant.forces_on_the_way)
        return forces


def _network_of_the_pencil(config: HardPerceptionTraining) -> SpikingNetwork:
    """The shipped perception of the pencil, free to grow input synapses in a wider band and all recurrent ones.

    It sees the pole where there is no wall already, which is half of what is to be learnt.
    """
    camera, model = CAMERA, read_perception_model(config.start or shipped_model("pencil/perception.nir"))
    population, readout = model.graph.populations["pole"], model.readout
    weights = {c.source: c.weight.T for c in model.graph.connections if isinstance(c, Linear)}
    band = oriented_bands(
        PencilHard(ROBOT).view, population.n, camera.width, camera.height, config.row_group,
        config.half_width_px, 1.0, 0.5, config.seed,
    )  # fmt: skip
    mask = ~np.eye(population.n, dtype=bool)
    n_features = len(FEATURE_SCALES)
    network = SpikingNetwork(
        band, mask, config.threshold,
        synaptic_taus=-1 / np.log1p(-population.du[:GROUPS]), membrane_taus=-1 / np.log1p(-population.dv[:GROUPS]),
        readout_taus=np.ones(len(readout.decay) // n_features), n_features=n_features, seed=config.seed,
    )  # fmt: skip
    decay = torch.from_numpy(readout.decay)
    with torch.no_grad():
        network.w_in.copy_(torch.from_numpy(weights["input"]))
        network.w_rec.copy_(torch.from_numpy(weights["pole"]))
        network.w_out.copy_(torch.from_numpy(readout.weight.T))
        network.readout_logit.copy_(torch.log(decay / (1 - decay)))
        network.bias.copy_(torch.from_numpy(population.bias))
        network.offset.copy_(torch.from_numpy(readout.offset / FEATURE_SCALES))
    return network
