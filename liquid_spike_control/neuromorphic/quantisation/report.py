# SPDX-License-Identifier: Apache-2.0
"""Losses of the quantisation from float64 to Loihi's integers: all rounding and clipping is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from ...spiking.graph import CubaPopulation
from ...spiking.loihi_limits import programmable_neurons
from ...terminal import Console
from ..integers.neurons import Population, ProgrammedPopulation
from .grid import LARGEST_CURRENT, stepwise

#: A relative error of a threshold that is worth a note.
COARSE_THRESHOLD = 0.02
#: Thresholds below zero from which on it is not worth a note that a voltage that never decays saturates there.
DEEP = 1000


def plain(table: Table, notes: Sequence[str] = (), width: int = 120) -> str:
    """A table and lines below it as text without colours."""
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(table)
    for note in notes:
        console.print(f"  {note}", markup=False, soft_wrap=True)
    return console.file.getvalue().rstrip()  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class PopulationError:
    """Losses of one population and of the weights into it.

    Attributes:
        name: the population.
        unit: weight of one unit of the integer current; voltages and biases count in 64ths of it.
        num_weight_bits: of each connection into it.
        weight_exp: the same.
        threshold_error: largest relative error of a threshold; 0 where the spikes are decided alike.
        decay_error: largest error of du and dv, as a fraction lost in a step.
        bias_error: largest error of a bias, in thresholds a step.
        weight_error: RMS error of the weights by their RMS.
        clipped: weights beyond the range of their bits.
        vanished: weights that became 0.
        n_weights: weights other than 0 that went in; those of a kernel count once.
        notes: what could still go wrong at run time.
        scale: by what weights, threshold and bias of each neuron were multiplied before; empty if by nothing.
    """

    name: str
    unit: float
    num_weight_bits: tuple[int, ...]
    weight_exp: tuple[int, ...]
    threshold_error: float
    decay_error: float
    bias_error: float
    weight_error: float
    clipped: int
    vanished: int
    n_weights: int
    notes: tuple[str, ...] = ()
    scale: tuple[float, ...] = ()

    def scaled(self, scale: np.ndarray | None) -> PopulationError:
        """The same with neurons that were scaled before."""
        if scale is None:
            return self
        note = f"weights and thresholds of each neuron were scaled by up to {scale.max():.3g}, which keeps its spikes"
        return replace(self, scale=tuple(scale.tolist()), notes=(*self.notes, note))


@dataclass(frozen=True, slots=True)
class QuantisationReport:
    """The errors of every population."""

    populations: tuple[PopulationError, ...]

    @property
    def units(self) -> dict[str, float | np.ndarray]:
        """Weight of one unit of the integer current of each population; an array where neurons were scaled."""
        return {p.name: p.unit / np.array(p.scale) if p.scale else p.unit for p in self.populations}

    @property
    def notes(self) -> tuple[str, ...]:
        """All notes, each with its population."""
        return tuple(f"{p.name}: {note}" for p in self.populations for note in p.notes)

    def table(self) -> Table:
        """One row a population."""
        table = Table(box=SIMPLE, title="what quantisation cost", title_justify="left")
        table.add_column("population")
        for head in ("unit", "bits", "exponent", "threshold", "decay", "bias", "weights", "clipped", "vanished", "of"):
            table.add_column(head, justify="right")
        for p in self.populations:
            errors = (p.threshold_error, p.decay_error, p.bias_error, p.weight_error)
            table.add_row(
                p.name,
                f"{p.unit:.4g}",
                " ".join(map(str, p.num_weight_bits)),
                " ".join(map(str, p.weight_exp)),
                *(f"{x:.2g}" if x else "0" for x in errors),
                *map(str, (p.clipped, p.vanished, p.n_weights)),
            )
        return table

    def __str__(self) -> str:
        return plain(self.table(), self.notes)


def population_errors(
    name: str,
    p: CubaPopulation,
    integer: Population | ProgrammedPopulation,
    unit: float,
    gap: int,
    forms: Sequence[tuple[int, int]],
    weights: Sequence[np.ndarray],
    stored: Sequence[np.ndarray],
    clipped: int,
    worst: tuple[float, float],
) -> PopulationError:
    """Compare a population in float64 with the one in integers.

    Args:
        name: of the population.
        p, integer: before and after.
        unit: weight of one unit of the integer current.
        gap: the integer currents are multiples of it.
        forms: weight bits and exponent of each connection into it.
        weights, stored: of each connection, before and after, float64.
        clipped: how many weights were.
        worst: the largest current and voltage that can come about.
    """
    before, after = (np.concatenate([np.zeros(0), *(w.ravel() for w in side)]) for side in (weights, stored))
    size = float(np.sqrt((before**2).sum()))
    du, dv = (integer.du + 1) / 4096, integer.dv / 4096
    whole = stepwise(integer.du, integer.dv) & (np.gcd(64 * gap, integer.bias) >= 64)
    notes = []
    if isinstance(integer, ProgrammedPopulation):
        notes.append(programmable_neurons({name: p})[name])
        whole, reached = np.zeros(p.n, bool), np.where(np.isfinite(p.vth), p.vth, np.inf)
        threshold = np.abs((integer.threshold + p.inclusive) * unit / 64 / reached - 1) * np.isfinite(p.vth)
    elif p.spiking:
        threshold = np.where(whole | np.isinf(p.vth), 0.0, np.abs(integer.vth * unit / p.vth - 1))
    else:
        threshold = np.zeros(1)
    vanished, n_weights = int(((after == 0) & (before != 0)).sum()), int((before != 0).sum())
    if vanished:
        notes.append(f"{vanished:,} of {n_weights:,} weights became 0, being below half a step of the grid")
    if p.spiking and (p.dv == 0).any() and any(w.min(initial=0) < 0 for w in weights):
        depth = LARGEST_CURRENT * unit / np.where(np.isfinite(p.vth), p.vth, 0).max()
        if depth < DEEP:
            notes.append(f"a voltage that falls below -{depth:.3g} thresholds saturates there; in floats it falls on")
    if threshold.max() > COARSE_THRESHOLD:
        notes.append(f"a threshold is off by {threshold.max():.0%}, being so far below weights or current; rescale it")
    if worst[0] > LARGEST_CURRENT * unit:
        times = worst[0] / (LARGEST_CURRENT * unit)
        notes.append(f"were all inputs to spike at once, the current would wrap ({times:.2g} of its range)")
    if not p.spiking and worst[1] > LARGEST_CURRENT * unit:
        times = worst[1] / (LARGEST_CURRENT * unit)
        notes.append(f"its voltage may saturate ({times:.2g} of its range at worst); calibrate on sample spikes")
    if (p.du == 0).any():
        notes.append("currents that never decay lose 1/4096 a step")
    if (whole & (integer.dv == 4095)).any() and worst[0] > 2048 * gap * unit:
        notes.append("1/4096 of the voltage is left after a step, which strong input can turn into a spike")
    return PopulationError(
        name,
        unit,
        tuple(bits for bits, _ in forms),
        tuple(exponent for _, exponent in forms),
        float(threshold.max()),
        float(max(np.abs(du - p.du).max(), np.abs(dv - p.dv).max())),
        float((np.abs(integer.bias * unit / 64 - p.bias) / p.vth).max()),
        float(np.sqrt(((after - before) ** 2).sum())) / size if size else 0.0,
        clipped,
        vanished,
        n_weights,
        tuple(notes),
    )
