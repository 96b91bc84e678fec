# SPDX-License-Identifier: Apache-2.0
"""What a controller's model lacks, learnt while it runs by spiking neurons on the Loihi emulator.

Angles, rates or whatever else the missing force depends on are encoded as spikes of Gaussian fields, and excite a
population of neurons, each of which prefers a direction e of the encoded numbers:

    a_j(x) = LIF(gain_j (e_j z(x) - c_j))                    activities, a basis of functions of x
    u = scale sum over j of (w+_j - w-_j) a_j(x), filtered    by pairs of neurons, one for either sign
    dw+_j = rate a_j(x) error = -dw-_j                        PES, on the chip's learning engine

with the feedback controller's own command as the error: what it still has to do is what has not been learnt (DeWolf et
al., "A spiking neural model of adaptive arm control", Proc. R. Soc. B 2016, 10.1098/rspb.2016.2134; DeWolf, Jaworski
and Eliasmith, "Nengo and low-power AI hardware for robust, embedded neurorobotics", Front. Neurorobot. 2020,
10.3389/fnbot.2020.568359; PES: MacNeil and Eliasmith 2011). For a rate that is small enough the loop is stable by
Lyapunov's second method (Slotine and Li 1987; Sanner and Slotine 1992).

Learning that leaves its bounds freezes itself: when too many weights have run to their bound, or the term has been at
its limit for too long, the weights go back to those of the last check that found them within bounds, and stay. So they
do where a reward is not finite (:mod:`.reward`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from ..neuromorphic.backend import BackendStats
from ..neuromorphic.integers.network import INPUT, LoihiNetwork
from ..neuromorphic.integers.neurons import Population
from ..neuromorphic.integers.synapses import Dense
from ..neuromorphic.learning.emulator import PlasticEmulator
from ..neuromorphic.learning.rules import pes
from ..spiking.population_coding import encode
from ..spiking.readout import Readout
from ..types import SpikeTrain
from .learning_network import LearningNetwork

#: Largest weight of the encoders, and decays of the hidden neurons' current and voltage, in 1/4096 a step.
ENCODER, HIDDEN_DU, HIDDEN_DV = 120, 800, 200
#: Of the preferred directions, at most so many inputs have a part.
MOST_INPUTS_OF_A_NEURON = 3
#: Range of the thresholds c of the hidden neurons, along their directions.
INTERCEPTS = (-0.9, 0.7)
#: Voltage threshold of the output neurons for each hidden one, so that weights of about half their range reach the
#: limit; their decay; their spread; and the bias as a part of the threshold, by which neither sign has a dead zone.
VTH_PER_NEURON, OUTPUT_DV, SPREAD, BIAS = 21.25, 150, 0.2, 0.07
#: The largest third factor of the chip.
MOST_ERROR = 127
#: Control periods between two checks of the weights.
CHECK_EVERY = 20
#: Learning freezes where the term has been at its limit for this long [s].
MOST_AT_LIMIT_S = 2.0
#: Why learning freezes, by number.
SATURATED, AT_LIMIT, NO_REWARD = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Adaptation(LearningNetwork):
    """What is learnt from what, and how fast; :meth:`network` is what learns.

    Attributes:
        neurons: of the hidden population.
        rate: of :func:`~..neuromorphic.learning.rules.pes`.
        tau: time constant of the activities that learning sees [steps].
        decimation: learning happens every ``2^decimation`` steps.

    Raises:
        ModelError: a number is out of range.
        LearningRuleError: the chip has no such rate.
    """

    neurons: int = 800
    tau: float = 20.0
    decimation: int = 3

    def __post_init__(self) -> None:
        self._check(("neurons", 10, 4000), ("decimation", 0, 9), ("tau", 0.0, 1e4))
        super().__post_init__()

    def network(self) -> LoihiNetwork:
        """The network before it has learnt anything: its plastic weights are 0."""
        rng = np.random.default_rng(self.seed)
        n, n_inputs = self.neurons, len(self.centres)
        directions = np.zeros((n, n_inputs))
        for direction in directions:
            count = rng.integers(1, min(MOST_INPUTS_OF_A_NEURON, n_inputs) + 1)
            parts = rng.normal(size=count)
            direction[rng.choice(n_inputs, count, replace=False)] = parts / np.linalg.norm(parts)
        centres = np.linspace(-1, 1, self.fields)
        encoders = np.rint(ENCODER * directions[:, :, None] * centres).reshape(n, -1).astype(int)
        # What the fields of one input at z = 1 give a neuron that prefers it, each step once the current has settled.
        at_most = ENCODER * float(centres @ np.exp(-0.5 * ((1 - centres) * (self.fields - 1) / 2) ** 2))
        drive = at_most * 64 * 4096 / (HIDDEN_DU + 1)
        intercepts, quickness = rng.uniform(*INTERCEPTS, n), rng.uniform(0.7, 1.3, n)
        # 5.67 thresholds of drive a step: 150 spikes in 1000 steps at z = 1.
        vth = np.rint(drive / 64 * (1 - intercepts) * 4.54 / quickness).astype(int)
        bias = np.clip(np.rint(-intercepts * drive / 64), -4096, 4095).astype(int)
        hidden = Population(n, du=HIDDEN_DU, dv=HIDDEN_DV, vth=vth, bias_mant=bias, bias_exp=6)
        n_outputs = 2 * self.pairs * len(self.limits)
        vth_out = VTH_PER_NEURON * n * rng.uniform(1 - SPREAD, 1 + SPREAD, n_outputs)  # lest they spike as one
        output = Population(
            n_outputs, du=4095, dv=OUTPUT_DV, vth=np.rint(vth_out).astype(int),
            bias_mant=np.rint(BIAS * vth_out / 2).astype(int), bias_exp=7,
        )  # fmt: skip
        rule = pes(rate=self.rate, tau=self.tau, decimation=self.decimation, sign="mixed", seed=self.seed)
        connections = (
            Dense(INPUT, "hidden", encoders),
            Dense("hidden", "output", np.zeros((n_outputs, n), int), learning=rule),
        )
        return LoihiNetwork(n_inputs * self.fields, {"hidden": hidden, "output": output}, connections)


class SpikingAdaptation:
    """Runs an :class:`Adaptation`, or another network that learns.

    Args:
        description: what is learnt from what.
        weights: int ``(n_outputs, n_sources)``, learnt before; nothing by default.
        guarded: learning that leaves its bounds freezes itself.

    Attributes:
        description, guarded: as given.
        frozen: why learning has frozen itself; empty while it has not.

    Raises:
        ModelError: the weights do not fit.
    """

    def __init__(
        self, description: LearningNetwork, weights: np.ndarray | None = None, guarded: bool = True
    ) -> None:
        self.description = d = description
        self.guarded = guarded
        self._emulator = PlasticEmulator(d.network())
        self._plastic = self._emulator.plastic[0]
        self._first = self._plastic.weights if weights is None else np.asarray(weights)
        if self._first.shape != self._plastic.shape:
            raise ModelError(
                f"{d.source}: {d.entry}.weights: {self._first.shape} weights; give {self._plastic.shape}, outputs and"
                " neurons, as they were saved"
            )
        self._signs, self._limits = d.signs, np.array(d.limits)
        self._per_error = MOST_ERROR / np.array(d.errors)
        self._centres, self._scales = np.array(d.centres), np.array(d.scales)
        decay = -np.expm1(-d.period_s / d.steps / d.smoothing_s)
        self._readout = Readout(self._signs * decay / d.pairs, decay, np.diag(self._limits / d.full_rate))
        n_axons = len(d.centres) * d.fields
        self._charge = np.zeros((1, n_axons))
        self._indptr = np.zeros((1, d.steps + 1), np.int64)
        self._ids = np.zeros((1, n_axons * d.steps), np.int32)
        # Periods since the reset, periods at the limit, learning is wanted, why it has frozen.
        self._counts = np.array([0, 0, 1, 0], np.int64)
        self._within = self._first.copy()
        self.reset()

    def reset(self) -> None:
        """Begin an episode: nothing is known but the weights that were given, and nothing has frozen."""
        self._emulator.reset()
        self._plastic.weights = self._first
        self._within[:] = self._first
        self._counts[[0, 1, 3]] = 0
        self._rest()

    def _rest(self) -> None:
        self._charge[:] = 0
        self._readout.reset()
        self._emulator.learning = self.learning

    def rest(self) -> None:
        """Forget spikes and currents; what was learnt stays."""
        self._emulator.rest()
        self._rest()

    @property
    def learning(self) -> bool:
        """Whether it learns; set it to turn learning on and off. Turned on, what has frozen learns again."""
        return bool(self._counts[2]) and not self._counts[3]

    @learning.setter
    def learning(self, on: bool) -> None:
        self._counts[2] = on
        if on:
            self._counts[[1, 3]] = 0
        self._emulator.learning = self.learning

    @property
    def frozen(self) -> str:
        """Why learning has frozen itself; empty while it has not."""
        limit, saturated = MOST_AT_LIMIT_S, self.description.most_saturated
        of = "a command's" if self.description.each_command else "the"
        return (
            "", f"more than {100 * saturated:g} % of {of} weights ran to their bound",
            f"the learnt term was at its limit for {limit:g} s", "a reward was not finite",
        )[self._counts[3]]  # fmt: skip

    @property
    def weights(self) -> np.ndarray:
        """Copies of the learnt weights, int64 ``(n_outputs, neurons)``."""
        return self._plastic.weights

    @property
    def network(self) -> LoihiNetwork:
        """The network with what it has learnt; its hash is that of what was learnt."""
        return self._emulator.learnt()

    def stats(self) -> BackendStats:
        """Work of the network since the last reset."""
        return self._emulator.stats()

    def account(self) -> dict[str, object]:
        """How learning stands: on, off or frozen, its rate, and the weights' norm, hash and part at a bound."""
        weights = self.weights
        return {
            "learning": "on" if self.learning else f"frozen: {self.frozen}" if self.frozen else "off",
            "learning_rate": self.description.rate,
            "learnt_norm": round(float(np.linalg.norm(weights)), 3),
            "learnt_saturated": round(self._plastic.saturated, 6),
            "learnt_sha256": hashlib.sha256(weights.astype("<i2").tobytes()).hexdigest()[:16],
        }

    def step(self, x: np.ndarray, error: np.ndarray) -> np.ndarray:
        """What is learnt for ``x``, after one control period of learning from the error.

        Args:
            x: float64 ``(n_inputs,)``, finite.
            error: float64 ``(n_commands,)``, what the feedback controller does, finite; the term learns to take it
                over.

        Returns:
            float64 ``(n_commands,)``, within the limits.
        """
        d = self.description
        if self.learning:
            levels = np.minimum(np.maximum(error * self._per_error, -MOST_ERROR), MOST_ERROR)
            self._plastic.reinforce(levels @ self._signs)
        encode(((x - self._centres) / self._scales)[None], d.fields, d.steps, self._charge, self._indptr, self._ids)
        spikes = SpikeTrain(self._indptr[0], self._ids[0, : self._indptr[0, -1]])
        term = self._readout.step(self._emulator.run(spikes))
        bounded = np.minimum(np.maximum(term, -self._limits), self._limits)
        self._watch(bool((np.abs(term) > self._limits).any()))
        return bounded

    def _watch(self, at_limit: bool) -> None:
        """Freeze learning that has left its bounds."""
        counts = self._counts
        counts[0] += 1
        counts[1] = counts[1] + 1 if at_limit else 0
        if not (self.learning and self.guarded):
            return
        if counts[1] * self.description.period_s > MOST_AT_LIMIT_S:
            self.freeze(AT_LIMIT)
        elif counts[0] % CHECK_EVERY == 0:
            if self._most_saturated() > self.description.most_saturated:
                self.freeze(SATURATED)
            elif not at_limit:
                self._within[:] = self._plastic.weights

    def _most_saturated(self) -> float:
        """Part of the weights at a bound: of all, or of the command of which most are."""
        if not self.description.each_command:
            return self._plastic.saturated
        at_bound = self._plastic.at_bound
        return max(float(at_bound[own].mean()) for own in self._signs != 0)

    def freeze(self, why: int) -> None:
        """Stop learning, with the weights of the last check that found them within bounds, until it is turned on.

        Args:
            why: :data:`SATURATED`, :data:`AT_LIMIT` or :data:`NO_REWARD`.
        """
        self._counts[3] = why
        self._emulator.learning = False
        self._plastic.weights = self._within

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """Copies of all that the next step depends on; assign them to restore."""
        state = self._emulator.state
        return (self._charge.copy(), self._readout.state, self._counts.copy(), self._within.copy(), *state)

    @parts.setter
    def parts(self, parts: tuple[np.ndarray, ...]) -> None:
        charge, readout, counts, within, *emulator = parts
        self._charge[:], self._counts[:], self._within[:] = charge, counts, within
        self._readout.state = readout
        self._emulator.learning = self.learning  # clears the traces where it is off; those of the state come next
        self._emulator.state = tuple(emulator)
