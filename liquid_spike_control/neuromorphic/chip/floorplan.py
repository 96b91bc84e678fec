# SPDX-License-Identifier: Apache-2.0
"""A picture of a placement: which population is on which core, how full the cores are, and where messages pass."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from ...errors import ModelError
from ...outputs import in_print
from .mapping import Placement
from .traffic import Floorplan, Traffic

#: Edge of a core, and from core to core in a tile; a tile is 1 wide.
_CORE, _PITCH = 0.27, 0.31
_EMPTY, _RIM = "#f1f1ee", "#c9c9c3"


@in_print()
def figure(placement: Placement, traffic: Traffic | None = None) -> Figure:
    """Draw the chips.

    Above: the cores, filled from below as far as their scarcest resource is used, in their population's colour.
    Below, if the traffic is given: messages a step that each core receives, and that pass over each link.

    Raises:
        ModelError: the floor plan of the chip is not published.
    """
    mesh = placement.limits.mesh
    if mesh is None:
        raise ModelError(f"no floor plan of {placement.limits.name} is published: place the network on Loihi")
    plan = Floorplan(mesh, placement.n_chips)
    columns, rows = mesh.width * plan.chips, mesh.height
    panels = 1 if traffic is None else 2
    tile = min(0.9, 22 / columns)  # inches
    drawing = Figure(figsize=(0.5 + tile * columns, 0.4 + panels * (0.9 + tile * rows)), layout="constrained")
    axes = drawing.subplots(panels, 1, squeeze=False)[:, 0]
    for panel in axes:
        panel.set(xlim=(-0.15, columns + 0.15), ylim=(rows + 0.15, -0.15), aspect="equal")
        panel.axis("off")
        for chip in range(plan.chips):
            outline = Rectangle((chip * mesh.width, 0), mesh.width, rows, fill=False, edgecolor="#888880", lw=1.2)
            panel.add_patch(outline)
    _use(drawing, axes[0], placement, plan)
    if traffic is not None:
        _messages(drawing, axes[1], placement, plan, traffic)
    return drawing


def _corners(plan: Floorplan, cores: np.ndarray) -> np.ndarray:
    """The upper left corner of each core, float64 ``(n, 2)``; the cores of a tile stand two by two."""
    x, y = plan.tiles(cores)
    place = cores % plan.mesh.cores_per_tile
    rim = (1 - _PITCH - _CORE) / 2
    return np.stack([x + rim + _PITCH * (place % 2), y + rim + _PITCH * (place // 2)], axis=1)


def _squares(panel: Axes, corners: np.ndarray, fill: np.ndarray | float, **style) -> PatchCollection:
    """Squares that are filled from below, 0 to 1."""
    heights = _CORE * np.broadcast_to(fill, len(corners))
    patches = [Rectangle((x, y + _CORE - h), _CORE, h) for (x, y), h in zip(corners, heights, strict=True)]
    collection = PatchCollection(patches, **style)
    panel.add_collection(collection)
    return collection


def _use(drawing: Figure, panel: Axes, placement: Placement, plan: Floorplan) -> None:
    n = plan.chips * placement.limits.cores
    _squares(panel, _corners(plan, np.arange(n)), 1.0, facecolor=_EMPTY, edgecolor=_RIM, linewidth=0.5)
    fullest = np.nanmax(placement.utilisation, axis=1)
    palette = colormaps["tab10"].colors  # type: ignore[attr-defined]
    handles = []
    for i, (name, partition) in enumerate(placement.partitions.items()):
        cores = placement.first_core[name] + np.arange(partition.n_cores)
        colour, corners = palette[i % len(palette)], _corners(plan, cores)
        _squares(panel, corners, 1.0, facecolor=(*colour, 0.25), edgecolor=colour, linewidth=0.6)
        _squares(panel, corners, np.minimum(fullest[cores], 1), facecolor=colour, edgecolor="none")
        count = f"{partition.n_cores} core" + "s" * (partition.n_cores != 1)
        limit = placement.scarcest(name)
        handles.append(Patch(color=colour, label=f"{name}: {count}" + (f", limited by {limit}" if limit else "")))
        for x, y in corners[fullest[cores] > 1]:
            panel.plot([x, x + _CORE], [y, y + _CORE], color="black", linewidth=1)
    crossed = "; crossed out: over a limit" if (fullest > 1).any() else ""
    cores_used = f"{placement.n_cores} core" + "s" * (placement.n_cores != 1)
    chips = f"{plan.chips} chip" + "s" * (plan.chips != 1)
    panel.set_title(
        f"{placement.network.n_neurons} neurons on {cores_used} of {chips}, {placement.limits.name}\n"
        f"filled as far as a core's scarcest resource is used{crossed}",
        fontsize=9,
        loc="left",
    )
    drawing.legend(handles=handles, loc="outside lower center", ncols=2 * plan.chips, fontsize=8, frameon=False)


def _messages(drawing: Figure, panel: Axes, placement: Placement, plan: Floorplan, traffic: Traffic) -> None:
    steps = max(traffic.n_steps, 1)
    received = (np.asarray(traffic.sent.sum(0)).ravel() + traffic.input_messages) / steps
    ends, loads = [], []
    for messages, (right, down) in ((traffic.links_east_west, (1, 0)), (traffic.links_north_south, (0, 1))):
        for (y, x), passed in np.ndenumerate(messages):
            rim = (_PITCH + _CORE) / 2 + 0.04  # from the middle of a tile
            begin, end = np.array([x, y]) + 0.5, np.array([x + right, y + down]) + 0.5
            ends.append([begin + rim * np.array([right, down]), end - rim * np.array([right, down])])
            loads.append(passed / steps)
    load = np.array(loads)
    largest = max(received.max(initial=0), load.max(initial=0), 1e-3)
    norm, colours = LogNorm(largest / 1000, largest, clip=True), colormaps["viridis_r"]
    n = plan.chips * placement.limits.cores
    widths = np.where(load > 0, 1.5 + 8 * load / load.max(initial=1e-3), 0.4)
    shown = LineCollection(ends, linewidths=widths, colors=[colours(norm(v)) if v else _RIM for v in load], zorder=0)
    panel.add_collection(shown)
    corners = _corners(plan, np.arange(n))
    faces = [colours(norm(v)) if v else _EMPTY for v in np.concatenate([received, np.zeros(n - len(received))])]
    _squares(panel, corners, 1.0, facecolor=faces, edgecolor="white", linewidth=0.8, zorder=2)
    bar = drawing.colorbar(ScalarMappable(norm, colours), ax=panel, location="bottom", shrink=0.6, aspect=50, pad=0.01)
    bar.set_label("messages a step: to a core, input among them, and from tile to tile", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    panel.set_title(str(traffic).replace("; ", "\n").replace(", ", ",  "), fontsize=8, loc="left")
