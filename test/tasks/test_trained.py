# SPDX-License-Identifier: Apache-2.0
"""Trained controllers on tasks."""

from dataclasses import replace

import numpy as np
import pytest

from liquid_spike_control.checkpoint import ControllerFile, write_controller
from liquid_spike_control.errors import ModelError
from liquid_spike_control.liquid.architecture import named, tensor_shapes
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.tasks.episode import run_episode
from liquid_spike_control.tasks.perturbations import perturbation_named
from liquid_spike_control.tasks.trained import TrainedExpert, trained_controller


def untrained(task, name="mlp"):
    architecture = named(name, units=8)
    rng = np.random.default_rng(0)
    shapes = tensor_shapes(architecture, len(task.observation_names), len(task.command_names))
    tensors = {k: rng.normal(0, 0.3, shape).astype(np.float32) for k, shape in shapes.items()}
    return ControllerFile(
        observation_names=task.observation_names, observation_units=task.observation_units,
        observation_scales=tuple(task.observation_scales.tolist()), command_names=task.command_names,
        command_units=task.command_units, command_limits=tuple(task.command_limits.tolist()),
        nominal_period_s=task.period_s, task=task.name, architecture=architecture, training_command="none",
        training_seeds=(0, 0), tensors=tensors,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["swing-up", "hover-partial"])
@pytest.mark.parametrize("perturbation", ["clean", "drop30"])
def test_the_same_file_and_seed_give_the_same_episode(tmp_path, name, perturbation):
    task = task_named(name)
    write_controller(tmp_path / "c.safetensors", untrained(task, "cfc"))
    results = []
    for _ in range(2):
        controller = trained_controller(tmp_path / "c.safetensors", task_named(name))
        results.append(run_episode(task, controller, perturbation_named(perturbation), 4))
    one, other = results
    assert one.total_reward == other.total_reward and one.n_steps == other.n_steps > 10
    assert len(one.latencies_us) == one.n_steps and one.n_unsafe == 0 and one.seed == 4
    assert one.elapsed_s == task.elapsed_s and 0 < one.wall_s < 60
    assert one.real_time_factor == one.elapsed_s / one.wall_s


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"task": "hover"}, "task: expected swing-up, found hover"),
        ({"nominal_period_s": 0.05}, "nominal_period_s: expected 0.02, found 0.05"),
        ({"command_units": ("lbf",)}, "command_units: expected .*'N'.*, found .*'lbf'"),
        ({"command_limits": (20.0,)}, "command_limits: expected at most .*10.0.*, found .*20.0"),
        ({"observation_units": ("m", "1", "deg")}, "observation_units"),
    ],
)
def test_a_controller_for_something_else_is_refused_by_name(tmp_path, changes, message):
    task = task_named("swing-up")
    write_controller(tmp_path / "c.safetensors", replace(untrained(task), **changes))
    with pytest.raises(ModelError, match=f"c.safetensors: {message}.*; give a controller"):
        trained_controller(tmp_path / "c.safetensors", task)


def test_an_expert_from_a_file_sees_the_truth(tmp_path):
    full, masked = task_named("double-pendulum"), task_named("double-pendulum-positions")
    write_controller(tmp_path / "e.safetensors", untrained(full))
    expert = TrainedExpert.from_file(tmp_path / "e.safetensors")
    masked.reset(2)
    controller = trained_controller(tmp_path / "e.safetensors", full)
    np.testing.assert_array_equal(expert.act(masked), controller.step(masked.truth(), masked.period_s))


class _Broken:
    def reset(self):
        pass

    def step(self, observation, dt):
        return np.array([np.nan])


def test_commands_that_are_no_numbers_are_counted_and_neutral():
    task = task_named("swing-up")
    result = run_episode(task, _Broken(), perturbation_named("clean"), 1)
    assert result.n_unsafe == result.n_steps == 500 and not result.success
    assert abs(task.truth()[0]) < 0.6
