# SPDX-License-Identifier: Apache-2.0
"""Controllers out of files of any kind: liquid and gated networks (safetensors), spiking ones (NIR), gains with what is
learnt while they run, and what spiking neurons have learnt by reward (yaml).

What only some need is imported when one comes: NIR, HDF5, numba and the emulator take half a second each.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoint import ControllerFile, read_controller
from ..errors import ModelError
from ..resources import model_file

if TYPE_CHECKING:
    from ..liquid.controller import LiquidController
    from ..spiking.policy_file import SpikingControllerFile
    from .reward import RewardController, RewardFile
    from .spiking import SpikingController
    from .tracking import TrackingController, TrackingFile

    AnyFile = ControllerFile | SpikingControllerFile | TrackingFile | RewardFile
    AnyController = LiquidController | SpikingController | TrackingController | RewardController


def read_controller_file(path: str | Path) -> AnyFile:
    """Read and check a controller; one whose name ends in ``.nir`` is a spiking one, in ``.yaml`` one that learns
    on line. A shipped one may be named alone.

    Raises:
        ModelError: it is missing, damaged, no controller, or not fit for use.
    """
    path = model_file(path)
    suffix = path.suffix.lower()
    if suffix == ".nir":
        from ..spiking.policy_file import read_spiking_controller

        return read_spiking_controller(path)
    if suffix in (".yaml", ".yml"):
        return _of_yaml(path)
    return read_controller(path)


def _of_yaml(path: Path) -> TrackingFile | RewardFile:
    from .reward_file import reward_of
    from .tracking_file import tracking_of
    from .yaml_file import read_fields, refuse

    values = read_fields(path)
    kind = values.get("kind")
    if kind == "tracking":
        return tracking_of(path, values)
    if kind == "reward":
        return reward_of(path, values)
    refuse(path, "kind", repr(kind), "give tracking or reward")


def controller_of(file: AnyFile, backend: str = "loihi", rewards: bool = False) -> AnyController:
    """Build the controller of a file.

    Args:
        file: from :func:`read_controller_file`.
        backend: backend of a spiking controller's neurons, see :class:`.spiking.SpikingController`.
        rewards: it goes on learning by the rewards that it is given, see :class:`.reward.RewardController`.

    Raises:
        TaskError: there is no such backend, or it cannot learn.
        ModelError: the network does not fit it, or it does not learn by reward.
    """
    if rewards:
        return _learning_by_reward(file, backend)
    if isinstance(file, ControllerFile):
        from ..liquid.controller import LiquidController

        return LiquidController(file)
    from .tracking import TrackingController, TrackingFile

    if isinstance(file, TrackingFile):
        return TrackingController(file, backend)
    from .reward import RewardController, RewardFile

    if isinstance(file, RewardFile):
        return RewardController(file, backend)
    from .spiking import SpikingController

    return SpikingController(file, backend)


def _learning_by_reward(file: AnyFile, backend: str) -> RewardController:
    from .reward import RewardController, RewardFile

    if not isinstance(file, RewardFile):
        remedy = "give one that train reward made, or leave --rewards out"
        raise ModelError(f"{file.source}: this controller does not learn by reward; {remedy}")
    return RewardController(file, backend, training=True, guarded=True)
