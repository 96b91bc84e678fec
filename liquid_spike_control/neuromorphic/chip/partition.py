# SPDX-License-Identifier: Apache-2.0
"""Cut a population into cores: what a core would need, and the cut that keeps every core within the limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numba import njit

from .chips import ChipLimits
from .shared_axons import Patches, SharedAxons
from .synapse_lists import HEADER, INDEX_BITS, PIECE, WORD, DiscreteAxons

#: What a core has a limited amount of; columns of a usage table.
RESOURCES = ("compartments", "axons in", "axons out", "synapse memory", "profiles", "thresholds")
COMPARTMENTS, AXONS_IN, AXONS_OUT, MEMORY, PROFILES, THRESHOLDS = range(len(RESOURCES))
UNLIMITED = np.iinfo(np.int64).max


def limits_of(chip: ChipLimits) -> np.ndarray:
    """Limits of a core by column of :data:`RESOURCES`, int64; what is not published is :data:`UNLIMITED`."""
    limits = (
        chip.compartments,
        chip.axons_in,
        chip.axons_out,
        chip.synapse_words,
        chip.profiles,
        chip.thresholds,
    )
    return np.array([UNLIMITED if limit is None else limit for limit in limits], np.int64)


@dataclass(frozen=True, eq=False)
class Partition:
    """Which core holds which neuron, counted within a population.

    Attributes:
        core_of: int64 ``(n,)``.
        n_cores: how many.
        patches: the boxes, if the population is cut as an image.
    """

    core_of: np.ndarray
    n_cores: int
    patches: Patches | None = None

    @property
    def sizes(self) -> np.ndarray:
        """Neurons on each core."""
        return np.bincount(self.core_of, minlength=self.n_cores)


@dataclass(eq=False)
class Outgoing:
    """A connection that leaves the population.

    Attributes:
        axons: how it is stored where it arrives.
        reach: int64 ``(n_units,)``, how many cores an axon must be sent to; it grows as the target is cut.
    """

    axons: DiscreteAxons | SharedAxons
    reach: np.ndarray


@dataclass(frozen=True, eq=False)
class Demand:
    """What decides how many neurons of a population fit on a core.

    Attributes:
        n: its neurons.
        incoming: connections into it; :class:`SharedAxons` only if it is an image.
        outgoing: connections from it.
        profiles, thresholds: int64 ``(n,)``, numbers of the different settings of its neurons.
        image: its shape ``(X, Y, C)``, if it is one.
    """

    n: int
    incoming: Sequence[DiscreteAxons | SharedAxons]
    outgoing: Sequence[Outgoing]
    profiles: np.ndarray
    thresholds: np.ndarray
    image: tuple[int, int, int] | None

    def usage(self, partition: Partition) -> np.ndarray:
        """What each core needs, int64 ``(n_cores, len(RESOURCES))``."""
        usage = self._held(partition)
        usage[:, AXONS_OUT] = self.axons_out(partition)
        return usage

    def axons_out(self, partition: Partition) -> np.ndarray:
        """Output axons that each core needs, int64 ``(n_cores,)``."""
        total = np.zeros(partition.n_cores, np.int64)
        for out in self.outgoing:
            core, unit = _different(partition.core_of, out.axons.unit_of, out.axons.n_units)
            np.add.at(total, core, out.axons.slots * out.reach[unit])
        return total

    def needs(self) -> np.ndarray:
        """What each neuron would need on a core of its own, int64 ``(n, len(RESOURCES))``."""
        needs = self._held_alone.copy()
        needs[:, AXONS_OUT] = self.axons_out(self._alone)
        return needs

    @cached_property
    def _alone(self) -> Partition:
        return Partition(np.arange(self.n), self.n, Patches(self.image, (1, 1, 1)) if self.image else None)

    @cached_property
    def _held_alone(self) -> np.ndarray:
        return self._held(self._alone)

    def _held(self, partition: Partition) -> np.ndarray:
        """The usage that does not depend on how other populations are cut."""
        usage = np.zeros((partition.n_cores, len(RESOURCES)), np.int64)
        sizes = usage[:, COMPARTMENTS] = partition.sizes
        for axons in self.incoming:
            if isinstance(axons, SharedAxons):
                assert partition.patches is not None
                usage[:, AXONS_IN] += axons.axons(partition.patches)
                usage[:, MEMORY] += axons.words(partition.patches)
            else:
                arrivals = axons.arrivals(partition.core_of, partition.n_cores)
                usage[:, AXONS_IN] += np.diff(arrivals.indptr)
                usage[:, MEMORY] += axons.words(arrivals, sizes)
        for column, numbers in ((PROFILES, self.profiles), (THRESHOLDS, self.thresholds)):
            core, _ = _different(partition.core_of, numbers, int(numbers.max()) + 1)
            usage[:, column] = np.bincount(core, minlength=partition.n_cores)
        return usage

    def cut(self, limits: np.ndarray, bases: int | None) -> Partition:
        """Few cores such that none exceeds the limits.

        Where a neuron does so by itself no cut helps: then the limit that stands in its way is left aside for the
        population, so that one misfit does not scatter the rest of the network.

        Args:
            limits: as :func:`limits_of`.
            bases: pixels that a core may hold of an image.
        """
        limits = np.where(self.needs().max(0) > limits, UNLIMITED, limits)
        return self._into_boxes(limits, bases) if self.image else self._into_ranges(limits)

    def _into_ranges(self, limits: np.ndarray) -> Partition:
        """Ranges of neurons: no cut into ranges has fewer. They are equal if that fits, else as long as it fits."""
        indptr, keys, resource, incoming = self._keys
        costs = np.ones(len(resource), np.int64)
        costs[resource == AXONS_OUT] = np.concatenate([[], *(out.axons.slots * out.reach for out in self.outgoing)])
        bits = np.array([axons.format.bits for axons in self.incoming], np.int64)
        starts = _ranges(indptr, keys, resource, costs, incoming, bits, limits)
        equal = Partition(np.arange(self.n) * len(starts) // self.n, len(starts))
        if (self.usage(equal) <= limits).all():
            return equal
        core_of = np.zeros(self.n, np.int64)
        core_of[starts[1:]] = 1
        return Partition(np.cumsum(core_of), len(starts))

    @cached_property
    def _keys(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What each neuron needs, in numbers: ``indptr, keys, resource, incoming`` of :func:`_ranges`."""
        one_each = np.arange(self.n + 1)
        # indptr, keys, how many different ones, resource, incoming
        parts: list[tuple[np.ndarray, np.ndarray, int, int, int]] = []
        for c, axons in enumerate(self.incoming):
            assert isinstance(axons, DiscreteAxons)
            synapses = np.repeat(axons.fan.indices, axons.fan.data)
            indptr = np.concatenate([[0], np.cumsum(axons.fan.sum(1))])
            parts.append((indptr, synapses, axons.n_units, AXONS_IN, c))
        parts += [(one_each, out.axons.unit_of, out.axons.n_units, AXONS_OUT, -1) for out in self.outgoing]
        for column, numbers in ((PROFILES, self.profiles), (THRESHOLDS, self.thresholds)):
            parts.append((one_each, numbers, int(numbers.max()) + 1, column, -1))
        sizes = [n for _, _, n, _, _ in parts]
        firsts = np.cumsum([0, *sizes])
        indptr = np.concatenate([[0], np.cumsum(sum(np.diff(p[0]) for p in parts))]).astype(np.int64)
        keys, place = np.empty(indptr[-1], np.int64), indptr[:-1].copy()
        for (its, its_keys, *_), first in zip(parts, firsts, strict=False):
            counts = np.diff(its)
            keys[np.repeat(place - its[:-1], counts) + np.arange(len(its_keys))] = its_keys + first
            place += counts
        return indptr, keys, np.repeat([p[3] for p in parts], sizes), np.repeat([p[4] for p in parts], sizes)

    def _into_boxes(self, limits: np.ndarray, bases: int | None) -> Partition:
        """Equal boxes of the image: the fewest that fit, and of those whole pixels and the shortest rims first."""
        assert self.image is not None
        shape = self.image
        pixels = UNLIMITED if bases is None else bases
        sizes = [
            (x, y, c)
            for x, y, c in product(*(_divisions(n) for n in shape))
            if x * y * c <= limits[COMPARTMENTS] and x * y <= pixels
        ]
        sizes.sort(key=lambda size: (math.prod(Patches(shape, size).grid), -size[2], size[0] + size[1]))
        shared = [a for a in self.incoming if isinstance(a, SharedAxons)]
        least = self._least_cores(limits)
        for size in sizes:
            patches = Patches(shape, size)
            if math.prod(patches.grid) < least:
                continue
            if max((axons.axons(patches).max() for axons in shared), default=0) > limits[AXONS_IN]:
                continue
            partition = Partition(patches.core_of, math.prod(patches.grid), patches)
            if (self.usage(partition) <= limits).all():
                return partition
        raise AssertionError("a neuron on a core of its own exceeds a limit that was not left aside")

    def _least_cores(self, limits: np.ndarray) -> int:
        """Return the fewest cores of any partition: each axon is sent, and each setting held, at least once."""
        sent = sum(int(out.axons.slots * out.reach.sum()) for out in self.outgoing)
        kept = int(self.profiles.max()) + 1, int(self.thresholds.max()) + 1
        least = zip((sent, *kept), limits[[AXONS_OUT, PROFILES, THRESHOLDS]].tolist(), strict=True)
        return max(-(-needed // limit) for needed, limit in least)


def _divisions(n: int) -> list[int]:
    """Sizes of the pieces when n is cut into 1, 2, 3... equal pieces."""
    return sorted({-(-n // pieces) for pieces in range(1, n + 1)})


def _different(core: np.ndarray, number: np.ndarray, n_numbers: int) -> tuple[np.ndarray, np.ndarray]:
    """The different pairs of core and number."""
    pairs = np.unique(core * n_numbers + number)
    return pairs // n_numbers, pairs % n_numbers


@njit(cache=True)
def _words(n, bits):
    """As :func:`~.synapse_lists.list_words`."""
    words = n // PIECE * -(-(PIECE * bits + HEADER) // WORD)
    return words + (-(-(n % PIECE * bits + HEADER) // WORD) if n % PIECE else 0)


@njit(cache=True)
def _index_bits(compartments):
    """As :func:`~.synapse_lists.index_bits`."""
    for bits in INDEX_BITS:
        if compartments <= 1 << bits:
            return bits
    return INDEX_BITS[-1]


@njit(cache=True)
def _ranges(indptr, keys, resource, costs, incoming, bits, limits):
    """Where the ranges start, when each takes neurons until a limit stands in the way.

    Args:
        indptr, keys: what neuron i needs is ``keys[indptr[i]:indptr[i + 1]]``; a core that has a key has it for all.
        resource, costs: of a key, which resource it takes and how much, int64 ``(n_keys,)``.
        incoming: connection of a key that is an input axon, else -1.
        bits: of a connection's synapse without its index.
        limits: by resource, enough for each neuron on a core of its own.
    """
    n, n_keys, n_connections = len(indptr) - 1, len(costs), len(bits)
    last_on, count = np.full(n_keys, -1, np.int64), np.zeros(n_keys, np.int64)
    longest = min(n, limits[COMPARTMENTS]) + 2
    lists = np.zeros((n_connections, longest), np.int64)  # how many axons have so many synapses
    sparse, axons = np.zeros(n_connections, np.int64), np.zeros(n_connections, np.int64)
    used = np.zeros(len(limits), np.int64)
    starts = [0]
    i = start = width = 0
    while i < n:
        used[COMPARTMENTS] = i - start + 1
        for j in range(indptr[i], indptr[i + 1]):
            key = keys[j]
            if last_on[key] != start:
                last_on[key], count[key] = start, 0
                used[resource[key]] += costs[key]
            c = incoming[key]
            if c >= 0:
                had = count[key]
                if had:
                    lists[c, had] -= 1
                    sparse[c] -= _words(had, bits[c] + width)
                else:
                    axons[c] += 1
                lists[c, had + 1] += 1
                sparse[c] += _words(had + 1, bits[c] + width)
                count[key] = had + 1
        if _index_bits(used[COMPARTMENTS]) != width:
            width = _index_bits(used[COMPARTMENTS])
            for c in range(n_connections):
                sparse[c] = 0
                for m in range(1, used[COMPARTMENTS] + 1):
                    if lists[c, m]:
                        sparse[c] += lists[c, m] * _words(m, bits[c] + width)
        used[MEMORY] = 0
        for c in range(n_connections):
            used[MEMORY] += min(sparse[c], axons[c] * _words(used[COMPARTMENTS], bits[c]))
        if (used <= limits).all():
            i += 1
        else:  # the core is full: it ends before neuron i, which is looked at again
            starts.append(i)
            start, width = i, 0
            used[:] = 0
            lists[:] = 0
            sparse[:] = 0
            axons[:] = 0
    return np.array(starts)
