# SPDX-License-Identifier: Apache-2.0
"""The CfC of the comparison: trained on the same samples, in pieces, as in :mod:`..sequence`. Needs torch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch

from ...liquid.architecture import Architecture
from ...training.series import Series
from ..sequence.fitting import Fit
from ..sequence.models import SequenceModel
from ..sequence.schedule import Fitting
from ..sequence.sequences import Sequences

#: Samples of a piece, and of its beginning from that of the one before.
PIECE, STRIDE = 50, 10
ARCHITECTURE = Architecture("cfc", 48, backbone_units=64, backbone_layers=1)
FITTING = Fitting(epochs=40, learning_rate=5e-3, decay=0.02, batch=32, averaging=0.98)


def fitted(
    series: Series, fit: slice, test: slice, seed: int, progress: Callable[[float], None]
) -> tuple[float, int, float]:
    """NRMSE on the test samples, trained numbers, and seconds of training on one thread.

    Args:
        series: one target.
        fit, test: samples to learn from and to be tested on; the test begins at rest.
        seed: of weights and order.
        progress: called with the part that is done.
    """
    (inputs,), (target,) = series.signals()
    x = ((series.inputs - inputs.middle) / inputs.half).astype(np.float32)
    y = ((series.targets - target.middle) / target.half).astype(np.float32)
    firsts = range(fit.start, fit.stop - PIECE + 1, STRIDE)
    training = _sequences([x[k : k + PIECE] for k in firsts], [y[k : k + PIECE] for k in firsts])
    whole = _sequences([x[test]], [y[test]])
    model = SequenceModel(ARCHITECTURE, 1, 1, 1.0, seed)
    running = Fit(model, training, whole, FITTING, seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    begin = time.perf_counter()
    try:
        while not running.done:
            running.epoch(lambda done: progress(done / FITTING.epochs))
    finally:
        torch.set_num_threads(threads)
    error = math.sqrt(running.epochs[-1].test / float(y[test].var()))
    return error, model.n_parameters, time.perf_counter() - begin


def _sequences(inputs: list[np.ndarray], targets: list[np.ndarray]) -> Sequences:
    x, y = np.stack(inputs), np.stack(targets)
    return Sequences(x, np.ones(x.shape[:2], np.float32), np.full(len(x), x.shape[1], np.int64), y)
