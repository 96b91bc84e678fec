# SPDX-License-Identifier: Apache-2.0
"""Capacities of neuromorphic cores and chips: published numbers, each with its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mesh:
    """The network on the chip: tiles on a grid, each with a router and some cores.

    Attributes:
        width, height: tiles along east-west and along north-south.
        cores_per_tile: cores that share a router.
    """

    width: int
    height: int
    cores_per_tile: int


@dataclass(frozen=True, slots=True)
class ChipLimits:
    """Limits of a core and of a chip. ``None`` is an unpublished number, which limits nothing here.

    Attributes:
        name: of the chip.
        source: where the numbers come from.
        cores: neuro cores a chip.
        compartments: neurons a core.
        axons_in: lists of synapses that messages can address on a core.
        axons_out: messages that the neurons of a core can be programmed to send; an axon of a population, which
            convolutions use, takes two.
        synapse_words: 64-bit words of synapse memory a core.
        profiles: different (du, dv, refractory) a core.
        thresholds: different thresholds a core.
        formats: different synapse formats a core.
        bases: neurons of one channel that a convolution can address on a core.
        longest_delay: extra steps of a synapse.
        neuron_models: classes of :mod:`.neurons` that the chip runs, by name; ``None``: all.
        mesh: the grid of tiles.
    """

    name: str
    source: str
    cores: int
    compartments: int
    axons_in: int | None
    axons_out: int | None
    synapse_words: int | None
    profiles: int | None
    thresholds: int | None
    formats: int | None
    bases: int | None
    longest_delay: int | None
    neuron_models: tuple[str, ...] | None
    mesh: Mesh | None


#: Cores, compartments: Davies et al. 2018. Axons, synapse memory, profiles, thresholds, formats, bases: the numbers
#: that nengo-loihi 1.1.0 (``block.py``, ``hardware/nxsdk_objects.py``, ``builder/validate.py``) checks before it
#: configures a chip. Grid: SANA-FE's model of the chip (``arch/loihi.yaml``): 8 x 4 tiles of 4 cores.
LOIHI1 = ChipLimits(
    name="Loihi",
    source="Davies et al., IEEE Micro 38(1), 2018; nengo-loihi 1.1.0; grid: SANA-FE, arch/loihi.yaml",
    cores=128,
    compartments=1024,
    axons_in=4096,
    axons_out=4096,
    synapse_words=16384,
    profiles=32,
    thresholds=8,
    formats=8,
    bases=256,
    longest_delay=62,
    neuron_models=("Population",),
    mesh=Mesh(8, 4, 4),
)

#: Intel publishes cores, neurons a core (1 million a chip) and 192 KB of memory a core, which neurons, axons and
#: synapses divide among them as they need. ``synapse_words`` is all of it, so it bounds from above: a core that is
#: full by it holds less in truth. Formats of synapses, tables of axons and the floor plan are not published.
LOIHI2 = ChipLimits(
    name="Loihi 2",
    source="Intel, Taking Neuromorphic Computing to the Next Level with Loihi 2, technology brief, 2021; "
    "Orchard et al., SiPS 2021",
    cores=128,
    compartments=8192,
    axons_in=None,
    axons_out=None,
    synapse_words=192 * 1024 // 8,
    profiles=None,
    thresholds=None,
    formats=None,
    bases=None,
    longest_delay=None,
    neuron_models=None,
    mesh=None,
)
