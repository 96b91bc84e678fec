# SPDX-License-Identifier: Apache-2.0
"""Who competes: what is trained, and what then runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from ...errors import TaskError


@dataclass(frozen=True)
class Contender:
    """A way to control.

    Attributes:
        name: in plans and results.
        title: for people.
        kind: ``"law"`` (a control law, learns nothing), ``"network"`` or ``"spiking"``.
        learner: what is trained, a name of :func:`~...liquid.architecture.named`, or ``"spiking"``; empty for a law.
            Contenders of one learner and the same changes share their trained networks.
        changes: of the architecture.
        backend: what runs a spiking network: ``"float"`` or ``"loihi"``.
        remark: what is special about it, for the report.
    """

    name: str
    title: str
    kind: Literal["law", "network", "spiking"]
    learner: str = ""
    changes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    backend: str = ""
    remark: str = ""

    @property
    def learns(self) -> bool:
        """Whether it is trained."""
        return bool(self.learner)


_HIDDEN = MappingProxyType({"elapsed_input": False, "elapsed_span": False})

#: By name, in the order of the report's tables.
CONTENDERS = {
    c.name: c
    for c in (
        Contender("expert", "expert", "law", remark="sees the true state, without noise; it taught the others"),
        Contender("model_based", "PID / LQR", "law", remark="the expert's law on observations and their differences"),
        Contender("mlp", "MLP", "network", "mlp", remark="no memory"),
        Contender("gru", "GRU", "network", "gru", remark="elapsed time is an input"),
        Contender("lstm", "LSTM", "network", "lstm", remark="elapsed time is an input"),
        Contender("ltc", "LTC", "network", "ltc"),
        Contender("cfc", "CfC", "network", "cfc"),
        Contender("cfc_mm", "CfC-mm", "network", "cfc_mm", remark="mixed memory"),
        Contender("cfc_mm_timeless", "CfC-mm, no time", "network", "cfc_mm", _HIDDEN, remark="elapsed time is hidden"),
        Contender("ncp", "NCP", "network", "ncp", remark="wired by AutoNCP"),
        Contender("spiking_float", "SNN, floats", "spiking", "spiking", backend="float"),
        Contender("spiking_loihi", "SNN, Loihi emulator", "spiking", "spiking", backend="loihi"),
    )
}


def contender(name: str) -> Contender:
    """One of :data:`CONTENDERS`.

    Raises:
        TaskError: there is none of that name.
    """
    if name not in CONTENDERS:
        raise TaskError(f"unknown controller '{name}'; known controllers: {', '.join(CONTENDERS)}")
    return CONTENDERS[name]
