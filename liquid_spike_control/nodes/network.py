# SPDX-License-Identifier: Apache-2.0
"""A network on a backend, and the account of its work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

import numpy as np

from ..neuromorphic.backend import Backend, BackendStats
from ..neuromorphic.energy.estimate import estimate
from ..types import SpikeTrain

if TYPE_CHECKING:
    from ..neuromorphic.model import SpikingModel
    from .diagnostics import Diagnostics


def load_backend(model: SpikingModel, kind: str = "loihi") -> Backend:
    """A backend with the model's network, its kernels compiled or loaded from the cache."""
    from ..neuromorphic.model import new_backend  # a second, which those who only read the account are spared

    backend = new_backend(model, kind)
    backend.run(SpikeTrain(np.zeros(2, np.int64), np.empty(0, np.int32)))
    backend.stats()  # it has a kernel of its own, which must not be compiled in the midst of a run
    backend.reset()
    return backend


def report_work(diagnostics: Diagnostics, stats: BackendStats, step_ns: int) -> None:
    """Put a backend's work since its reset into a node's diagnostics."""
    diagnostics.values |= asdict(stats) | {"step_ns": step_ns}


def read_work(values: Mapping[str, str]) -> tuple[BackendStats, int]:
    """Read work and length of a step [ns] from a node's diagnostics; zeros where they are missing."""
    stats = BackendStats(**{f.name: int(values.get(f.name, 0)) for f in fields(BackendStats)})
    return stats, int(values.get("step_ns", 0))


def energy_text(stats: BackendStats, step_ns: int) -> str:
    """One line about the energy that a chip would take, by a named model."""
    energy = estimate(stats, step_ns * 1e-9)
    return (
        f"{energy.dynamic_power * 1e6:.0f} uW + static {energy.static_power * 1e3:.0f} mW "
        f"({energy.model.name})"
    )
