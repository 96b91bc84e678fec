# SPDX-License-Identifier: Apache-2.0
"""Controllers as ONNX graphs: one step, any batch, for runtimes of other makers. No torch.

Inputs are ``observation`` (batch, n_observations) in its units, ``elapsed`` (batch, 1) [s] and the parts of the state
(batch, units), or ``past`` (batch, n), the stacked samples before this one; outputs are ``command`` (batch, n_commands)
within the limits and each part's successor, ``next_`` and its name. A state of zeros begins an episode. Elapsed time is
held within 0.1 to 10 nominal periods, as everywhere; numbers that are not finite are not looked for: that is the
compiled controller's and the gate's work. The names, units and the rest of the file are in the model's metadata.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint import ControllerFile
from ..errors import LiquidSpikeError, ModelError
from ..outputs import write_file
from .architecture import ELAPSED_RANGE, wirings_of
from .controller import new_controller
from .wiring import Wiring

OPSET, IR_VERSION = 20, 9
_LECUN_GAIN, _LECUN_SLOPE = 1.7159, 0.666
_EPSILON = 1e-8


class _Graph:
    """Nodes and constants, named as they come."""

    def __init__(self) -> None:
        try:
            from onnx import helper, numpy_helper
        except ModuleNotFoundError:
            raise LiquidSpikeError("ONNX export needs the package onnx; install the extra [onnx]") from None
        self._make_node, self._from_array = helper.make_node, numpy_helper.from_array
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, operator: str, *inputs: str, n: int = 1, **attributes: Any) -> Any:
        """Add a node; the name of its output, or of its ``n`` outputs."""
        outputs = [f"{operator.lower()}_{len(self.nodes)}_{k}" for k in range(n)]
        self.nodes.append(self._make_node(operator, list(inputs), outputs, **attributes))
        return outputs[0] if n == 1 else outputs

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        """The name of a constant."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(self._from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def affine(self, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """``x W^T + b``."""
        return self("Gemm", x, self.constant(weight), self.constant(bias), transB=1)

    def name(self, value: str, name: str) -> None:
        """Call a value by another name: that of an output of the model."""
        self.nodes.append(self._make_node("Identity", [value], [name]))

    def split(self, x: str, sizes: list[int]) -> list[str]:
        """Parts of a tensor along its second axis."""
        if len(sizes) == 1:
            return [x]
        return self("Split", x, self.constant(sizes, np.int64), n=len(sizes), axis=1)

    def join(self, *parts: str) -> str:
        """Tensors side by side along their second axis."""
        return parts[0] if len(parts) == 1 else self("Concat", *parts, axis=1)

    def activate(self, kind: str, x: str) -> str:
        """An activation, see :data:`.architecture.ACTIVATIONS`."""
        if kind == "lecun_tanh":
            inner = self("Tanh", self("Mul", x, self.constant(_LECUN_SLOPE)))
            return self("Mul", inner, self.constant(_LECUN_GAIN))
        if kind == "silu":
            return self("Mul", x, self("Sigmoid", x))
        return self({"tanh": "Tanh", "relu": "Relu", "gelu": "Gelu"}[kind], x)


def state_names(file: ControllerFile) -> tuple[str, ...]:
    """Of the parts of the state, in the order of :attr:`.controller.LiquidController.state`."""
    layers, parts = range(file.architecture.layers), len(_state_sizes(file))
    if file.architecture.stacked > 1:
        return ("past",)
    names = [f"hidden_{k}" for k in layers] + [f"memory_{k}" for k in layers]
    return tuple(names[:parts])


def _state_sizes(file: ControllerFile) -> tuple[int, ...]:
    return file.architecture.state_sizes(len(file.observation_names))


def to_onnx(file: ControllerFile) -> Any:
    """One step of the controller as a checked ONNX model.

    Raises:
        LiquidSpikeError: onnx is not installed.
    """
    a, t = file.architecture, file.tensors
    g = _Graph()
    x = g("Div", "observation", g.constant(file.observation_scales))
    timed = a.cell in ("cfc", "ltc", "s5")
    span = g.constant([[1.0]]) if timed and not a.elapsed_span else "elapsed"
    if a.elapsed_input or (timed and a.elapsed_span):
        bounds = [g.constant(bound) for bound in ELAPSED_RANGE]
        ratio = g("Clip", g("Div", "elapsed", g.constant(file.nominal_period_s)), *bounds)
        x = g.join(x, ratio) if a.elapsed_input else x
        span = ratio if timed and a.elapsed_span else span
    if timed and a.period_span != 1:
        span = g("Mul", span, g.constant(a.period_span))
    new: dict[str, str] = {}
    if a.stacked > 1:
        n_sample, n_past = a.sample_inputs(len(file.observation_names)), _state_sizes(file)[0]
        x = g.join(x, "past")
        new["past"] = g.split(x, [n_past, n_sample])[0]
    if a.encoder_units:
        x = g.affine(x, t["encode.weight"], t["encode.bias"])
    stages = a.stages(len(file.command_names))
    for k, wiring in enumerate(wirings_of(a, t, len(file.command_names))):
        if a.cell == "mlp":
            x = g("Tanh", g.affine(x, t[f"layers.{k}.weight"], t[f"layers.{k}.bias"]))
            continue
        if a.cell == "s5":
            x, new[f"hidden_{k}"], new[f"memory_{k}"] = _s5(g, file, k, x, span)
            continue
        hidden = f"hidden_{k}"
        if a.mixed_memory or a.cell == "lstm":
            hidden, new[f"memory_{k}"] = _remember(g, file, k, x)
        if a.cell == "cfc":
            hidden = _cfc(g, file, k, x, hidden, span, wiring)
        elif a.cell == "ltc":
            hidden = _ltc(g, file, k, x, hidden, span, wiring)
        elif a.cell == "gru":
            hidden = _gru(g, file, k, x, hidden)
        new[f"hidden_{k}"] = hidden
        x = g.split(hidden, [a.units - stages[-1], stages[-1]])[-1] if len(stages) > 1 else hidden
    out = g.affine(x, t["project.weight"], t["project.bias"])
    out = g("Tanh", out) if a.output == "tanh" else g("Clip", out, g.constant(-1.0), g.constant(1.0))
    g.name(g("Mul", out, g.constant(file.command_limits)), "command")
    names = state_names(file)
    for name in names:
        g.name(new[name], f"next_{name}")

    import onnx
    from onnx import helper

    def tensor(name: str, width: int) -> Any:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", width])

    model = helper.make_model(
        helper.make_graph(
            g.nodes,
            "controller",
            [tensor("observation", len(file.observation_names)), tensor("elapsed", 1)]
            + [tensor(name, n) for name, n in zip(names, _state_sizes(file), strict=True)],
            [tensor("command", len(file.command_names))]
            + [tensor(f"next_{name}", n) for name, n in zip(names, _state_sizes(file), strict=True)],
            g.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="liquid_spike_control",
    )
    helper.set_model_props(model, {k: json.dumps(v) for k, v in file.metadata().items()})
    onnx.checker.check_model(model, full_check=True)
    return model


def _s5(g: _Graph, file: ControllerFile, k: int, x: str, span: str) -> tuple[str, str, str]:
    layer, n = f"layers.{k}", file.architecture.units
    t = {name.removeprefix(f"{layer}."): v for name, v in file.tensors.items() if name.startswith(f"{layer}.")}
    rate, frequency = np.exp(t["log_rate"]), t["frequency"]
    step = g("Mul", span, g.constant(np.exp(t["log_step"])))
    kept, angle = g("Exp", g("Mul", step, g.constant(-rate))), g("Mul", step, g.constant(frequency))
    a, b = g("Mul", kept, g("Cos", angle)), g("Mul", kept, g("Sin", angle))
    # (e^(l d) - 1) / l = (a - 1 + i b) (-rate - i frequency) / |l|^2
    square = rate**2 + frequency**2
    less, by_rate, by_frequency = (
        g("Sub", a, g.constant(1.0)), g.constant(rate / square), g.constant(frequency / square)
    )  # fmt: skip
    p = g("Sub", g("Mul", b, by_frequency), g("Mul", less, by_rate))
    q = g("Neg", g("Add", g("Mul", less, by_frequency), g("Mul", b, by_rate)))
    u, v = g.split(g.affine(x, t["input.weight"], np.zeros(2 * n)), [n, n])
    real, imaginary = f"hidden_{k}", f"memory_{k}"

    def product(x: str, y: str, sign: str, z: str, w: str) -> str:
        return g(sign, g("Mul", x, y), g("Mul", z, w))

    new_real = g("Add", product(a, real, "Sub", b, imaginary), product(p, u, "Sub", q, v))
    new_imaginary = g("Add", product(a, imaginary, "Add", b, real), product(p, v, "Add", q, u))
    y = g.affine(g.join(new_real, new_imaginary), t["output.weight"], np.zeros(n))
    y = g("Gelu", g("Add", y, g("Mul", x, g.constant(t["skip"]))))
    gate = g("Sigmoid", g.affine(y, t["gate.weight"], t["gate.bias"]))
    return g("Add", x, g("Mul", y, gate)), new_real, new_imaginary


def _remember(g: _Graph, file: ControllerFile, k: int, x: str) -> tuple[str, str]:
    t, units = file.tensors, file.architecture.units
    gates = g.affine(g.join(x, f"hidden_{k}"), t[f"layers.{k}.memory.weight"], t[f"layers.{k}.memory.bias"])
    a, i, f, o = g.split(gates, [units] * 4)
    kept = g("Mul", f"memory_{k}", g("Sigmoid", g("Add", f, g.constant(1.0))))
    memory = g("Add", kept, g("Mul", g("Tanh", a), g("Sigmoid", i)))
    return g("Mul", g("Tanh", memory), g("Sigmoid", o)), memory


def _cfc(g: _Graph, file: ControllerFile, k: int, x: str, hidden: str, span: str, wiring: Wiring | None) -> str:
    a, t, cell = file.architecture, file.tensors, f"layers.{k}.cell"
    stages = list(a.stages(len(file.command_names)))
    new: list[str] = []
    states, first = g.split(hidden, stages), 0
    for j, size in enumerate(stages):
        z = g.join(new[-1] if new else x, states[j])
        for m in range(a.backbone_layers):
            z = g.affine(z, t[f"{cell}.backbone.{m}.weight"], t[f"{cell}.backbone.{m}.bias"])
            z = g.activate(a.activation, z)
        mask = a.head_mask(wiring, j) if wiring else 1
        heads = g.affine(z, t[f"{cell}.stages.{j}.weight"] * mask, t[f"{cell}.stages.{j}.bias"])
        if a.mode == "pure":
            rates = g.constant(np.abs(t[f"{cell}.w_tau"][first : first + size]))
            asymptote = g.constant(t[f"{cell}.asymptote"][first : first + size])
            decay = g("Exp", g("Neg", g("Mul", span, g("Add", rates, g("Abs", heads)))))
            new.append(g("Sub", asymptote, g("Mul", g("Mul", asymptote, decay), heads)))
        else:
            f1, f2, time_a, time_b = g.split(heads, [size] * 4)
            f1, f2 = g("Tanh", f1), g("Tanh", f2)
            gate = g("Sigmoid", g("Add", g("Mul", time_a, span), time_b))
            candidate = g("Sub", f2, f1) if a.mode == "default" else f2
            new.append(g("Add", f1, g("Mul", gate, candidate)))
        first += size
    return g.join(*new)


def _ltc(g: _Graph, file: ControllerFile, k: int, x: str, hidden: str, span: str, wiring: Wiring | None) -> str:
    cell, unfolds = f"layers.{k}.cell", file.architecture.unfolds
    t = {name.rsplit(".", 1)[1]: v.astype(float) for name, v in file.tensors.items() if name.startswith(f"{cell}.")}
    w, sensory_w = t["w"], t["sensory_w"]
    if wiring:
        w, sensory_w = w * np.abs(wiring.synapses), sensory_w * np.abs(wiring.sensory)

    # Currents and conductances: (batch, sources, neurons), summed over the sources.
    def conduct(sources: str, slope: np.ndarray, offset: np.ndarray, w: np.ndarray, erev: np.ndarray) -> list[str]:
        column = g("Unsqueeze", sources, g.constant([2], np.int64))
        opened = g("Sigmoid", g("Add", g("Mul", column, g.constant(slope)), g.constant(offset)))
        axis = g.constant([1], np.int64)
        return [g("ReduceSum", g("Mul", opened, g.constant(m)), axis, keepdims=0) for m in (w * erev, w)]

    slope, offset = t["sensory_sigma"] * t["input_w"][:, None], t["input_b"][:, None] - t["sensory_mu"]
    driven, loaded = conduct(x, slope, t["sensory_sigma"] * offset, sensory_w, t["sensory_erev"])
    capacity = g("Div", g.constant(t["cm"] * unfolds), span)
    driven = g("Add", driven, g.constant(t["gleak"] * t["vleak"]))
    loaded = g("Add", g("Add", loaded, g.constant(t["gleak"] + _EPSILON)), capacity)
    for _ in range(unfolds):
        numerator, denominator = conduct(hidden, t["sigma"], -t["sigma"] * t["mu"], w, t["erev"])
        numerator = g("Add", g("Add", numerator, driven), g("Mul", capacity, hidden))
        hidden = g("Div", numerator, g("Add", denominator, loaded))
    return hidden


def _gru(g: _Graph, file: ControllerFile, k: int, x: str, hidden: str) -> str:
    t, cell, units = file.tensors, f"layers.{k}.cell", file.architecture.units
    r, z, n = g.split(g.affine(x, t[f"{cell}.input.weight"], t[f"{cell}.input.bias"]), [units] * 3)
    recurrent = g.affine(hidden, t[f"{cell}.recurrent.weight"], t[f"{cell}.recurrent.bias"])
    hr, hz, hn = g.split(recurrent, [units] * 3)
    new = g("Tanh", g("Add", n, g("Mul", g("Sigmoid", g("Add", r, hr)), hn)))
    return g("Add", new, g("Mul", g("Sigmoid", g("Add", z, hz)), g("Sub", hidden, new)))


def onnx_bytes(file: ControllerFile) -> bytes:
    """The content of an ONNX file, the same for the same controller; see :func:`to_onnx`."""
    return to_onnx(file).SerializeToString(deterministic=True)


def write_onnx(path: str | Path, file: ControllerFile) -> None:
    """Write a controller as an ONNX model, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_file(path, onnx_bytes(file))


def disagreement(model: bytes, file: ControllerFile, n_steps: int = 500, seed: int = 0) -> float:
    """Greatest difference between an ONNX model on onnxruntime and our controller, in parts of the command's limit.

    Both run independently, each with its own state, on random observations and irregular periods.

    Args:
        model: as :func:`onnx_bytes` gives it.
        file: of our controller.
        n_steps: to compare.
        seed: of observations and periods.

    Raises:
        LiquidSpikeError: onnxruntime is not installed.
        ModelError: the model cannot be run.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise LiquidSpikeError("the check needs the package onnxruntime; install the extra [onnx]") from None
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen kinds, none of them documented
        line = str(error).splitlines()[0]
        raise ModelError(f"onnxruntime cannot run the ONNX model: {line}; export it again") from None
    rng, controller = np.random.default_rng(seed), new_controller(file)
    names = state_names(file)
    state = {name: np.zeros((1, n), np.float32) for name, n in zip(names, _state_sizes(file), strict=True)}
    worst = 0.0
    for _ in range(n_steps):
        observation = rng.normal(size=len(file.observation_names)) * file.observation_scales
        elapsed = file.nominal_period_s * rng.uniform(*ELAPSED_RANGE) ** rng.choice([0, 1])
        given = {"observation": observation.astype(np.float32)[None], "elapsed": np.full((1, 1), elapsed, np.float32)}
        outputs: list[Any] = session.run(None, given | state)
        state = dict(zip(names, outputs[1:], strict=True))
        apart = np.abs(outputs[0][0] - controller.step(observation, elapsed)) / controller.command_limits
        worst = max(worst, float(np.max(apart)))
    return worst
