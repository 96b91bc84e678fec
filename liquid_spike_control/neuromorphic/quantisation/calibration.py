# SPDX-License-Identifier: Apache-2.0
"""Quantisation that is tried out on sample spikes, population by population in the graph's order.

The rule of the largest weight spends the range on a few outliers, and its rounding errors add up to a drive of
their own. Here every population is tried in several forms: the largest weights clipped, each weight rounded by
itself or such that the currents stay (:mod:`.rounding`), and the threshold scaled along with what became of the
weights. The form is kept whose spikes, with everything before it in integers already, come nearest to the float
ones. Twice the currents and voltages on the samples limit how fine a unit may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from ...errors import ModelError
from ...spiking.graph import Connection, CubaPopulation, SpikingGraph
from ...types import SpikeTrain
from ..agreement import compare, spike_agreement
from ..emulator.engine import emulate
from ..integers.network import LoihiNetwork
from ..reference import FloatReference
from .equivalents import equalised, with_readouts
from .grid import on_grid, weight_step
from .quantize import QuantisedPopulation, assemble, quantise_population, refuse_unsupported
from .report import QuantisationReport, plain, population_errors
from .rounding import Compensation, Grid, can_compensate

#: The largest weight that is kept, as a fraction of the largest there is.
CLIPS = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3, 0.22, 0.16)
#: Thresholds that are tried about the one that the weights call for, and about the better one again.
GAINS = (0.85, 0.93, 1.07, 1.15)
FINER_GAINS = (0.97, 1.03)
#: Currents and voltages may grow so many times beyond those on the samples.
HEADROOM = 2.0
#: Voltages are gone through in pieces of about so many numbers.
_PIECE = 1 << 22


@dataclass(frozen=True, slots=True)
class Choice:
    """The form that was chosen for a population.

    Attributes:
        name: the population.
        num_weight_bits: of the weights into it.
        clip: the largest weight that was kept, as a fraction of the largest there is.
        rounding: ``"nearest"`` or ``"compensated"``.
        gain: value of one stored weight, in steps of the grid that it was rounded on.
        error_before, error_after: on the samples, by the rule of the largest weight and now: 1 - F1 plus the
            relative rate error; of leaky integrators the RMS error of the voltage by its RMS.
    """

    name: str
    num_weight_bits: int
    clip: float
    rounding: str
    gain: float
    error_before: float
    error_after: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """A network that was quantised on samples.

    Attributes:
        network: in integers.
        report: what was lost; a weight counts as what it acts as beside the threshold.
        choices: one a population.
    """

    network: LoihiNetwork
    report: QuantisationReport
    choices: tuple[Choice, ...]

    def table(self) -> Table:
        """One row a population."""
        table = Table(box=SIMPLE, title="calibration on sample spikes", title_justify="left")
        table.add_column("population")
        for head in ("bits", "clip", "rounding", "gain", "error before", "after"):
            table.add_column(head, justify="right")
        for c in self.choices:
            errors = f"{c.error_before:.3f}", f"{c.error_after:.3f}"
            table.add_row(
                c.name, str(c.num_weight_bits), f"{c.clip:.2f}", c.rounding, f"{c.gain:.3f}", *errors
            )
        return table

    def __str__(self) -> str:
        return plain(self.table(), self.report.notes)


def calibrate(
    graph: SpikingGraph,
    spikes: SpikeTrain,
    num_weight_bits: int | Mapping[str, int] = 8,
    least_f1: float | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> Calibration:
    """Quantise a graph such that its spikes on samples change little.

    Args:
        graph: float64.
        spikes: samples of the input, some hundred steps or more, as they will be.
        num_weight_bits: 1 .. 8, one number or one a population (8 where it is not named).
        least_f1: if given, every population takes the fewest bits, at most ``num_weight_bits``, with which its F1 on
            the samples is at least that.
        progress: called with the name of each population before its turn.

    Raises:
        ModelError: the samples have no spikes, or as :func:`.quantize.quantise_reported`.
    """
    if not len(spikes.ids):
        raise ModelError("calibration needs sample spikes; the samples given have none")
    refuse_unsupported(graph)
    for name in num_weight_bits if isinstance(num_weight_bits, Mapping) else ():
        if name not in graph.populations:
            raise ModelError(f"{name} is no population; there are {list(graph.populations)}")
    graph = with_readouts(graph)
    known = dict.fromkeys(graph.populations, 8 if isinstance(num_weight_bits, Mapping) else num_weight_bits)
    known |= num_weight_bits if isinstance(num_weight_bits, Mapping) else {}
    each = {m: [known[m]] * sum(c.target == m for c in graph.connections) for m in graph.populations}
    graph, scales = equalised(graph, (), each)
    trial = _Trial(graph, spikes)
    choices, errors = [], []
    for name in graph.populations:
        progress(name)
        most = num_weight_bits.get(name, 8) if isinstance(num_weight_bits, Mapping) else num_weight_bits
        for bits in range(most if least_f1 is None else min(trial.fewest_bits(name), most), most + 1):
            choice, part = trial.choose(name, bits)
            if bits == most or trial.f1(name, part) >= (least_f1 or 0):
                break
        trial.parts[name] = part
        choices.append(choice)
        errors.append(part.error.scaled(scales.get(name)))
    return Calibration(assemble(graph, trial.parts), QuantisationReport(tuple(errors)), tuple(choices))


class _Trial:
    """The float network's behaviour on the samples, and the populations in integers so far."""

    def __init__(self, graph: SpikingGraph, spikes: SpikeTrain) -> None:
        self.graph, self.spikes = graph, spikes
        self.trains = {"input": spikes, **FloatReference(graph).run_all(spikes)}
        self.peaks = sample_peaks(graph, spikes)
        self._compensations: dict[str, Compensation] = {}
        self.incoming = {name: [c for c in graph.connections if c.target == name] for name in graph.populations}
        self.parts = {name: self._quantise(graph, name, self.fewest_bits(name, 8)) for name in graph.populations}

    def fewest_bits(self, name: str, least: int = 1) -> int:
        """Return at least ``least``, and 2 if a connection has weights of both signs."""
        return max([least, *(2 for c in self.incoming[name] if weight_step(c.weight, 1) == 256)])

    def _quantise(self, graph: SpikingGraph, name: str, bits: int, exponents=None, scale=None) -> QuantisedPopulation:
        n = len(self.incoming[name])
        return quantise_population(graph, name, [bits] * n, exponents or [None] * n, scale, self.peaks[name])

    def choose(self, name: str, bits: int) -> tuple[Choice, QuantisedPopulation]:
        """The best form of a population."""
        plain_form = self._quantise(self.graph, name, bits)
        before = self.error(name, plain_form)
        best = Choice(name, bits, 1.0, "nearest", 1.0, before, before), plain_form
        if plain_form.error.weight_error < 1e-9:
            return best
        for clip in CLIPS:
            for rounding in ("nearest", "compensated"):
                if rounding == "nearest" or can_compensate(self.incoming[name]):
                    best = self._better(best, clip, rounding, None)
        if self.graph.populations[name].spiking:
            for gains in (GAINS, FINER_GAINS):
                middle = best[0].gain
                for gain in gains:
                    best = self._better(best, best[0].clip, best[0].rounding, middle * gain)
        return best

    def _better(
        self, best: tuple[Choice, QuantisedPopulation], clip: float, rounding: str, gain: float | None
    ) -> tuple[Choice, QuantisedPopulation]:
        """The better of the best form so far and another one."""
        try:
            choice, part = self._form(best[0], clip, rounding, gain)
        except ModelError:  # the threshold to match is out of range
            return best
        error = self.error(choice.name, part)
        return (replace(choice, error_after=error), part) if error < best[0].error_after else best

    def _form(
        self, like: Choice, clip: float, rounding: str, gain: float | None
    ) -> tuple[Choice, QuantisedPopulation]:
        """A population with clipped weights, rounded, and its threshold to match."""
        name, bits, p = like.name, like.num_weight_bits, self.graph.populations[like.name]
        incoming = self.incoming[name]
        limits = [clip * np.abs(c.weight).max(initial=0) for c in incoming]
        cut = [replace(c, weight=np.clip(c.weight, -limit, limit)) for c, limit in zip(incoming, limits, strict=True)]
        clipped = sum(int((np.abs(c.weight) > limit).sum()) for c, limit in zip(incoming, limits, strict=True))
        part = self._quantise(_with(self.graph, name, cut), name, bits)
        unit, exponents = part.error.unit, list(part.error.weight_exp)
        steps = [unit * 2.0**e for e in exponents]
        if rounding == "compensated":
            grids = [_grid(c, step, bits) for c, step in zip(cut, steps, strict=True)]
            rounded = self._compensation(name).round(cut, grids)
            cut = [replace(c, weight=w) for c, w in zip(cut, rounded, strict=True)]
        else:
            cut = [
                replace(c, weight=on_grid(c.weight, step, bits)[0] * step) for c, step in zip(cut, steps, strict=True)
            ]
        if gain is None:
            gain = 1.0 if rounding == "compensated" else _fit(incoming, cut)
        changed = _with(self.graph, name, cut, _divided(p, gain))
        part = self._quantise(changed, name, bits, exponents, unit * 2.0 ** min(0, *exponents))
        if part.error.clipped:  # one sign is gone, and with it -256
            raise ModelError(f"{name}: weights of one sign reach 255; choose another form")
        forms = tuple((bits, e) for e in exponents)
        error = population_errors(
            name,
            p,
            part.population,
            part.error.unit * gain,
            part.spacing,
            forms,
            [c.weight for c in incoming],
            [c.weight * gain for c in cut],
            clipped,
            self.peaks[name],
        )
        choice = Choice(name, bits, clip, rounding, gain, like.error_before, np.inf)
        return choice, replace(part, error=error)

    def _compensation(self, name: str) -> Compensation:
        if name not in self._compensations:
            trains = [self.trains[c.source] for c in self.incoming[name]]
            self._compensations[name] = Compensation(self.graph.populations[name], self.incoming[name], trains)
        return self._compensations[name]

    def error(self, name: str, part: QuantisedPopulation) -> float:
        """Return the distance of a form from the float population on the samples."""
        p = self.graph.populations[name]
        if not p.spiking:
            graph, network = self._upstream(name, part)
            report = compare(graph, network, self.spikes, {name: part.error.unit}, 1, 0)
            return next(a.membrane_error for a in report.populations if a.name == name)
        a = self._agreement(name, part)
        return 1 - a.f1 + a.rate_error / max(a.float_rate, 1 / max(self.spikes.n_steps, 1))

    def f1(self, name: str, part: QuantisedPopulation) -> float:
        """F1 of the spikes on the samples; 1 of a leaky integrator."""
        return self._agreement(name, part).f1

    def _agreement(self, name: str, part: QuantisedPopulation):
        _, network = self._upstream(name, part)
        fixed = emulate(network).run(self.spikes)
        return spike_agreement(name, part.population.n, self.trains[name], fixed)

    def _upstream(self, name: str, part: QuantisedPopulation) -> tuple[SpikingGraph, LoihiNetwork]:
        """The populations that a population depends on, with it as the output."""
        needed, waiting = {name}, [name]
        while waiting:
            sources = {c.source for c in self.incoming[waiting.pop()]} - needed - {"input"}
            needed |= sources
            waiting += sources
        graph = SpikingGraph(
            self.graph.n_inputs,
            {m: p for m, p in self.graph.populations.items() if m in needed},
            [c for c in self.graph.connections if c.target in needed],
            (name,),
        )
        return graph, assemble(graph, self.parts | {name: part})


def _with(graph: SpikingGraph, name: str, incoming: list[Connection], p=None) -> SpikingGraph:
    """The graph with other connections into a population, or other neurons."""
    populations = {m: (p or q) if m == name else q for m, q in graph.populations.items()}
    return SpikingGraph(graph.n_inputs, populations, incoming, (name,))


def _grid(c: Connection, step: float, bits: int) -> Grid:
    """Of weights of one sign, the grid has no integers of the other."""
    distance = weight_step(c.weight, bits)
    mixed = c.weight.size > 0 and c.weight.min() < 0 < c.weight.max()
    most = 256 // distance - 1
    low = -256 // distance if mixed else -most * (c.weight.min(initial=0) < 0)
    return Grid(step * distance, int(low), int(most * (c.weight.max(initial=0) > 0)))


def _fit(before: list[Connection], after: list[Connection]) -> float:
    """The factor that brings the weights after nearest to those before."""
    product = sum(float((a.weight * b.weight).sum()) for a, b in zip(before, after, strict=True))
    square = sum(float((b.weight**2).sum()) for b in after)
    return product / square if product > 0 else 1.0


def sample_peaks(graph: SpikingGraph, spikes: SpikeTrain) -> dict[str, tuple[float, float]]:
    """Largest current and voltage of every population on the samples, times :data:`HEADROOM`.

    The current is the voltage of a leaky integrator that forgets in every step.
    """
    shadows = {
        f"{name} current": replace(
            p, dv=np.ones(p.n), bias=np.zeros(p.n), spiking=False, reset="zero", refractory=0, start=0, most_spikes=1,
            lowest=-np.inf, rise=None, dh=None,
        )  # fmt: skip
        for name, p in graph.populations.items()
    }
    copies = [replace(c, target=f"{c.target} current") for c in graph.connections]
    both = SpikingGraph(
        graph.n_inputs, {**graph.populations, **shadows}, [*graph.connections, *copies], graph.outputs
    )
    reference = FloatReference(both)
    length = max(1, _PIECE // sum(p.n for p in both.populations.values()))
    peaks = dict.fromkeys(both.populations, 0.0)
    for first in range(0, spikes.n_steps, length):
        piece = SpikeTrain(spikes.indptr[first : first + length + 1], spikes.ids)
        for name, voltage in reference.voltages(piece).items():
            peaks[name] = max(peaks[name], float(np.abs(voltage).max(initial=0)))
    return {m: (HEADROOM * peaks[f"{m} current"], HEADROOM * peaks[m]) for m in graph.populations}


def _divided(p: CubaPopulation, gain: float) -> CubaPopulation:
    """Neurons whose weights were multiplied by ``1 / gain``."""
    return replace(p, vth=p.vth / gain, bias=p.bias / gain, rise=None if p.rise is None else p.rise / gain)
