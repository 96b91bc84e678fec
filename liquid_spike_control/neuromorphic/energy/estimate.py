# SPDX-License-Identifier: Apache-2.0
"""Energy that counted work would take on a device, by a named model: an estimate, nothing is measured.

Three families, each with the assumptions of its source:

- ``davies2018``: Loihi 1. Synapses cost when a spike comes, every neuron costs every step (less if quiescent),
  spikes cost on their way if the traffic is known. Static power stands apart.
- ``kerasspiking:*``: one price a synaptic operation and one a neuron update. Spiking devices pay for synapses
  only when a spike comes; conventional ones compute every synapse in every pass.
- ``horowitz45nm:*``: 45 nm arithmetic alone: a multiply-accumulate for every synapse of a dense network
  (``mac``), or an addition where a spike comes (``ac``). No memory, no control, no neurons.

There is no model of Loihi 2: no table of its energy per operation has been published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ...errors import ModelError
from ..backend import BackendStats


class Traffic(Protocol):
    """Spike messages on a chip's mesh in the steps of the stats, e.g. :class:`~.traffic.Traffic`."""

    @property
    def within_tile(self) -> int:
        """Deliveries from a tile's router to one of its cores."""

    @property
    def hops_east_west(self) -> int:
        """Hops between tiles along the rows."""

    @property
    def hops_north_south(self) -> int:
        """Hops between tiles along the columns."""

    @property
    def off_chip(self) -> int:
        """Messages to another chip, which no source prices."""


@dataclass(frozen=True, slots=True)
class EnergyModel:
    """Prices [J] of a device, and where they come from.

    Attributes:
        name: as in :data:`MODELS`.
        device: what is priced, for people.
        source: where the prices stand.
        synaptic_operation: one synapse.
        active_update, inactive_update: one neuron and step, not quiescent or quiescent.
        dense: every synapse and neuron is computed in every pass, spike or not.
        within_tile, hop_east_west, hop_north_south: one spike message; 0 where the source has none.
        static_power: of one chip [W]; 0 where the source has none.
    """

    name: str
    device: str
    source: str
    synaptic_operation: float
    active_update: float
    inactive_update: float
    dense: bool = False
    within_tile: float = 0.0
    hop_east_west: float = 0.0
    hop_north_south: float = 0.0
    static_power: float = 0.0


_KERASSPIKING = "KerasSpiking 0.3.0, ModelEnergy"
_DEGNAN = f"{_KERASSPIKING}; Degnan, Marr, Hasler, IEEE Trans. VLSI 24(1), 58-66, IEEE Xplore 7054508"
_HOEPPNER = f"{_KERASSPIKING}; Hoeppner et al., IEEE Trans. Circuits Syst. I 66(8), 2019, arXiv:1903.08941"
_HOROWITZ = "Horowitz, ISSCC 2014, 10.1109/ISSCC.2014.6757323: 45 nm, 0.9 V, 32-bit float"

DAVIES_2018 = EnergyModel(
    name="davies2018",
    device="Loihi",
    source="Davies et al., Loihi, IEEE Micro 38(1), 2018, Table 2 (pre-silicon, 0.75 V)",
    synaptic_operation=23.6e-12,
    active_update=81e-12,
    inactive_update=52e-12,
    within_tile=1.7e-12,
    hop_east_west=3.0e-12,
    hop_north_south=4.0e-12,
    static_power=104e-3,
)

#: By name. KerasSpiking's Loihi adds 3.5 pJ to Davies' 23.6 pJ without a reason; 3.5 pJ is the mean of
#: Davies' two hops.
MODELS = {
    m.name: m
    for m in (
        DAVIES_2018,
        EnergyModel(
            "kerasspiking:loihi",
            "Loihi",
            f"{_KERASSPIKING}; from Davies et al. 2018: 23.6 + 3.5 pJ",
            27.1e-12,
            81e-12,
            81e-12,
        ),
        EnergyModel("kerasspiking:spinnaker2", "SpiNNaker 2", _HOEPPNER, 450e-12, 2.19e-9, 2.19e-9),
        EnergyModel("kerasspiking:spinnaker", "SpiNNaker", _HOEPPNER, 13.3e-9, 26e-9, 26e-9),
        EnergyModel("kerasspiking:gpu", "GPU", f"{_DEGNAN}: GTX Titan Black", 0.3e-9, 0.3e-9, 0.3e-9, dense=True),
        EnergyModel("kerasspiking:arm", "ARM", f"{_DEGNAN}: Cortex-A", 0.9e-9, 0.9e-9, 0.9e-9, dense=True),
        EnergyModel("kerasspiking:cpu", "CPU", f"{_DEGNAN}: i7-4960X", 8.6e-9, 8.6e-9, 8.6e-9, dense=True),
        EnergyModel("horowitz45nm:ac", "45 nm AC", f"{_HOROWITZ}: add 0.9 pJ", 0.9e-12, 0.0, 0.0),
        EnergyModel(
            "horowitz45nm:mac",
            "45 nm MAC",
            f"{_HOROWITZ}: multiply 3.7 + add 0.9 pJ",
            4.6e-12,
            0.0,
            0.0,
            dense=True,
        ),
    )
}


def model_by_name(name: str) -> EnergyModel:
    """One of :data:`MODELS`.

    Raises:
        ModelError: the name is unknown.
    """
    if name in MODELS:
        return MODELS[name]
    why = ""
    if "loihi2" in name.lower().replace(" ", "").replace("_", ""):
        why = "no table of Loihi 2's energy per operation has been published; "
    raise ModelError(f"energy model '{name}': {why}choose one of {', '.join(MODELS)}")


@dataclass(frozen=True, slots=True)
class EnergyEstimate:
    """Dynamic energy [J] by what it is for, the time it covers [s] and, apart, the static power [W].

    Attributes:
        synapses, neurons, traffic: parts of the dynamic energy; ``traffic`` is None where it was not known or
            the model has no price for it.
        unpriced_messages: messages between chips, which no source prices.
    """

    model: EnergyModel
    synapses: float
    neurons: float
    duration: float
    static_power: float
    traffic: float | None = None
    unpriced_messages: int = 0

    @property
    def dynamic(self) -> float:
        """Dynamic energy [J]."""
        return self.synapses + self.neurons + (self.traffic or 0.0)

    @property
    def static(self) -> float:
        """Energy that powered chips take over the duration, busy or not [J]."""
        return self.static_power * self.duration

    @property
    def dynamic_power(self) -> float:
        """Mean dynamic power [W]; 0 before the first step."""
        return self.dynamic / self.duration if self.duration else 0.0

    def __str__(self) -> str:
        parts = f"synapses {joules(self.synapses)}, neurons {joules(self.neurons)}"
        if self.traffic is not None:
            parts += f", traffic {joules(self.traffic)}"
        elif self.model.within_tile:
            parts += ", traffic between cores not counted"
        if self.unpriced_messages:
            parts += f"; {self.unpriced_messages} messages between chips have no price"
        static = "in no part of this model"
        if self.static_power:
            static = f"{self.static_power * 1e3:.3g} mW"
        return (
            f"estimate by {self.model.name}, not a measurement: {joules(self.dynamic)} in {self.duration:.3g} s "
            f"({self.dynamic_power * 1e6:.3g} uW dynamic: {parts}); static, apart: {static}; "
            f"source: {self.model.source}"
        )


def joules(energy: float) -> str:
    """Three digits and a unit, e.g. ``"23.6 nJ"``."""
    for unit, size in (("J", 1.0), ("mJ", 1e-3), ("uJ", 1e-6), ("nJ", 1e-9)):
        if abs(energy) >= 0.9995 * size:
            return f"{energy / size:.3g} {unit}"
    return f"{energy / 1e-12:.3g} pJ"


def estimate(
    stats: BackendStats,
    dt: float,
    model: EnergyModel | str = DAVIES_2018,
    chips: int = 1,
    traffic: Traffic | None = None,
    dense_operations: int | None = None,
    passes: float | None = None,
) -> EnergyEstimate:
    """Energy of the work in ``stats``.

    On a spiking device every neuron is served every step: those that were not quiescent at the active price,
    the others at the inactive one. A dense device computes every synapse and neuron in every pass.

    Args:
        stats: work of a backend.
        dt: length of a step [s].
        model: prices, or their name.
        chips: how many chips stand powered.
        traffic: of the same steps; only ``davies2018`` prices it.
        dense_operations: synapses of one pass over the network
            (:func:`~.metrics.dense_operations`); dense models need it.
        passes: of a dense device; one a step if not given. KerasSpiking grants a conventional device a network
            that does not spike and needs one pass an inference.

    Raises:
        ModelError: there is no model of that name.
        ValueError: a dense model, and no ``dense_operations``.
    """
    model = model_by_name(model) if isinstance(model, str) else model
    operations: float = stats.synaptic_operations
    active: float = stats.neuron_updates
    quiescent = stats.neuron_steps - stats.neuron_updates
    if model.dense:
        if dense_operations is None:
            raise ValueError(f"{model.name} computes every synapse: give dense_operations")
        passes = stats.steps if passes is None else passes
        n_neurons = stats.neuron_steps // stats.steps if stats.steps else 0
        operations, active, quiescent = dense_operations * passes, n_neurons * passes, 0
    on_the_way, unpriced = None, 0
    if traffic is not None and model.within_tile:
        on_the_way = (
            traffic.within_tile * model.within_tile
            + traffic.hops_east_west * model.hop_east_west
            + traffic.hops_north_south * model.hop_north_south
        )
        unpriced = int(traffic.off_chip)
    return EnergyEstimate(
        model=model,
        synapses=operations * model.synaptic_operation,
        neurons=active * model.active_update + quiescent * model.inactive_update,
        duration=stats.steps * dt,
        static_power=chips * model.static_power,
        traffic=on_the_way,
        unpriced_messages=unpriced,
    )
