# SPDX-License-Identifier: Apache-2.0
"""Fit a sequence model: mini-batches in a new order each epoch, Adam, a learning rate that falls exponentially.

The test uses a moving average of the weights, which depends less on the last few batches than the weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...training.tensor_tree import from_bytes, to_bytes
from .models import SequenceModel
from .schedule import ROUND, Fitting
from .sequences import Sequences


@dataclass(frozen=True, slots=True)
class Epoch:
    """State of a fit after an epoch.

    Attributes:
        loss: mean over the epoch's batches.
        test: accuracy (0..1) of the averaged weights on the test sequences, or mean squared error where each step
            answers.
        cpu_s: processor time since the fit began [s], tests left out.
        longest: steps of the longest sequences that were shown.
    """

    loss: float
    test: float
    cpu_s: float
    longest: int


class Fit:
    """A model that is being fitted, epoch by epoch; nothing is chosen by the test sequences.

    Args:
        model: is changed.
        training: sequences to learn from.
        test: sequences to test on after each epoch.
        config: how.
        seed: of the order of the sequences.
    """

    def __init__(
        self, model: SequenceModel, training: Sequences, test: Sequences, config: Fitting, seed: int
    ) -> None:
        self.model, self.config = model, config
        self._training, self._test, self._seed = training, test, seed
        self._optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
        self._averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))
        self.epochs: list[Epoch] = []
        self._longest, self._right = 0, 0.0

    @property
    def done(self) -> bool:
        """Whether all epochs are over."""
        return len(self.epochs) >= self.config.epochs

    def epoch(self, progress: Callable[[float], None] = lambda done: None) -> None:
        """Run the next epoch; ``progress`` is called with the epochs done, with the fraction."""
        number, config = len(self.epochs), self.config
        losses: list[float] = []
        n, most = len(self._training) // config.batch, self._training.inputs.shape[1]
        begin = time.process_time()
        for first in range(0, n, ROUND):
            done = (number + first / n) / config.epochs
            self._longest = config.longest(self._longest, self._right, done, most)
            rng = np.random.default_rng((self._seed, number, first))
            right = []
            for batch in self._training.batches(config.batch, min(ROUND, n - first), self._longest, rng):
                rate = config.rate(number * n + len(losses), config.epochs * n, self._longest / most)
                loss, answers = self._step(batch, rate)
                losses.append(loss)
                right.append(float(((answers > 0).numpy() == (batch.targets > 0.5)).mean()))
                progress(number + len(losses) / n)
            self._right = float(np.mean(right))
        cpu_s = time.process_time() - begin + (self.epochs[-1].cpu_s if self.epochs else 0.0)
        test = score(cast(SequenceModel, self._averaged.module), self._test)
        self.epochs.append(Epoch(float(np.mean(losses)), test, cpu_s, self._longest))

    def _step(self, batch: Sequences, rate: float) -> tuple[float, Tensor]:
        """One step of the optimiser: the loss before it, and the answers."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        answers = self.model(batch)
        loss = loss_of(answers, batch)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self._optimiser.step()
        self.model.constrain()
        self._averaged.update_parameters(self.model)
        return loss.item(), answers.detach()

    def to_bytes(self) -> bytes:
        """Everything from which :meth:`go_on` goes on."""
        epochs = [asdict(epoch) for epoch in self.epochs]
        document = {
            "model": self.model.state_dict(),
            "average": self._averaged.state_dict(),
            "adam": self._optimiser.state_dict(),
            "epochs": epochs,
            "right": self._right,
        }
        return to_bytes(document)

    def go_on(self, data: bytes) -> None:
        """Go on from where :meth:`to_bytes` was called; the rest is what it would have been.

        Raises:
            ValueError: the data are damaged.
        """
        try:
            document = from_bytes(data)
            self.model.load_state_dict(document["model"])
            self._averaged.load_state_dict(document["average"])
            self._optimiser.load_state_dict(document["adam"])
            self.epochs = [Epoch(**epoch) for epoch in document["epochs"]]
            self._longest, self._right = self.epochs[-1].longest, document["right"]
        except Exception as error:  # torch promises no certain one
            raise ValueError(f"not a fit: {error}") from None


def loss_of(answers: Tensor, sequences: Sequences) -> Tensor:
    """Mean squared error of values, cross-entropy of yes or no."""
    targets = torch.from_numpy(sequences.targets)
    if sequences.every_step:
        return functional.mse_loss(answers, targets)
    return functional.binary_cross_entropy_with_logits(answers, targets)


@torch.no_grad()
def score(model: SequenceModel, sequences: Sequences, batch: int = 500) -> float:
    """Accuracy (0..1), or the mean squared error where each step answers."""
    total = count = 0.0
    for rows in np.array_split(np.arange(len(sequences)), math.ceil(len(sequences) / batch)):
        some = sequences.rows(rows)
        answers, targets = model(some), torch.from_numpy(some.targets)
        right = (answers - targets).square() if some.every_step else ((answers > 0) == (targets > 0.5)).float()
        total, count = total + float(right.sum()), count + right.numel()
    return total / count
