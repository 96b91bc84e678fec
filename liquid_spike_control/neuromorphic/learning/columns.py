# SPDX-License-Identifier: Apache-2.0
"""The arrays of a plastic connection, and their columns; :mod:`.engine` reads them, :mod:`.plastic` makes them."""

from __future__ import annotations

(
    OPTIONS,  # int64 (N_OPTIONS,)
    PRODUCTS,  # int64 (n_products, P_COLUMNS)
    FACTORS,  # int64 (n_factors, F_COLUMNS)
    IMPULSES,  # int64 (5, 2), whole part and 2^-8ths
    BASE,  # int32 (5, 256), a step's decay of -128 .. 127, rounded down
    FRACTION,  # float64 (5, 256), what the rounding has lost
    X, Y,  # int32 (2, n_source), (3, n_target): traces
    TX, TY,  # int32, step of the last spike in the epoch, from 1 on; 0: none
    X_HISTORY, Y_HISTORY,  # int32 ((epoch + 1) * 2, n_source), ((epoch + 1) * 3, n_target)
    X_PRODUCTS, Y_PRODUCTS,  # int32 (n_products * (epoch + 1), n_source | n_target), room
    ROOM,  # int32 (4, n_target)
    FIRED,  # int32 (n_target,), room for the targets that have spiked
    DELAYS, TAGS,  # int16 (n_source, n_target)
    DRAWS,  # float64 (n_steps, N_DRAWS), Lava's
    CHANGES,  # int64 (N_CHANGES,)
    N_ARRAYS,
) = range(21)  # fmt: skip

# Options: places of source (-1 the input) and target among the populations; steps of an epoch, k of uk; bounds of a
# weight, whether the arithmetic is Brian2Loihi's, and on what grid; seed; whether the draws are Lava's; where the
# weights begin among those of the network and how far their rows lie apart; where the pairs of target and delay begin,
# -1 where there are none; bits of the traces that are set, not spiked into, and of the traces and gates in use.
(
    O_SOURCE, O_TARGET, O_EPOCH, O_DECIMATION, O_LOW, O_HIGH, O_EXACT, O_GRID, O_SEED, O_LAVA, O_W_START, O_W_ROW,
    O_PAIRS, O_REINFORCED, O_TRACES, O_GATES, N_OPTIONS,
) = range(17)  # fmt: skip
# Products: variable, gate, mantissa, exponent + 7, shift, and where their factors begin: of the source, of the target,
# of the synapse, and their end.
P_VARIABLE, P_GATE, P_MANTISSA, P_EXPONENT, P_SHIFT, P_OF_X, P_OF_Y, P_OF_SYNAPSE, P_END, P_COLUMNS = range(10)
# Factors: number of the name, what is added, whether only the sign counts, bits.
F_NAME, F_CONSTANT, F_SIGN, F_WIDTH, F_COLUMNS = range(5)
FACTOR_NAMES = ("x1", "x2", "y1", "y2", "y3", "x0", "y0", "w", "d", "t")
#: Number of the first factor that is no trace, and of the first that is the synapse's own.
FIRST_GATE, FIRST_VARIABLE = 5, 7
GATE_X0, GATE_Y0, GATE_U = range(3)
# Work since the reset: synapses visited, epochs.
N_VISITS, N_EPOCHS, N_CHANGES = range(3)
