# SPDX-License-Identifier: Apache-2.0
"""The controller node with a fault in it that a signal sets off: everything else is as it is."""

from __future__ import annotations

import signal

import numpy as np

from ...types import Quantities
from ..controller import ControllerNode
from ..process import run

#: The next callback never returns.
HANG = signal.SIGUSR1
#: The next step of the liquid network finds NaN in its hidden state.
POISON = signal.SIGUSR2


class Saboteur(ControllerNode):
    """Hangs or is poisoned on a signal."""

    def __init__(self) -> None:
        super().__init__()
        self._due: int | None = None
        for number in (HANG, POISON):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame) -> None:
        self._due = number

    def _decide(self, estimate: Quantities) -> None:
        due, self._due = self._due, None
        if due == POISON:
            self._controller.state = np.full_like(self._controller.state, np.nan)
        while due == HANG:
            pass
        super()._decide(estimate)


if __name__ == "__main__":
    run(Saboteur)
