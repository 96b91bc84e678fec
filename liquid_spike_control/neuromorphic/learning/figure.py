# SPDX-License-Identifier: Apache-2.0
"""The picture of docs/learning.md: what one pair changes, and what a reward makes of it, in integers and in float64.

    python -m liquid_spike_control.neuromorphic.learning.figure docs/learning.png
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...outputs import in_print, save_figure
from ...types import SpikeTrain
from ..emulator.loihi import Dense, LoihiNetwork, Population
from .emulator import PlasticEmulator
from .reference import FloatSynapses
from .rule import LearningRule
from .rules import pair_stdp, reward_stdp

FLOAT, FIXED = "#2b6cb0", "#dd6b20"
_SEEDS, _LONGEST = 40, 50


@in_print()
def learning_figure() -> Figure:
    """Left: the window of pair STDP. Right: a tag and two weights, one rewarded and one punished."""
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_window(left)
    _draw_reward(right)
    return figure


def _pairs(rule: LearningRule, n_target: int) -> PlasticEmulator:
    """One source and some targets, each of which spikes when its axon says so, whatever the weights are."""
    force = np.zeros((n_target + 1, n_target + 1), int)
    np.fill_diagonal(force, 255)
    single = {"du": 4095, "dv": 4096}
    populations = {"pre": Population(1, vth=200, **single), "post": Population(n_target, vth=16000, **single)}
    connections = [
        Dense("input", "pre", force[:1]),
        Dense("input", "post", force[1:], weight_exp=7),
        Dense("pre", "post", np.full((n_target, 1), 100), learning=rule),
    ]
    return PlasticEmulator(LoihiNetwork(n_target + 1, populations, connections))


def _draw_window(axes: Axes) -> None:
    lags = np.array([s for s in range(-_LONGEST, _LONGEST + 1, 4) if s])
    spikes = np.zeros((2 * _LONGEST + 5, len(lags) + 1), bool)
    spikes[_LONGEST + 1, 0] = True
    spikes[_LONGEST + 1 + lags, 1 + np.arange(len(lags))] = True
    found = []
    for seed in range(_SEEDS):
        emulator = _pairs(pair_stdp(8.0, 6.0, 20, 10, seed=seed), len(lags))
        emulator.run(SpikeTrain.from_dense(spikes))
        found.append(emulator.plastic[0].weights[:, 0] - 100)
    s = np.linspace(-_LONGEST, _LONGEST, 401)
    axes.plot(s, np.where(s > 0, 8 * np.exp(-s / 20), -6 * np.exp(s / 10)), color=FLOAT, label="equation")
    axes.plot(lags, np.mean(found, axis=0), "o", ms=4, color=FIXED, label=f"integers, mean of {_SEEDS} seeds")
    axes.axhline(0, color="0.7", lw=0.5)
    axes.set(xlabel="target's spike after source's [steps]", ylabel="change of the weight", title="pair STDP")
    axes.legend(fontsize=8)


def _draw_reward(axes: Axes) -> None:
    rule = reward_stdp(rate=1 / 2, seed=1)
    emulator, reference = _pairs(rule, 2), FloatSynapses(rule, np.full((2, 1), 100))
    spikes = np.zeros((120, 3), bool)
    spikes[[9, 49, 79], 0], spikes[[13, 53, 83], 1], spikes[[13, 53, 83], 2] = True, True, True
    lines: dict[str, list[np.ndarray]] = {"integers": [], "float64": []}
    for k, row in enumerate(spikes):
        if k in (30, 65, 95):
            for synapses in (emulator.plastic[0], reference):
                synapses.reinforce(np.array([60.0, -60.0]))
        emulator.step(np.flatnonzero(row))
        before = spikes[k - 1] if k else np.zeros(3, bool)  # spikes of the axons act one step later
        reference.step(before[:1], before[1:])
        for name, source in (("integers", emulator.plastic[0]), ("float64", reference)):
            lines[name].append(np.array([*source.weights[:, 0], source.tags[0, 0]]))
    for name, color in (("float64", FLOAT), ("integers", FIXED)):
        w0, w1, tag = np.array(lines[name]).T
        axes.plot(w0, color=color, label=f"weights, {name}")
        axes.plot(w1, color=color)
        axes.plot(100 + tag - tag[0], color=color, lw=0.8, ls=":", label=f"100 + tag, {name}")
    for k in (30, 65, 95):
        axes.axvline(k, color="0.8", lw=0.5)
    axes.set(xlabel="step (lines: reward of +60 and of -60)", ylabel="weight", title="reward-modulated STDP")
    axes.legend(fontsize=7, loc="upper left")


if __name__ == "__main__":
    save_figure(learning_figure(), sys.argv[1], dpi=110)
