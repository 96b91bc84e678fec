# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike train policy`` and ``train expert``: what they write, that they repeat, what they refuse."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tyro

torch = pytest.importorskip("torch")

from liquid_spike_control.checkpoint import read_controller  # noqa: E402
from liquid_spike_control.errors import RobotError, TaskError  # noqa: E402
from liquid_spike_control.liquid.architecture import n_parameters  # noqa: E402
from liquid_spike_control.liquid.controller import new_controller  # noqa: E402
from liquid_spike_control.options import TrainExpertOptions, TrainPolicyOptions  # noqa: E402
from liquid_spike_control.robots.quadrotor.task import Landing  # noqa: E402
from liquid_spike_control.robots.swing_up.task import SwingUp  # noqa: E402
from liquid_spike_control.tasks.perturbed import PerturbedTask  # noqa: E402
from liquid_spike_control.training import gym_expert, learning  # noqa: E402
from liquid_spike_control.training.entry import expert_command, policy_command  # noqa: E402
from liquid_spike_control.training.recurrent_ppo import PpoTraining  # noqa: E402

TINY = TrainPolicyOptions("swing-up", units=6, rounds=2, passes=1)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Episodes of half a second, and few trials."""
    monkeypatch.setattr(SwingUp, "duration_s", 0.5)
    monkeypatch.setattr(learning, "TRIAL_SEEDS", range(2))


def test_the_command_in_the_file_makes_the_same_file_again(tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    policy_command(replace(
        TINY, out=first, seed=5, hide_elapsed=True, controller="gru", duration=0.4, logs=tmp_path / "logs"
    ))  # fmt: skip
    file = read_controller(first)
    assert file.training_command == (
        "liquid-spike train policy swing-up --seed 5 --controller gru --units 6 --hide-elapsed --rounds 2"
        " --duration 0.4 --passes 1"
    )
    architecture = file.architecture
    assert (architecture.cell, architecture.units) == ("gru", 6)
    assert not architecture.elapsed_input and not architecture.elapsed_span
    assert file.task == "swing-up" and file.training_seeds[0] >= 1_500_000_000
    said = shlex.split(file.training_command)[3:]
    policy_command(replace(tyro.cli(TrainPolicyOptions, args=said), out=second))
    assert second.read_bytes() == first.read_bytes()
    assert list((tmp_path / "logs").iterdir())
    assert not list(tmp_path.glob("*.checkpoint"))  # it has served
    command = new_controller(file).step(np.array([0.1, 0.0, -1.0]), 0.02)
    assert np.isfinite(command).all() and abs(command[0]) <= 10


def test_settings_of_the_task_hold_while_a_controller_learns_and_are_told(tmp_path, monkeypatch):
    asked = []
    reset = Landing.reset

    def recorded(task, *begun):
        reset(task, *begun)
        asked.append(task.aim)

    monkeypatch.setattr(Landing, "reset", recorded)
    monkeypatch.setattr(Landing, "duration_s", 0.5)
    out = tmp_path / "mixed.safetensors"
    policy_command(TrainPolicyOptions(
        "quadrotor", out=out, units=6, rounds=1, passes=1, estimates="truth", set=("aim=mixed", "wind_factor=0.5")
    ))  # fmt: skip
    file = read_controller(out)
    assert {"forward", "left"} < set(file.observation_names)
    assert file.training_command == (
        "liquid-spike train policy quadrotor --units 6 --rounds 1 --set aim=mixed wind_factor=0.5 --passes 1"
        " --estimates truth"
    )
    options = tyro.cli(TrainPolicyOptions, args=shlex.split(file.training_command)[3:])
    assert options.set == ("aim=mixed", "wind_factor=0.5")
    assert set(asked) == {"land", "hover", "velocity"}


def test_a_budget_of_parameters_gives_the_nearest_size(tmp_path):
    out = tmp_path / "budget.safetensors"
    policy_command(replace(TINY, out=out, units=None, budget_parameters=3000, controller="lstm", rounds=1))
    assert n_parameters(read_controller(out).architecture, 3, 1) == pytest.approx(3000, rel=0.05)


def test_a_liquid_policy_may_learn_from_rewards(tmp_path):
    out = tmp_path / "rewards.safetensors"
    policy_command(replace(TINY, out=out, rewards=True, rounds=1))
    file = read_controller(out)
    assert file.training_command == "liquid-spike train policy swing-up --units 6 --rounds 1 --passes 1 --rewards"
    assert file.architecture.mixed_memory


@pytest.mark.parametrize("factor, greatest", [(None, 0.5), (0.5, 0.25), (0.0, 0.0)])
def test_faults_in_training_are_as_strong_as_wanted(factor, greatest, tmp_path, monkeypatch):
    drawn, reset = [], PerturbedTask.reset

    def recorded(loop, seed, *perturbation):
        drawn.extend(perturbation)
        reset(loop, seed, *perturbation)

    monkeypatch.setattr(PerturbedTask, "reset", recorded)
    policy_command(replace(TINY, out=tmp_path / "x.safetensors", faults=factor))
    for most, found in (
        (0.1 * greatest, [p.noise for p in drawn]),
        (greatest, [p.drop for p in drawn]),
        (greatest, [p.jitter for p in drawn]),
        (4 * greatest, [p.latency_steps for p in drawn]),
    ):
        assert 0.8 * most <= max(found) <= most


def test_an_expert_is_written_as_an_ordinary_controller(tmp_path, monkeypatch):
    small = PpoTraining(n_updates=9, n_tasks=2, rollout=16, chunk=1, epochs=1, minibatches=2)
    monkeypatch.setitem(gym_expert.EXPERTS, "swing-up-full", small)
    out = tmp_path / "expert.safetensors"
    expert_command(TrainExpertOptions("swing-up-full", out=out, updates=2))
    file = read_controller(out)
    assert file.training_command == "liquid-spike train expert swing-up-full --updates 2"
    assert file.architecture.cell == "mlp" and not file.architecture.elapsed_input
    assert len(set(file.observation_scales)) == 5  # the deviations that were seen


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"controller": "gnu"}, "unknown controller 'gnu'; known controllers: cfc, .*, mlp, .*, spiking"),
        ({"budget_parameters": 100}, "--units and --budget-parameters both give the size; leave one out"),
        ({"rewards": True, "cloning": True}, "--cloning imitates an expert and --rewards does without one"),
        ({"controller": "spiking", "device": "cuda"}, "trains on the CPU; leave --device out"),
        ({"controller": "esn", "device": "cuda"}, "--controller esn trains on the CPU; leave --device out"),
        ({"controller": "esn", "passes": 3}, "--passes: of 'esn' only the readout is learnt, in one go; leave it out"),
        ({"controller": "reservoir", "rewards": True}, "--rewards: of 'reservoir' only the readout is learnt"),
        (
            {"controller": "reservoir", "passes": None, "out": Path("x.safetensors")},
            "--out x.safetensors: the file of a controller 'reservoir' ends in .nir",
        ),
        ({"faults": 2.0}, "--faults 2.0; give a factor of at least 0, which is none, and less than 2"),
        ({"faults": 0.0, "rewards": True}, "--faults belongs to imitation and --rewards does without it"),
        ({"controller": "spiking", "out": Path("x.safetensors")}, "--out x.safetensors: .* 'spiking' ends in .nir"),
        ({"out": Path("x.nir")}, "--out x.nir: the file of a controller 'cfc_mm' ends in .safetensors"),
        ({"perception": Path("x.nir")}, "--perception x.nir: the robot swing-up has no estimates; leave it out"),
        ({"perception": Path("x.nir"), "estimates": "truth"}, "--perception and --estimates truth both give the estim"),
        ({"duration": 1.0, "rewards": True}, "--duration belongs to imitation"),
        ({"chunk": 10, "rewards": True}, "--chunk belongs to imitation"),
        ({"controller": "esn", "passes": None, "chunk": 10}, "--chunk: of 'esn' only the readout is learnt"),
        ({"estimates": "true"}, "--estimates true: give spiking, truth, disturbed, or file.py:Class"),
        ({"estimates": "a.py:A"}, "--estimates a.py:A: the robot swing-up has no estimates; leave it out"),
        ({"set": ("aim",)}, "--set aim; give name=value"),
        ({"set": ("aim=hover",), "rewards": True}, "--set belongs to imitation"),
        ({"seed": -1}, "--seed -1; give a whole number from 0 to "),
        ({"rounds": 0}, "--rounds 0; give a whole number from 1 to "),
        ({"learning_rate": float("nan")}, "--learning-rate nan; give a number from "),
    ],
)
def test_what_cannot_be_trained_is_refused(changes, message):
    with pytest.raises(TaskError, match=message):
        policy_command(replace(TINY, **changes))


def test_an_unknown_robot_cannot_be_trained():
    with pytest.raises(RobotError, match="unknown robot 'swing-upp'; known: .*swing-up, "):
        policy_command(replace(TINY, task="swing-upp"))


def test_a_setting_that_the_task_does_not_have_is_refused():
    with pytest.raises(RobotError, match="task.py:SwingUp has no setting 'aim'; it takes none"):
        policy_command(replace(TINY, set=("aim=hover",)))


def test_a_folder_that_is_not_there_is_refused_before_the_training(tmp_path):
    with pytest.raises(TaskError, match="--out .*there is no folder .*nowhere; make it first"):
        policy_command(replace(TINY, out=tmp_path / "nowhere" / "x.safetensors", rounds=10_000))
    with pytest.raises(TaskError, match="no expert of 'swing-up' is trained; known tasks: double-pendulum, "):
        expert_command(TrainExpertOptions("swing-up"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(TaskError, match="--device cuda: torch finds no CUDA device"):
        policy_command(replace(TINY, out=tmp_path / "x.safetensors", device="cuda"))
