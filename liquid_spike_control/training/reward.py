# SPDX-License-Identifier: Apache-2.0
"""Learning by reward: a robot drives, its task says into which direction each command should have moved, and synapses
with reward-modulated STDP learn; see :mod:`..control.reward`. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ..assembly import new_estimator
from ..control.reward import REWARD_UNIT, RewardController, RewardFile, RewardNetwork
from ..errors import TaskError
from ..loop import DisturbedEstimator, Estimator, Loop
from ..robot import Robot, names, scales, units
from ..sim.world import World
from ..tasks.of_robot import task_of
from .seeds import first_episode

#: Of the estimates' scales in the robot's description, the inputs of the network have so much.
INPUT_SCALE = 1.5
Estimates = Literal["truth", "disturbed", "spiking"]


@dataclass(frozen=True)
class RewardTraining:
    """How a controller learns by reward.

    Attributes:
        episodes: of a training, each begins where the one before has left the weights.
        reward: third factor of a full reward in the first episode, 127 at most.
        cooling: the reward of episode k is ``reward / (1 + k / cooling)``.
        estimates: what the controller sees of the cameras: the true values, these with a lag, a wrong gain and errors
            that wander, or what the robot's spiking perception estimates.
        passed: of commands that are not learnt, name to that of the observation whose value it is.
        seed: of the episodes, the neurons, and the rounding of what they learn.
    """

    episodes: int = 40
    reward: float = 8.0
    cooling: float = 10.0
    estimates: Estimates = "disturbed"
    passed: dict[str, str] = field(default_factory=dict)
    seed: int = 1

    def factor(self, episode: int) -> float:
        """Third factor of a full reward in an episode, the first one being 0."""
        return self.reward / (1 + episode / self.cooling)


@dataclass(frozen=True)
class Learnt:
    """A training.

    Attributes:
        file: what the controller sees and gives, with its weights.
        controller: that has learnt.
        rewards: of the task, the sum of each episode, float64 ``(episodes,)``.
        successes: bool ``(episodes,)``.
        ticks: int ``(episodes,)``, control periods of each.
    """

    file: RewardFile
    controller: RewardController
    rewards: np.ndarray
    successes: np.ndarray
    ticks: np.ndarray


def learning_world(robot: Robot, estimates: Estimates) -> tuple[World, Estimator]:
    """The robot's world and what estimates its quantities; close the world after use.

    Raises:
        LiquidSpikeError: the scene or the perception is missing, damaged or does not fit.
    """
    world = World(task_of(robot), rendered=False, sighted=estimates == "spiking")
    if not robot.estimates or estimates != "disturbed":
        return world, new_estimator(world, truth=estimates == "truth")
    return world, DisturbedEstimator(world)


def description(robot: Robot, world: World, config: RewardTraining, command: str) -> RewardFile:
    """A controller that knows nothing: all estimates, or all readings where there are none, are its inputs.

    Raises:
        RobotError: the task gives no reward.
        TaskError: a command has neither a reward nor an observation, or there is no observation of that name.
    """
    world.reset(0, 0)
    judged = np.isfinite(world.task.reinforcement())
    observations, commands = robot.observations, robot.commands
    known = names(observations)
    for command_name, observation in config.passed.items():
        for what, name, among in (("command", command_name, names(commands)), ("observation", observation, known)):
            if name not in among:
                raise TaskError(f"--passed {command_name}={observation}: no {what} '{name}'; give {', '.join(among)}")
    learnt = [k for k, c in enumerate(commands) if judged[k] and c.name not in config.passed]
    passed = [(k, known.index(config.passed[c.name])) for k, c in enumerate(commands) if c.name in config.passed]
    for k, c in enumerate(commands):
        if k not in learnt and c.name not in config.passed:
            remedy = f"give --passed {c.name}=OBSERVATION"
            raise TaskError(f"{robot.name}: {c.name}: the task gives no reward for it; {remedy}")
    seen = robot.estimates or robot.seen
    limits = robot.greatest_commands
    first = first_episode(config.seed)
    last = config.factor(config.episodes - 1)
    network = RewardNetwork(
        centres=(0.0,) * len(seen), scales=tuple(round(INPUT_SCALE * scale, 9) for scale in scales(seen).tolist()),
        limits=tuple(float(limits[k]) for k in learnt), errors=(REWARD_UNIT,) * len(learnt), period_s=robot.period_s,
        seed=config.seed, source=robot.name,
    )  # fmt: skip
    return RewardFile(
        observation_names=known, observation_units=units(observations),
        observation_scales=tuple(scales(observations).tolist()), command_names=names(commands),
        command_units=units(commands), command_limits=tuple(limits.tolist()), nominal_period_s=robot.period_s,
        task=robot.name, training_command=command, training_seeds=(first, first + config.episodes - 1),
        source=robot.name, learnt=tuple(learnt), passed=tuple(passed), network=network,
        inputs=tuple(known.index(quantity.name) for quantity in seen), reward=float(f"{last:.3g}"),
    )  # fmt: skip


def learn_by_reward(
    robot: Robot, config: RewardTraining, command: str, progress: Callable[[], None] = lambda: None
) -> Learnt:
    """Learn from nothing.

    Args:
        robot: the robot; its task gives the rewards, see :meth:`~..tasks.mujoco_task.MujocoTask.reinforcement`.
        config: how.
        command: the command line that repeats it.
        progress: is called after each episode.

    Raises:
        LiquidSpikeError: the task gives no reward, a command has none, or a model is missing or does not fit.
    """
    world, estimator = learning_world(robot, config.estimates)
    with world:
        file = description(robot, world, config, command)
        controller = RewardController(file, training=True)
        loop = Loop(world, estimator, controller, robot.gate_limits(controller.command_limits))
        learnt, task = list(file.learnt), world.task
        rewards, successes, ticks = [], [], []
        for k in range(config.episodes):
            factor = config.factor(k)
            loop.reset(file.training_seeds[0] + k)
            total, n = 0.0, 0
            while not world.over:
                controller.reinforce(factor * task.reinforcement()[learnt])
                loop.tick()
                total, n = total + task.reward, n + 1
            rewards.append(total)
            successes.append(task.success)
            ticks.append(n)
            progress()
    return Learnt(file, controller, np.array(rewards), np.array(successes), np.array(ticks))


def tried(robot: Robot, learnt: Learnt, estimates: Estimates, seeds: range, progress=lambda: None) -> tuple[int, float]:
    """Episodes with the weights as they were learnt.

    Returns:
        How many succeed, and the sum of the task's rewards.
    """
    world, estimator = learning_world(robot, estimates)
    succeeded, total = 0, 0.0
    with world:
        controller = RewardController(replace(learnt.file, weights=learnt.controller.outputs.weights))
        loop = Loop(world, estimator, controller, robot.gate_limits(controller.command_limits))
        for seed in seeds:
            loop.reset(seed)
            while not world.over:
                loop.tick()
                total += world.task.reward
            succeeded += world.task.success
            progress()
    return succeeded, total
