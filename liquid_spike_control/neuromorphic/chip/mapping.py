# SPDX-License-Identifier: Apache-2.0
"""Place a network on the cores of a chip: how many it takes, what is scarce on them, and what does not fit.

An estimate by the published limits and a stated model of what is stored where (docs/neuromorphic/mapping.md), not
the output of Intel's compiler. A core holds neurons of one population, as nengo-loihi and NxTF have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from rich.table import Table

from ...errors import ModelError
from ...terminal import Console
from ..integers.network import LoihiNetwork
from ..integers.neurons import Neurons
from ..integers.synapses import Conv, Dense, Sparse
from .chips import LOIHI1, ChipLimits
from .misfits import Misfit, crowded, full, too_many, unknown
from .partition import AXONS_OUT, MEMORY, RESOURCES, UNLIMITED, Demand, Outgoing, Partition, limits_of
from .shared_axons import SharedAxons
from .synapse_lists import DiscreteAxons


@dataclass(frozen=True, eq=False)
class Route:
    """Targets of the spikes of a connection.

    Attributes:
        connection: of the network.
        axons: how it is stored.
        first_core: number of the target population's first core.
        arrivals: synapses by target core of the population and axon, CSR ``(cores, axons.n_units)``.
    """

    connection: Dense | Sparse | Conv
    axons: DiscreteAxons | SharedAxons
    first_core: int
    arrivals: sp.csr_array


@dataclass(frozen=True, eq=False)
class Placement:
    """A network on the cores of chips of one kind. Cores are numbered through, population after population.

    Attributes:
        network, limits: what was placed on what.
        partitions: by population, which core holds which neuron.
        first_core: by population, the number of its first core.
        usage: what each core needs, int64 ``(n_cores, len(RESOURCES))``.
        routes: one a connection.
        misfits: what does not fit; the cores of a population with one may exceed that limit.
    """

    network: LoihiNetwork
    limits: ChipLimits
    partitions: Mapping[str, Partition]
    first_core: Mapping[str, int]
    usage: np.ndarray
    routes: tuple[Route, ...]
    misfits: tuple[Misfit, ...]

    @property
    def n_cores(self) -> int:
        """Cores that are used."""
        return len(self.usage)

    @property
    def n_chips(self) -> int:
        """Chips that are used."""
        return -(-self.n_cores // self.limits.cores)

    @property
    def fits(self) -> bool:
        """Whether nothing exceeds a limit."""
        return not self.misfits

    def core_of(self, population: str) -> np.ndarray:
        """The core of each neuron, int64 ``(n,)``."""
        return self.first_core[population] + self.partitions[population].core_of

    @property
    def utilisation(self) -> np.ndarray:
        """Share of each core's limits that is used, float64 ``(n_cores, len(RESOURCES))``; nan: not published."""
        limits = limits_of(self.limits)
        return np.where(limits == UNLIMITED, np.nan, self.usage / limits)

    def scarcest(self, population: str) -> str:
        """The resource that limits the size of the population's cores: the most used one; "" if one core does."""
        partition, first = self.partitions[population], self.first_core[population]
        if partition.n_cores == 1:
            return ""
        return RESOURCES[int(np.nanargmax(self.utilisation[first : first + partition.n_cores].mean(0)))]

    def check(self) -> None:
        """Refuse what does not fit.

        Raises:
            ModelError: names the first misfit and how many more there are.
        """
        if self.misfits:
            more = f" (and {len(self.misfits) - 1} more)" if len(self.misfits) > 1 else ""
            raise ModelError(f"does not fit on {self.limits.name}: {self.misfits[0]}{more}")

    def table(self, console: Console) -> None:
        """Print one row a population, then what does not fit."""
        title = f"{self.network.n_neurons} neurons on {self.limits.name}: {_count(self.n_cores, 'core')}"
        table = Table(
            title=f"{title} on {_count(self.n_chips, 'chip')} (estimate)",
            caption="shares of a core's limits, mean over the cores and, if it differs, the fullest core",
        )
        table.add_column("population")
        for name in ("neurons", "cores", *RESOURCES[: MEMORY + 1], "what limits"):
            table.add_column(name, justify="right")
        used = 100 * self.utilisation
        for name, partition in self.partitions.items():
            mine = used[self.first_core[name] :][: partition.n_cores, : MEMORY + 1]
            shares = (
                _share(mean, most) for mean, most in zip(mine.mean(0), mine.max(0), strict=True)
            )
            neurons = str(len(partition.core_of))
            table.add_row(name, neurons, str(partition.n_cores), *shares, self.scarcest(name))
        console.print(table)
        for misfit in self.misfits:
            console.print(f"does not fit: {misfit}", style="red", highlight=False, markup=False)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _share(mean: float, most: float) -> str:
    if np.isnan(mean):
        return "not published"
    return f"{most:.0f} %" if round(mean) == round(most) else f"{mean:.0f} ({most:.0f}) %"


def place(network: LoihiNetwork, limits: ChipLimits = LOIHI1, chips: int | None = None) -> Placement:
    """Place a network.

    Populations are cut in their order: an image that convolutions feed into equal boxes with whole pixels where
    they fit, anything else into ranges of neurons as long as the limits allow. Cutting a target sends its sources'
    spikes to more cores, so that sources may have to be cut again until every core's output axons suffice.

    Args:
        network: what to place.
        limits: the chip.
        chips: how many there are; any number if ``None``.

    Returns:
        The placement; :attr:`Placement.misfits` lists what does not fit and why.
    """
    images, bounds = _images(network), limits_of(limits)
    axons = [_stored(c, images.get(c.target), network.size(c.target)) for c in network.connections]
    ways = [Outgoing(a, np.zeros(a.n_units, np.int64)) for a in axons]
    demands = {
        name: Demand(
            n=p.n,
            incoming=[a for a, c in zip(axons, network.connections, strict=True) if c.target == name],
            outgoing=[way for way, c in zip(ways, network.connections, strict=True) if c.source == name],
            **_settings(p),
            image=images.get(name),
        )
        for name, p in network.populations.items()
    }
    partitions = _cut(network, demands, ways, bounds, limits.bases)
    needs = {name: demand.needs() for name, demand in demands.items()}
    firsts = np.cumsum([0, *(partitions[name].n_cores for name in network.populations)]).tolist()
    first_core = dict(zip(network.populations, firsts, strict=False))
    routes = []
    for way, c in zip(ways, network.connections, strict=True):
        arrivals = _arrivals(way.axons, partitions[c.target])
        routes.append(Route(c, way.axons, first_core[c.target], arrivals))
        way.reach = _reach(arrivals)
    used = {name: demand.usage(partitions[name]) for name, demand in demands.items()}
    misfits = [
        *unknown(network, limits),
        *crowded({name: [a.format for a in demand.incoming] for name, demand in demands.items()}, limits),
        *(m for name in used for m in full(name, needs[name], used[name], bounds)),
        *too_many(firsts[-1], limits, chips),
    ]
    usage = np.concatenate(list(used.values()))
    return Placement(network, limits, partitions, first_core, usage, tuple(routes), tuple(misfits))


def _cut(
    network: LoihiNetwork, demands: Mapping[str, Demand], ways: list[Outgoing], bounds: np.ndarray, bases: int | None
) -> dict[str, Partition]:
    """Cut every population, targets first; again those whose output axons became too many by it.

    What a cut may count on, the reach of its axons, never falls: so this comes to an end.
    """
    partitions: dict[str, Partition] = {}
    cut_for: dict[str, list[np.ndarray]] = {}
    waiting = list(demands)[::-1]
    while waiting:
        for name in waiting:
            partitions[name] = demands[name].cut(bounds, bases)
            cut_for[name] = [out.reach for out in demands[name].outgoing]
            for way, c in zip(ways, network.connections, strict=True):
                if c.target == name:
                    way.reach = np.maximum(way.reach, _reach(_arrivals(way.axons, partitions[name])))
        waiting = [
            name
            for name, demand in demands.items()
            if any((out.reach > old).any() for out, old in zip(demand.outgoing, cut_for[name], strict=True))
            and (demand.axons_out(partitions[name]) > bounds[AXONS_OUT]).any()
        ]
    return {name: partitions[name] for name in demands}


def _images(network: LoihiNetwork) -> dict[str, tuple[int, int, int]]:
    """Populations that convolutions feed, and their shape; the first one's if they differ."""
    images: dict[str, tuple[int, int, int]] = {}
    for c in network.connections:
        if isinstance(c, Conv) and c.shape[0] == network.size(c.target):
            images.setdefault(c.target, c.output_shape)
    return images


def _stored(c: Dense | Sparse | Conv, image: tuple[int, int, int] | None, n: int) -> DiscreteAxons | SharedAxons:
    return SharedAxons(c) if isinstance(c, Conv) and c.output_shape == image else DiscreteAxons(c, n)


def _arrivals(axons: DiscreteAxons | SharedAxons, partition: Partition) -> sp.csr_array:
    if isinstance(axons, SharedAxons):
        assert partition.patches is not None
        return axons.arrivals(partition.patches)
    return axons.arrivals(partition.core_of, partition.n_cores)


def _reach(arrivals: sp.csr_array) -> np.ndarray:
    """Return how many cores each axon goes to."""
    return np.bincount(arrivals.indices, minlength=arrivals.shape[1])


def _settings(population: Neurons) -> dict[str, np.ndarray]:
    """Numbers of the neurons' different settings: (du, dv, refractory), of which a core keeps a table, and the
    threshold, of which it keeps another.
    """
    numbers = {}
    for table, names in (("profiles", ("du", "dv", "refractory")), ("thresholds", ("vth",))):
        columns = [np.broadcast_to(getattr(population, name, 0), population.n) for name in names]
        numbers[table] = np.unique(np.stack(columns), axis=1, return_inverse=True)[1].ravel()
    return numbers
