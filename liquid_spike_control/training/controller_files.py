# SPDX-License-Identifier: Apache-2.0
"""Write what a training has made, whatever kind of network; :mod:`~..control.files` reads it. No torch."""

from __future__ import annotations

from pathlib import Path

from ..checkpoint import ControllerFile, write_controller
from ..spiking.policy_file import SpikingControllerFile, write_spiking_controller


def write_controller_file(path: Path, file: ControllerFile | SpikingControllerFile) -> None:
    """Write a controller, whole or not at all; a spiking one's name ends in ``.nir``, others' in ``.safetensors``.

    Raises:
        OutputError: it cannot be written.
    """
    if isinstance(file, ControllerFile):
        write_controller(path, file)
    else:
        write_spiking_controller(path, file)
