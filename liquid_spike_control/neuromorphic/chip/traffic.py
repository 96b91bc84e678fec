# SPDX-License-Identifier: Apache-2.0
"""Spike messages over the mesh of a chip: from a placement and the spikes of a run.

A spike is one message for each core that its axon goes to. A message passes its tile's router, then the tiles
on its way, first east or west, then north or south. Cores are laid out in the order of their numbers, tile by tile,
down one column and up the next, so that neighbours in number are neighbours on the mesh; chips stand in a row.
Intel publishes neither its compiler's layout nor where input enters a chip: messages of the network's input are
counted, their way is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ...errors import ModelError
from ...types import SpikeTrain
from ..integers.network import INPUT
from .chips import Mesh
from .mapping import Placement


@dataclass(frozen=True, slots=True)
class Floorplan:
    """Positions of cores: on the tiles of chips in a row from west to east.

    Attributes:
        mesh: of one chip.
        chips: how many.
    """

    mesh: Mesh
    chips: int

    def tiles(self, cores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Column, counted through all chips, and row of each core's tile."""
        per_chip = self.mesh.width * self.mesh.height * self.mesh.cores_per_tile
        chip, tile = cores // per_chip, cores % per_chip // self.mesh.cores_per_tile
        x, y = tile // self.mesh.height, tile % self.mesh.height
        return chip * self.mesh.width + x, np.where(x % 2, self.mesh.height - 1 - y, y)


@dataclass(frozen=True, eq=False)
class Traffic:
    """Messages of a run, summed over its steps unless stated otherwise.

    Attributes:
        floorplan: where the cores are.
        messages_per_step: int64 ``(n_steps,)``, messages between cores; a core may be its own target.
        sent: messages from core to core, CSR ``(n_cores, n_cores)``.
        input_messages: int64 ``(n_cores,)``, messages of the network's input to each core.
        same_tile: messages that stay in their tile.
        hops_east_west, hops_north_south: hops between tiles of a chip.
        off_chip: messages to another chip.
        links_east_west: messages over each link to the next column, either way, int64 ``(rows, columns - 1)``; a
            link between two chips among them is no hop.
        links_north_south: to the next row, int64 ``(rows - 1, columns)``.
    """

    floorplan: Floorplan
    messages_per_step: np.ndarray
    sent: sp.csr_array
    input_messages: np.ndarray
    same_tile: int
    hops_east_west: int
    hops_north_south: int
    off_chip: int
    links_east_west: np.ndarray
    links_north_south: np.ndarray

    @property
    def n_steps(self) -> int:
        """Steps of the run."""
        return len(self.messages_per_step)

    @property
    def messages(self) -> int:
        """Messages between cores."""
        return int(self.messages_per_step.sum())

    @property
    def within_tile(self) -> int:
        """Deliveries from a tile's router to one of its cores, which every message ends with."""
        return self.messages

    def __str__(self) -> str:
        n = max(self.n_steps, 1)
        hops = self.hops_east_west + self.hops_north_south
        return (
            f"{self.messages / n:.1f} messages a step (peak {self.messages_per_step.max(initial=0)}), "
            f"{self.same_tile / max(self.messages, 1):.0%} in their tile, "
            f"{hops / max(self.messages, 1):.2f} hops a message, {self.off_chip / n:.1f} to other chips a step; "
            f"{self.input_messages.sum() / n:.1f} messages of input a step"
        )


def traffic(placement: Placement, spikes: Mapping[str, SpikeTrain], inputs: SpikeTrain | None = None) -> Traffic:
    """Count the messages of a run.

    Args:
        placement: of the network.
        spikes: of every population, as ``run_all`` gives them, all of as many steps.
        inputs: the network's input spikes, to count their messages too.

    Raises:
        ModelError: the floor plan of the chip is not published.
        ValueError: a population's spikes are missing.
    """
    mesh = placement.limits.mesh
    if mesh is None:
        raise ModelError(f"no floor plan of {placement.limits.name} is published: place the network on Loihi")
    missing = set(placement.network.populations) - set(spikes)
    if missing:
        raise ValueError(f"spikes of {', '.join(sorted(missing))} are missing; run_all gives those of all populations")
    n_steps = next(iter(spikes.values())).n_steps
    per_step = np.zeros(n_steps, np.int64)
    sent = sp.csr_array((placement.n_cores, placement.n_cores), dtype=np.int64)
    received = np.zeros(placement.n_cores, np.int64)
    for route in placement.routes:
        source, axons = route.connection.source, route.axons
        cores = slice(route.first_core, route.first_core + route.arrivals.shape[0])
        ends = route.arrivals.sign()
        train = inputs if source == INPUT else spikes[source]
        if train is None:
            continue
        fired = np.bincount(train.ids, minlength=len(axons.unit_of))
        if source == INPUT:
            received[cores] += ends @ np.bincount(axons.unit_of, fired, axons.n_units).astype(np.int64)
            continue
        reach = np.bincount(ends.indices, minlength=axons.n_units)[axons.unit_of]
        step = np.repeat(np.arange(n_steps), np.diff(train.indptr))
        np.add.at(per_step, step, reach[train.ids])
        on = placement.core_of(source)
        leaving = sp.csr_array((fired, (on, axons.unit_of)), shape=(placement.n_cores, axons.n_units))
        between = sp.coo_array(leaving @ ends.T)
        sent += sp.csr_array((between.data, (between.row, between.col + cores.start)), shape=sent.shape)
    sent.eliminate_zeros()
    return _counted(Floorplan(mesh, placement.n_chips), sent, per_step, received)


def _counted(floorplan: Floorplan, sent: sp.csr_array, per_step: np.ndarray, received: np.ndarray) -> Traffic:
    pairs = sp.coo_array(sent)
    (x, y), (to_x, to_y) = floorplan.tiles(pairs.row), floorplan.tiles(pairs.col)
    width, rows = floorplan.mesh.width, floorplan.mesh.height
    chip, to_chip = x // width, to_x // width
    columns = width * floorplan.chips
    east_west, north_south = np.zeros((rows, columns), np.int64), np.zeros((rows, columns), np.int64)
    # First along the row of the source, then along the column of the target: what begins and ends where.
    np.add.at(east_west, (y, np.minimum(x, to_x)), pairs.data)
    np.subtract.at(east_west, (y, np.maximum(x, to_x)), pairs.data)
    np.add.at(north_south, (np.minimum(y, to_y), to_x), pairs.data)
    np.subtract.at(north_south, (np.maximum(y, to_y), to_x), pairs.data)
    return Traffic(
        floorplan,
        per_step,
        sent,
        received,
        same_tile=int(pairs.data[(x == to_x) & (y == to_y)].sum()),
        hops_east_west=int((pairs.data * (np.abs(to_x - x) - np.abs(to_chip - chip))).sum()),
        hops_north_south=int((pairs.data * np.abs(to_y - y)).sum()),
        off_chip=int(pairs.data[chip != to_chip].sum()),
        links_east_west=east_west.cumsum(1)[:, :-1],
        links_north_south=north_south.cumsum(0)[:-1],
    )
