# SPDX-License-Identifier: Apache-2.0
"""The float64 reference of the learning engine: the same rule without bits and without rounding; plain, to be read."""

from __future__ import annotations

import numpy as np

from .notation import TRACES, VARIABLES, Product
from .rule import SURROGATE, LearningRule


class FloatSynapses:
    """Synapses that learn in float64 from spikes that are given.

    A product counts what is written, so that the shift of Lava's arithmetic (:attr:`~.notation.Product.shift`) is
    applied as a factor where the rule's arithmetic has it. Weights stay within the rule's bounds.

    Args:
        rule: what they learn by.
        weights: as they begin, ``(n_target, n_source)``.

    Attributes:
        weights, delays, tags: float64 ``(n_target, n_source)``.
    """

    def __init__(self, rule: LearningRule, weights: np.ndarray) -> None:
        self.rule = rule
        self.weights = np.array(weights, np.float64)
        self.delays, self.tags = np.zeros_like(self.weights), np.zeros_like(self.weights)
        n_target, n_source = self.weights.shape
        sizes = dict(zip(TRACES, (n_source, n_source, n_target, n_target, n_target), strict=True))
        self._traces = {name: np.zeros(sizes[name]) for name in TRACES if getattr(rule, name) is not None}
        self._last = {"x": np.zeros(n_source, int), "y": np.zeros(n_target, int)}
        self._step = 0

    def trace(self, name: str) -> np.ndarray:
        """A trace as the last epoch left it."""
        return self._traces[name]

    def reinforce(self, values: float | np.ndarray) -> None:
        """Set the third factor, see :meth:`.plastic.PlasticSynapses.reinforce`."""
        assert self.rule.reinforcement is not None
        self._traces[self.rule.reinforcement][:] = values

    def approach(self, nearness: np.ndarray) -> None:
        """Set the surrogate, see :meth:`.plastic.PlasticSynapses.approach`."""
        assert self.rule.surrogate is not None
        self._traces[self.rule.surrogate][:] = SURROGATE * nearness

    def step(self, pre: np.ndarray, post: np.ndarray) -> None:
        """Advance by the spikes of one step, bool ``(n_source,)`` and ``(n_target,)``."""
        at = self._step % self.rule.epoch + 1
        for side, spikes in (("x", pre), ("y", post)):
            again = np.asarray(spikes, bool) & (self._last[side] > 0)
            for name, trace in self._traces.items():
                if name[0] == side and name not in self.rule.held:
                    trace[again] += getattr(self.rule, name).impulse
            self._last[side][np.asarray(spikes, bool)] = at
        self._step += 1
        if self._step % self.rule.epoch == 0:
            self._learn()

    def _learn(self) -> None:
        histories = {name: self._follow(name) for name in self._traces}
        old = {"w": self.weights.copy(), "d": self.delays.copy(), "t": self.tags.copy()}
        for variable, products in self.rule.sums.items():
            change = sum(self._value(p, histories, old) for p in products)
            low, high = {"w": self.rule.weight_range, "d": (0, 62), "t": (-257, 255)}[variable]
            value = (self.weights, self.delays, self.tags)[VARIABLES.index(variable)]
            value[:] = np.clip(old[variable] + change, low, high)
        for name, history in histories.items():
            self._traces[name][:] = history[-1]
        for last in self._last.values():
            last[:] = 0

    def _follow(self, name: str) -> np.ndarray:
        """A trace in the steps of the epoch, from that before it to what stays after it."""
        held = name in self.rule.held  # it counts in its own step and decays afterwards
        history = [self._traces[name], self._traces[name] if held else self._next(name, self._traces[name], 1)]
        for t in range(2, self.rule.epoch + 1):
            history.append(self._next(name, history[-1], t))
        history.append(self._next(name, history[-1], 0) if held else history[-1])
        return np.array(history)

    def _next(self, name: str, value: np.ndarray, t: int) -> np.ndarray:
        """A trace in step t of the epoch, out of the one before; in step 0 nobody spikes."""
        trace = getattr(self.rule, name)
        left = 0.0 if trace.tau == 0 else self.rule.decayed(name)[129]  # of 1
        if name in self.rule.held or t == 0:
            return left * value
        return np.minimum(left * value + trace.impulse * (self._last[name[0]] == t), 127)

    def _value(self, p: Product, histories: dict[str, np.ndarray], old: dict[str, np.ndarray]) -> np.ndarray:
        epoch, (tx, ty) = self.rule.epoch, (self._last["x"][None, :], self._last["y"][:, None])
        if p.gate == "u":
            times = np.full(self.weights.shape, epoch * (self._step // epoch % 2**p.decimation == 0))
        else:
            times = np.broadcast_to(tx if p.gate == "x0" else ty, self.weights.shape)
        shift = p.shift if self.rule.arithmetic == "lava" else 0
        value = p.mantissa * 2.0 ** (p.exponent - shift) * (times > 0)
        for f in p.factors:
            if f.name in TRACES:
                rows = np.arange(self.weights.shape[0])[:, None], np.arange(self.weights.shape[1])[None, :]
                number = histories[f.name][times, rows[1] if f.name[0] == "x" else rows[0]]
            else:
                number = {"x0": tx > 0, "y0": ty > 0, **old}[f.name]
            number = number + f.constant
            value = value * (np.sign(number) if f.sign else number)
        return value
