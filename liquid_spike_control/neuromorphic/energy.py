# SPDX-License-Identifier: Apache-2.0
"""Energy that the counted work would take on a chip, by a named model. An estimate, not a measurement."""

from __future__ import annotations

from dataclasses import dataclass

from .backend import BackendStats


@dataclass(frozen=True, slots=True)
class EnergyModel:
    """Energy per operation [J] and static power of a chip [W], with where the numbers come from."""

    name: str
    source: str
    synaptic_operation: float
    active_update: float
    inactive_update: float
    static_power: float


#: Davies et al. 2018, Table 2, 0.75 V: pre-silicon simulation. Traffic between cores is not in it.
DAVIES_2018 = EnergyModel(
    name="davies2018",
    source="Davies et al., Loihi, IEEE Micro 38(1), 2018, Table 2 (pre-silicon, 0.75 V)",
    synaptic_operation=23.6e-12,
    active_update=81e-12,
    inactive_update=52e-12,
    static_power=104e-3,
)


@dataclass(frozen=True, slots=True)
class EnergyEstimate:
    """Dynamic energy [J] by what it is for, the time it covers [s] and, apart, the static power [W]."""

    model: EnergyModel
    synapses: float
    neurons: float
    duration: float
    static_power: float

    @property
    def dynamic(self) -> float:
        """Dynamic energy [J]."""
        return self.synapses + self.neurons

    @property
    def dynamic_power(self) -> float:
        """Mean dynamic power [W]; 0 before the first step."""
        return self.dynamic / self.duration if self.duration else 0.0

    def __str__(self) -> str:
        return (
            f"estimate by {self.model.name}: {self.dynamic * 1e6:.3g} uJ in {self.duration:.3g} s "
            f"({self.dynamic_power * 1e6:.3g} uW dynamic: synapses {self.synapses * 1e6:.3g} uJ, "
            f"neurons {self.neurons * 1e6:.3g} uJ); static, apart: {self.static_power * 1e3:.3g} mW; "
            f"source: {self.model.source}"
        )


def estimate(
    stats: BackendStats, dt: float, model: EnergyModel = DAVIES_2018, chips: int = 1
) -> EnergyEstimate:
    """Energy of the work in ``stats``.

    On the chip every neuron is served every step: those that were not quiescent at the active price, the
    others at the inactive one.

    Args:
        stats: work of a backend.
        dt: length of a step [s].
        model: prices.
        chips: how many chips stand powered.
    """
    quiescent = stats.neuron_steps - stats.neuron_updates
    return EnergyEstimate(
        model=model,
        synapses=stats.synaptic_operations * model.synaptic_operation,
        neurons=stats.neuron_updates * model.active_update + quiescent * model.inactive_update,
        duration=stats.steps * dt,
        static_power=chips * model.static_power,
    )
