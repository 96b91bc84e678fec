# SPDX-License-Identifier: Apache-2.0
"""Candidates of the benchmark: a trained network, and the backend that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from ...errors import TaskError


@dataclass(frozen=True)
class Candidate:
    """A way to control.

    Attributes:
        name: in plans and results.
        title: for people.
        kind: ``"law"`` (a control law, learns nothing), ``"network"`` or ``"spiking"``.
        learner: what is trained, a name of :func:`~...liquid.architecture.named`, ``"spiking"``, or a kind of
            :class:`~...training.random_networks.RandomNetwork`; empty for a law.
            Candidates of one learner and the same changes share their trained networks.
        changes: of the architecture.
        adapts: its output layer goes on learning while it controls; see :mod:`~...control.output_adaptation`.
        readout_only: its neurons are random and stay so; see :mod:`~...training.random_networks`.
        backend: what runs a spiking network: ``"float"`` or ``"loihi"``.
        remark: what is special about it, for the report.
    """

    name: str
    title: str
    kind: Literal["law", "network", "spiking"]
    learner: str = ""
    changes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    backend: str = ""
    adapts: bool = False
    readout_only: bool = False
    remark: str = ""

    @property
    def learns(self) -> bool:
        """Whether it is trained."""
        return bool(self.learner)


def _adapting(name: str, title: str) -> Candidate:
    return Candidate(f"{name}_adapting", f"{title}, adapting", "network", name, adapts=True,
                     remark="its output layer learns on line")  # fmt: skip


def _random(name: str, title: str, kind: Literal["network", "spiking"]) -> Candidate:
    return Candidate(name, title, kind, name, readout_only=True, backend="loihi" if kind == "spiking" else "",
                     remark="random neurons; only the readout is learnt")  # fmt: skip


_HIDDEN = MappingProxyType({"elapsed_input": False, "elapsed_span": False})

#: By name, in the order of the report's tables.
CANDIDATES = {
    c.name: c
    for c in (
        Candidate("expert", "expert", "law", remark="sees the true state, without noise; it taught the others"),
        Candidate("model_based", "PID / LQR", "law", remark="the expert's law on observations and their differences"),
        Candidate("mlp", "MLP", "network", "mlp", remark="no memory"),
        Candidate("mlp_stacked", "MLP, 8 frames", "network", "mlp_stacked", remark="sees its last 8 samples"),
        Candidate("gru", "GRU", "network", "gru", remark="elapsed time is an input"),
        Candidate("lstm", "LSTM", "network", "lstm", remark="elapsed time is an input"),
        Candidate("s5", "S5", "network", "s5", remark="diagonal state space, solved over the elapsed time"),
        Candidate("ltc", "LTC", "network", "ltc"),
        Candidate("cfc", "CfC", "network", "cfc"),
        Candidate("cfc_mm", "CfC-mm", "network", "cfc_mm", remark="mixed memory"),
        Candidate("cfc_mm_timeless", "CfC-mm, no time", "network", "cfc_mm", _HIDDEN, remark="elapsed time is hidden"),
        Candidate("ncp", "NCP", "network", "ncp", remark="wired by AutoNCP"),
        _adapting("mlp_stacked", "MLP, 8 frames"),
        _adapting("gru", "GRU"),
        _adapting("s5", "S5"),
        _adapting("ltc", "LTC"),
        _adapting("cfc_mm", "CfC-mm"),
        _random("esn", "echo-state network", "network"),
        Candidate("spiking_float", "SNN, floats", "spiking", "spiking", backend="float"),
        Candidate("spiking_loihi", "SNN, Loihi emulator", "spiking", "spiking", backend="loihi"),
        _random("reservoir", "reservoir, Loihi emulator", "spiking"),
    )
}

#: Those of the published run.
PUBLISHED = (
    "expert", "model_based", "mlp", "gru", "lstm", "ltc", "cfc", "cfc_mm", "cfc_mm_timeless", "ncp", "spiking_float",
    "spiking_loihi",
)  # fmt: skip


def candidate(name: str) -> Candidate:
    """One of :data:`CANDIDATES`.

    Raises:
        TaskError: the name is unknown.
    """
    if name not in CANDIDATES:
        raise TaskError(f"unknown controller '{name}'; known controllers: {', '.join(CANDIDATES)}")
    return CANDIDATES[name]
