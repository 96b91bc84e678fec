# SPDX-License-Identifier: Apache-2.0
"""Cases of learning that Lava answers, live or recorded; run as a script (PYTHONPATH=.) it records them anew."""

from pathlib import Path

import numpy as np
from plastic_networks import ask, random_spikes

#: Lava 0.10.0, LearningDense, fixed_pt (bit_approximate_loihi).
RECORDED = Path(__file__).parents[2] / "data/lava_learning.npz"
N_STEPS = 48
LAVA = {
    "pairs": {"dw": "2^-2*x1*y0 - 2^-2*y1*x0", "x1": (16, 10), "y1": (20, 8)},
    "fractions in epochs": {"dw": "2^-2*x1*y0 - 2^-2*y1*x0", "x1": (16.3, 10), "y1": (20.7, 8), "epoch": 4},
    "all variables": {
        "dw": "u1*2^-1*t - 2^-7*3*w*u1",
        "dt": "2^-1*x1*y0 - 2^-1*y1*x0 - 2^-2*t*u1 + x2*y2*u1*2^-4",
        "dd": "2^-3*x2*y0 + 2^-4*(y3-3)*x0*sgn(w)",
        "x1": (16, 10), "x2": (30, 4), "y1": (20, 8), "y2": (15, 20), "y3": (9, 3), "epoch": 3,
    },
    "wide products": {"dw": "x1*y1*(w - 100)*u0 - 7*2^4*x0*y0 + 2^2*(20-x1)*y0", "x1": (90, 30), "y1": (70.5, 25)},
    "many targets": {
        "dw": "2^-1*x1*y0 + 2^-3*x1*y1*y0*sgn(w)", "x1": (40, 12), "y1": (50, 15), "shape": (40, 6), "rate": 0.06,
    },
    "many targets, all visited": {
        "dw": "2^-1*x1*y0*sgn(w) - 2^-3*y1*x0", "dt": "2^-3*x1*y0*(w + 20) - 2^-3*u0*t",
        "x1": (40, 12), "y1": (50, 15), "shape": (40, 6), "rate": 0.06,
    },
    "excitatory": {"dw": "2^1*x1*y0 - 2^1*y1*x0", "x1": (50, 0), "y1": (60, 6), "sign": "excitatory"},
    "inhibitory": {"dw": "2^1*x1*y0 - 2^2*y1*x0", "x1": (50, 5), "y1": (60, 6), "sign": "inhibitory", "epoch": 2},
}  # fmt: skip
VARIABLES = {"weights": "weights", "tag_1": "tags", "tag_2": "delays"}


def of_lava(case: dict) -> dict:
    """A rule's fields as Lava calls them."""
    fields = {"rng_seed": 7}
    for name, value in case.items():
        if name == "shape":
            continue
        if isinstance(value, tuple):
            fields[f"{name}_impulse"], fields[f"{name}_tau"] = value
        elif name not in ("sign", "rate"):
            fields["t_epoch" if name == "epoch" else name] = value
    return fields


def inputs(case: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spikes of source and target, bool ``(N_STEPS, n)``, and weights ``(n_target, n_source)``."""
    n_target, n_source = case.get("shape", (5, 6))
    pre, post = random_spikes(1, N_STEPS, n_source, n_target, case.get("rate", 0.2))
    weights = 2 * np.random.default_rng(0).integers(-100, 100, (n_target, n_source))
    sign = case.get("sign", "mixed")
    return pre, post, weights if sign == "mixed" else np.abs(weights) * (1 if sign == "excitatory" else -1)


def ask_lava(name: str) -> dict[str, np.ndarray]:
    """What Lava makes of a case: weights, tags, delays and traces after every step."""
    case = LAVA[name]
    pre, post, weights = inputs(case)
    traces = [k for k in ("x1", "x2", "y1", "y2", "y3") if k in case]
    question = {
        "pre": pre.tolist(), "post": post.tolist(), "rule": of_lava(case), "weights": weights.tolist(),
        "sign": case.get("sign", "mixed"), "record": [*VARIABLES, *traces], "piece": 1,
    }  # fmt: skip
    answer = ask("lava", question)
    return {key: np.array(answer[key]).astype(np.int64) for key in (*VARIABLES, *traces)}


if __name__ == "__main__":
    np.savez_compressed(
        RECORDED, **{f"{name}/{key}": value.astype(np.int16) for name in LAVA for key, value in ask_lava(name).items()}
    )
