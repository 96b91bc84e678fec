# SPDX-License-Identifier: Apache-2.0
"""Plastic connections between spikes that are given, and simulators of others on the same ones."""

import json
import subprocess
from pathlib import Path

import numpy as np

from liquid_spike_control.neuromorphic.emulator.loihi import Dense, LoihiNetwork, Population
from liquid_spike_control.neuromorphic.learning.emulator import PlasticEmulator
from liquid_spike_control.neuromorphic.workers.oracles import find_oracle
from liquid_spike_control.types import SpikeTrain

SINGLE = {"du": 4095, "dv": 4096}  # no memory: a neuron spikes where its input is large enough


def driven(rule, weights, delays=0, weight_exp=0) -> PlasticEmulator:
    """A plastic connection of which source and target spike one step after their axons do, whatever the weights are."""
    n_target, n_source = np.shape(weights)
    rows = np.eye(n_source + n_target, dtype=int) * 255
    network = LoihiNetwork(
        n_inputs=n_source + n_target,
        populations={"pre": Population(n_source, vth=200, **SINGLE), "post": Population(n_target, vth=16000, **SINGLE)},
        connections=[
            Dense("input", "pre", rows[:n_source]),
            Dense("input", "post", rows[n_source:], weight_exp=7),
            Dense("pre", "post", np.asarray(weights), delays=delays, weight_exp=weight_exp, learning=rule),
        ],
        outputs=("pre", "post"),
    )
    return PlasticEmulator(network)


def axons(pre, post) -> SpikeTrain:
    """What makes source and target spike as given, bool ``(n_steps, n)``; nothing can spike in step 0."""
    both = np.hstack([pre, post]).astype(bool)
    assert not both[0].any()
    return SpikeTrain.from_dense(np.vstack([both[1:], np.zeros_like(both[:1])]))


def random_spikes(seed, n_steps, n_source, n_target, rate=0.2):
    rng = np.random.default_rng(seed)
    pre, post = rng.random((n_steps, n_source)) < rate, rng.random((n_steps, n_target)) < rate
    pre[0] = post[0] = False
    return pre, post


def ask(kind: str, case: dict) -> dict:
    """Run a case by the interpreter of another simulator."""
    script = Path(__file__).parent / f"{kind.removesuffix('_loihi')}_learning.py"
    run = subprocess.run(
        [str(find_oracle(kind)), "-I", str(script)], input=json.dumps(case), capture_output=True, text=True, timeout=110
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout.splitlines()[-1])
