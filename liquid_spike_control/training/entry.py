# SPDX-License-Identifier: Apache-2.0
"""What ``liquid-spike train`` does with its options."""

from __future__ import annotations

from dataclasses import replace
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
            perception = replace(perception, n_updates=options.updates)
        train_perception(perception, options.out or Path("pencil_perception.nir"), console)
    else:
        controller = ImitationTraining(seed=options.seed)
        if options.rounds:
            controller = replace(controller, n_rounds=options.rounds)
        source = options.perception or zoo("pencil_perception.nir")
        train_controller(controller, source, options.out or Path("pencil_controller.safetensors"), console)
    return 0
