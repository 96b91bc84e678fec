# SPDX-License-Identifier: Apache-2.0
"""A robot's own way to train its perception: a class of its folder, which its description names.

``liquid-spike train perception`` uses the class ``perception_training`` in place of the general training
(:mod:`.layers`), unless another network or recorded data are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self


@dataclass(frozen=True)
class Stage:
    """A part of the training, with optimiser and episodes of its own.

    Attributes:
        name: what is done.
        n_updates: optimiser steps.
        rate: the learning rate, as a part of the configuration's.
        short: short episodes, so that the network learns to begin one; else long ones.
    """

    name: str
    n_updates: int
    rate: float
    short: bool


class OwnTraining(Protocol):
    """A training in stages: for each, :meth:`begin`, and :meth:`update` ``n_updates`` times; then :meth:`finish`.

    Attributes:
        stage: the present one.
        n_neurons: of the network.
    """

    stage: Stage

    @classmethod
    def of_command(
        cls, seed: int, updates: int | None, start: Path | None, progress: Callable[[float], None]
    ) -> Self:
        """Prepare the training of a command line.

        Args:
            seed: of everything.
            updates: of the first stage, others in proportion; by default the recipe's.
            start: perception to start from; by default the recipe's.
            progress: is called with the part of the preparation that is done.

        Raises:
            TaskError: the training does not start from another perception.
        """
        ...

    @property
    def n_neurons(self) -> int:
        """Of the network."""
        ...

    def stages(self) -> tuple[Stage, ...]:
        """What is done, in order."""
        ...

    def begin(self, stage: Stage) -> None:
        """Begin a stage."""
        ...

    def update(self) -> dict[str, float]:
        """One step of the optimiser; figures for the log."""
        ...

    def progress_text(self, recent: Sequence[dict[str, float]]) -> str:
        """How it goes, for the progress bar, by the figures of the latest updates."""
        ...

    def finish(self) -> None:
        """What is done after the last stage."""
        ...

    def write(self, path: Path, command: str) -> str:
        """Write the perception, made by ``command``; returns its hash."""
        ...
