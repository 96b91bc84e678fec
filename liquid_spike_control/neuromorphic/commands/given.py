# SPDX-License-Identifier: Apache-2.0
"""Inputs that the options of a command name: the model, its input spikes, the files to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from ...errors import TaskError
from ...terminal import Console
from ...types import SpikeTrain
from ..files.spike_files import random_spikes, read_spikes
from ..model import SpikingModel, read_model

if TYPE_CHECKING:
    from ...options import ModelOptions, SpikeOptions

#: Length of a step where neither the file nor the user gives one [s].
DEFAULT_STEP_S = 1e-3
#: Of a table that is not printed to a terminal, as in a pipe [characters].
WIDTH = 120


class Output:
    """Console of a command's tables. Text that does not fit its column is folded, never cut off."""

    def __init__(self) -> None:
        self.console = Console(soft_wrap=True, highlight=False)
        if not self.console.is_terminal:
            self.console.width = WIDTH

    def show(self, *parts: Table | str) -> None:
        """Print tables and lines."""
        for part in parts:
            if isinstance(part, Table):
                for column in part.columns:
                    column.overflow = "fold"
                self.console.print(part, soft_wrap=False)
            else:
                self.console.print(part, markup=False)


def given_model(options: ModelOptions) -> SpikingModel:
    """The model that the options name.

    Raises:
        LiquidSpikeError: the model cannot be read.
    """
    return read_model(options.model, options.preset, options.dt, options.step, options.shape)


def step_of(model: SpikingModel) -> float:
    """Length of a step [s]."""
    return model.step_s or DEFAULT_STEP_S


def given_spikes(options: SpikeOptions, model: SpikingModel) -> tuple[SpikeTrain, str]:
    """Input spikes, from the file or random, and in a few words what they are.

    Raises:
        TaskError: the file is not of this network, or a number is out of range.
    """
    dt, n_inputs = step_of(model), model.n_inputs
    if options.spikes is not None:
        shape = options.shape or model.input_shape
        spikes = read_spikes(options.spikes, n_inputs, dt, shape, options.node)
        if not spikes.n_steps:
            raise TaskError(f"{options.spikes}: there is no step in it; give a file with some")
        return spikes, str(options.spikes)
    spikes = random_spikes(n_inputs, options.rate, options.steps, dt, options.seed)
    return spikes, f"random, {options.rate:g} Hz an input, seed {options.seed}"
