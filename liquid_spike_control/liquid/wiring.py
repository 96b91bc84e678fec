# SPDX-License-Identifier: Apache-2.0
"""Wirings: which neuron may drive which, and with what sign. No torch.

A neural circuit policy has four layers: sensory neurons (the inputs), inter, command and motor neurons. Synapses
run from each layer to the next and among the command neurons.

Source: Lechner et al., "Neural circuit policies enabling auditable autonomy", Nature Machine Intelligence 2020,
the four design rules in Methods.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import ModelError

#: ncp: layers of given sizes and fans. auto_ncp: sizes and fans follow from the number of units and the sparsity.
#: random, fully_connected: one layer. given: read from another framework, the synapses are in the file only.
KINDS = ("auto_ncp", "ncp", "random", "fully_connected", "given")
#: Shares of the neurons that are not motor neurons, and of excitatory synapses in random and full wirings.
_COMMAND_SHARE, _EXCITATORY_SHARE = 0.4, 2 / 3


@dataclass(frozen=True)
class WiringPlan:
    """Parameters of a layer's random wiring; the same plan gives the same wiring.

    Attributes:
        kind: one of :data:`KINDS`.
        sparsity: share of the possible synapses that is left out, 0 to 0.95 (auto_ncp, random).
        motor: motor neurons (ncp, auto_ncp; 0: one for each command).
        inter, command: neurons of these layers (ncp; given, where 0 means one layer).
        sensory_fanout, inter_fanout: synapses from each sensory and each inter neuron (ncp).
        command_recurrence: synapses among command neurons, in all (ncp).
        motor_fanin: synapses to each motor neuron (ncp).
        sparse_gates: the time gates of CfC neurons have the synapses of the wiring too; ncps leaves them dense.
        seed: of the draw.
    """

    kind: str = "auto_ncp"
    sparsity: float = 0.5
    motor: int = 0
    inter: int = 0
    command: int = 0
    sensory_fanout: int = 0
    inter_fanout: int = 0
    command_recurrence: int = 0
    motor_fanin: int = 0
    sparse_gates: bool = True
    seed: int = 22222

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            _refuse("kind", f"one of {', '.join(KINDS)}", self.kind)
        if not isinstance(self.sparsity, int | float) or not 0 <= self.sparsity <= 0.95:
            _refuse("sparsity", "0 to 0.95", self.sparsity)
        for field in ("motor", "inter", "command", "sensory_fanout", "inter_fanout", "command_recurrence",
                      "motor_fanin", "seed"):  # fmt: skip
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**32:
                _refuse(field, "a whole number, at least 0", value)
        if not isinstance(self.sparse_gates, bool):
            _refuse("sparse_gates", "true or false", self.sparse_gates)
        if self.kind == "ncp":
            for field, most in (("motor", None), ("inter", None), ("command", None), ("sensory_fanout", self.inter),
                                ("inter_fanout", self.command), ("motor_fanin", self.command)):  # fmt: skip
                value = getattr(self, field)
                if value < 1 or (most is not None and value > most):
                    _refuse(field, "at least 1" + ("" if most is None else f", at most {most}"), value)

    def stages(self, units: int, n_commands: int) -> tuple[int, ...]:
        """Sizes of the layers, (inter, command, motor) or (units,); the last one is the output.

        Raises:
            ModelError: so many units cannot be divided.
        """
        if self.kind in ("random", "fully_connected") or (self.kind == "given" and not self.command):
            return (units,)
        motor = self.motor or n_commands
        if self.kind == "auto_ncp":
            if units < motor + 3:
                _refuse("units", f"at least {motor + 3} for {motor} motor neurons", units)
            command = max(int(_COMMAND_SHARE * (units - motor)), 1)
            return units - motor - command, command, motor
        if self.inter + self.command + motor != units:
            _refuse("units", f"inter + command + motor = {self.inter + self.command + motor}", units)
        return self.inter, self.command, motor

    def build(self, n_inputs: int, units: int, n_commands: int, layer: int = 0) -> Wiring:
        """Draw the wiring of a layer.

        Raises:
            ModelError: so many units cannot be divided, or the synapses are in a file only.
        """
        stages = self.stages(units, n_commands)
        rng = np.random.default_rng([self.seed, layer])
        if self.kind == "given":
            _refuse("kind", "a wiring that can be drawn", "given, whose synapses are in a file")
        if self.kind in ("random", "fully_connected"):
            share = 1.0 if self.kind == "fully_connected" else 1.0 - self.sparsity
            return Wiring(_scatter(rng, n_inputs, units, share), _scatter(rng, units, units, share), stages)
        return self._circuit(rng, n_inputs, units, stages)

    def _circuit(self, rng: np.random.Generator, n_inputs: int, units: int, stages: tuple[int, ...]) -> Wiring:
        inter, command, motor = stages
        if self.kind == "ncp":
            fans = self.sensory_fanout, self.inter_fanout, self.motor_fanin
            recurrence = self.command_recurrence
        else:
            density = 1.0 - self.sparsity
            fans = tuple(max(int(n * density), 1) for n in (inter, command, command))  # type: ignore[assignment]
            recurrence = max(int(2 * command * density), 1)
        synapses = np.zeros((units, units), np.int8)
        first, last = inter, inter + command  # of the command neurons
        synapses[:first, first:last] = _fan_out(rng, inter, command, fans[1])
        synapses[first:last, last:] = _fan_out(rng, motor, command, fans[2]).T
        pairs = rng.choice(command * command, min(recurrence, command * command), replace=False)
        synapses[first + pairs // command, first + pairs % command] = _signs(rng, len(pairs))
        return Wiring(_padded(_fan_out(rng, n_inputs, inter, fans[0]), units), synapses, stages)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Wiring:
    """The synapses of a layer: -1 inhibitory, 0 none, 1 excitatory.

    Attributes:
        sensory: int8 ``(n_inputs, units)``, from inputs to neurons.
        synapses: int8 ``(units, units)``, from neurons (rows) to neurons (columns).
        stages: sizes of the layers, (inter, command, motor) in this order of neurons, or (units,).
    """

    sensory: np.ndarray
    synapses: np.ndarray
    stages: tuple[int, ...]

    @property
    def n_synapses(self) -> int:
        """Sensory and other synapses."""
        return int(np.count_nonzero(self.sensory) + np.count_nonzero(self.synapses))

    def stage_mask(self, stage: int) -> np.ndarray:
        """Return the inputs of the neurons of a stage of CfC cells: bool ``(stage size, n_below + stage size)``.

        Below the first stage are the inputs, below another one the stage before. As in ncps, the neurons of one
        stage see each other's states, independently of the wiring.
        """
        first = sum(self.stages[:stage])
        here = slice(first, first + self.stages[stage])
        below = self.sensory if stage == 0 else self.synapses[first - self.stages[stage - 1] : first]
        return np.hstack([below[:, here].T != 0, np.ones((self.stages[stage],) * 2, bool)])


    def within_stages(self) -> Wiring:
        """The synapses that have an effect on CfC cells: those into a stage from below it.

        Neurons of one stage see each other with any wiring among them, and a synapse that skips a stage has no
        weight.
        """
        sensory, synapses, first = np.zeros_like(self.sensory), np.zeros_like(self.synapses), 0
        for j, size in enumerate(self.stages):
            here = slice(first, first + size)
            if j == 0:
                sensory[:, here] = self.sensory[:, here]
            else:
                below = slice(first - self.stages[j - 1], first)
                synapses[below, here] = self.synapses[below, here]
            first += size
        return Wiring(sensory, synapses, self.stages)


def _signs(rng: np.random.Generator, shape: int | tuple[int, ...], excitatory: float = 0.5) -> np.ndarray:
    return np.where(rng.random(shape) < excitatory, 1, -1).astype(np.int8)


def _scatter(rng: np.random.Generator, n_from: int, n_to: int, share: float) -> np.ndarray:
    flat = np.zeros(n_from * n_to, np.int8)
    chosen = rng.choice(flat.size, round(share * flat.size), replace=False)
    flat[chosen] = _signs(rng, len(chosen), _EXCITATORY_SHARE)
    return flat.reshape(n_from, n_to)


def _fan_out(rng: np.random.Generator, n_from: int, n_to: int, fan: int) -> np.ndarray:
    """Each row reaches ``fan`` columns; a column that none reaches is then reached by as many rows as the mean."""
    reached = np.zeros((n_from, n_to), bool)
    for row in reached:
        row[rng.choice(n_to, fan, replace=False)] = True
    mean = min(max(n_from * fan // n_to, 1), n_from)
    for column in np.flatnonzero(~reached.any(0)):
        reached[rng.choice(n_from, mean, replace=False), column] = True
    return reached * _signs(rng, (n_from, n_to))


def _padded(matrix: np.ndarray, n_columns: int) -> np.ndarray:
    return np.hstack([matrix, np.zeros((len(matrix), n_columns - matrix.shape[1]), matrix.dtype)])


def _refuse(field: str, expected: str, found: Any) -> None:
    raise ModelError(f"wiring: {field}: expected {expected}, found {found!r}; change the plan of the wiring")
