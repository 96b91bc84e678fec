# SPDX-License-Identifier: Apache-2.0
"""Discretisation presets of the exporters of NIR files.

NIR states differential equations (Pedersen et al. 2024, Nature Communications 15) and no step. A file is read as
its author meant it only with the discretisation of the framework that wrote it; some of them write parameters
that contradict the equations. What each does was measured; see ``docs/neuromorphic/import.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..errors import ModelError

#: What an input of 1 adds to a state that loses the fraction d in a step: ``"decay"`` d, ``"jump"`` 1, ``"kept"``
#: 1 - d (the jump decays at once).
Gain = Literal["decay", "jump", "kept"]


@dataclass(frozen=True, slots=True)
class Preset:
    """The discretisation of one exporter.

    Attributes:
        dt: step, in the unit of the file's time constants; None if it must be stated.
        rule: ``"euler"`` (d = dt / tau) or ``"exponential"`` (d = 1 - exp(-dt / tau)).
        inclusive: whether a neuron spikes at its threshold, not only above.
        reset: ``"zero"`` at the spike; ``"zero_next"``: one step later, with what arrives then lost by neurons
            that have a current or feed themselves; ``"subtract"`` the threshold at the spike;
            ``"subtract_next"``: one step later; ``"none"``: a spike leaves the voltage as it is.
        synapse, membrane, integrator, accumulator: gains of the current of CubaLIF and CubaLI; of the voltage of
            LIF, CubaLIF and CubaLI; of LI; of IF and I, which lose nothing: ``"decay"`` is dt there.
        resistance: whether ``r`` counts.
        layers: ``"same_step"``: a layer sees the spikes that the one before it sends in the same step;
            ``"next_step"``: every connection takes one step, as on Loihi.
        current_delay: steps after which the voltage sees a new current of CubaLIF and CubaLI.
        starts_at_leak: whether voltages start at ``v_leak``; here they start at ``v_reset``, and a note reports it.
        filter_delay: steps after which neurons see an LI that feeds them.
        note: what the file does not contain.
        most_spikes: the most spikes of a neuron in a step; several need a reset that subtracts at once.
        lowest: the voltage does not fall below it, at most 0.
    """

    dt: float | None = None
    rule: Literal["euler", "exponential"] = "euler"
    inclusive: bool = False
    reset: Literal["zero", "zero_next", "subtract", "subtract_next", "none"] = "zero"
    synapse: Gain = "decay"
    membrane: Gain = "decay"
    integrator: Gain = "decay"
    accumulator: Gain = "decay"
    resistance: bool = True
    layers: Literal["same_step", "next_step"] = "same_step"
    current_delay: int = 0
    filter_delay: int = 0
    starts_at_leak: bool = False
    note: str = ""
    most_spikes: int = 1
    lowest: float = -np.inf


_SNNTORCH = (
    "snnTorch writes neither reset_mechanism nor reset_delay: snntorch is subtract, delayed (its defaults); others are "
    "snntorch_zero, snntorch_none, snntorch_undelayed and snntorch_zero_undelayed; nor graded_spikes_factor: 1 is taken"
)
_TWICE = "exact while no voltage exceeds twice its threshold: above, snnTorch subtracts before it compares"
_NORSE = (
    "Norse does not write v_reset: 0 is taken; nor where voltages start: at v_leak there, at 0 here, which is the same "
    "where v_leak is 0"
)
_UNWRITTEN = "Sinabs writes neither spike_fn, reset_fn, min_v_mem nor tau_syn"
_SINABS = (
    f"{_UNWRITTEN}: SingleSpike, MembraneSubtract, None (sinabs:min_v_mem=-1 gives one) and no synaptic current are "
    "taken; MultiSpike, its default, is sinabs_multispike"
)
_SINABS_MULTI = f"{_UNWRITTEN}: MultiSpike, MembraneSubtract, None and no synaptic current are taken"
_ROCKPOOL = "Rockpool writes neither bias, w_rec nor max_spikes_per_dt: none, none and"
#: Rockpool's default of ``max_spikes_per_dt``; Sinabs' MultiSpike knows no end.
MULTISPIKE = 2**16

#: Presets by name.
PRESETS = {
    "euler": Preset(),
    "exponential": Preset(rule="exponential"),
    "euler_old_current": Preset(current_delay=1),
    "loihi": Preset(dt=1e-3, layers="next_step"),
    "snntorch": Preset(dt=1e-4, reset="subtract_next", note=_SNNTORCH),
    "snntorch_zero": Preset(dt=1e-4, reset="zero_next", note=_SNNTORCH),
    "snntorch_none": Preset(dt=1e-4, reset="none", note=_SNNTORCH),
    "snntorch_undelayed": Preset(dt=1e-4, reset="subtract", note=f"{_SNNTORCH}; {_TWICE}"),
    "snntorch_zero_undelayed": Preset(dt=1e-4, note=_SNNTORCH),
    # Norse 1.1 writes tau = dt * true tau with dt = 1 ms: one step is 1e-6 in the unit of its files.
    "norse": Preset(dt=1e-6, synapse="jump", accumulator="jump", starts_at_leak=True, note=_NORSE),
    "sinabs": Preset(1.0, "exponential", True, "subtract", note=f"{_SINABS}; norm_input is taken as True"),
    "sinabs_unnormalised": Preset(
        1.0, "exponential", True, "subtract", "decay", "jump", "jump", note=f"{_SINABS}; norm_input is taken as False"
    ),
    "sinabs_multispike": Preset(
        1.0, "exponential", True, "subtract", most_spikes=MULTISPIKE,
        note=f"{_SINABS_MULTI}; norm_input is taken as True",
    ),
    "sinabs_unnormalised_multispike": Preset(
        1.0, "exponential", True, "subtract", "decay", "jump", "jump", most_spikes=MULTISPIKE,
        note=f"{_SINABS_MULTI}; norm_input is taken as False",
    ),
    "spikingjelly": Preset(dt=1e-4, inclusive=True),
    "nengo": Preset(dt=1e-3, rule="exponential", filter_delay=1, note="tau_ref 0 and no min_voltage are taken"),
    "rockpool": Preset(
        1e-3, "exponential", True, "subtract", "kept", "jump", "kept", "jump", resistance=False,
        note=f"{_ROCKPOOL} 1 are taken; its default, {MULTISPIKE}, is rockpool_multispike",
    ),
    "rockpool_multispike": Preset(
        1e-3, "exponential", True, "subtract", "kept", "jump", "kept", "jump", resistance=False,
        note=f"{_ROCKPOOL} {MULTISPIKE} are taken", most_spikes=MULTISPIKE,
    ),
}  # fmt: skip


def preset_of(name: str) -> Preset:
    """A preset by its name, with ``min_v_mem`` behind a colon where a network has one: ``sinabs:min_v_mem=-1``.

    Raises:
        ModelError: the name is unknown, or what follows it.
    """
    base, _, more = name.partition(":")
    if base not in PRESETS:
        raise ModelError(f"preset {name} is unknown; use one of {', '.join(sorted(PRESETS))}")
    if not more:
        return PRESETS[base]
    key, _, value = more.partition("=")
    try:
        lowest = float(value)
    except ValueError:
        lowest = np.nan
    if key != "min_v_mem" or not -np.inf < lowest <= 0:
        raise ModelError(f"preset {name}: give min_v_mem and a number of at most 0, as in {base}:min_v_mem=-1")
    return replace(PRESETS[base], lowest=lowest, note=f"{PRESETS[base].note}; min_v_mem is {lowest:g}".lstrip("; "))
