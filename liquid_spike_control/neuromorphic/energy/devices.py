# SPDX-License-Identifier: Apache-2.0
"""Energy of one inference of the same network on several devices, by published prices: estimates, side by side.

What the devices have to do differs, and so do what their prices hold:

- Spiking devices do the operations of the spikes there were. A conventional device is charged every synapse and
  every neuron, once a step, or once an inference if a network without spikes did the same (KerasSpiking's
  assumption). The CPU that follows events has the CPU's prices, the spikes' operations and the neurons that are
  not quiescent: an event-driven simulator.
- Davies' prices are dynamic; a powered chip takes 0.1 W beside them, busy or not, which is a row of its own. The
  prices of CPU and GPU come from the performance per watt of whole chips: static power is in them, at full load.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ...errors import ModelError, TaskError
from ...spiking.graph import SpikingGraph
from ...terminal import Console
from ...types import SpikeTrain
from ..backend import BackendStats
from ..chip.mapping import Placement, place
from ..chip.timing import step_times
from ..chip.traffic import traffic
from ..emulator.loihi import LoihiEmulator
from ..integers.network import INPUT, LoihiNetwork
from ..integers.neurons import Population
from ..reference import FloatReference
from .estimate import MODELS, EnergyEstimate, EnergyModel, estimate, joules
from .metrics import Metrics, Network, dense_operations, measure

#: What is claimed, and by whom.
CLAIM = 1000.0
CLAIM_SOURCE = (
    "Intel, announcement of Loihi, 25 September 2017: up to 1000 times less energy than general-purpose computing"
)
#: What was measured by those who built it.
CLAIM_IN_PAPERS = (
    "Davies et al. 2018: over three orders of magnitude in energy times delay, on LASSO, against a CPU; "
    "Davies et al. 2021 (10.1109/JPROC.2021.3067593): feed-forward networks gain little if anything, "
    "recurrent, event-based and sparse ones orders of magnitude"
)

What = Literal["events", "static", "flat out", "every step", "one pass"]
#: What a row counts: in a table, and in full.
WHAT = {
    "events": ("spikes", "operations that spikes cause"),
    "static": ("+ static power", "and static power, in real time"),
    "flat out": ("+ static, flat out", "and static power, flat out"),
    "every step": ("all, every step", "all synapses and neurons, every step"),
    "one pass": ("all, once", "all synapses and neurons, once an inference"),
}


@dataclass(frozen=True, slots=True)
class Device:
    """One row.

    Attributes:
        name: for people.
        what: operations that it is charged for, see :data:`WHAT`.
        estimate: of the whole run.
        energy: of one inference [J]; with static power if ``what`` includes it, in real time or at full speed.
        factor: energy over that of Loihi by ``davies2018``, dynamic.
    """

    name: str
    what: What
    estimate: EnergyEstimate
    energy: float
    factor: float


@dataclass(frozen=True, slots=True)
class DeviceComparison:
    """Energy of one inference by device.

    Attributes:
        title: which network, on which input.
        network: hash.
        n_neurons: of the network.
        step_s: length of a step [s].
        inference_steps: steps of one inference.
        chips: Loihi chips that stand powered.
        misfits: what does not fit on Loihi's cores, so that the chip cannot run the network as it is.
        fastest_step_s: mean step of Loihi that waits for nothing [s], see :mod:`.timing`; None if it is on no cores.
        stats: work of the run.
        metrics: NeuroBench's, of the same run.
        devices: the first is Loihi by ``davies2018``, dynamic.
    """

    title: str
    network: str
    n_neurons: int
    step_s: float
    inference_steps: int
    chips: int
    misfits: tuple[str, ...]
    fastest_step_s: float | None
    stats: BackendStats
    metrics: Metrics
    devices: tuple[Device, ...]

    def device(self, model: str, what: What) -> Device:
        """The row of an energy model."""
        return next(d for d in self.devices if d.estimate.model.name == model and d.what == what)

    def as_dict(self) -> dict:
        """For JSON; energies in joules, every row with its model and source."""
        return {
            "kind": "estimate, not a measurement",
            "title": self.title,
            "network": self.network,
            "neurons": self.n_neurons,
            "step_s": self.step_s,
            "inference_steps": self.inference_steps,
            "chips": self.chips,
            "misfits": list(self.misfits),
            "fastest_step_s": self.fastest_step_s,
            "work": asdict(self.stats),
            "metrics": self.metrics.as_dict(),
            "claim": {"factor": CLAIM, "source": CLAIM_SOURCE, "papers": CLAIM_IN_PAPERS},
            "devices": [
                {
                    "device": d.name,
                    "counts": WHAT[d.what][1],
                    "model": d.estimate.model.name,
                    "source": d.estimate.model.source,
                    "energy_per_inference_j": d.energy,
                    "over_loihi": d.factor,
                }
                for d in self.devices
            ],
        }


def compare_devices(
    network: Network,
    spikes: SpikeTrain,
    step_s: float,
    inference_steps: int | None = None,
    placement: Placement | None = None,
    title: str = "",
) -> DeviceComparison:
    """Run a network once and price its work on every device.

    Args:
        network: integers; or floats, whose reference skips no neuron and which are on no core: Loihi's neurons are
            then all active, its chip is one and the traffic is not counted.
        spikes: of the input axons.
        step_s: length of a step [s]; it decides static energy alone.
        inference_steps: steps of one inference; all if not given.
        placement: of the network on Loihi's cores; found here if not given.
        title: which network, on which input.

    Raises:
        TaskError: no steps, or more steps an inference than there are.
        ModelError: the neurons are not Loihi 1's, and there is no table for those of Loihi 2.
    """
    n_steps = spikes.n_steps
    inference_steps = n_steps if inference_steps is None else inference_steps
    if not 1 <= inference_steps <= n_steps:
        raise TaskError(f"an inference of {inference_steps} steps does not fit input of {n_steps}; give 1 .. {n_steps}")
    chips, on_mesh, fastest = 1, None, None
    misfits: tuple[str, ...] = ()
    if isinstance(network, SpikingGraph):
        backend: FloatReference | LoihiEmulator = FloatReference(network)
        trains = backend.run_all(spikes)
    else:
        _check_neurons(network)
        backend = LoihiEmulator(network)
        trains = backend.run_all(spikes)
        placement = place(network) if placement is None else placement
        chips, misfits = placement.n_chips, tuple(str(m) for m in placement.misfits)
        on_mesh = traffic(placement, trains, spikes)
        fastest = float(step_times(placement, trains, spikes).mean())
    stats, metrics = backend.stats(), measure(network, trains | {INPUT: spikes})
    inferences = n_steps / inference_steps
    one_pass = dense_operations(network)

    def priced(model: EnergyModel, passes: float | None = None) -> EnergyEstimate:
        return estimate(stats, step_s, model, chips, on_mesh, one_pass, passes)

    loihi = priced(MODELS["davies2018"])
    rows: list[tuple[str, What, EnergyEstimate]] = [("Loihi", "events", loihi), ("Loihi", "static", loihi)]
    if fastest is not None:
        rows.append(("Loihi", "flat out", replace(loihi, duration=n_steps * fastest)))
    for name in ("kerasspiking:loihi", "kerasspiking:spinnaker2", "kerasspiking:spinnaker"):
        rows.append((MODELS[name].device, "events", priced(MODELS[name])))
    cpu = MODELS["kerasspiking:cpu"]
    rows.append((cpu.device, "events", priced(replace(cpu, dense=False, inactive_update=0.0))))
    for name in ("kerasspiking:gpu", "kerasspiking:arm", "kerasspiking:cpu", "horowitz45nm:mac"):
        model = MODELS[name]
        if inference_steps > 1:
            rows.append((model.device, "one pass", priced(model, inferences)))
        rows.append((model.device, "every step", priced(model)))
    adders = MODELS["horowitz45nm:ac"]
    rows.append((adders.device, "events", priced(adders)))

    def energy(what: What, e: EnergyEstimate) -> float:
        return (e.dynamic + (e.static if what in ("static", "flat out") else 0.0)) / inferences

    first = energy("events", loihi)
    devices = tuple(
        Device(name, what, e, energy(what, e), energy(what, e) / first if first else float("nan"))
        for name, what, e in rows
    )
    n_neurons = sum(p.n for p in network.populations.values())
    return DeviceComparison(
        title, network.hash, n_neurons, step_s, inference_steps, chips, misfits, fastest, stats, metrics, devices
    )


def _check_neurons(network: LoihiNetwork) -> None:
    for name, p in network.populations.items():
        if not isinstance(p, Population):
            raise ModelError(
                f"{name}: {type(p).__name__} runs on Loihi 2, whose energy per operation is not published; "
                "liquid-spike neuromorphic run counts its operations"
            )


def table(report: DeviceComparison, console: Console, *more: DeviceComparison) -> None:
    """Devices and their energies, what one should know of them, and at the end the sources of all reports."""
    for r in (report, *more):
        what = r.title or r.network[:16]
        console.print(f"{what}: energy of one inference, {_steps(r.inference_steps)} of {r.step_s * 1e3:g} ms")
        console.print("estimates by published prices, nothing measured", style="bold")
        rows = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for heading in ("device", "operations", "model"):
            rows.add_column(heading, overflow="fold")
        for heading in ("estimate", "/ Loihi"):
            rows.add_column(heading, justify="right", no_wrap=True)
        for d in r.devices:
            rows.add_row(d.name, WHAT[d.what][0], d.estimate.model.name, joules(d.energy), times(d.factor))
        console.print(rows)
        console.print(*notes(r), "", sep="\n", style="dim", highlight=False)
    console.print(*sources(report, *more), sep="\n", style="dim", highlight=False)


def _steps(n: int) -> str:
    return "1 step" if n == 1 else f"{n} steps"


def times(factor: float) -> str:
    """Three digits, e.g. ``"147,000x"``."""
    return f"{float(f'{factor:.3g}'):,.10g}x"


def notes(report: DeviceComparison) -> list[str]:
    """Return explanations of a report's numbers, one line each."""
    dense, events = (report.device("kerasspiking:cpu", what) for what in ("every step", "events"))
    static = report.device("davies2018", "static")
    loihi = report.devices[0].estimate
    shares = {"synapses": loihi.synapses, "neurons": loihi.neurons, "traffic between cores": loihi.traffic}
    parts = ", ".join(f"{100 * e / loihi.dynamic:.2g} % {name}" for name, e in shares.items() if e is not None)
    if loihi.unpriced_messages:
        parts += f", {loihi.unpriced_messages} messages between chips, which have no published energy"
    pace = ""
    if report.fastest_step_s is not None:
        enough = "" if report.fastest_step_s <= report.step_s else ", too slow for real time"
        pace = f" A step that waits for nothing takes {report.fastest_step_s * 1e6:.3g} us{enough}."
    skipped = []
    if events.energy:
        skipped.append(
            f"Of the CPU's {times(dense.factor)}, {times(dense.energy / events.energy)} is silent neurons and zero "
            "weights, which an event-driven simulator on the CPU skips too, and "
            f"{times(events.factor)} is the price of an operation."
        )
    lines = []
    if report.misfits:
        more = f" (and {len(report.misfits) - 1} more)" if len(report.misfits) > 1 else ""
        lines.append(f"Loihi cannot run it as it is. {report.misfits[0]}{more}.")
    return lines + [
        f"NeuroBench: {report.metrics}",
        *skipped,
        f"Static power, {report.chips} x {MODELS['davies2018'].static_power * 1e3:.0f} mW all of the time, is "
        f"{times(static.factor - 1)} Loihi's dynamic energy here; CPU and GPU prices hold theirs, at full load.{pace}",
        f"Loihi's dynamic energy: {parts}. Input, output and host are in no row.",
    ]


def sources(*reports: DeviceComparison) -> list[str]:
    """Return what is counted, what is claimed, and the sources of the prices, one line each."""
    named: dict[str, dict[str, None]] = {}
    for d in (d for r in reports for d in r.devices):
        named.setdefault(d.estimate.model.source, {})[d.estimate.model.name] = None
    return [
        "Operations. " + "; ".join(f"{short}: {full}" for short, full in WHAT.values()) + ".",
        "The GPU's price supposes large batches, and 45 nm is arithmetic alone: no memory, no control, no neurons.",
        "Loihi 2 is missing: no table of its energy per operation has been published.",
        f"The claim: {CLAIM_SOURCE}.",
        f"The papers: {CLAIM_IN_PAPERS}.",
        *(f"{', '.join(names)}: {source}." for source, names in named.items()),
    ]
