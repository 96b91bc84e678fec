# SPDX-License-Identifier: Apache-2.0
"""Event-based XOR: is the number of ones in a stream of bits odd, when only changes of the bit are seen?

A stream has 2 to 31 bits. Its first bit is an event, and so is each bit that differs from the one before, and the last
one; an event is the bit and the number of bits since the event before. How many ones there were is therefore only in
the elapsed times.

Source: the task of Hasani et al., "Closed-form continuous-time neural networks", Nature Machine Intelligence 2022,
after Lechner and Hasani, "Learning long-term dependencies in irregularly-sampled time series", arXiv:2006.04418.
"""

from __future__ import annotations

import numpy as np

from .sequences import Sequences

#: Bits of a stream, both included.
SHORTEST, LONGEST = 2, 31
#: Elapsed time 1 is so many bits.
BITS_PER_UNIT = 32
#: The recipe was chosen by looking at streams of seed 1,000, which nothing is tested on any more.
TRAINING_SEED, TEST_SEED = 1_700_000_000, 2_000


def bit_streams(n: int, seed: int) -> Sequences:
    """So many streams as events.

    Returns:
        One input (the bit), the elapsed time in 32 bits, and one target: 1 where the number of ones is odd.
    """
    rng = np.random.default_rng(seed)
    n_bits = rng.integers(SHORTEST, LONGEST + 1, n)
    bits = rng.integers(0, 2, (n, LONGEST), np.int8)
    position = np.arange(LONGEST)
    inside = position < n_bits[:, None]
    event = position == n_bits[:, None] - 1
    event[:, 0] = True
    event[:, 1:] |= inside[:, 1:] & (bits[:, 1:] != bits[:, :-1])
    row, place = np.nonzero(event)
    step = (np.cumsum(event, axis=1) - 1)[row, place]
    before = np.where(step > 0, np.roll(place, 1), -1)
    inputs, elapsed = np.zeros((n, LONGEST, 1), np.float32), np.ones((n, LONGEST), np.float32)
    inputs[row, step, 0] = bits[row, place]
    elapsed[row, step] = (place - before) / BITS_PER_UNIT
    odd = np.where(inside, bits, 0).sum(axis=1) % 2
    return Sequences(inputs, elapsed, event.sum(axis=1), odd[:, None].astype(np.float32))


def training_and_test(n_training: int, n_test: int) -> tuple[Sequences, Sequences]:
    """Streams to learn from and others to test on."""
    return bit_streams(n_training, TRAINING_SEED), bit_streams(n_test, TEST_SEED)
