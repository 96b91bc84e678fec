# SPDX-License-Identifier: Apache-2.0
"""One fit from beginning to end, or from where it was interrupted."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import torch

from .experiments import Experiment
from .fitting import Fit
from .models import SequenceModel
from .results import Folder
from .sequences import Sequences


def fitted(
    experiment: Experiment,
    made_by: dict[str, Any],
    sequences: tuple[Sequences, Sequences],
    folder: Folder,
    progress: Callable[[float, str], None],
) -> dict[str, Any]:
    """Fit a model on one thread; it is stored after each epoch, so that an interrupted fit can be resumed.

    Args:
        experiment: the task.
        made_by: provenance of the fit, with model and seed.
        sequences: to learn from, and to test on.
        folder: where half-done fits and results are kept.
        progress: called with the epochs done, with the fraction, and the present test result.

    Returns:
        The result, as :meth:`Folder.result` gives it.

    Raises:
        OutputError, TaskError: the folder cannot be written.
    """
    training, test = sequences
    recipe, seed = experiment.recipe(made_by["model"]), made_by["seed"]
    sizes = training.inputs.shape[-1], training.targets.shape[-1]
    fit = Fit(SequenceModel(recipe.network, *sizes, experiment.time_unit, seed), training, test, recipe.fitting, seed)
    if part := folder.part(made_by):
        with suppress(ValueError):  # then from the beginning
            fit.go_on(part)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        while not fit.done:
            now = shown(experiment, fit.epochs[-1].test) if fit.epochs else ""
            fit.epoch(lambda done, now=now: progress(done, now))  # type: ignore[misc]
            folder.keep_part(made_by, fit.to_bytes())
    finally:
        torch.set_num_threads(threads)
    result = {
        "provenance": made_by,
        "score": in_measure(experiment, fit.epochs[-1].test),
        "parameters": fit.model.n_parameters,
        "training_cpu_s": fit.epochs[-1].cpu_s,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__},
        "epochs": [asdict(epoch) | {"test": in_measure(experiment, epoch.test)} for epoch in fit.epochs],
    }
    folder.keep_result(result)
    return result


def in_measure(experiment: Experiment, value: float) -> float:
    """A test's outcome in the measure of the tables."""
    return 100 * value if experiment.measure == "accuracy" else value


def shown(experiment: Experiment, value: float) -> str:
    """A test's outcome in a word."""
    value = in_measure(experiment, value)
    return f"{value:.2f} %" if experiment.measure == "accuracy" else f"MSE {value:.3f}"
