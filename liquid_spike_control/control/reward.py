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

import numpy as np

from ..controller_description import ControllerDescription
from ..errors import ModelError, TaskError
from ..neuromorphic.backend import BackendStats
from ..neuromorphic.integers.network import INPUT, LoihiNetwork
from ..neuromorphic.integers.neurons import Population
from ..neuromorphic.integers.synapses import Dense
from ..neuromorphic.learning.rules import reward_stdp
from .adaptation import MOST_ERROR, SpikingAdaptation
from .learning_network import LearningNetwork
from .state import packed, unpacked

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

    entry = "learning"

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

    Raises:
        ModelError: a command is given twice or not at all.
    """

    learnt: tuple[int, ...]
    passed: tuple[tuple[int, int], ...] = ()
    network: RewardNetwork
    inputs: tuple[int, ...]
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        given = sorted((*self.learnt, *(place for place, _ in self.passed)))
        if given != list(range(len(self.command_names))) or len(self.network.limits) != len(self.learnt):
            raise ModelError(f"{self.source}: commands: each needs to be learnt or to be the value of an observation")


class RewardController:
    """A :class:`~..liquid.controller.Controller` that has learnt, or learns, by reward.

    Args:
        file: what it sees and gives, and what it has learnt.
        backend: that runs the spiking neurons; only the Loihi emulator learns.
        training: it learns from the rewards that :meth:`reinforce` gives, from episode to episode. Without it the
            weights stay as they are.

    Attributes:
        observation_names, command_names, nominal_period_s, command_limits: see ``Controller``.
        poisoned: steps whose observation was not finite.

    Raises:
        TaskError: the backend has no plastic synapses.
        ModelError: weights that were learnt before do not fit.
    """

    def __init__(self, file: RewardFile, backend: str = "loihi", training: bool = False) -> None:
        self.observation_names, self.command_names = file.observation_names, file.command_names
        self.nominal_period_s = file.nominal_period_s
        self.command_limits = np.array(file.command_limits, float)
        if backend != "loihi":
            raise TaskError(f"{file.source}: learning: backend '{backend}' has no plastic synapses; give loihi")
        self.clamped = self.poisoned = 0
        self._outputs = SpikingAdaptation(file.network, file.weights, guarded=False)
        self._outputs.learning = self._training = training
        self._inputs, self._learnt = np.array(file.inputs, int), np.array(file.learnt, int)
        passed = np.array(file.passed, int).reshape(-1, 2)
        self._passed, self._of = passed.T
        self._reward = np.zeros(len(file.learnt))

    def reset(self) -> None:
        """Begin an episode; in training, with all that was learnt before."""
        self._reward[:] = 0
        if self._training:
            self._outputs.rest()
        else:
            self._outputs.reset()

    @property
    def outputs(self) -> SpikingAdaptation:
        """The network, and what it has learnt."""
        return self._outputs

    def reinforce(self, reward: np.ndarray) -> None:
        """Give the reward of the next control period.

        Args:
            reward: float64 ``(n_learnt,)``, -127 .. 127: positive where the command should be larger.

        Raises:
            TaskError: a reward is not finite; nothing has then changed.
        """
        reward = np.asarray(reward, float)
        if reward.shape != self._reward.shape or not np.isfinite(reward).all():
            raise TaskError(f"a reward of {reward.tolist()}; give {len(self._reward)} finite numbers, one a command")
        self._reward[:] = reward

    def stats(self) -> BackendStats:
        """Work of the spiking network since the last reset."""
        return self._outputs.stats()

    def warm(self) -> None:
        """Compile the kernels, or load them from the cache; the state does not change."""
        state = self.state
        self.step(np.zeros(len(self.observation_names)), self.nominal_period_s)
        self.state = state

    @property
    def state(self) -> np.ndarray:
        """All that it remembers, uint8 ``(n_bytes,)``, what was learnt included; assign it to restore."""
        return packed((self._reward, *self._outputs.parts))

    @state.setter
    def state(self, state: np.ndarray) -> None:
        reward, *parts = unpacked(state, (self._reward, *self._outputs.parts))
        self._reward[:], self._outputs.parts = reward, tuple(parts)

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command for an observation.

        Args:
            observation: float64 ``(n_observations,)``, in the units of the file.
            dt: seconds since the observation before; the network runs one period, whatever it is.

        Returns:
            float64 ``(n_commands,)``, within ``command_limits``, or all NaN where the observation is not finite.

        Raises:
            ValueError: the observation has the wrong shape.
        """
        observation = np.asarray(observation, float)
        if observation.shape != (len(self.observation_names),):
            raise ValueError(f"an observation has shape ({len(self.observation_names)},), not {observation.shape}")
        if not np.isfinite(observation).all():
            self.poisoned += 1
            self._outputs.rest()
            return np.full(len(self.command_limits), np.nan)
        command = np.empty(len(self.command_limits))
        command[self._learnt] = self._outputs.step(observation[self._inputs], self._reward)
        command[self._passed] = observation[self._of]
        return np.minimum(np.maximum(command, -self.command_limits), self.command_limits)


#: The error of a :class:`RewardNetwork` that counts as the chip's largest: rewards are in the chip's own unit.
REWARD_UNIT = float(MOST_ERROR)
