# SPDX-License-Identifier: Apache-2.0
"""One step of a liquid controller, ours against ncps in eager torch, in one run.

Both take one observation (batch 1) and keep their state; torch runs on one thread without gradients. Ours is
timed as it is used, through Python: ``LiquidController.step`` for the mixed memory; for the plain CfC, which
no shipped controller uses, its kernel. The two take turns so that a busy machine slows both.

Run: ``python test/benchmarks/liquid_step.py``
"""

from __future__ import annotations

import time

import numpy as np
import torch
from numba import njit

from liquid_spike_control.liquid import kernels
from liquid_spike_control.liquid.cells import CfCMixedMemory
from liquid_spike_control.liquid.controller import LiquidController

PERIOD = 0.005
N_OBSERVATIONS = 6
ROUNDS, STEPS = 20, 250


@njit(cache=True, error_model="numpy")
def plain_step(weights, backbone_units, inputs, hidden, tau):
    """A CfC without memory: ``hidden`` float32 ``(units,)``, written."""
    source = np.concatenate((inputs, hidden))
    kernels.cfc_step(weights, 0, len(inputs), 1, backbone_units, source, np.float32(tau))
    hidden[:] = source[len(inputs) :]


def measure(*steps) -> list[np.ndarray]:
    """Times [us] of each step function, taken in turns."""
    times = [[] for _ in steps]
    for step in steps:
        for _ in range(STEPS):
            step()
    for _ in range(ROUNDS):
        for step, record in zip(steps, times, strict=True):
            for _ in range(STEPS):
                start = time.perf_counter_ns()
                step()
                record.append(time.perf_counter_ns() - start)
    return [np.array(record) * 1e-3 for record in times]


def compare(units: int, backbone_units: int) -> None:
    """Print a line for the mixed memory and one for the plain cell."""
    torch.manual_seed(0)
    network = CfCMixedMemory([1.0] * N_OBSERVATIONS, [10.0], PERIOD, units, backbone_units)
    names = [f"o{k}" for k in range(N_OBSERVATIONS)]
    file = network.to_file(
        observation_names=names, observation_units=["1"] * N_OBSERVATIONS, command_names=["u"],
        command_units=["N"], task="benchmark", training_command="none", training_seeds=(0, 0),
    )  # fmt: skip
    controller = LiquidController(file)
    observation = np.random.default_rng(0).normal(size=N_OBSERVATIONS)
    inputs = torch.tensor(np.append(observation, 1.0), dtype=torch.float32)[None]
    span = torch.ones(1, 1)
    packed = kernels.pack(file.tensors, 1)
    weights = packed[packed.size - plain_size(network) :]
    ours_hidden, ours_inputs = np.zeros(units, np.float32), inputs[0].numpy().copy()
    theirs = {"state": network.initial_state(1), "hidden": torch.zeros(1, units)}

    def mixed_theirs():
        hidden, memory = network.lstm(inputs, theirs["state"])
        hidden, _ = network.cell(inputs, hidden, span)
        theirs["state"] = hidden, memory
        return torch.tanh(network.project(hidden)).numpy()

    def plain_theirs():
        theirs["hidden"], _ = network.cell(inputs, theirs["hidden"], span)

    for label, ours, peer in (
        ("mixed memory", lambda: controller.step(observation, PERIOD), mixed_theirs),
        ("plain", lambda: plain_step(weights, backbone_units, ours_inputs, ours_hidden, 1.0), plain_theirs),
    ):
        mine, other = measure(ours, peer)
        a, b = np.percentile(mine, [50, 99]), np.percentile(other, [50, 99])
        print(
            f"CfC {units:3d}, backbone {backbone_units:3d}, {label:12s}  "
            f"ours p50 {a[0]:6.1f} p99 {a[1]:6.1f} us   ncps p50 {b[0]:6.1f} p99 {b[1]:6.1f} us   "
            f"ratio p50 {b[0] / a[0]:5.1f}"
        )
    # Both plain cells took the same number of steps.
    np.testing.assert_allclose(ours_hidden, theirs["hidden"][0].numpy(), atol=1e-5)


def plain_size(network: CfCMixedMemory) -> int:
    """Weights of the CfC and the projection, which follow those of the memory."""
    return sum(p.numel() for part in (network.cell, network.project) for p in part.parameters())


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.inference_mode():
        compare(32, 64)
        compare(64, 128)
