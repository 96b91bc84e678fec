# SPDX-License-Identifier: Apache-2.0
"""Train the spiking perception of ``pencil-hard``: as the pencil's, on that task's motion and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..events.binning import SpikeBinner
from ..hard_simulation import HARD_CAMERA
from ..sim.pencil_hard import POLE_MASS_KG, PencilHardPlant, PencilHardTask
from ..spiking.network import SpikingNetwork
from .hard_streams import HardStream, PoleTable
from .perception import FEATURE_SCALES, PerceptionTrainer, PerceptionTraining, Stage
from .receptive_fields import oriented_bands


@dataclass(frozen=True)
class HardPerceptionTraining(PerceptionTraining):
    """As the pencil's; ``pushes`` are those of the nominal pole. No synapse is pruned: see :func:`hard_stages`."""

    n_updates: int = 7000
    n_streams: int = 32
    chunk_ms: int = 120
    n_neurons: int = 160
    half_width_px: float = 12.0
    operations_per_s: float = 5e6
    settling_chunks: int = 150
    n_variants: int = 6
    pushes: tuple[float, ...] = (0.0, 0.01, 0.02, 0.02, 0.02, 0.03)


def hard_stages(config: HardPerceptionTraining) -> tuple[Stage, ...]:
    """What is done, in order; at the end the readout is settled."""
    return (Stage("learning", config.n_updates, 1.0, short=False),)


class HardPerceptionTrainer(PerceptionTrainer):
    """The trainer on ``pencil-hard``."""

    task_name, camera = "pencil-hard", HARD_CAMERA
    error_floor = np.array([0.006, 0.08], np.float32)
    settling_pushes = (0.0, 0.02, 0.02, 0.02)
    streams: list[HardStream]  # type: ignore[assignment]

    def _prepare(self, progress: Callable[[float], None] | None) -> None:
        self.table = PoleTable(self.camera, self.config.n_variants, progress=progress)  # type: ignore[assignment]
        self.network = _new_network(self.config)
        self._period_ms = round(PencilHardTask().period_s * 1e3)

    def _new_stream(  # type: ignore[override]
        self, pushes: Sequence[float], tilt: float, duration_s: float, binner: SpikeBinner, seed: int
    ) -> HardStream:
        tasks = [PencilHardTask(gust=push / POLE_MASS_KG, tilt=tilt, duration_s=duration_s) for push in pushes]
        return HardStream(self.table, self.camera, tasks, binner, seed, self.config.n_streams)  # type: ignore[arg-type]

    def _pushes(self) -> np.ndarray:
        return np.round([stream.plant.task.gust * POLE_MASS_KG for stream in self.streams], 6)

    def _forces(self) -> np.ndarray:
        """The expert on a mixture of estimate and truth with a wandering error."""
        noise = self._rng.normal(size=self._wander.shape) * (0.004, 0.04)
        self._wander += 0.03 * (-self._wander) + self._wander_scale * noise
        forces = np.empty(len(self.streams))
        for b, stream in enumerate(self.streams):
            state = stream.plant.state
            truth = state[2:] + self._wander[b]
            state[2:] = self._trust[b] * self._estimate[b] + (1 - self._trust[b]) * truth
            forces[b] = stream.expert.step(state, stream.plant.forces_on_the_way)
        return forces


def _new_network(config: PerceptionTraining) -> SpikingNetwork:
    camera = HARD_CAMERA
    input_weights = oriented_bands(
        PencilHardPlant().view, config.n_neurons, camera.width, camera.height, config.row_group,
        config.half_width_px, config.amplitude, 0.5, config.seed,
    )  # fmt: skip
    mask = ~np.eye(config.n_neurons, dtype=bool)
    return SpikingNetwork(
        input_weights, mask, config.threshold,
        synaptic_taus=np.array([1.5, 2, 3, 5, 2, 3, 5, 10.0]),
        membrane_taus=np.array([3, 5, 10, 20, 80, 5, 40, 150.0]),
        readout_taus=np.array([2, 6, 15, 40, 120.0]), n_features=len(FEATURE_SCALES), seed=config.seed,
    )  # fmt: skip
