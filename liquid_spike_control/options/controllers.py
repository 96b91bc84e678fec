# SPDX-License-Identifier: Apache-2.0
"""Options of ``liquid-spike controller``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass
class ControllerInspectOptions:
    """What can be said about a look into a controller."""

    model: tyro.conf.Positional[Path]
    """A controller file (.safetensors)."""
    plot: Path | None = None
    """Write a picture of its wiring: neurons in layers, excitatory and inhibitory synapses."""
    json: Path | None = None
    """Write the numbers."""


@dataclass
class ControllerExportOptions:
    """What can be said about an export."""

    model: tyro.conf.Positional[Path]
    """A controller file (.safetensors)."""
    out: tyro.conf.Positional[Path]
    """The .onnx file to write."""
