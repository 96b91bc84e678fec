# SPDX-License-Identifier: Apache-2.0
"""Training of pencil-hard's controllers by the general trainer, with the perception in the loop, in small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from liquid_spike_control.assembly import read_robot_controller
from liquid_spike_control.errors import RobotError
from liquid_spike_control.liquid.architecture import named
from liquid_spike_control.liquid.policies import new_policy
from liquid_spike_control.robot import names, scales, units
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.robots.pencil_hard import sprites
from liquid_spike_control.robots.pencil_hard.description import ROBOT
from liquid_spike_control.robots.pencil_hard.task import PencilHard
from liquid_spike_control.spiking.policy import SpikingPolicy
from liquid_spike_control.spiking.policy_file import SpikingArchitecture
from liquid_spike_control.training.controller_files import write_controller_file
from liquid_spike_control.training.dagger import DaggerTrainer, DaggerTraining, training_of


def small_training(**changes):
    return training_of("pencil-hard", 1, **{"n_rounds": 2, "n_episodes": 2, "n_samples": 120, "passes": 4} | changes)


def untrained(architecture):
    task = task_named("pencil-hard")
    numbers = scales(ROBOT.observations).tolist(), task.command_limits.tolist(), task.period_s, 1
    return (SpikingPolicy if isinstance(architecture, SpikingArchitecture) else new_policy)(architecture, *numbers)


def file_of(policy):
    return policy.to_file(
        observation_names=names(ROBOT.observations), observation_units=units(ROBOT.observations),
        command_names=names(ROBOT.commands), command_units=units(ROBOT.commands), task=ROBOT.name,
        training_command="test", training_seeds=(1, 2),
    )  # fmt: skip


def test_the_recipe_is_that_of_the_task():
    """Faults are the episodes' own, so that none are added; few lengths of poles, whose pictures are kept."""
    recipe, general = training_of("pencil-hard", 3), DaggerTraining(seed=3)
    assert recipe.seed == 3 and recipe != general
    assert training_of("pencil-hard?truth", 3) == recipe and training_of("swing-up", 3) == general
    fault = recipe.draw(np.random.default_rng(1), task_named("pencil-hard"))
    assert (fault.noise, fault.drop, fault.jitter, fault.latency_steps) == (0, 0, 0, 0)
    task = task_named("pencil-hard", **recipe.settings)
    lengths = {task.episodes.draw(seed).length_scale for seed in range(40)}
    assert 2 < len(lengths) <= recipe.settings["n_lengths"]
    assert len({task_named("pencil-hard").episodes.draw(seed).length_scale for seed in range(40)}) == 40


def test_a_recipe_that_is_none_is_refused(monkeypatch):
    monkeypatch.setattr(PencilHard, "imitation", {"rounds": 3})
    with pytest.raises(RobotError, match="robot.yaml: task: imitation: no 'rounds'; give fields of DaggerTraining"):
        training_of("pencil-hard", 1)


def test_poles_of_one_length_share_their_sprites(monkeypatch):
    monkeypatch.setattr(sprites, "_kept", {})
    monkeypatch.setattr(sprites, "KEPT", 2)
    task = task_named("pencil-hard", n_lengths=3)
    made = []
    for length in (1.0, 1.1, 1.0, 0.9, 1.1):
        task.begin_episode(replace(task.episode, length_scale=length, light_scale=0.9 + 0.1 * len(made)))
        made.append(sprites.sprites_of(task, 64, 64))
    assert made[0] is made[2] and made[1] is not made[4] and len(sprites._kept) == 2
    np.testing.assert_array_equal(made[1]._pole, made[4]._pole)  # whatever the lamp was
    task = task_named("pencil-hard")
    assert sprites.sprites_of(task, 64, 64) is not sprites.sprites_of(task, 64, 64)  # of any length: none is kept


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [named("cfc_mm"), SpikingArchitecture()], ids=["dense", "spiking"])
def test_a_controller_learns_from_the_expert_behind_the_perception_and_fits(architecture, tmp_path):
    hashes = []
    suffix = ".nir" if isinstance(architecture, SpikingArchitecture) else ".safetensors"
    path = tmp_path / f"controller{suffix}"
    for _ in range(2):
        policy = untrained(architecture)
        trainer = DaggerTrainer("pencil-hard", policy, small_training(learning_rate=0.01))
        assert trainer.collect()["expert_share"] == 1
        kept = trainer._kept
        assert kept.fresh[:, 0, 0].all() and kept.known.all()
        assert set(np.round(kept.elapsed.numpy().ravel() * 1e3)) <= set(range(2, 41))
        estimates = kept.observations[..., names(ROBOT.observations).index("pole_angle")]
        assert 0.001 < estimates.std() < 0.2  # of the spiking perception, which sees the pole
        losses = [trainer.learn() for _ in range(2)]
        assert losses[1] < losses[0]
        write_controller_file(path, file_of(policy))
        hashes.append(path.read_bytes())
    assert hashes[0] == hashes[1]
    controller = read_robot_controller(ROBOT, path)
    forces = [controller.step(np.full(len(controller.observation_names), 0.1), 0.008) for _ in range(20)]
    assert 0 < np.abs(forces).max() <= 5
