# SPDX-License-Identifier: Apache-2.0
"""One step of a convolutional SNN: our emulator against hand-written torch, in one run.

128x128x2 input, conv 5x5 stride 2 -> 8, conv 3x3 stride 2 -> 16, dense 64, dense 8: 49,224 CUBA-LIF neurons,
random weights, one thread each, batch 1. Both run the same weights, decays and thresholds on the same input,
torch in float32 without rounding, so spikes differ here and there; the rates of both are printed.

Run: ``python test/benchmarks/snn_step.py [--rates 0.01 0.001] [--steps 400]``
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from liquid_spike_control.neuromorphic.loihi import Conv, Dense, LoihiEmulator, LoihiNetwork, Population
from liquid_spike_control.types import SpikeTrain

LAYERS = ("conv1", "conv2", "dense1", "dense2")
DECAYS = {"du": 2047, "dv": 1024}  # half and a quarter a step: 1.4 ms and 3.5 ms at steps of 1 ms
THRESHOLDS = dict(zip(LAYERS, (130, 320, 1000, 200), strict=True))


def random_network(seed: int) -> LoihiNetwork:
    rng = np.random.default_rng(seed)

    def weights(*shape):
        return 2 * np.clip(np.round(rng.normal(4, 20, shape)), -128, 127).astype(int)

    sizes = dict(zip(LAYERS, (64 * 64 * 8, 32 * 32 * 16, 64, 8), strict=True))
    return LoihiNetwork(
        n_inputs=128 * 128 * 2,
        populations={name: Population(n, vth=THRESHOLDS[name], **DECAYS) for name, n in sizes.items()},
        connections=[
            Conv("input", "conv1", weights(8, 5, 5, 2), (128, 128, 2), stride=2, padding=2),
            Conv("conv1", "conv2", weights(16, 3, 3, 8), (64, 64, 8), stride=2, padding=1),
            Dense("conv2", "dense1", weights(64, sizes["conv2"]) // 16 * 2),
            Dense("dense1", "dense2", weights(8, 64)),
        ],
        outputs=("dense2",),
    )


class TorchNetwork:
    """The same, as one writes it by hand: float32, dense, the one step delay by keeping the last spikes."""

    def __init__(self, network: LoihiNetwork):
        import torch

        self.torch = torch
        self.f = torch.nn.functional
        conv1, conv2, dense1, dense2 = network.connections

        def kernel(conv):  # torch correlates, and its axes are C_out, C_in, X, Y
            return torch.tensor(
                np.ascontiguousarray(conv.weights[:, ::-1, ::-1].transpose(0, 3, 1, 2))
            ).float()

        def columns(dense):  # torch flattens with the channels first
            w = dense.synapses.reshape(64, 32, 32, 16).transpose(0, 3, 1, 2)
            return torch.tensor(np.ascontiguousarray(w.reshape(64, -1))).float()

        self.weights = kernel(conv1), kernel(conv2), columns(dense1), torch.tensor(dense2.synapses).float()
        shapes = (1, 8, 64, 64), (1, 16, 32, 32), (1, 64), (1, 8)
        self.u, self.v, self.s = ([torch.zeros(shape) for shape in shapes] for _ in range(3))
        self.input = torch.zeros(1, 2, 128, 128)
        self.keep_u, self.keep_v = 1 - (DECAYS["du"] + 1) / 4096, 1 - DECAYS["dv"] / 4096

    def step(self, image):
        """One step; ``image`` is float32 ``(1, 2, 128, 128)``."""
        f, (w1, w2, w3, w4), (s1, s2, s3, _) = self.f, self.weights, self.s
        inputs = (
            f.conv2d(self.input, w1, stride=2, padding=2),
            f.conv2d(s1, w2, stride=2, padding=1),
            f.linear(s2.flatten(1), w3),
            f.linear(s3, w4),
        )
        spikes = []
        for a, u, v, name in zip(inputs, self.u, self.v, LAYERS, strict=True):
            u.mul_(self.keep_u).add_(a)
            v.mul_(self.keep_v).add_(u)
            s = v > THRESHOLDS[name]
            v.masked_fill_(s, 0.0)
            spikes.append(s.float())
        self.s = spikes
        self.input = image
        return spikes[-1]


def microseconds(step, inputs, warm: int) -> np.ndarray:
    taken = []
    for k, x in enumerate(inputs):
        start = time.perf_counter_ns()
        step(x)
        if k >= warm:
            taken.append(time.perf_counter_ns() - start)
    return np.array(taken) / 1e3


def small_network(seed: int) -> LoihiNetwork:
    """The perception of the pencil task: 2048 axons, 128 neurons, 64 with recurrence."""
    rng = np.random.default_rng(seed)
    w = [
        2 * np.clip(np.round(rng.normal(2, 15, s)), -128, 127).astype(int)
        for s in ((128, 2048), (64, 128), (64, 64))
    ]
    return LoihiNetwork(
        2048,
        {"hidden": Population(128, vth=200, **DECAYS), "output": Population(64, vth=200, **DECAYS)},
        [Dense("input", "hidden", w[0]), Dense("hidden", "output", w[1]), Dense("output", "output", w[2])],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.01, 0.001, 0.0001])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--no-torch", action="store_true")
    arguments = parser.parse_args()
    network = random_network(0)
    warm = 50
    print(f"{network.n_neurons} neurons, hash {network.hash[:16]}; median (p99) us a step")
    for rate in arguments.rates:
        rng = np.random.default_rng(1)
        shape = arguments.steps + warm, 128, 128, 2
        dense = rng.random(shape, np.float32) < rate
        train = SpikeTrain.from_dense(dense.reshape(len(dense), -1))
        emulator = LoihiEmulator(network)
        ours = microseconds(emulator.step, [train.step(k) for k in range(train.n_steps)], warm)
        stats = emulator.stats()
        line = f"input {100 * rate:5.2f} %: ours {np.median(ours):7.1f} ({np.percentile(ours, 99):6.1f})"
        if not arguments.no_torch:
            import torch

            torch.set_num_threads(1)
            images = torch.tensor(dense.transpose(0, 3, 1, 2)[:, None]).float()
            peer = TorchNetwork(network)
            with torch.inference_mode():
                theirs = microseconds(peer.step, images, warm)
            line += f"  torch {np.median(theirs):7.1f} ({np.percentile(theirs, 99):7.1f})"
            line += f"  ratio {np.median(theirs) / np.median(ours):5.1f}x"
        emulator.reset()
        counts = {m: len(t.ids) / t.n_steps / network.size(m) for m, t in emulator.run_all(train).items()}
        print(
            line,
            f" spikes {' '.join(f'{m} {100 * c:.1f} %' for m, c in counts.items())}; "
            f"{stats.synaptic_operations / stats.steps:.0f} synaptic operations, "
            f"{stats.neuron_updates / stats.steps:.0f} of {network.n_neurons} neurons updated a step",
            flush=True,
        )
    emulator = LoihiEmulator(small_network(0))
    rng = np.random.default_rng(2)
    packets = [SpikeTrain.from_dense(rng.random((5, 2048)) < 10 / 2048) for _ in range(2000)]
    ours = microseconds(emulator.run, packets, 100) / 5
    print(
        f"small network (2048 -> 128 -> 64 recurrent), run() of 5 steps, 10 input spikes a step: "
        f"median {np.median(ours):.1f}, p99 {np.percentile(ours, 99):.1f} us a step"
    )


if __name__ == "__main__":
    main()
