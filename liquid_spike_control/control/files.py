# SPDX-License-Identifier: Apache-2.0
"""Controllers out of files of any kind: liquid and gated networks (safetensors) and spiking ones (NIR).

What only spiking ones need is imported when one comes: NIR, HDF5 and the emulator take half a second.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoint import ControllerFile, read_controller
from ..liquid.controller import LiquidController
from ..resources import model_file

if TYPE_CHECKING:
    from ..spiking.policy_file import SpikingControllerFile
    from .spiking import SpikingController


def read_controller_file(path: str | Path) -> ControllerFile | SpikingControllerFile:
    """Read and check a controller; one whose name ends in ``.nir`` is a spiking one, a shipped one may be named alone.

    Raises:
        ModelError: it is missing, damaged, no controller, or not fit for use.
    """
    path = model_file(path)
    if path.suffix.lower() != ".nir":
        return read_controller(path)
    from ..spiking.policy_file import read_spiking_controller

    return read_spiking_controller(path)


def controller_of(
    file: ControllerFile | SpikingControllerFile, backend: str = "loihi"
) -> LiquidController | SpikingController:
    """The controller of a file that has been read.

    Args:
        file: from :func:`read_controller_file`.
        backend: what runs a spiking one, see :class:`.spiking.SpikingController`.

    Raises:
        TaskError: there is no such backend.
        ModelError: the network does not fit it.
    """
    if isinstance(file, ControllerFile):
        return LiquidController(file)
    from .spiking import SpikingController

    return SpikingController(file, backend)
