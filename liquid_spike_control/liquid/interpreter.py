# SPDX-License-Identifier: Apache-2.0
"""Runs the program of a controller, compiled: a list of operations on a block of memory.

Every architecture is a list of the same few operations, so nothing is compiled for a new one. Program, numbers, weights
and workspace lie in one block (:mod:`.program` lays it out), because each array that is handed to a compiled function
costs more than a small layer does. The block is seen as float64, float32 and int32; places count in the elements of
what lies there.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .kernels import (
    activate,
    add_gated,
    affine,
    conduct,
    conduct_sparse,
    evolve,
    gate,
    mix,
    relax,
    remember,
    skip,
    solve,
    tanh32,
)

# Operations, each a row of int32: its code and what is named here. Places are those of float32.
AFFINE = 0  # weights, source, n_in, target, n_out
ACTIVATE = 1  # kind, target, n
REMEMBER = 2  # gates, h, c, n
MIX = 3  # heads, h, n, gated
SOLVE = 4  # head, h, n, rates, asymptotes
GATE = 5  # gates of the input, gates of the state, h, n
UNFOLD = 6  # parameters, inputs, n_inputs, h, n, width, unfolds, n_diagonals
SHIFT = 7  # samples, the newest first; width of one; how many numbers move on by it
EVOLVE = 8  # driven, real parts, imaginary parts, n, modes
SKIP = 9  # y, x, weights, n
ADD_GATED = 10  # gates, x, y, n
ROW = 9

# Fields of the header, int32, with which the block begins.
(N_OBSERVATIONS, N_COMMANDS, N_OPERATIONS, OPERATIONS, SCALES, LIMITS, OBSERVATION, COMMAND, INPUTS, OUTPUTS, STATE,
 STATE_SIZE, ELAPSED_INPUT, ELAPSED_SPAN, TIMES, TANH) = range(16)  # fmt: skip
HEADER = 16

#: float32 side by side in the widest vector registers; what begins in a block begins at a multiple of it.
LANES = 16


#: What :func:`run` returns: a sum of these.
CLAMPED, NOT_FINITE = 1, 2


@njit(cache=True, error_model="numpy")
def run(block, dt):
    """Observation to command, state in place; all in the block.

    Args:
        block: float64, of a :class:`.program.Program`.
        dt: seconds since the observation before; outside the range that the program knows it is held at the nearer
            bound, and NaN counts as one nominal period.

    Returns:
        0, or CLAMPED if ``dt`` was out of range, and NOT_FINITE if an input, an output or the new state is not finite:
        then discard all of them.
    """
    memory, header = block.view(np.float32), block.view(np.int32)
    n_observations, inputs, outputs = header[N_OBSERVATIONS], header[INPUTS], header[OUTPUTS]
    scales, limits, observation, command = header[SCALES], header[LIMITS], header[OBSERVATION], header[COMMAND]
    times = header[TIMES]
    nominal, shortest, longest = block[times], block[times + 1], block[times + 2]
    clamped = not (shortest <= dt <= longest)
    if clamped:
        dt = nominal if dt != dt else min(max(dt, shortest), longest)
    ratio, span = np.float32(dt / nominal), np.float32(block[times + 3])
    healthy = True
    for i in range(n_observations):
        x = np.float32(block[observation + i] / block[scales + i])
        healthy &= np.isfinite(x)
        memory[inputs + i] = x
    if header[ELAPSED_INPUT]:
        memory[inputs + n_observations] = ratio
    if header[ELAPSED_SPAN]:
        span *= ratio
    for k in range(header[N_OPERATIONS]):
        row = header[header[OPERATIONS] + ROW * k : header[OPERATIONS] + ROW * (k + 1)]
        a, b, c, d, e = row[1], row[2], row[3], row[4], row[5]
        if row[0] == AFFINE:
            affine(memory, a, b, c, d, e)
        elif row[0] == ACTIVATE:
            activate(a, memory, b, c)
        elif row[0] == REMEMBER:
            remember(memory, a, b, c, d)
        elif row[0] == MIX:
            mix(memory, a, b, c, span, d != 0)
        elif row[0] == SOLVE:
            solve(memory, a, b, c, span, d, e)
        elif row[0] == GATE:
            gate(memory, a, b, c, d)
        elif row[0] == SHIFT:
            for j in range(a + c - 1, a - 1, -1):
                memory[j + b] = memory[j]
        elif row[0] == UNFOLD:
            _unfold(memory, header, row, span)
        elif row[0] == EVOLVE:
            evolve(memory, a, b, c, d, span, e)
        elif row[0] == SKIP:
            skip(memory, a, b, c, d)
        else:
            add_gated(memory, a, b, c, d)
    for i in range(header[N_COMMANDS]):
        out = memory[outputs + i]
        healthy &= np.isfinite(out)
        if header[TANH]:
            out = tanh32(out)
        block[command + i] = block[limits + i] * min(max(np.float64(out), -1.0), 1.0)
    for j in range(header[STATE], header[STATE] + header[STATE_SIZE]):
        healthy &= np.isfinite(memory[j])
    return (CLAMPED if clamped else 0) + (0 if healthy else NOT_FINITE)


@njit(cache=True, error_model="numpy")
def _unfold(memory, header, row, span):
    """An LTC's step, in the order of neurons that its synapses are stored in.

    The parameters lie one after the other: capacities, constant parts of the numerator and of the denominator, order
    of the neurons, sensory synapses; if there are diagonals their lengths and the sources; the other synapses; room.
    """
    at, x, n_x, h, n, width, unfolds, n_diagonals = row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8]
    order, sensory = header[at + 3 * width : at + 4 * width], at + 4 * width
    lengths, sources = header[:0], header[:0].view(np.uint32)
    synapses, n_synapses = sensory + 4 * width * n_x, width * n
    if n_diagonals:
        lengths = header[synapses : synapses + n_diagonals]
        synapses += (n_diagonals + LANES - 1) // LANES * LANES
        n_synapses = lengths.sum()
        sources = header[synapses : synapses + n_synapses].view(np.uint32)
        synapses += n_synapses
    weights, at_room = memory[synapses : synapses + 4 * n_synapses], synapses + 4 * n_synapses
    room, gathered = memory[at_room : at_room + 6 * width], memory[at_room + 6 * width :][: len(sources)]
    potential, capacity, numerator = room[:width], room[width : 2 * width], room[2 * width : 3 * width]
    denominator, driven, loaded = room[3 * width : 4 * width], room[4 * width : 5 * width], room[5 * width :]

    for j in range(width):
        capacity[j] = memory[at + j] / (span / np.float32(unfolds))
        driven[j] = memory[at + width + j]
        loaded[j] = memory[at + 2 * width + j]
    conduct(memory[sensory : sensory + 4 * width * n_x], memory[x : x + n_x], driven, loaded)
    for j in range(n):
        potential[j] = memory[h + order[j]]
    for _ in range(unfolds):
        for j in range(width):
            numerator[j] = driven[j]
            denominator[j] = loaded[j]
        if n_diagonals:
            conduct_sparse(weights, sources, lengths, potential, gathered, numerator, denominator)
        else:
            conduct(weights, potential[:n], numerator, denominator)
        relax(potential, capacity, numerator, denominator)
    for j in range(n):
        memory[h + order[j]] = potential[j]
