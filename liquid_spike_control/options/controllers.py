# SPDX-License-Identifier: Apache-2.0
"""Options of ``liquid-spike controller``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .fields import Options, Output, OutputFile, Picture


@dataclass
class ControllerInspectOptions(Options):
    """Options of ``controller inspect``."""

    model: tyro.conf.Positional[Path]
    """A controller file (.safetensors)."""
    plot: Picture = None
    """Write a picture of its wiring: neurons in layers, excitatory and inhibitory synapses."""
    json: OutputFile = None
    """Write the numbers to this JSON file."""


@dataclass
class ControllerExportOptions(Options):
    """Options of ``controller export``."""

    model: tyro.conf.Positional[Path]
    """A controller file (.safetensors)."""
    out: tyro.conf.Positional[Annotated[Path, Output()]]
    """The .onnx file to write."""
