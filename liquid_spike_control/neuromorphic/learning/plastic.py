# SPDX-License-Identifier: Apache-2.0
"""The synapses of one plastic connection: what they hold, and the arrays that the compiled engine reads."""

from __future__ import annotations

import numpy as np

from ...errors import LearningRuleError
from . import columns as c
from .draws import LavaDraws
from .notation import TRACES, VARIABLES, WIDTHS, Product
from .rule import SURROGATE, LearningRule

_GOLDEN = 0x9E3779B97F4A7C15
_GATES = {"x0": c.GATE_X0, "y0": c.GATE_Y0, "u": c.GATE_U}


class PlasticSynapses:
    """What a plastic connection holds beside its weights, and a view of these.

    Args:
        rule: what it learns by.
        shape: ``(n_target, n_source)``.
        weights: int16 view ``(n_source, n_target)`` into the network's weights.
        delays: as they begin, ``(n_target, n_source)``.
        place: source and target among the populations, where the weights begin, length of their rows, where the
            pairs of target and delay begin (-1: all delays are one).
        pairs: int32 view of these, ``(n_source * n_target, 2)``.
        number: of the plastic connection in its network.
        target: name of the target's population.

    Attributes:
        rule, shape, target: as given.
    """

    def __init__(
        self,
        rule: LearningRule,
        shape: tuple[int, int],
        weights: np.ndarray,
        delays: np.ndarray,
        place: tuple[int, int, int, int, int],
        pairs: np.ndarray | None = None,
        number: int = 0,
        target: str = "",
    ) -> None:
        self.rule, self.shape, self.target = rule, shape, target
        n_target, n_source = shape
        self._weights, self._pairs = weights, pairs
        self._delays = np.ascontiguousarray(np.broadcast_to(delays, shape).T, np.int16)
        self._tags = np.zeros((n_source, n_target), np.int16)
        self._at_first = weights.copy(), self._delays.copy()
        self._x, self._y = np.zeros((2, n_source), np.int32), np.zeros((3, n_target), np.int32)
        self._tx, self._ty = np.zeros(n_source, np.int32), np.zeros(n_target, np.int32)
        self._changes = np.zeros(c.N_CHANGES, np.int64)
        self._lava = LavaDraws(rule.seed, rule.epoch) if rule.draws == "lava" else None
        products, factors = _tables(rule)
        decayed = np.stack([rule.decayed(name) for name in TRACES])
        times = rule.epoch + 1
        self._arrays = {
            c.OPTIONS: self._options(place, number),
            c.PRODUCTS: products,
            c.FACTORS: factors,
            c.IMPULSES: np.array([rule.impulse(name) for name in TRACES], np.int64),
            c.BASE: np.floor(decayed).astype(np.int32),
            c.FRACTION: decayed - np.floor(decayed),
            c.X: self._x,
            c.Y: self._y,
            c.TX: self._tx,
            c.TY: self._ty,
            c.X_HISTORY: np.zeros((2 * times, n_source), np.int32),
            c.Y_HISTORY: np.zeros((3 * times, n_target), np.int32),
            c.X_PRODUCTS: np.zeros((len(products) * times, n_source), np.int32),
            c.Y_PRODUCTS: np.zeros((len(products) * times, n_target), np.int32),
            c.ROOM: np.zeros((4, n_target), np.int32),
            c.FIRED: np.zeros(n_target, np.int32),
            c.DELAYS: self._delays,
            c.TAGS: self._tags,
            c.DRAWS: np.zeros((1, 6)),
            c.CHANGES: self._changes,
        }
        self._table = np.zeros((c.N_ARRAYS, 3), np.int64)
        for k, array in self._arrays.items():
            self._table[k] = _row(array)

    def _options(self, place: tuple[int, int, int, int, int], number: int) -> np.ndarray:
        rule = self.rule
        options = np.zeros(c.N_OPTIONS, np.int64)
        options[[c.O_SOURCE, c.O_TARGET, c.O_W_START, c.O_W_ROW, c.O_PAIRS]] = place
        options[[c.O_EPOCH, c.O_DECIMATION]] = rule.epoch, rule.decimation
        # Connections of one rule draw apart.
        options[c.O_SEED] = (rule.seed ^ number * _GOLDEN) & (2**63 - 1)
        options[[c.O_LOW, c.O_HIGH]] = rule.weight_range
        options[c.O_EXACT] = rule.arithmetic == "brian2loihi"
        options[c.O_GRID] = 2 if rule.sign == "mixed" else 1
        options[c.O_LAVA] = rule.draws == "lava"
        options[c.O_REINFORCED] = sum(1 << TRACES.index(name) for name in rule.held)
        options[c.O_TRACES] = sum(1 << k for k, name in enumerate(TRACES) if getattr(rule, name) is not None)
        options[c.O_GATES] = sum(1 << gate for gate in {_GATES[p.gate] for p in rule.products})
        return options

    @property
    def weights(self) -> np.ndarray:
        """Copies of the weights, int64 ``(n_target, n_source)``; assign others of that shape, within the bounds.

        Raises:
            LearningRuleError: one is beyond the rule's bounds, or they are of another shape; nothing has then changed.
        """
        return self._weights.T.astype(np.int64)

    @weights.setter
    def weights(self, weights: np.ndarray) -> None:
        given, (low, high) = np.asarray(weights), self.rule.weight_range
        if given.shape != self.shape or given.dtype.kind not in "iu":
            raise LearningRuleError(
                f"{self.rule.name}: weights {given.dtype} {given.shape}; give integers of shape {self.shape}"
            )
        if given.size and not low <= int(given.min()) <= int(given.max()) <= high:
            raise LearningRuleError(
                f"{self.rule.name}: weights of {given.min()} .. {given.max()}; its bounds are {low} .. {high}"
            )
        self._weights[:] = given.T

    @property
    def delays(self) -> np.ndarray:
        """Copies of the delays [steps], int64 ``(n_target, n_source)``."""
        return self._delays.T.astype(np.int64)

    @property
    def tags(self) -> np.ndarray:
        """Copies of the tags, int64 ``(n_target, n_source)``, -257 .. 255."""
        return self._tags.T.astype(np.int64)

    def trace(self, name: str) -> np.ndarray:
        """A copy of a trace as the last epoch left it, int64.

        Args:
            name: ``x1`` or ``x2``, of the sources, or ``y1``, ``y2`` or ``y3``, of the targets.

        Raises:
            LearningRuleError: the rule has no such trace.
        """
        if name not in TRACES or getattr(self.rule, name) is None:
            raise LearningRuleError(f"{self.rule.name}: there is no trace {name}; give {name}=Trace(impulse, tau)")
        k = TRACES.index(name)
        return (self._x[k] if k < 2 else self._y[k - 2]).astype(np.int64)

    def reinforce(self, values: float | np.ndarray) -> None:
        """Set the third factor, which counts from the next step's learning on and decays as its trace does.

        Args:
            values: one number for all targets, or one each ``(n_target,)``; rounded, and clipped to -128 .. 127.

        Raises:
            LearningRuleError: the rule has no reinforcement, or a number is not finite; nothing has then changed.
        """
        rule = self.rule
        if rule.reinforcement is None:
            raise LearningRuleError(f"{rule.name}: it has no reinforcement; name one of its traces, reinforcement='y3'")
        given = np.asarray(values, np.float64)
        if given.shape not in ((), (self.shape[0],)):
            raise LearningRuleError(
                f"{rule.name}: {given.shape} numbers reinforce {self.shape[0]} neurons; give one, or one each"
            )
        if not np.isfinite(given).all():
            raise LearningRuleError(f"{rule.name}: the reinforcement is not finite; leave it as it is in such a step")
        self._y[TRACES.index(rule.reinforcement) - 2] = np.clip(np.rint(given), -128, 127)

    def take_rewards(self, ids: np.ndarray) -> None:
        """Add the impulses of reward axons to the reinforcement; :class:`~.emulator.PlasticEmulator` does it.

        Args:
            ids: input spikes of a step, ``(n,)``.
        """
        rule = self.rule
        if rule.reinforcement is None or not rule.reward_axons:
            return
        total = sum(impulse * int((ids == axon).sum()) for axon, impulse in rule.reward_axons)
        if total:
            trace = self._y[TRACES.index(rule.reinforcement) - 2]
            trace[:] = np.clip(trace + total, -128, 127)

    def approach(self, nearness: np.ndarray) -> None:
        """Set the surrogate, which counts in the next step's learning; :class:`~.emulator.PlasticEmulator` does it.

        Args:
            nearness: of each target's voltage to its threshold, 0 .. 1, ``(n_target,)``.
        """
        assert self.rule.surrogate is not None
        self._y[TRACES.index(self.rule.surrogate) - 2] = np.rint(SURROGATE * nearness)

    @property
    def saturated(self) -> float:
        """Fraction of the weights that lie on a bound, 0 .. 1; an excitatory or inhibitory weight of 0 is none."""
        return float(self.at_bound.mean()) if self._weights.size else 0.0

    @property
    def at_bound(self) -> np.ndarray:
        """Which weights lie on a bound other than 0, bool ``(n_target, n_source)``."""
        low, high = self.rule.weight_range
        return np.isin(self._weights, [bound for bound in (low, high) if bound != 0]).T

    @property
    def work(self) -> tuple[int, int]:
        """Weights, delays and tags visited, and epochs, since the reset."""
        return int(self._changes[c.N_VISITS]), int(self._changes[c.N_EPOCHS])

    def table(self, n_steps: int) -> np.ndarray:
        """The table of addresses that the engine reads, int64 ``(N_ARRAYS, 3)``, good up to a step."""
        if self._lava is not None:
            self._lava.extend(n_steps)
            self._arrays[c.DRAWS] = self._lava.table  # grows, so that it moves
            self._table[c.DRAWS] = _row(self._arrays[c.DRAWS])
        return self._table

    @property
    def changing(self) -> tuple[np.ndarray, ...]:
        """All that learning depends on, the arrays themselves."""
        return self._weights, self._delays, self._tags, self._x, self._y, self._tx, self._ty, self._changes

    def reset(self) -> None:
        """Weights and delays as they were at first; no tags, traces and counts."""
        self._weights[:], self._delays[:] = self._at_first
        for array in (self._tags, self._changes):
            array[:] = 0
        self.forget()
        self.settle()

    def forget(self) -> None:
        """Clear the traces."""
        for array in (self._x, self._y, self._tx, self._ty):
            array[:] = 0

    def settle(self) -> None:
        """Let spikes travel by the delays that stand here."""
        if self._pairs is not None:
            self._pairs[:, 1] = self._delays.ravel()


def _row(array: np.ndarray) -> tuple[int, ...]:
    """Where an array is, and its shape."""
    return array.ctypes.data, *array.shape, *[1] * (2 - array.ndim)


def _tables(rule: LearningRule) -> tuple[np.ndarray, np.ndarray]:
    """Products and factors as :mod:`.columns` describes them."""
    products: list[list[int]] = []
    factors: list[list[int]] = []
    for variable, terms in rule.sums.items():
        for p in terms:
            row = [VARIABLES.index(variable), _GATES[p.gate], p.mantissa, p.exponent + 7, p.shift]
            for group in _by_side(p):
                row.append(len(factors))
                factors += group
            products.append([*row, len(factors)])
    rows = np.array(products, np.int64).reshape(-1, c.P_COLUMNS)
    return rows, np.array(factors, np.int64).reshape(-1, c.F_COLUMNS)


def _by_side(p: Product) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """Factors of the source, of the target, and of the synapse itself."""
    sides: tuple[list[list[int]], list[list[int]], list[list[int]]] = [], [], []
    for f in p.factors:
        side = 0 if f.name[0] == "x" else 1 if f.name[0] == "y" else 2
        sides[side].append([c.FACTOR_NAMES.index(f.name), f.constant, f.sign, WIDTHS[f.name]])
    return sides
