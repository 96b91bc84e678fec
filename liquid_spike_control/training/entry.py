# SPDX-License-Identifier: Apache-2.0
"""What ``liquid-spike train`` does with its options."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ..errors import LiquidSpikeError
from ..resources import zoo
from ..sim.tasks import task_by_name

if TYPE_CHECKING:
    from ..options import TrainOptions


def train_command(options: TrainOptions) -> int:
    """Train what the options say.

    Raises:
        LiquidSpikeError: torch or ncps is missing, or an option is out of range.
    """
    task_by_name(options.task)
    for name in ("updates", "rounds"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise LiquidSpikeError(f"--{name} {value}; give at least 1")
    try:
        from .commands import train_controller, train_perception
        from .imitation import ImitationTraining
        from .perception import PerceptionTraining
    except ImportError as error:
        raise LiquidSpikeError(
            f"training needs {error.name}; install it: pip install 'liquid_spike_control[train]'"
        ) from None
    console = Console()
    if options.what == "perception":
        perception = PerceptionTraining(seed=options.seed)
        if options.updates:
            share = options.updates / perception.n_updates
            perception = replace(
                perception,
                n_updates=options.updates,
                n_refinements=math.ceil(share * perception.n_refinements),
                n_prunings=math.ceil(share * perception.n_prunings),
            )
        train_perception(perception, _command(options), options.out or Path("pencil_perception.nir"), console)
    else:
        controller = ImitationTraining(seed=options.seed)
        if options.rounds:
            controller = replace(controller, n_rounds=options.rounds)
        source = options.perception or zoo("pencil_perception.nir")
        out = options.out or Path("pencil_controller.safetensors")
        train_controller(controller, _command(options), source, out, console)
    return 0


def _command(options: TrainOptions) -> str:
    """The command line that repeats the training."""
    said = [
        f"--{field.name} {getattr(options, field.name)}"
        for field in fields(options)
        if field.name in ("seed", "updates", "rounds") and getattr(options, field.name) != field.default
    ]
    return " ".join([f"liquid-spike train {options.what} {options.task}", *said])
