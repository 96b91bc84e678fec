# SPDX-License-Identifier: Apache-2.0
"""Write small networks with lava-dl, and record what they do: ``python record_netx.py``, in a Python 3.10 with
lava-dl 0.6.0 and lava-nc 0.10.0, writes <case>.net by slayer's ``export_hdf5`` and <case>.npz with input and output
(features first, time last, pictures as width, height, channel) of Lava's ``netx.hdf5.Network``. What Lava does not
load is recorded from slayer itself: slayer.npz.
"""

import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from lava.lib.dl import netx, slayer
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

HERE = Path(sys.argv[0]).parent
RNG = np.random.default_rng(20261122)


def export(name, blocks, shape, biases=()):
    """Run slayer's blocks once, so that they learn their shapes, and write them."""
    with torch.no_grad():
        x = torch.zeros((1, *shape, 4))
        for block in blocks:
            for part in ("synapse", "input_synapse", "recurrent_synapse"):
                weighted = getattr(block, part, None)
                for synapse in (getattr(weighted, "real", weighted), getattr(weighted, "imag", None)):
                    if synapse is not None:
                        size = tuple(synapse.weight.shape)
                        synapse.weight.data = torch.tensor(RNG.integers(-40, 60, size) * 2.0 / 64).float()
            x = block(x)
            if getattr(block, "delay", None) is not None:
                delays = RNG.integers(0, 12, tuple(block.delay.delay.shape))
                block.delay.delay.data = torch.tensor(delays).float()
    path = HERE / f"{name}.net"
    with h5py.File(path, "w") as file:
        for k, block in enumerate(blocks):
            block.export_hdf5(file.create_group(f"layer/{k}"))
        for k, bias in biases:
            file[f"layer/{k}/bias"] = np.asarray(bias, np.float32)
    return path


def record(name, path, steps, low, high, rate, **options):
    graded = high > 2
    net = netx.hdf5.Network(net_config=str(path), input_message_bits=24 if graded else 0, **options)
    first = net.layers[0]
    encoder = type(first).__name__ == "Input"
    port = first.neuron.a_in if encoder else net.inp
    shape = (*port.shape, steps)
    data = RNG.integers(low, high, shape) * (RNG.random(shape) < rate)
    weight, bias = (first.transform[key] for key in ("weight", "bias")) if encoder and low == 0 else (1, 0)
    source = Source(data=(data * weight + bias).astype(np.int32))
    sink = Sink(shape=net.out.shape, buffer=steps)
    source.s_out.connect(port)
    net.out.connect(sink.a_in)
    net.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    output = sink.data.get().astype(np.int64)
    net.stop()
    np.savez_compressed(HERE / f"{name}.npz", input=data, output=output)
    print(name, data.shape, output.shape, np.count_nonzero(output), path.stat().st_size)


def main():
    torch.manual_seed(0)
    block = slayer.block
    cuba = {"threshold": 0.9, "current_decay": 0.3, "voltage_decay": 0.1}
    blocks = [
        block.cuba.Input({"threshold": 1.2, "current_decay": 1, "voltage_decay": 0.03}, weight=0.4, bias=0.2),
        block.cuba.Conv(cuba, 2, 4, (3, 2), stride=(2, 1), padding=(1, 0), groups=2),
        block.cuba.Conv(cuba, 4, 3, 2, dilation=(1, 2)),
        block.cuba.Flatten(),
        block.cuba.Dense(cuba, 3 * 3 * 2, 8, delay=True),
        block.cuba.Dense({**cuba, "threshold": 3}, 8, 5),
    ]
    biases = ((1, RNG.integers(-10, 20, 4)), (5, RNG.integers(-10, 20, 5)))
    record("cuba", export("cuba", blocks, (2, 7, 5), biases), 60, 0, 4, 0.5)
    blocks = [block.cuba.Recurrent(cuba, 6, 9), block.cuba.Dense(cuba, 9, 4)]
    record("recurrent", export("recurrent", blocks, (6,)), 60, 0, 2, 0.3)
    sdnn = {"threshold": 0.15, "activation": torch.relu}
    blocks = [
        block.sigma_delta.Input(sdnn),
        block.sigma_delta.Conv(sdnn, 2, 3, 3, stride=2),
        block.sigma_delta.Flatten(),
        block.sigma_delta.Dense(sdnn, 18, 6),
        block.sigma_delta.Output(sdnn, 6, 2),
    ]
    path = export("sdnn", blocks, (2, 5, 7), ((1, [5, -3, 0]), (3, RNG.integers(-9, 9, 6))))
    record("sdnn", path, 25, -60, 60, 0.5)
    resonator = {"threshold": 0.5, "period": 9.3, "decay": 0.08}
    blocks = [block.rf.Dense(resonator, 6, 5), block.rf_iz.Dense({**resonator, "period": 6.1}, 5, 4)]
    record("resonators", export("resonators", blocks, (6,)), 80, 0, 2, 0.3)
    slayer_only = {}
    adaptive = {
        "threshold": 0.5, "threshold_step": 0.4, "current_decay": 0.4, "voltage_decay": 0.2, "threshold_decay": 0.1,
        "refractory_decay": 0.3,
    }  # fmt: skip
    blocks = [block.alif.Dense(adaptive, 5, 7)]
    export("alif", blocks, (5,))
    spikes = torch.tensor(RNG.random((1, 5, 80)) < 0.25).float()
    with torch.no_grad():
        slayer_only["alif_input"] = spikes[0].numpy().astype(int)
        slayer_only["alif_output"] = blocks[0](spikes)[0].numpy().astype(int)
    blocks = [block.cuba.Pool(cuba, (2, 3)), block.cuba.Conv(cuba, 2, 2, 2)]
    export("pool", blocks, (2, 5, 7))
    picture = torch.tensor(RNG.random((1, 2, 5, 7, 1)) < 0.5).float()
    with torch.no_grad():
        slayer_only["pool_input"] = picture[0, ..., 0].numpy().astype(int)
        slayer_only["pool_sums"] = np.rint(blocks[0].synapse(picture)[0, ..., 0].numpy() * 64).astype(int)
    np.savez_compressed(HERE / "slayer.npz", **slayer_only)
    print({key: (value.shape, np.count_nonzero(value)) for key, value in slayer_only.items()})


if __name__ == "__main__":
    main()
