# SPDX-License-Identifier: Apache-2.0
"""Agreement of two forms of one network on the same spikes: the float graph and its integers.

Exact steps part where recurrence amplifies rounding; rates last longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from ..errors import ModelError
from ..spiking.graph import CubaPopulation, SpikingGraph
from ..types import SpikeTrain
from .emulator.engine import emulate
from .emulator.graded import GradedTrain
from .emulator.loihi import Probe
from .emulator.loihi2 import Trace
from .integers.network import LoihiNetwork
from .integers.neurons import Population, ProgrammedPopulation
from .quantisation.equivalents import with_readouts
from .quantisation.report import plain
from .reference import FloatReference

#: Voltages are compared in pieces of about so many numbers.
_PIECE = 1 << 22


@dataclass(frozen=True, slots=True)
class Agreement:
    """One population, float against fixed point.

    Attributes:
        name: the population.
        float_rate, fixed_rate: spikes a neuron and step.
        rate_error: mean over the neurons of the absolute difference of their rates.
        count_difference: spikes of the fixed-point network less those of the float one.
        f1: spikes of the same neuron in the same step, ``2 both / (float + fixed)``; 1 if neither spikes.
        identical: the fraction of the neurons that spiked in either whose spikes are the same to the step; 1 if
            none did.
        first_difference: the first step in which a spike differs; None if all are the same.
        membrane_error: RMS difference of the voltages before a spike resets them, in thresholds; of leaky
            integrators, by the RMS of the float voltage; NaN if they were not compared.
    """

    name: str
    float_rate: float
    fixed_rate: float
    rate_error: float
    count_difference: int
    f1: float
    identical: float
    first_difference: int | None
    membrane_error: float


@dataclass(frozen=True, slots=True)
class Traces:
    """Traces of a few neurons of a population in the first steps.

    Attributes:
        neurons: their indices, int64 ``(k,)``, those that spiked most, the busiest first.
        float_voltage, fixed_voltage: before a spike resets it, in thresholds, float64 ``(n_steps, k)``.
        float_spikes, fixed_spikes: bool ``(n_steps, k)``.
    """

    neurons: np.ndarray
    float_voltage: np.ndarray
    fixed_voltage: np.ndarray
    float_spikes: np.ndarray
    fixed_spikes: np.ndarray


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """Agreement of every population over one input."""

    n_steps: int
    populations: tuple[Agreement, ...]
    traces: Mapping[str, Traces]

    def table(self) -> Table:
        """One row a population."""
        title = f"float against fixed point, {self.n_steps} steps (rates in spikes a neuron and step)"
        table = Table(box=SIMPLE, title=title, title_justify="left")
        table.add_column("population")
        heads = ("float rate", "fixed rate", "rate error", "difference", "F1", "identical", "differs at", "membrane")
        for head in heads:
            table.add_column(head, justify="right")
        for a in self.populations:
            table.add_row(
                a.name,
                *(f"{x:.5f}" for x in (a.float_rate, a.fixed_rate, a.rate_error)),
                f"{a.count_difference:+d}",
                f"{a.f1:.4f}",
                f"{100 * a.identical:.1f} %",
                "never" if a.first_difference is None else str(a.first_difference),
                f"{a.membrane_error:.2g}",
            )
        return table

    def __str__(self) -> str:
        return plain(self.table())


def compare(
    graph: SpikingGraph,
    network: LoihiNetwork,
    spikes: SpikeTrain,
    units: Mapping[str, float | np.ndarray] | None = None,
    n_traces: int = 40,
    trace_steps: int = 300,
) -> AgreementReport:
    """Run both on the same input from rest.

    Args:
        graph: in float64.
        network: the same in integers.
        spikes: of the input axons.
        units: the weight of one unit of the integer current of each population
            (:attr:`.report.QuantisationReport.units`), which only leaky integrators need: their thresholds do not
            relate the two voltages. Without it the factor that fits best is taken.
        n_traces, trace_steps: of how many neurons of each population the voltages are kept, for how many steps;
            with ``n_traces = 0`` no voltages are compared, which is much faster.

    Raises:
        ModelError: the two have other populations, or one that is not CUBA-LIF.
    """
    sizes = [{name: p.n for name, p in x.populations.items()} for x in (graph, network)]
    if sizes[0] != sizes[1]:
        raise ModelError(f"the graph has {list(sizes[0])}, the network {list(sizes[1])}; compare a graph with its own")
    graph = with_readouts(graph)
    exact = FloatReference(graph).run_all(spikes)
    fixed = {
        name: train.spikes if isinstance(train, GradedTrain) else train
        for name, train in emulate(network).run_all(spikes).items()
    }
    busy = {name: _busiest(exact[name], fixed[name], p.n, n_traces) for name, p in graph.populations.items()}
    errors = dict.fromkeys(graph.populations, float("nan"))
    traces: dict[str, Traces] = {}
    if n_traces:
        errors, traces = _voltages(graph, network, spikes, units or {}, busy, trace_steps)
    rows = [spike_agreement(name, p.n, exact[name], fixed[name], errors[name]) for name, p in graph.populations.items()]
    return AgreementReport(spikes.n_steps, tuple(rows), traces)


def spike_agreement(
    name: str, n: int, exact: SpikeTrain, fixed: SpikeTrain, membrane_error: float = float("nan")
) -> Agreement:
    """Compare the spikes of a population of ``n`` neurons over as many steps."""
    a, b = (np.repeat(np.arange(s.n_steps), np.diff(s.indptr)) * n + s.ids for s in (exact, fixed))
    both, cells = len(np.intersect1d(a, b, assume_unique=True)), max(exact.n_steps * n, 1)
    apart = np.setxor1d(a, b, assume_unique=True)
    counts = [np.bincount(s.ids, minlength=n) for s in (exact, fixed)]
    active = np.flatnonzero(counts[0] + counts[1])
    differ = np.isin(active, apart % n)
    return Agreement(
        name,
        len(a) / cells,
        len(b) / cells,
        float(np.abs(counts[0] - counts[1]).sum() / cells),
        len(b) - len(a),
        2 * both / (len(a) + len(b)) if len(a) + len(b) else 1.0,
        1 - float(differ.mean()) if len(active) else 1.0,
        int(apart.min() // n) if len(apart) else None,
        membrane_error,
    )


def _busiest(exact: SpikeTrain, fixed: SpikeTrain, n: int, n_traces: int) -> np.ndarray:
    counts = np.bincount(exact.ids, minlength=n) + np.bincount(fixed.ids, minlength=n)
    return np.argsort(-counts, kind="stable")[:n_traces]


def _voltages(
    graph: SpikingGraph,
    network: LoihiNetwork,
    spikes: SpikeTrain,
    units: Mapping[str, float | np.ndarray],
    busy: Mapping[str, np.ndarray],
    trace_steps: int,
) -> tuple[dict[str, float], dict[str, Traces]]:
    """RMS errors of the voltages of each population, and traces of the busiest neurons."""
    reference, emulator = FloatReference(graph), emulate(network)
    length = max(1, _PIECE // network.n_neurons)
    sums: dict[str, np.ndarray] = {name: np.zeros(3) for name in graph.populations}
    kept: dict[str, list] = {name: [] for name in graph.populations}
    after: dict[str, np.ndarray] = {name: np.zeros(p.n, np.int64) for name, p in graph.populations.items()}
    for first in range(0, spikes.n_steps, length):
        piece = SpikeTrain(spikes.indptr[first : first + length + 1], spikes.ids)
        floats, probes = reference.voltages(piece), emulator.probe(piece)
        for name, p in graph.populations.items():
            integer, probe = network.populations[name], probes[name]
            if not isinstance(integer, Population | ProgrammedPopulation):
                raise ModelError(f"{name}: {type(integer).__name__} neurons have no float counterpart; compare others")
            if isinstance(probe, Trace):
                probe = Probe(probe.states["u"], probe.states["v"], probe.payloads > 0)
            if not p.spiking:
                unit = units.get(name, 1.0) / 64 / p.vth
            elif isinstance(integer, ProgrammedPopulation):
                unit = 1 / np.maximum(integer.threshold + p.inclusive, 0.5)
            else:
                unit = 1 / (np.maximum(integer.vth, 0.5) * 64)
            a, b = floats[name] / p.vth, before_reset(integer, probe, after[name]) * unit
            after[name] = probe.v[-1].astype(np.int64)
            sums[name] += (a * a).sum(), (a * b).sum(), (b * b).sum()
            if first < trace_steps:
                few = slice(trace_steps - first), busy[name]
                fired = _fires(p, floats[name])
                kept[name].append((a[few], b[few], fired[few], probe.spikes[few]))
    errors: dict[str, float] = {}
    traces: dict[str, Traces] = {}
    for name, p in graph.populations.items():
        aa, ab, bb = sums[name]
        free = not p.spiking and name not in units
        factor = ab / bb if free and bb else 1.0
        squares = aa - 2 * factor * ab + factor**2 * bb
        size = spikes.n_steps * p.n if p.spiking else aa
        errors[name] = float(np.sqrt(max(squares, 0) / size)) if size else 0.0
        if kept[name]:
            a, b, fired, spiked = (np.concatenate(part) for part in zip(*kept[name], strict=True))
            traces[name] = Traces(busy[name], a, factor * b, fired, spiked)
    return errors, traces


def _fires(p: CubaPopulation, voltage: np.ndarray) -> np.ndarray:
    if not p.spiking:
        return np.zeros(voltage.shape, bool)
    return (voltage >= p.vth) if p.inclusive else (voltage > p.vth)


def before_reset(population: Population | ProgrammedPopulation, probe: Probe, before: np.ndarray) -> np.ndarray:
    """The voltages as they were compared with the threshold, int64 ``(n_steps, n)``, in 64ths of a unit.

    Args:
        population: CUBA-LIF neurons.
        probe: what they did; its voltages are those after the reset.
        before: the voltage before the first step, ``(n,)``.
    """
    old = np.concatenate([before[None], probe.v[:-1].astype(np.int64)])
    product = old * (4096 - population.dv)
    decayed = np.sign(product) * (np.abs(product) >> 12)
    risen = np.clip(decayed + probe.u + population.bias, 1 - 2**23, 2**23 - 1)
    return np.where(probe.spikes, risen, probe.v)
