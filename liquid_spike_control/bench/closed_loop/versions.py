# SPDX-License-Identifier: Apache-2.0
"""Declared versions of what decides a figure, beside those that tasks declare themselves.

A change of what a figure comes from has to raise the number; results of the old number are no longer read. Renaming,
moving and tidying code raises nothing. ``test/closed_loop/test_pins.py`` compares each with a fingerprint of the
versioned behaviour, so that a change cannot go unnoticed.
"""

from __future__ import annotations

#: By component. Results whose versions differ are never put together.
VERSIONS: dict[str, int] = {
    # How an episode runs: faults of sensing and timing, the order in which chance is drawn, when a command acts
    "episodes": 1,
    # DAgger on the tasks of the catalogue: defaults of the recipe, losses, schedules, choice of the kept weights
    "dagger": 1,
    # Dense controllers: architectures by name and their sizes, first weights, gradients, compiled arithmetic
    "networks": 1,
    # The same for spiking controllers, with the arithmetic of the backends that run them
    "spiking networks": 1,
    # The sequences of `bench sequence`, and how models are fitted to them
    "sequences": 1,
    "sequence fits": 1,
    # Readouts of random networks: how those are drawn, and how the readout is fitted
    "readouts": 1,
    # How an output layer learns while it controls, and what the commands of each task steer against
    "adaptation": 1,
    # Control laws without learning; the expert of a task belongs to the task's own version
    "laws": 1,
}
