# SPDX-License-Identifier: Apache-2.0
"""The perception model's network on the Loihi emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..neuromorphic.loihi import LoihiEmulator
from ..neuromorphic.quantize import quantise
from ..types import SpikeTrain

if TYPE_CHECKING:
    from ..spiking.nir_io import PerceptionModel


def load_backend(model: PerceptionModel) -> LoihiEmulator:
    """The emulator with the model's network, its kernels compiled or loaded from the cache."""
    backend = LoihiEmulator(quantise(model.graph, model.metadata.get("weight_scale")))
    backend.run(SpikeTrain(np.zeros(2, np.int64), np.empty(0, np.int32)))
    backend.reset()
    return backend
