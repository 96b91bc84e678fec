# SPDX-License-Identifier: Apache-2.0
"""Inverses of codes as neurons of Loihi 2: they count spikes and send numbers as payloads.

Rate and threshold-delta codes are sums of spikes, which a Sigma neuron holds. In phase and latency codes a spike counts
by its time, and a population code's inverse is a search: they are decoded on the host.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import TaskError
from ...spiking.coding.delta import DeltaCode
from ...spiking.coding.rate import RateCode
from ...types import SpikeTrain
from ..emulator.graded import GradedTrain
from ..emulator.loihi2 import Loihi2Emulator
from ..integers.network import INPUT, LoihiNetwork
from ..integers.neurons import Sigma
from ..integers.synapses import Dense

#: Steps from a spike to the payload that counts it.
LATENCY = 1


@dataclass(frozen=True, slots=True)
class Decoder:
    """The inverse of a code as a network whose output payloads are sums of spikes.

    Attributes:
        code: whose inverse.
        n: numbers.
        network: input axons are those of the code; output payloads are the sums.
    """

    code: RateCode | DeltaCode
    n: int
    network: LoihiNetwork

    def values(self, payloads: GradedTrain, reference: np.ndarray | None = None) -> np.ndarray:
        """Numbers out of what the network sends.

        Args:
            payloads: of its output, from the reset on and without the first :data:`LATENCY` steps.
            reference: that a threshold-delta code began with, ``(n,)``; zeros by default.

        Returns:
            float64: ``(n_windows, n)`` of a rate code, ``(n_steps, n)`` of a threshold-delta code.
        """
        sums = payloads.to_dense(self.n).astype(np.int64)
        if isinstance(self.code, DeltaCode):
            start = np.zeros(self.n) if reference is None else np.asarray(reference, np.float64)
            return start + self.code.threshold * (sums // 2)
        ends = sums[self.code.steps - 1 :: self.code.steps]
        return self.code.interval.values(np.diff(ends, axis=0, prepend=0) / self.code.steps)

    def decode(self, spikes: SpikeTrain, reference: np.ndarray | None = None) -> np.ndarray:
        """Numbers out of spikes, by the emulated network from its reset on.

        Args:
            spikes: of the code.
            reference: as in :meth:`values`.
        """
        rest = np.full(LATENCY, spikes.indptr[-1])
        longer = SpikeTrain(np.concatenate([spikes.indptr, rest]), spikes.ids)
        sent = Loihi2Emulator(self.network).run_graded(GradedTrain.from_spikes(longer))
        first = sent.indptr[LATENCY]
        return self.values(
            GradedTrain(sent.indptr[LATENCY:] - first, sent.ids[first:], sent.payloads[first:]), reference
        )


def decoder(code: RateCode | DeltaCode, n: int) -> Decoder:
    """Build the neurons that sum a code's spikes.

    Args:
        code: a rate code, regular or random, or a threshold-delta code.
        n: numbers.

    Raises:
        TaskError: another code.
    """
    each = np.eye(n, dtype=np.int64)
    if isinstance(code, DeltaCode):
        weights = np.concatenate([2 * each, -2 * each], axis=1)  # weights of both signs are even
    elif isinstance(code, RateCode):
        weights = each
    else:
        raise TaskError(f"{type(code).__name__} has no inverse of sums; decode it on the host")
    return Decoder(code, n, LoihiNetwork(weights.shape[1], {"sums": Sigma(n)}, [Dense(INPUT, "sums", weights)]))
