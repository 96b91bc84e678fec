# SPDX-License-Identifier: Apache-2.0
"""Lay a :class:`~.network.LoihiNetwork` out in the flat arrays that :mod:`.kernels` reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...errors import ModelError
from ..integers.network import INPUT, LoihiNetwork
from ..integers.neurons import Population
from ..integers.synapses import Conv, Dense, Sparse
from ..learning.rule import MOST_DELAY
from . import block_schedule as schedule
from . import delivery as d
from . import int16_blocks
from . import membrane as m
from .kernels import F_COLUMNS
from .vectors import BLOCK

#: From this fraction of non-zero weights on, whole rows are added: vectors beat indices there.
DENSE_FROM = 0.25


def aligned_zeros(shape: int | tuple[int, ...], dtype: type) -> np.ndarray:
    """Zeros that begin at a cache line, which makes a vector of 16 int32 one access and not two."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(n_bytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + n_bytes].view(dtype).reshape(shape)


@dataclass(frozen=True, eq=False)
class Layout:
    """Constant arrays, as :func:`.kernels.advance` describes them, and the sizes of the state."""

    populations: np.ndarray
    folds: np.ndarray
    connections: np.ndarray
    weights: np.ndarray
    index: np.ndarray
    parameters: np.ndarray
    n: int  # neurons, padding and shifted sums included
    slots: int  # steps that inputs can lie ahead
    start: np.ndarray  # refractory counters after a reset
    plastic: tuple[int, ...]  # rows of the connections that learn
    active_at_start: np.ndarray  # bitmap of the blocks that have a bias or whose counter runs after a reset


class _Pool:
    """Arrays joined one after the other, each at a cache line; ``add`` returns where an array begins."""

    def __init__(self, dtype: type) -> None:
        self.dtype = dtype
        self.parts: list[tuple[int, np.ndarray]] = []
        self.size = 0

    def add(self, array: np.ndarray) -> int:
        start = self.size
        self.parts.append((start, np.ravel(array).astype(self.dtype, copy=False)))
        self.size += -(-array.size // (2 * BLOCK)) * 2 * BLOCK
        return start

    def joined(self) -> np.ndarray:
        array = aligned_zeros(self.size + 2 * BLOCK, self.dtype)
        while self.parts:  # of a large network two copies would fill the memory
            start, part = self.parts.pop()
            array[start : start + part.size] = part
        return array


def lay_out(network: LoihiNetwork) -> Layout:
    """Place populations at word boundaries of the bitmap, and choose a form for each connection."""
    names = list(network.populations)
    starts, n = {}, 0
    for name, p in network.populations.items():
        starts[name] = n
        n += -(-p.n // schedule.WORD) * schedule.WORD
    parameters, counters = np.zeros((m.N_PARAMETERS, n), np.int32), np.zeros(n, np.int32)
    populations, first_spike = [], 0
    for name, p in network.populations.items():
        if not isinstance(p, Population):
            raise ModelError(f"{name} is {type(p).__name__}; LoihiEmulator runs CUBA-LIF, emulate(network) runs all")
        populations.append(_population(p, starts[name], first_spike, parameters))
        counters[starts[name] : starts[name] + p.n] = p.start
        first_spike += p.n
    weights, index = _Pool(np.int16), _Pool(np.int32)
    connections: list[np.ndarray] = []
    folds: list[list[int]] = []
    plastic: list[int] = []
    slots, beyond = 1, 0
    for c, delay in _sums(network):
        row = np.zeros(d.C_COLUMNS, np.int64)
        row[d.C_SOURCE] = -1 if c.source == INPUT else names.index(c.source)
        row[d.C_TARGET] = starts[c.target]
        row[d.C_SHIFT] = 6 + c.shift
        if c.shift < 0:  # the sum is shifted, so it is kept apart until the step is complete
            blocks = -(-network.size(c.target) // BLOCK)
            folds.append([n, starts[c.target], blocks, -c.shift])
            row[d.C_TARGET], row[d.C_SHIFT] = n, 0
            n += -(-blocks * BLOCK // schedule.WORD) * schedule.WORD
        if isinstance(c, Conv):
            _conv(c, row, weights, index)
            row[d.C_DELAY] = c.delay
        elif isinstance(c, Dense) and c.learning is not None:
            plastic.append(len(connections))
            _plastic(c, row, weights, index)
            if c.learning.dd is not None:
                slots = max(slots, 1 + MOST_DELAY)
        elif isinstance(c, Dense) and delay is None:
            _dense(c, row, weights, index)
        else:
            _sparse(c, delay, row, weights, index)
        slots = max(slots, 1 + int(np.max(c.delays, initial=0)))
        connections.append(row)
        if isinstance(c, Conv):  # padding of the taps reaches as far beyond the last neuron
            beyond = max(beyond, int((row[d.C_TAPS_X] * row[d.C_Y_OUT] + row[d.C_TAPS_Y]) * row[d.C_OUT]))
    n += -(-beyond // schedule.WORD) * schedule.WORD
    padded = aligned_zeros((m.N_PARAMETERS, n), np.int32)
    padded[:, : parameters.shape[1]] = parameters
    at_start = np.zeros(n, np.int32)
    at_start[: len(counters)] = counters
    busy = (padded[m.BIAS] != 0) | (at_start != 0)
    busy_blocks = np.flatnonzero(busy.reshape(-1, BLOCK).any(1)).astype(np.uint64)
    bitmap = np.zeros(n // schedule.WORD, np.uint64)
    np.bitwise_or.at(bitmap, (busy_blocks // 64).astype(np.int64), np.uint64(1) << (busy_blocks % 64))
    return Layout(
        np.array(populations, np.int64),
        np.array(folds, np.int64).reshape(-1, F_COLUMNS),
        np.array(connections, np.int64).reshape(-1, d.C_COLUMNS),
        weights.joined(),
        index.joined(),
        padded,
        n,
        slots,
        at_start,
        tuple(plastic),
        bitmap,
    )


def _sums(network: LoihiNetwork) -> Iterator[tuple[Dense | Sparse | Conv, int | None]]:
    """The connections; where sums are shifted and delays differ, once for each delay.

    What is shifted is the sum of the spikes of one step, not of all that is due at once (Lava).
    """
    for c in network.connections:
        if c.shift >= 0:
            yield c, None
            continue
        delays = np.unique(c.delays)
        if len(delays) < 2:
            yield c, None
            continue
        for delay in delays:
            yield c, int(delay)


def _population(p: Population, start: int, first_spike: int, parameters: np.ndarray) -> np.ndarray:
    mine = parameters[:, start : start + p.n]
    mine[m.DECAY_U] = 4096 - (p.du + 1)
    mine[m.DECAY_V] = 4096 - p.dv
    mine[m.THETA] = p.vth << 6
    mine[m.GAIN], mine[m.LIMIT] = m.rest_bounds(4096 - (p.du + 1), 4096 - p.dv, p.bias)
    mine[m.BIAS] = p.bias
    mine[m.REFRACTORY] = p.refractory
    shared = bool((mine == mine[:, :1]).all())
    row = np.zeros(schedule.P_COLUMNS, np.int64)
    row[schedule.P_START] = start
    row[schedule.P_BLOCKS] = -(-p.n // BLOCK)
    row[schedule.P_UNIFORM] = shared and not (mine[m.BIAS].any() or mine[m.REFRACTORY].max() > 1 or np.any(p.start))
    row[[schedule.P_DU, schedule.P_DV, schedule.P_THETA]] = mine[[m.DECAY_U, m.DECAY_V, m.THETA], 0]
    row[[schedule.P_GAIN, schedule.P_LIMIT]] = mine[[m.GAIN, m.LIMIT], 0]
    if row[schedule.P_UNIFORM] and row[schedule.P_DV] < 4096 and row[schedule.P_THETA] <= int16_blocks.MOST:
        row[[schedule.P_REACH, schedule.P_SHIFT]] = int16_blocks.reach_of(int(row[schedule.P_GAIN]))
    row[schedule.P_SPIKES] = first_spike
    return row


def _dense(c: Dense, row: np.ndarray, weights: _Pool, index: _Pool) -> None:
    synapses = c.synapses.T  # one row a source neuron
    used = synapses != 0
    shared_delay = np.min(c.delays, initial=63) == np.max(c.delays, initial=0) or not c.weights.size
    if shared_delay and used.mean() >= DENSE_FROM:
        length = -(-synapses.shape[1] // 8) * 8
        padded = np.zeros((len(synapses), length), np.int16)
        padded[:, : synapses.shape[1]] = synapses
        row[d.C_KIND], row[d.C_ROW] = d.ROWS, length
        row[d.C_WEIGHTS], row[d.C_INDEX] = weights.add(padded), index.add(used.sum(1))
        row[d.C_DELAY] = np.max(c.delays, initial=0)
        return
    _sparse(c, None, row, weights, index)


def _plastic(c: Dense, row: np.ndarray, weights: _Pool, index: _Pool) -> None:
    """All synapses, those of weight 0 too; with pairs of target and delay where delays differ or are learnt."""
    assert c.learning is not None
    n_target, n_source = c.shape
    if np.ndim(c.delays) == 0 and c.learning.dd is None:
        length = -(-n_target // 8) * 8
        padded = np.zeros((n_source, length), np.int16)
        padded[:, :n_target] = c.synapses.T
        row[d.C_KIND], row[d.C_ROW], row[d.C_DELAY] = d.ROWS, length, c.delays
        row[d.C_WEIGHTS], row[d.C_INDEX] = weights.add(padded), index.add(np.full(n_source, n_target))
        return
    delays = np.broadcast_to(c.delays, c.shape).T
    row[d.C_KIND], row[d.C_WEIGHTS] = d.DELAYED, weights.add(c.synapses.T)
    row[d.C_INDEX] = index.add(n_target * np.arange(n_source + 1))
    row[d.C_ROW] = index.add(np.stack([np.broadcast_to(np.arange(n_target), delays.shape), delays], -1))


def _sparse(c: Dense | Sparse, delay: int | None, row: np.ndarray, weights: _Pool, index: _Pool) -> None:
    """Synapses one by one; those of one delay only, if it is given."""
    if isinstance(c, Dense):
        source, target = np.nonzero(c.synapses.T)
        synapses, delays = c.synapses[target, source], np.broadcast_to(c.delays, c.shape)[target, source]
        rows = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=c.shape[1]))])
    else:
        rows, target, synapses, delays = c.by_source()
    used = (synapses != 0) & (True if delay is None else delays == delay)
    if not used.all():
        rows = np.concatenate([[0], np.cumsum(used)])[rows]
        target, synapses, delays = (x[used] for x in (target, synapses, delays))
    if rows[-1] >= 2**31:
        raise ModelError(f"{c.source} -> {c.target}: {rows[-1]:,} synapses, more than 2^31; divide the population")
    shared = not len(delays) or delays.min() == delays.max()
    row[d.C_KIND] = d.SPARSE if shared else d.DELAYED
    row[d.C_WEIGHTS] = weights.add(synapses)
    row[d.C_INDEX] = index.add(rows)
    row[d.C_ROW] = index.add(target if shared else np.stack([target, delays], 1))
    row[d.C_DELAY] = np.max(delays, initial=0) if shared else 0


def _conv(c: Conv, row: np.ndarray, weights: _Pool, index: _Pool) -> None:
    kernel = c.weights[:, ::-1, ::-1].transpose(3, 1, 2, 0)  # source channel, x, y, target channel
    n_in, (_, y_out, out) = c.input_shape[2], c.output_shape
    taps = [-(-size // stride) for size, stride in zip(c.weights.shape[1:3], c.strides, strict=True)]
    laid = np.zeros((*c.strides, n_in, *taps, out), np.int64)
    for phase_x in range(c.strides[0]):
        for phase_y in range(c.strides[1]):
            # Ascending targets see descending taps: the last target sees tap `phase`.
            part = kernel[:, phase_x :: c.strides[0], phase_y :: c.strides[1]][:, ::-1, ::-1]
            laid[phase_x, phase_y, :, : part.shape[1], : part.shape[2]] = part
    row[d.C_KIND], row[d.C_CHW] = d.CONV, c.channels_first
    row[[d.C_IN, d.C_X, d.C_Y]] = n_in, *c.input_shape[:2]
    row[[d.C_OUT, d.C_Y_OUT, d.C_TAPS_X, d.C_TAPS_Y]] = out, y_out, *taps
    row[d.C_WEIGHTS] = weights.add(laid)
    x, y = (_coordinates(c, axis) for axis in (0, 1))
    x[:, d.G_PHASE] *= n_in * c.strides[1]
    y[:, d.G_PHASE] *= n_in
    synapses = (laid != 0).sum(-1)
    row[d.C_INDEX] = index.add(np.concatenate([x.ravel(), y.ravel(), synapses.ravel()]))
    row[d.C_TOTALS] = index.add(synapses.sum((-2, -1)))
    pixels = np.zeros((*c.input_shape[:2], d.X_COLUMNS), np.int64)
    inside = _inside(c, 0)[:, None] & _inside(c, 1)
    pixels[..., d.X_START] = np.where(inside, (x[:, None, d.G_FIRST] * y_out + y[:, d.G_FIRST]) * out, -1)
    pixels[..., d.X_PHASE] = x[:, None, d.G_PHASE] + y[:, d.G_PHASE]
    pixels[..., d.X_ROWS], pixels[..., d.X_LENGTH] = x[:, None, d.G_REACH], y[:, d.G_REACH] * out
    row[d.C_PIXELS] = index.add(pixels)


def _taps(c: Conv, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each source coordinate: the last target it reaches, how many taps reach one, and its phase."""
    at = np.arange(c.input_shape[axis]) + c.paddings[axis]
    phase = at % c.strides[axis]
    # None if the stride steps over this phase.
    return (
        at // c.strides[axis],
        np.maximum(-(-(c.weights.shape[1 + axis] - phase) // c.strides[axis]), 0),
        phase,
    )


def _inside(c: Conv, axis: int) -> np.ndarray:
    """Whether all the taps of a source coordinate fall inside the target, and there are any."""
    last, taps, _ = _taps(c, axis)
    return (taps > 0) & (last - taps + 1 >= 0) & (last < c.output_shape[axis])


def _coordinates(c: Conv, axis: int) -> np.ndarray:
    """For each source coordinate the columns ``G_*`` of :mod:`.kernels`."""
    last, taps, phase = _taps(c, axis)
    first = last - taps + 1
    low, high = np.maximum(first, 0), np.minimum(last, c.output_shape[axis] - 1)
    return np.stack([low, np.maximum(high - low + 1, 0), low - first, phase], 1)
