# SPDX-License-Identifier: Apache-2.0
"""Commands that spiking neurons learn by reward, on the chip's learning engine.

Observations are encoded as spikes of Gaussian fields. Each command has pairs of neurons, one for either sign, and every
field a plastic synapse to each of them:

    command = limit (spikes of the one sign - spikes of the other) / full rate, filtered
    dt = pair STDP - decay t           a tag on each synapse: which of them made the neuron spike
    dw = rate t r                      a reward r turns tags into weights, -r for the neurons of the other sign

(reward-modulated STDP: Izhikevich 2007, 10.1093/cercor/bhl152). The reward has a sign for each command, as for the
motors of Bing et al. ("End to end learning of spiking neural network based on R-STDP for a lane keeping vehicle", ICRA
2018, 10.1109/ICRA.2018.8460482): into which direction the command should move. That is more than one number for the
whole robot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..controller_description import ControllerDescription
from ..errors import ModelError, TaskError
from ..neuromorphic.integers.network import INPUT, LoihiNetwork
from ..neuromorphic.integers.neurons import Population
from ..neuromorphic.integers.synapses import Dense
from ..neuromorphic.learning.rules import reward_stdp
from .adaptation import MOST_ERROR, NO_REWARD, SpikingAdaptation
from .learning_controller import LearningController
from .learning_network import LearningNetwork

#: Of the output neurons: voltage threshold for each field, its spread, its part that the bias gives in two steps, and
#: the decay of the voltage in 1/4096 a step.
VTH_PER_FIELD, SPREAD, BIAS, OUTPUT_DV = 333, 0.2, 0.1, 300
#: Changes of a tag by a pair whose source spikes first, and second. Fields spike in most steps: with a longer time
#: constant [steps] their trace would stand at its most, and all pairs would count alike.
CAUSAL, ACAUSAL, TAU = 8.0, 1.0, 2.0


@dataclass(frozen=True, kw_only=True)
class RewardNetwork(LearningNetwork):
    """Fields that excite output neurons through synapses of :func:`~..neuromorphic.learning.rules.reward_stdp`.

    Attributes:
        tag_decay: what a tag loses in a step.

    Raises:
        ModelError: a number is out of range.
        LearningRuleError: the chip has no such rate.
    """

    fields: int = 8
    steps: int = 10
    full_rate: float = 0.15
    tag_decay: float = 1 / 32

    entry: ClassVar[str] = "learning"
    #: Half is all of the neurons of one sign, which runaway learning comes to; learning well drives many there, too.
    most_saturated: ClassVar[float] = 0.48
    each_command: ClassVar[bool] = True

    def network(self) -> LoihiNetwork:
        """The network before it has learnt anything: its plastic weights are 0."""
        n_axons, n_outputs = len(self.centres) * self.fields, 2 * self.pairs * len(self.limits)
        spread = np.random.default_rng(self.seed).uniform(1 - SPREAD, 1 + SPREAD, n_outputs)  # lest they spike as one
        vth = VTH_PER_FIELD * n_axons * spread
        output = Population(
            n_outputs, du=4095, dv=OUTPUT_DV, vth=np.rint(vth).astype(int),
            bias_mant=np.rint(BIAS * vth / 2).astype(int), bias_exp=7,
        )  # fmt: skip
        rule = reward_stdp(
            plus=CAUSAL, minus=ACAUSAL, tau_plus=TAU, tau_minus=TAU, decay=self.tag_decay, rate=self.rate, sign="mixed",
            seed=self.seed,
        )  # fmt: skip
        synapses = Dense(INPUT, "output", np.zeros((n_outputs, n_axons), int), learning=rule)
        return LoihiNetwork(n_axons, {"output": output}, (synapses,))


@dataclass(frozen=True, eq=False, kw_only=True)
class RewardFile(ControllerDescription):
    """A controller that has learnt by reward, checked when made; see :mod:`.reward_file`.

    Attributes:
        learnt: int ``(n_learnt,)``, places of the learnt commands among all.
        passed: of the other commands, its place and that of the observation whose value it is.
        network: what learns.
        inputs: of the network, places among the observations.
        weights: int ``(n_outputs, n_axons)`` that were learnt before, or None.
        reward: third factor of a full reward where it goes on learning while it runs.

    Raises:
        ModelError: a command is given twice or not at all, or the reward is out of range.
    """

    learnt: tuple[int, ...]
    passed: tuple[tuple[int, int], ...] = ()
    network: RewardNetwork
    inputs: tuple[int, ...]
    weights: np.ndarray | None = None
    reward: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.reward <= MOST_ERROR:
            raise ModelError(f"{self.source}: learning.reward: {self.reward}; give more than 0, at most {MOST_ERROR}")
        given = sorted((*self.learnt, *(place for place, _ in self.passed)))
        if given != list(range(len(self.command_names))) or len(self.network.limits) != len(self.learnt):
            raise ModelError(f"{self.source}: commands: each needs to be learnt or to be the value of an observation")


class RewardController(LearningController):
    """A controller that has learnt, or learns, by reward.

    Args:
        file: what it sees and gives, and what it has learnt.
        backend: that runs the spiking neurons; only the Loihi emulator learns.
        training: it learns from the rewards that :meth:`reinforce` or :meth:`judge` gives, from episode to episode.
            Without it the weights stay as they are.
        guarded: learning that leaves its bounds, or whose reward is not finite, freezes itself.

    Attributes:
        outputs: the network, and what it has learnt; ``adaptation`` too, where it learns.
        learnt_names: of the commands that are learnt.
        lasting: where it learns, an episode begins with all that was learnt before; if not, with the file's weights.

    Raises:
        TaskError: the backend has no plastic synapses.
        ModelError: weights that were learnt before do not fit.
    """

    still = "it learns while it runs where it gets rewards; run it with --rewards"

    def __init__(
        self, file: RewardFile, backend: str = "loihi", training: bool = False, guarded: bool = False
    ) -> None:
        if backend != "loihi":
            raise TaskError(f"{file.source}: learning: backend '{backend}' has no plastic synapses; give loihi")
        self.outputs = SpikingAdaptation(file.network, file.weights, guarded=guarded)
        self.outputs.learning = self.lasting = training
        super().__init__(file, self.outputs, learns=training)
        self._inputs, self._learnt = np.array(file.inputs, int), np.array(file.learnt, int)
        self.learnt_names = tuple(file.command_names[k] for k in file.learnt)
        passed = np.array(file.passed, int).reshape(-1, 2)
        self._passed, self._of = passed.T
        self._full = file.reward
        self._reward = np.zeros(len(file.learnt))

    @property
    def own(self) -> tuple[np.ndarray, ...]:
        """The reward of the next control period."""
        return (self._reward,)

    def reset(self) -> None:
        """Begin an episode; where it learns, with all that was learnt before, if that is lasting."""
        self._reward[:] = 0
        if self.lasting:
            self.outputs.rest()
        else:
            self.outputs.reset()

    def rest(self) -> None:
        """Forget the reward, spikes and currents; what was learnt stays."""
        self._reward[:] = 0
        super().rest()

    def judge(self, rewards: np.ndarray) -> None:
        """Give the task's reward of each command, which counts in the next control period.

        Args:
            rewards: float64 ``(n_commands,)``, -1 .. 1, see :meth:`~..tasks.mujoco_task.MujocoTask.reinforcement`;
                those of commands that are not learnt do not matter.

        Raises:
            TaskError: see :meth:`reinforce`.
        """
        self.reinforce(self._full * np.asarray(rewards, float)[self._learnt])

    def reinforce(self, reward: np.ndarray) -> None:
        """Give the reward of the next control period; the one after that has none until it is given.

        Args:
            reward: float64 ``(n_learnt,)``, -127 .. 127: positive where the command should be larger. Where one is not
                finite, guarded learning freezes.

        Raises:
            TaskError: rewards of another shape or, where learning is not guarded, one that is not finite; nothing has
                then changed.
        """
        reward = np.asarray(reward, float)
        finite = bool(np.isfinite(reward).all())
        if reward.shape != self._reward.shape or not (finite or self.outputs.guarded):
            raise TaskError(f"a reward of {reward.tolist()}; give {len(self._reward)} finite numbers, one a command")
        self._reward[:] = reward if finite else 0
        if not finite and self.outputs.learning:
            self.outputs.freeze(NO_REWARD)

    def command(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command for a finite observation; the network runs one period, whatever ``dt`` is."""
        command = np.empty(len(self.command_limits))
        command[self._learnt] = self.outputs.step(observation[self._inputs], self._reward)
        command[self._passed] = observation[self._of]
        self._reward[:] = 0
        return np.minimum(np.maximum(command, -self.command_limits), self.command_limits)


#: The error of a :class:`RewardNetwork` that counts as the chip's largest: rewards are in the chip's own unit.
REWARD_UNIT = float(MOST_ERROR)
