# SPDX-License-Identifier: Apache-2.0
"""The shipped neural circuit policy: 19 neurons that fly a quadrotor, and whose every synapse can be looked at."""

import pytest

from liquid_spike_control.checkpoint import read_controller
from liquid_spike_control.liquid.controller import new_controller
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.tasks.episode import run_episode
from liquid_spike_control.tasks.perturbations import perturbation_named

NCP = shipped_model("hover/ncp.safetensors")


@pytest.mark.parametrize("perturbation", ["clean", "drop30", "noise_latency1"])
def test_nineteen_neurons_hold_a_quadrotor_in_wind(perturbation):
    file = read_controller(NCP)
    assert (file.task, file.architecture.units, file.architecture.wiring.kind) == ("hover", 19, "auto_ncp")
    task, controller = task_named("hover"), new_controller(file)
    results = [run_episode(task, controller, perturbation_named(perturbation), seed) for seed in range(1000, 1010)]
    assert sum(result.success for result in results) >= 9  # of a hundred it holds 99


def test_seeds_of_its_training_are_in_its_file():
    first, last = read_controller(NCP).training_seeds
    assert not first <= 1000 <= last
