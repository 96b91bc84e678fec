# SPDX-License-Identifier: Apache-2.0
"""Puts the parts of the pencil's loop together from model files, and checks that they fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .checkpoint import check_fits
from .control.files import controller_of, read_controller_file
from .control.gate import GateLimits
from .errors import TaskError
from .events.camera import EventCameraModel
from .liquid.controller import LiquidController
from .neuromorphic.backend import Backend
from .neuromorphic.model import new_backend as model_backend
from .neuromorphic.model import of_perception
from .perception import Perception
from .sim.plant import FORCE_LIMIT, PencilPlant
from .sim.tasks import ESTIMATE_NAMES, ESTIMATE_UNITS, PencilTask
from .simulation import PENCIL_CAMERA
from .spiking.nir_io import PerceptionModel, read_perception_model

if TYPE_CHECKING:
    from .control.spiking import SpikingController

#: Greatest change of the cart force that leaves the gate [N/s].
FORCE_RATE = 4000.0
#: A command older than this is dropped [ns].
MAX_AGE_NS = 30_000_000


def new_backend(model: PerceptionModel, kind: str = "loihi") -> Backend:
    """A backend with the perception's network, see :func:`.neuromorphic.model.new_backend`."""
    return model_backend(of_perception(model), kind)


def read_pencil_perception(path: str | Path) -> PerceptionModel:
    """A perception model, checked against the pencil's camera and what its controllers are given.

    Raises:
        ModelError: the file is damaged or does not fit.
    """
    return read_pole_perception(path, PENCIL_CAMERA)


def read_pole_perception(path: str | Path, camera: EventCameraModel) -> PerceptionModel:
    """A perception model that tells a pole's angle and rate, checked against the camera that sees the pole.

    Raises:
        ModelError: the file is damaged or does not fit.
    """
    model = read_perception_model(path)
    Perception(model).check_fits(ESTIMATE_NAMES, ESTIMATE_UNITS, (camera.width, camera.height))
    return model


def read_pencil_controller(path: str | Path, task: PencilTask) -> LiquidController | SpikingController:
    """A controller, checked against the pencil's encoders, motor and control period.

    Raises:
        ModelError: the file is damaged or does not fit.
    """
    return read_pole_controller(
        path, PencilPlant.observation_names, PencilPlant.observation_units, task.period_s, FORCE_LIMIT
    )


def read_pole_controller(
    path: str | Path,
    sensor_names: Sequence[str],
    sensor_units: Sequence[str],
    period_s: float,
    force_limit: float,
    backend: str = "loihi",
) -> LiquidController | SpikingController:
    """A controller that pushes a cart by what its sensors and the perception of its pole tell, checked against both.

    Args:
        path: of its file, of any kind.
        sensor_names, sensor_units: of what it is told besides the pole's angle and rate.
        period_s: nominal control period [s].
        force_limit: of the cart's motor [N].
        backend: what runs a spiking one.

    Raises:
        ModelError: the file is damaged or does not fit.
    """
    file = read_controller_file(path)
    check_fits(
        file,
        observation_names=(*sensor_names, *ESTIMATE_NAMES),
        observation_units=(*sensor_units, *ESTIMATE_UNITS),
        command_names=PencilPlant.command_names,
        command_units=PencilPlant.command_units,
        period_s=period_s,
        command_limits=(force_limit,),
    )
    return controller_of(file, backend)


def pencil_limits(command_limits: np.ndarray) -> GateLimits:
    """The gate's limits: the tighter of the robot's and the controller's.

    Args:
        command_limits: greatest magnitude of the controller's command [N], shape ``(1,)``.
    """
    limit = np.minimum(np.asarray(command_limits, float), FORCE_LIMIT)
    return GateLimits(PencilPlant.command_names, -limit, limit, np.array([FORCE_RATE]), MAX_AGE_NS, np.zeros(1))


def check_seeds_are_held_out(seeds: range, training_seeds: tuple[int, int], source: str | Path) -> None:
    """Refuse to evaluate a model on what it was trained on.

    Raises:
        TaskError: the range is empty or has a training seed in it.
    """
    if not seeds:
        raise TaskError(f"the seed range {seeds.start}:{seeds.stop} is empty; give first:last+1, e.g. 1000:1100")
    first, last = training_seeds
    if seeds.start <= last and seeds[-1] >= first:
        raise TaskError(
            f"seeds {seeds.start}:{seeds.stop} meet the training seeds {first}:{last + 1} of {source}; choose others"
        )
