# SPDX-License-Identifier: Apache-2.0
"""Synapse updates a second of the learning engine, and of Lava and Brian2Loihi in the same run where installed.

    PYTHONPATH=. python test/benchmarks/learning_speed.py

A synapse counts once a step, whether it is visited or not: the others compute all of them. Each is timed without its
start; Lava runs its processes side by side, the others in one thread.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "neuromorphic/learning"))
from plastic_networks import ask, axons, driven, random_spikes

from liquid_spike_control.errors import WorkerError
from liquid_spike_control.neuromorphic.learning.rule import LearningRule, Trace

TRACES = {"x1": (16, 20), "y1": (16, 20)}
#: Text of dw and dt; that of rewards changes every tag in every step.
RULES = {
    "pairs": {"dw": "2^-4*x1*y0 - 2^-4*y1*x0"},
    "rewards": {"dw": "2^-4*u0*t*y1", "dt": "2^-2*x1*y0 - 2^-2*y1*x0 - 2^-5*u0*t"},
}


def ours(rule: dict, pre: np.ndarray, post: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Duration [s], the best of five, and fraction of the synapses' variables that were visited."""
    learner = driven(LearningRule(**rule, **{k: Trace(*v) for k, v in TRACES.items()}), weights)
    spikes, best = axons(pre, post), np.inf
    learner.run(spikes)
    for _ in range(5):
        learner.reset()
        start = time.perf_counter()
        learner.run(spikes)
        best = min(best, time.perf_counter() - start)
    return best, learner.plastic[0].work[0] / (weights.size * len(pre) * len(rule))


def of_lava(rule: dict, pre: np.ndarray, post: np.ndarray, weights: np.ndarray) -> float:
    fields = {f"{k}_{what}": v[i] for k, v in TRACES.items() for i, what in enumerate(("impulse", "tau"))}
    piece = len(pre) // 4
    case = {"pre": pre.tolist(), "post": post.tolist(), "rule": rule | fields | {"rng_seed": 1},
            "weights": weights.tolist(), "sign": "mixed", "record": [], "piece": piece}  # fmt: skip
    return ask("lava", case)["seconds"] * len(pre) / (len(pre) - piece)


def of_brian(rule: dict, pre: np.ndarray, post: np.ndarray, weights: np.ndarray) -> float:
    if "dt" in rule:
        raise WorkerError("it has no tags")
    traces = {f"{what}_{k}": v[i] for k, v in TRACES.items() for i, what in enumerate(("imp", "tau"))}
    case = {"pre": pre.tolist(), "post": post.tolist(), "dw": rule["dw"], "sign": "mixed", "traces": traces,
            "weights": weights.tolist(), "diagonal": False, "every": False}  # fmt: skip
    return ask("brian2_loihi", case)["seconds"]


OTHERS: dict[str, Callable[..., float]] = {"lava": of_lava, "brian2_loihi": of_brian}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=[128, 512], help="neurons of source and of target")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0.02, help="probability that a neuron spikes in a step")
    options = parser.parse_args()
    for name, rule in RULES.items():
        for n in options.sizes:
            pre, post = random_spikes(0, options.steps, n, n, options.rate)
            weights = 2 * np.random.default_rng(1).integers(-20, 20, (n, n))
            seconds, visited = ours(rule, pre, post, weights)
            updates = weights.size * options.steps
            print(f"{name} {n} x {n}: ours {updates / seconds:.3g} synapses/s, {100 * visited:.0f} % visited", end="")
            for other, run in OTHERS.items():
                try:
                    theirs = run(rule, pre, post, weights)
                    print(f"; {other} {updates / theirs:.3g}, ours {theirs / seconds:.0f}x", end="", flush=True)
                except WorkerError as error:
                    print(f"; {other}: {str(error).partition('.')[0]}", end="")
            print()


if __name__ == "__main__":
    main()
