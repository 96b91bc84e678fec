# SPDX-License-Identifier: Apache-2.0
"""The training of a spiking perception: its numbers, and the stages that it goes through."""

from __future__ import annotations

from dataclasses import dataclass

from ...training.own_training import Stage


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


def stages(config: PerceptionTraining) -> tuple[Stage, ...]:
    """What is done, in order; at the end the readout is settled."""
    return (
        Stage("learning", config.n_updates, 1.0, short=False),
        Stage("refining", config.n_refinements, 0.3, short=True),
        Stage("pruning", config.n_prunings, 0.5, short=False),
        Stage("refining again", config.n_refinements, 0.15, short=True),
    )
