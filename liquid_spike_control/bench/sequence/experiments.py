# SPDX-License-Identifier: Apache-2.0
"""Experiments: two tasks, five models each, their fits, and the figures of the CfC paper.

Published figures: Hasani et al., "Closed-form continuous-time neural networks", Nature Machine Intelligence 2022, its
tables of the event-based XOR and of Walker2d.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ...errors import TaskError
from ...liquid.architecture import Architecture
from . import walker2d, xor
from .schedule import Fitting
from .sequences import Sequences

#: Names of the models, in the order of the tables.
MODELS = ("cfc_mm", "cfc", "lstm", "gru_d", "ltc")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model and how it is fitted.

    Attributes:
        network: architecture of a controller's network, or the units of a GRU-D.
        fitting: how.
    """

    network: Architecture | int
    fitting: Fitting


@dataclass(frozen=True)
class Experiment:
    """A task and the models that are fitted to it.

    Attributes:
        name: xor or walker2d.
        measure: accuracy [%] or mse, the mean squared error.
        published: by model, in the measure.
        time_unit: elapsed time that counts as 1 to the models.
        n_training, n_test: sequences, or recordings that are cut into some.
        make: the training and the test sequences of so many.
        keep: making the sequences takes so long that they are kept.
        recipes: by model.
    """

    name: str
    measure: str
    published: dict[str, float]
    time_unit: float
    n_training: int
    n_test: int
    make: Callable[[int, int], tuple[Sequences, Sequences]]
    keep: bool
    recipes: dict[str, Recipe]

    def small(self) -> Experiment:
        """The same in about a minute, to see it at work; what comes out means nothing."""
        few = {}
        for name, recipe in self.recipes.items():
            fitting = replace(recipe.fitting, epochs=2 if name == "ltc" else 8, batch=32)
            few[name] = replace(recipe, fitting=fitting)
        return replace(self, n_training=self.n_training // 10, n_test=self.n_test // 10, recipes=few)

    def recipe(self, model: str) -> Recipe:
        """Of a model.

        Raises:
            TaskError: the name is unknown.
        """
        if model not in self.recipes:
            raise TaskError(f"--models: unknown model '{model}'; known models: {', '.join(self.recipes)}")
        return self.recipes[model]


def _recipes(sizes: dict[str, Architecture | int], fitting: Fitting, ltc: Fitting) -> dict[str, Recipe]:
    return {name: Recipe(sizes[name], ltc if name == "ltc" else fitting) for name in MODELS}


#: About 15,000 parameters each, the LTC 4,000: it has three to a synapse, and more steps in one.
_XOR_SIZES: dict[str, Architecture | int] = {
    "cfc_mm": Architecture("cfc", 32, mixed_memory=True, backbone_units=64, backbone_layers=1),
    "cfc": Architecture("cfc", 48, backbone_units=64, backbone_layers=1),
    "lstm": Architecture("lstm", 60),
    "gru_d": 70,
    "ltc": Architecture("ltc", 32),
}
#: About 30,000 parameters each, the LTC 9,000.
_WALKER2D_SIZES: dict[str, Architecture | int] = {
    "cfc_mm": Architecture("cfc", 48, mixed_memory=True, backbone_units=64, backbone_layers=1),
    "cfc": Architecture("cfc", 72, backbone_units=80, backbone_layers=1),
    "lstm": Architecture("lstm", 76),
    "gru_d": 88,
    "ltc": Architecture("ltc", 40),
}
_WALKER2D = Fitting(epochs=16, learning_rate=5e-3, decay=0.02, batch=32, averaging=0.98)
_XOR = Fitting(epochs=100, learning_rate=3e-4, decay=0.1, mastered=0.94)

EXPERIMENTS = {
    "xor": Experiment(
        name="xor",
        measure="accuracy",
        published={"cfc_mm": 99.72, "cfc": 99.42, "lstm": 89.71, "gru_d": 97.90, "ltc": 49.11},
        time_unit=2 / xor.BITS_PER_UNIT,
        n_training=100_000,
        n_test=10_000,
        make=xor.training_and_test,
        keep=False,
        recipes=_recipes(_XOR_SIZES, _XOR, replace(_XOR, epochs=40)),
    ),
    "walker2d": Experiment(
        name="walker2d",
        measure="mse",
        published={"cfc_mm": 0.617, "cfc": 0.643, "gru_d": 1.090, "ltc": 0.662},
        time_unit=1.0,
        n_training=200,
        n_test=40,
        make=walker2d.training_and_test,
        keep=True,
        recipes=_recipes(_WALKER2D_SIZES, _WALKER2D, replace(_WALKER2D, learning_rate=1e-2)),
    ),
}
