# SPDX-License-Identifier: Apache-2.0
"""Controllers whose neurons are random and stay so: a spiking reservoir and an echo-state network.

They are policies like any other, and so are their files: the reservoir is a recurrent spiking controller, for the
chip; the echo-state network ``x <- tanh(W x + W_in u + b)`` is a CfC whose two candidates are the same, so that its
time gate, which mixes them, has no effect. Only the readout is learnt, see :mod:`.readout`.

Maass, Natschlaeger, Markram: "Real-time computing without stable states", Neural Computation 14(11), 2002. Jaeger: "The
echo state approach to analysing and training recurrent neural networks", GMD report 148, 2001.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch

from ..errors import TaskError
from ..liquid.architecture import Architecture
from ..liquid.cells import CfC, Recurrent
from ..liquid.echo_state import NAME as ECHO_STATE
from ..liquid.echo_state import EchoStateNetwork
from ..liquid.policies import Policy, new_policy
from ..spiking.network import LARGEST_MANTISSA
from ..spiking.policy import SpikingPolicy
from ..spiking.policy_file import SpikingArchitecture
from ..spiking.reservoir import NAME as RESERVOIR
from ..spiking.reservoir import ReservoirDescription, recurrent_weights

KINDS = RESERVOIR, ECHO_STATE
# Radii and input scales below were chosen by episodes of training seeds of swing-up with its full state.
#: Time constants of the reservoir's neurons, and of the traces that it is read by [steps].
SYNAPTIC_TAUS, MEMBRANE_TAUS, READOUT_TAUS = (1.5, 2.0, 4.0), (4.0, 8.0, 16.0), (2.0, 10.0, 40.0)
#: Axons that reach a neuron of the reservoir, and what spikes of all of them at once add to its voltage, in thresholds.
FAN_IN, INPUT_GAIN = 4, 3.0
#: Spectral radius of the reservoir's gain.
GAIN = 0.2
#: Of the echo-state network.
RADIUS, INPUT_SCALE, BIAS = 0.5, 1.5, 0.5


@dataclass(frozen=True)
class RandomNetwork:
    """A network whose readout alone is learnt.

    Attributes:
        kind: :data:`RESERVOIR` or :data:`ECHO_STATE`.
        units: neurons.
        elapsed_input: whether elapsed time is an input.

    Raises:
        TaskError: an unknown kind.
    """

    kind: str
    units: int = 400
    elapsed_input: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TaskError(f"unknown random network '{self.kind}'; give {' or '.join(KINDS)}")

    def new_policy(
        self, observation_scales: Sequence[float], command_limits: Sequence[float], nominal_period_s: float, seed: int
    ) -> Policy | SpikingPolicy:
        """A policy of random neurons, with an untrained readout.

        Args:
            observation_scales: what one unit of network input is, in each observation's unit.
            command_limits: greatest magnitude of each command, in its unit.
            nominal_period_s: control period [s].
            seed: of the weights.

        Raises:
            ModelError: the number of units is out of range.
        """
        numbers = observation_scales, command_limits, nominal_period_s, seed
        return self._reservoir(*numbers) if self.kind == RESERVOIR else self._echo_state(*numbers)

    def n_trained(self, n_commands: int) -> int:
        """Numbers of the readout."""
        n_features = self.units * (len(READOUT_TAUS) if self.kind == RESERVOIR else 1)
        return (n_features + 1) * n_commands

    def _reservoir(self, scales, limits, period_s: float, seed: int) -> SpikingPolicy:
        architecture = SpikingArchitecture(
            units=(self.units,), steps=8, synaptic_taus=SYNAPTIC_TAUS, membrane_taus=MEMBRANE_TAUS,
            readout_taus=READOUT_TAUS, elapsed_input=self.elapsed_input,
        )  # fmt: skip
        rng = np.random.default_rng([seed, 5])
        draft = SpikingPolicy(architecture, scales, limits, period_s, seed)
        du = draft.network.effective()["du"].detach().double().numpy()
        recurrent = recurrent_weights(
            ReservoirDescription(n_neurons=self.units, topology="uniform", gain=GAIN, longest_delay=0), du, rng
        )
        n_axons = draft.network.n_axons
        received = np.zeros((n_axons, self.units))
        for k in range(self.units):
            chosen = rng.choice(n_axons, FAN_IN, replace=False)
            received[chosen, k] = rng.uniform(-1.0, 1.0, FAN_IN) * INPUT_GAIN * du[k]
        # of 1 as the threshold, as far as here; in a file each neuron has its own
        thresholds = draft.thresholds.double().numpy()
        received, recurrent = received * thresholds, recurrent.T * thresholds
        most = max(np.abs(received).max(), np.abs(recurrent).max())
        resolution = int(np.clip(LARGEST_MANTISSA / most, 64, 4096))  # as fine as 8 bits allow
        policy = SpikingPolicy(replace(architecture, resolution=resolution), scales, limits, period_s, seed)
        with torch.no_grad():
            for name, weights in (("in", received), ("rec", recurrent)):
                values = torch.from_numpy(weights).float()
                getattr(policy.network, f"w_{name}").copy_(values)
                getattr(policy.network, f"mask_{name}").copy_(values != 0)
        return policy

    def _echo_state(self, scales, limits, period_s: float, seed: int) -> Policy:
        n_inputs = len(scales) + self.elapsed_input
        network = EchoStateNetwork(self.units, n_inputs, RADIUS, INPUT_SCALE, BIAS, seed=seed)
        architecture = Architecture("cfc", self.units, elapsed_input=self.elapsed_input, elapsed_span=False)
        policy = new_policy(architecture, scales, limits, period_s, seed)
        (heads,) = cast(CfC, cast(Recurrent, policy.layers[0]).cell).stages
        with torch.no_grad():
            for part in (heads.weight, heads.bias):
                part.zero_()
            for candidate in range(2):
                rows = slice(candidate * self.units, (candidate + 1) * self.units)
                both = np.concatenate([network.input_weights, network.weights], 1)
                heads.weight[rows] = torch.from_numpy(both).float()
                heads.bias[rows] = torch.from_numpy(network.bias).float()
        return policy
