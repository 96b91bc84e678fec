# SPDX-License-Identifier: Apache-2.0
"""Record what Intel's Lava does with neuron models of Loihi 2: ``python record_loihi2.py``, in a Python 3.10 with
lava-nc 0.10.0, writes loihi2.npz. A case is a chain ``input, connection, population, connection, ...``; its keys
are ``<case>_in`` (n, steps), then by layer ``_<k>_W``, ``_<k>_<parameter>``, ``_<k>_s`` and recorded states.
"""

import sys
from pathlib import Path

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.atrlif.process import ATRLIF
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIF
from lava.proc.monitor.process import Monitor
from lava.proc.rf.process import RF
from lava.proc.rf_iz.process import RF_IZ
from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta

# Neuron model: Lava's process, the states to record, and our parameters as Lava wants them.
MODELS = {
    "lif": (LIF, ("u", "v"), lambda p: p),
    "atrlif": (
        ATRLIF,
        ("i", "v", "theta", "r"),
        lambda p: {
            "delta_i": p["du"] / 4096,
            "delta_v": p["dv"] / 4096,
            "delta_theta": p["dtheta"] / 4096,
            "delta_r": p["dr"] / 4096,
            "theta_0": p["vth"],
            "theta_step": p["vth_step"],
            "bias_mant": p["bias_mant"],
            "bias_exp": p["bias_exp"],
        },
    ),
    "sigmadelta": (
        SigmaDelta,
        ("sigma", "act", "residue"),
        lambda p: {
            **{k: p[k] for k in ("vth", "bias", "spike_exp", "state_exp")},
            "act_mode": ActivationMode.RELU if p["relu"] else ActivationMode.UNIT,
            "cum_error": bool(p["cumulative"]),
        },
    ),
    "delta": (
        Delta,
        ("act", "residue"),
        lambda p: {**{k: p[k] for k in ("vth", "spike_exp", "state_exp")}, "cum_error": bool(p["cumulative"])},
    ),
    "sigma": (Sigma, ("sigma",), lambda p: {}),
    "rf": (RF, ("real", "imag"), lambda p: {**p, "state_exp": 6, "decay_bits": 12}),
    "rfiz": (RF_IZ, ("real", "imag"), lambda p: {**p, "state_exp": 6, "decay_bits": 12}),
}


def connect(source, layer, shape, target, graded):
    """Join a port to a neuron's input port; returns nothing."""
    bits = {"num_message_bits": 24 if graded else 0}
    w = layer["W"]
    if layer.get("direct"):
        source.connect(target)
        return
    if "input_shape" in layer:
        conv = Conv(weight=w, input_shape=tuple(layer["input_shape"]), stride=layer["stride"], padding=1, **bits)
        source.reshape(tuple(layer["input_shape"])).connect(conv.s_in)
        conv.a_out.reshape(shape).connect(target)
        return
    exponent = {"weight_exp": layer.get("weight_exp", 0)}
    if "D" in layer:
        synapses = DelayDense(weights=w, delays=layer["D"], **exponent, **bits)
    else:
        synapses = Dense(weights=w, **exponent, **bits)
    source.connect(synapses.s_in)
    synapses.a_out.connect(target)


def record(name, inputs, layers, graded, out):
    steps = inputs.shape[1]
    out[f"{name}_in"] = inputs
    source = Source(data=inputs.astype(np.int32))
    port, monitors, sinks, first = source.s_out, [], [], None
    for k, layer in enumerate(layers):
        process, states, lava = MODELS[layer["model"]]
        shape = (layer["n"],)
        neurons = process(shape=shape, **lava(layer["parameters"]))
        first = first or neurons
        target = neurons.a_real_in if layer["model"].startswith("rf") else neurons.a_in
        connect(port, layer, shape, target, graded)
        if "W_imag" in layer:
            connect(port, {**layer, "W": layer["W_imag"]}, shape, neurons.a_imag_in, graded)
        sink = Sink(shape=shape, buffer=steps)
        neurons.s_out.connect(sink.a_in)
        sinks.append(sink)
        for state in states:
            monitor = Monitor()
            monitor.probe(getattr(neurons, state), steps)
            monitors.append((f"{name}_{k}_{state}", monitor))
        for key in set(layer) - {"parameters"}:
            out[f"{name}_{k}_{key}"] = np.asarray(layer[key])
        for key, value in layer["parameters"].items():
            out[f"{name}_{k}_{key}"] = np.asarray(value)
        port, graded = neurons.s_out, layer["model"] in ("sigmadelta", "delta", "sigma")
    first.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    for k, sink in enumerate(sinks):
        out[f"{name}_{k}_s"] = sink.data.get().astype(np.int64)
    for key, monitor in monitors:
        ((states,),) = ([list(v.values()) for v in monitor.get_data().values()],)
        out[key] = states[0].T.astype(np.int64)
    first.stop()
    print(name, [int(np.count_nonzero(out[f"{name}_{k}_s"])) for k in range(len(layers))])


def main():
    rng = np.random.default_rng(20261122)
    out = {}

    def spikes(n, steps, rate):
        return (rng.random((n, steps)) < rate).astype(np.int64)

    def values(n, steps, size, rate):
        return rng.integers(-size, size, (n, steps), dtype=np.int64) * (rng.random((n, steps)) < rate)

    def mixed(n, m, size=100):
        return rng.integers(-size, size, (n, m))

    def adaptive():
        return {
            "du": int(rng.integers(0, 4096)),
            "dv": int(rng.integers(0, 4097)),
            "dtheta": int(rng.integers(0, 4097)),
            "dr": int(rng.integers(200, 4097)),
            "vth": int(rng.integers(5, 120)),
            "vth_step": int(rng.integers(0, 60)),
            "bias_mant": rng.integers(-20, 40, 5),
            "bias_exp": rng.integers(0, 8, 5),
        }

    def change(n, relu=True, cumulative=False, size=12):
        return {
            "vth": int(rng.integers(1, size)),
            "bias": rng.integers(-20, 20, n),
            "spike_exp": int(rng.integers(0, 4)),
            "state_exp": int(rng.integers(0, 7)),
            "relu": relu,
            "cumulative": cumulative,
        }

    def wave():
        return {
            "period": float(rng.uniform(4, 25)),
            "alpha": float(rng.uniform(0.02, 0.3)),
            "vth": int(rng.integers(10, 120)),
        }

    for k in range(6):
        rate = (0.1, 0.3, 0.6)[k % 3]
        layer = {"model": "atrlif", "n": 5, "W": mixed(5, 4) + 40, "parameters": adaptive()}
        record(f"atrlif{k}", spikes(4, 60, rate), [layer], False, out)
    # Voltages at their bound, thresholds and refractory states far beyond it.
    bias = {"bias_mant": np.full(5, 4095), "bias_exp": np.full(5, 7)}
    full = {**adaptive(), **bias, "dr": 50, "dtheta": 20, "vth": 20000, "vth_step": 131071, "dv": 0}
    layer = {"model": "atrlif", "n": 5, "W": mixed(5, 4) + 100, "parameters": full}
    record("atrlif6", spikes(4, 150, 0.9), [layer], False, out)
    for k in range(6):
        relu, cumulative = k % 2 == 0, k % 3 == 1
        layers = [
            {"model": "sigmadelta", "n": 6, "W": mixed(6, 4), "parameters": change(6, relu, cumulative)},
            {"model": "sigmadelta", "n": 5, "W": mixed(5, 6), "parameters": change(5, True, not cumulative)},
        ]
        record(f"chain{k}", values(4, 40, 30, 0.4), layers, True, out)
    for k in range(3):
        encoder = {key: value for key, value in change(4, cumulative=k == 1).items() if key not in ("bias", "relu")}
        layers = [
            {"model": "delta", "n": 4, "W": np.eye(4, dtype=int), "direct": True, "parameters": encoder},
            {"model": "sigmadelta", "n": 6, "W": mixed(6, 4), "parameters": change(6)},
            {"model": "sigma", "n": 3, "W": mixed(3, 6), "parameters": {}},
        ]
        record(f"frames{k}", np.cumsum(values(4, 30, 9, 0.5), axis=1), layers, True, out)
    for k in range(4):
        layers = [
            {"model": "rf" if k < 2 else "rfiz", "n": 5, "W": mixed(5, 6), "W_imag": mixed(5, 6), "parameters": wave()},
            {"model": "rf", "n": 4, "W": mixed(4, 5) + 30, "parameters": {**wave(), "vth": 5}},
        ]
        record(f"resonators{k}", spikes(6, 80, 0.3), layers, False, out)
    # Payloads so large that current, voltage, sums and sigma leave their ranges.
    for k, size in enumerate((2**12, 2**17, 2**22, 2**31)):
        lif = {"du": 300, "dv": 200, "vth": 3000, "bias_mant": 3, "bias_exp": 6}
        layers = [{"model": "lif", "n": 5, "W": mixed(5, 4), "parameters": lif}]
        record(f"large{k}", values(4, 40, size, 0.4), layers, True, out)
        layers = [
            {"model": "sigmadelta", "n": 6, "W": mixed(6, 4), "parameters": change(6, k % 2 == 0)},
            {"model": "sigmadelta", "n": 5, "W": mixed(5, 6), "parameters": change(5)},
            {"model": "lif", "n": 3, "W": mixed(3, 5), "parameters": lif},
        ]
        record(f"largesdn{k}", values(4, 40, size, 0.4), layers, True, out)
        layers = [{"model": "rf", "n": 5, "W": mixed(5, 4), "parameters": wave()}]
        record(f"largerf{k}", values(4, 40, size, 0.4), layers, True, out)
    for k, size in enumerate((200, 2**15, 2**20)):
        shape, stride = (5, 4, 2), 1 + k % 2
        n = 20 if stride == 1 else 3 * 2
        conv = {"input_shape": shape, "stride": stride, "W": mixed(3, 9 * 2).reshape(3, 3, 3, 2)}
        layers = [
            {"model": "sigmadelta", "n": 3 * n, **conv, "parameters": change(3 * n)},
            {"model": "lif", "n": 4, "W": mixed(4, 3 * n, 20),
             "parameters": {"du": 100, "dv": 300, "vth": 5000, "bias_mant": 0, "bias_exp": 0}},
        ]  # fmt: skip
        record(f"conv{k}", values(40, 25, size, 0.3), layers, True, out)
    for k in range(4):
        lif = {"du": 900, "dv": 700, "vth": 100, "bias_mant": 0, "bias_exp": 0}
        delays = rng.integers(0, 7, (5, 4))
        layer = {"model": "lif", "n": 5, "W": mixed(5, 4), "D": delays, "weight_exp": -1 - k, "parameters": lif}
        record(f"shifted{k}", spikes(4, 60, 0.4), [layer], False, out)
    np.savez_compressed(Path(sys.argv[0]).parent / "loihi2.npz", **out)


if __name__ == "__main__":
    main()
