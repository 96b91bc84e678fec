# SPDX-License-Identifier: Apache-2.0
"""A controller as the teacher of a policy: what it gets, what may be one, and what is recorded of it."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tyro

torch = pytest.importorskip("torch")

from liquid_spike_control.assembly import read_robot_controller  # noqa: E402
from liquid_spike_control.checkpoint import read_controller  # noqa: E402
from liquid_spike_control.errors import LiquidSpikeError, RobotError, TaskError  # noqa: E402
from liquid_spike_control.liquid.architecture import named  # noqa: E402
from liquid_spike_control.liquid.policies import new_policy  # noqa: E402
from liquid_spike_control.options import TrainPolicyOptions  # noqa: E402
from liquid_spike_control.robots.catalogue import robot_named, sensed_task_named, task_named  # noqa: E402
from liquid_spike_control.robots.quadrotor.flow_law import FlowControl, FlowLaw  # noqa: E402
from liquid_spike_control.robots.quadrotor.task import Landing  # noqa: E402
from liquid_spike_control.tasks.perturbations import Perturbation  # noqa: E402
from liquid_spike_control.tasks.perturbed import PerturbedTask  # noqa: E402
from liquid_spike_control.training.dagger import DaggerTrainer, DaggerTraining  # noqa: E402
from liquid_spike_control.training.entry import policy_command  # noqa: E402
from liquid_spike_control.training.teacher import Teacher  # noqa: E402

NAME, LAW, SEEN = "quadrotor?disturbed", "flow_law.py:FlowLaw", "seen_flow.py:SeenFlow"


@dataclass(frozen=True)
class Under(DaggerTraining):
    """A training with late, lost and noisy samples."""

    def draw(self, rng, task, strength=1.0):
        return Perturbation("training", noise=0.02, drop=0.2, latency_steps=1)


@pytest.mark.parametrize("rounds", [0, 9])
def test_a_teacher_sees_what_the_policy_sees_and_hears_which_command_was_given(rounds, monkeypatch):
    """It drives, with noise on its commands, or the policy does."""
    monkeypatch.setattr(Landing, "duration_s", 1.0)
    decide, decided = PerturbedTask.decide, []

    def recorded(loop, command):
        decided.append((loop.task, loop.observation, loop.elapsed_s, loop.task.elapsed_s, command))
        decide(loop, command)

    monkeypatch.setattr(PerturbedTask, "decide", recorded)
    task = sensed_task_named(NAME)
    numbers = task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s
    policy = new_policy(named("gru", units=4), *numbers, 1)
    config = Under(n_episodes=2, n_samples=75, n_validations=0, exploration=0.3, teacher=LAW)
    trainer = DaggerTrainer(NAME, policy, config)
    trainer.rounds = rounds
    assert trainer.collect()["expert_share"] == (1.0 if rounds == 0 else 0.0)

    limits, unheard = task.command_limits, []
    for loop, answers, fresh in zip(trainer._loops, trainer._kept.expert, trainer._kept.fresh, strict=True):
        answers, fresh = answers.flatten(0, 1).numpy(), fresh.flatten().numpy()
        mine = [row for row in decided if row[0] is loop.task]
        law, deaf = FlowLaw(task.task), FlowLaw(task.task)
        assert len(mine) == len(answers) and 2 <= fresh.sum() <= 3
        for (_, observation, elapsed_s, _, command), answer, begins in zip(mine, answers, fresh, strict=True):
            if begins:
                law.reset()
                deaf.reset()
            own = law.step(observation, elapsed_s)
            np.testing.assert_allclose(answer, np.clip(own / limits, -1, 1), atol=1e-6)
            law.given(np.clip(command, -limits, limits))
            unheard.append(np.abs(deaf.step(observation, elapsed_s) - own).max())
    assert trainer._kept.known.all() and max(unheard) > 0.05
    assert (np.diff([row[3] for row in decided if row[0] is trainer._loops[0].task]) > 0.03).any()  # samples were lost


def test_a_controller_file_teaches_with_the_observations_that_it_needs():
    robot, task = robot_named("quadrotor"), sensed_task_named(NAME)
    path = robot.file("controller.safetensors")
    teacher, controller = Teacher(NAME, str(path), task), read_robot_controller(robot, path)
    task.reset(3)
    for _ in range(3):
        answer = teacher.answer(task.observe(), task.period_s)
        np.testing.assert_array_equal(answer, controller.step(task.observe(), task.period_s))
        teacher.given(np.zeros(3))  # it has no method for it
        task.advance(answer, task.period_s)


def test_a_robot_s_policy_is_taught_and_its_file_says_by_whom(tmp_path, monkeypatch):
    monkeypatch.setattr(Landing, "duration_s", 0.5)
    out = tmp_path / "taught.safetensors"
    policy_command(TrainPolicyOptions(
        "quadrotor", out=out, units=4, rounds=1, passes=1, faults=0.0, chunk=5, estimates=SEEN, teacher=LAW
    ))  # fmt: skip
    command = read_controller(out).training_command
    assert command.endswith(f"--passes 1 --chunk 5 --faults 0.0 --teacher {LAW} --estimates {SEEN}")
    options = tyro.cli(TrainPolicyOptions, args=shlex.split(command)[3:])
    assert (options.teacher, options.estimates, options.chunk) == (LAW, SEEN, 5)


@pytest.mark.parametrize("place, message", [
    ("flow_law.py:Law", "robot.yaml: teacher: flow_law.py has no teacher Law; give one of its classes: .*FlowLaw"),
    ("nothing.py:FlowLaw", "robot.yaml: teacher: .*nothing.py is not there; give a file in the robot's folder"),
    ("ground.py:GroundPictures", "robot.yaml: teacher: ground.py:GroundPictures: TypeError: .*; correct the class"),
    ("frame_flow.py:", "robot.yaml: teacher: 'frame_flow.py:'; give file.py:Class"),
    ("nothing.safetensors", "nothing.safetensors"),
])  # fmt: skip
def test_what_cannot_teach_is_named(place, message, tmp_path):
    options = TrainPolicyOptions("quadrotor", out=tmp_path / "x.safetensors", estimates="truth", teacher=place)
    with pytest.raises(LiquidSpikeError, match=message):
        policy_command(options)


def test_a_class_that_is_no_controller_or_gives_no_command_cannot_teach(monkeypatch):
    task = sensed_task_named(NAME)
    with pytest.raises(RobotError, match="teacher: flow_law.py:FlowControl: has no step; give a controller"):
        Teacher(NAME, "flow_law.py:FlowControl", task)
    monkeypatch.setattr(FlowControl, "step", lambda law, observation, dt: np.full(2, np.nan), raising=False)
    with pytest.raises(RobotError, match="step returned .*nan nan.*, not 3 finite numbers; correct the controller"):
        Teacher(NAME, "flow_law.py:FlowControl", task).answer(task.observe(), 0.02)


def test_a_teacher_that_needs_what_the_policy_does_not_observe_is_refused():
    with pytest.raises(RobotError, match="needs 'flow_x'; the policy observes roll, pitch"):
        Teacher("quadrotor", LAW, task_named("quadrotor"))


def test_rewards_need_no_teacher():
    with pytest.raises(TaskError, match="--teacher is imitated and --rewards does without one; leave one out"):
        policy_command(TrainPolicyOptions("swing-up", out=Path("x.safetensors"), rewards=True, teacher="x.safetensors"))
