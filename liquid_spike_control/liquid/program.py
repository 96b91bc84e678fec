# SPDX-License-Identifier: Apache-2.0
"""A controller file as a program: its numbers, weights and workspace in the block that :mod:`.interpreter` runs.

The workspace begins with what enters the first layer, followed by the hidden states of all layers and then their
memory cells; of stacked samples the state is the end of that input. So a layer finds its input and its own state side
by side: its input is the end of the state of the layer below, and within a wired layer the input of a stage is the
stage before.
"""

from __future__ import annotations

import numpy as np

from ..checkpoint import ControllerFile
from . import interpreter as op
from .architecture import ACTIVATIONS, ELAPSED_RANGE, wirings_of
from .interpreter import LANES
from .kernels import tiled
from .wiring import Wiring

#: A synapse whose source must be looked up takes so many times as long as one whose source is known (measured: 1.6 to
#: 2.1 where storing synapses one by one can pay).
LOOKUP_COST = 2.0
#: Keeps the LTC's quotient finite, as in ncps.
EPSILON = 1e-8


class Program:
    """A controller that is ready to run.

    Attributes:
        block: float64, what :func:`.interpreter.run` takes.
        observation: float64 ``(n_observations,)``, in the units of the file; a view of the block, to be written.
        command: float64 ``(n_commands,)``; a view.
        state: float32 ``(parts, units)``: hidden states of all layers, then their memory cells; or ``(1, n)``, the
            samples before, the newest first; a view.
        features: float32 ``(n,)``, the output of the last layer after a run; a view.
        outputs: float32 ``(n_commands,)``, their projection, before it is limited; a view.
        n_sparse: layers whose synapses are stored one by one because that is faster.
    """

    def __init__(self, file: ControllerFile):
        a = file.architecture
        n_observations, n_commands = len(file.observation_names), len(file.command_names)
        nominal = file.nominal_period_s
        self._file, self._size = file, 0
        self._parts: list[tuple[int, np.ndarray]] = []
        self._operations: list[list[int]] = []
        self.n_sparse = 0
        header = np.zeros(op.HEADER, np.int32)
        self._place(header)
        numbers = {
            op.SCALES: np.array(file.observation_scales), op.LIMITS: np.array(file.command_limits),
            op.OBSERVATION: np.zeros(n_observations), op.COMMAND: np.zeros(n_commands),
            op.TIMES: np.array([nominal, ELAPSED_RANGE[0] * nominal, ELAPSED_RANGE[1] * nominal, a.period_span]),
        }  # fmt: skip
        for field, values in numbers.items():
            header[field] = self._place(values) // 2

        widths = a.layer_inputs(n_observations, n_commands)
        sizes, n_sample = a.state_sizes(n_observations), a.sample_inputs(n_observations)
        n_state = sum(sizes)
        inputs = self._room(a.stacked * n_sample) if a.encoder_units else 0
        first = self._room(widths[0] + (n_state if a.stacked == 1 else 0))
        header[op.INPUTS] = inputs = inputs or first
        state = first + widths[0] if a.stacked == 1 else inputs + n_sample
        if a.encoder_units:
            self._affine("encode", inputs, target=first)
        below = first
        for k, (n_x, wiring) in enumerate(zip(widths, wirings_of(a, file.tensors, n_commands), strict=True)):
            if a.cell == "mlp":
                below = self._affine(f"layers.{k}", below)
                self._operations.append([op.ACTIVATE, ACTIVATIONS.index("tanh"), below, a.units])
                continue
            hidden = state + k * a.units
            if a.cell == "s5":
                below = self._s5(f"layers.{k}", below, hidden, state + (a.layers + k) * a.units)
                continue
            self._layer(f"layers.{k}", hidden - n_x, n_x, hidden, state + (a.layers + k) * a.units, wiring)
            below = hidden + a.units - a.stages(n_commands)[-1]
        if a.stacked > 1:
            self._operations.append([op.SHIFT, inputs, n_sample, n_state])
        header[op.OUTPUTS] = outputs = self._affine("project", below, pad=n_commands > LANES // 2)
        rows = np.array([row + [0] * (op.ROW - len(row)) for row in self._operations], np.int32)
        header[op.OPERATIONS] = self._place(rows)
        header[[op.N_OBSERVATIONS, op.N_COMMANDS, op.N_OPERATIONS]] = n_observations, n_commands, len(rows)
        header[[op.STATE, op.STATE_SIZE]] = state, n_state
        header[[op.ELAPSED_INPUT, op.ELAPSED_SPAN, op.TANH]] = a.elapsed_input, a.elapsed_span, a.output == "tanh"

        self.block = self._written()
        self.observation = self.block[header[op.OBSERVATION] :][:n_observations]
        self.command = self.block[header[op.COMMAND] :][:n_commands]
        memory = self.block.view(np.float32)
        self.features = memory[below:][: a.stages(n_commands)[-1]]
        self.outputs = memory[outputs:][:n_commands]
        self.state = memory[state:][:n_state].reshape(len(sizes), sizes[0] if sizes else a.units)

    # The block

    def _place(self, part: np.ndarray) -> int:
        """Put an array into the block; returns its place in float32."""
        place = self._size
        self._parts.append((place, part))
        self._size += rounded(part.nbytes // 4)
        return place

    def _room(self, n: int) -> int:
        return self._place(np.zeros(n, np.float32))

    def _written(self) -> np.ndarray:
        # Begin on a cache line: a step is bound by reading the weights, and split lines cost it a seventh.
        room = np.zeros(self._size // 2 + 8)
        begin = -(room.ctypes.data // 8) % 8
        block = room[begin : begin + self._size // 2]
        for place, part in self._parts:
            block.view(np.uint32)[place:][: part.nbytes // 4] = np.ascontiguousarray(part).ravel().view(np.uint32)
        return block

    # The operations

    def _affine(
        self, name: str, source: int, target: int | None = None, pad: bool = True, mask: np.ndarray | None = None
    ) -> int:
        """The layer of that name; returns where its outputs are."""
        weight, bias = self._file.tensors[f"{name}.weight"], self._file.tensors.get(f"{name}.bias", 0)
        if mask is not None:
            weight = weight * mask
        n_out, n_in = weight.shape
        width = rounded(n_out) if pad and target is None else n_out
        rows = np.zeros((n_in + 1, width), np.float32)
        rows[0, :n_out], rows[1:, :n_out] = bias, weight.T
        layer = np.concatenate([rows[0], tiled(rows[1:])])
        target = self._room(width) if target is None else target
        self._operations.append([op.AFFINE, self._place(layer), source, n_in, target, width])
        return target

    def _layer(self, name: str, x: int, n_x: int, hidden: int, memory: int, wiring: Wiring | None) -> None:
        a, cell = self._file.architecture, f"{name}.cell"
        if a.mixed_memory or a.cell == "lstm":
            self._operations.append([op.REMEMBER, self._affine(f"{name}.memory", x), hidden, memory, a.units])
        if a.cell == "gru":
            gates = self._affine(f"{cell}.input", x), self._affine(f"{cell}.recurrent", hidden)
            self._operations.append([op.GATE, *gates, hidden, a.units])
        if a.cell == "cfc":
            self._cfc(cell, x, hidden, wiring)
        if a.cell == "ltc":
            self._ltc(cell, x, n_x, hidden, wiring)

    def _cfc(self, cell: str, x: int, hidden: int, wiring: Wiring | None) -> None:
        a, below = self._file.architecture, x
        for k in range(a.backbone_layers):
            below = self._affine(f"{cell}.backbone.{k}", below)
            self._operations.append([op.ACTIVATE, ACTIVATIONS.index(a.activation), below, a.backbone_units])
        first = 0
        for j, size in enumerate(a.stages(len(self._file.command_names))):
            mask = a.head_mask(wiring, j) if wiring else None
            heads, at = self._affine(f"{cell}.stages.{j}", below, mask=mask), hidden + first
            if a.mode == "pure":
                neurons = slice(first, first + size)
                rates = self._place(np.abs(self._file.tensors[f"{cell}.w_tau"][neurons]))
                asymptotes = self._place(self._file.tensors[f"{cell}.asymptote"][neurons])
                self._operations.append([op.SOLVE, heads, at, size, rates, asymptotes])
            else:
                self._operations.append([op.MIX, heads, at, size, int(a.mode == "default")])
            below, first = at, first + size

    def _s5(self, layer: str, x: int, real: int, imaginary: int) -> int:
        """A layer; returns where its outputs are."""
        t, n = self._file.tensors, self._file.architecture.units
        driven = self._affine(f"{layer}.input", x)
        rates, steps = (np.exp(t[f"{layer}.{name}"]) for name in ("log_rate", "log_step"))
        modes = np.concatenate([rates, t[f"{layer}.frequency"], steps])
        self._operations.append([op.EVOLVE, driven, real, imaginary, n, self._place(modes.astype(np.float32))])
        y = self._affine(f"{layer}.output", driven)
        self._operations.append([op.SKIP, y, x, self._place(t[f"{layer}.skip"]), n])
        self._operations.append([op.ACTIVATE, ACTIVATIONS.index("gelu"), y, n])
        gates = self._affine(f"{layer}.gate", y)
        self._operations.append([op.ADD_GATED, gates, x, y, n])
        return gates

    def _ltc(self, cell: str, x: int, n_x: int, hidden: int, wiring: Wiring | None) -> None:
        names = ("gleak", "vleak", "cm", "input_w", "input_b", "w", "mu", "sigma", "erev", "sensory_w", "sensory_mu",
                 "sensory_sigma", "sensory_erev")  # fmt: skip
        t = {name: self._file.tensors[f"{cell}.{name}"].astype(float) for name in names}
        n = self._file.architecture.units
        exists = np.ones((n, n), bool) if wiring is None else wiring.synapses != 0
        w, sensory_w = t["w"] * exists, t["sensory_w"] * (1 if wiring is None else wiring.sensory != 0)
        order = np.argsort(-exists.sum(0), kind="stable")
        lengths = [rounded(int((exists.sum(0) > k).sum())) for k in range(int(exists.sum(0).max(initial=0)))]
        lengths = lengths or [0]  # one empty diagonal where no neuron drives another
        width = rounded(n)
        sparse = LOOKUP_COST * sum(lengths) < n * width

        def padded(values: np.ndarray, fill: float = 0.0) -> np.ndarray:
            row = np.full((*values.shape[:-1], width), fill)
            row[..., :n] = values[..., order]
            return row

        driven = t["gleak"] * t["vleak"] + (w * t["erev"]).sum(0) / 2 + (sensory_w * t["sensory_erev"]).sum(0) / 2
        loaded = t["gleak"] + EPSILON + w.sum(0) / 2 + sensory_w.sum(0) / 2
        slope, threshold = t["sensory_sigma"] * t["input_w"][:, None], t["input_b"][:, None] - t["sensory_mu"]
        sensory = slope / 2, t["sensory_sigma"] * threshold / 2, sensory_w / 2, sensory_w * t["sensory_erev"] / 2
        inner = np.stack([t["sigma"] / 2, -t["sigma"] * t["mu"] / 2, w / 2, w * t["erev"] / 2])
        place = self._place(np.stack([padded(t["cm"]), padded(driven), padded(loaded, 1.0)]).astype(np.float32))
        self._place(np.resize(order, width).astype(np.int32))
        self._place(np.stack([padded(rows) for rows in sensory], 1).astype(np.float32))
        if sparse:
            self.n_sparse += 1
            self._place_diagonals(exists[:, order], inner[:, :, order], np.argsort(order), lengths)
        else:
            self._place(np.stack([padded(rows[order]) for rows in inner], 1).astype(np.float32))
        self._room(6 * width + (sum(lengths) if sparse else 0))
        unfolds = self._file.architecture.unfolds
        self._operations.append([op.UNFOLD, place, x, n_x, hidden, n, width, unfolds, len(lengths) if sparse else 0])

    def _place_diagonals(self, exists: np.ndarray, inner: np.ndarray, rank: np.ndarray, lengths: list[int]) -> None:
        """Synapses as :func:`.kernels.conduct_sparse` takes them; columns and ``lengths`` in their order."""
        sources, rows = np.zeros(sum(lengths), np.int32), []
        first = 0
        for k, length in enumerate(lengths):
            row = np.zeros((4, length), np.float32)
            for j in np.flatnonzero(exists.sum(0) > k):
                i = np.flatnonzero(exists[:, j])[k]
                sources[first + j] = rank[i]
                row[:, j] = inner[:, i, j]
            rows.append(row.ravel())
            first += length
        self._place(np.array(lengths, np.int32))
        self._place(sources)
        self._place(np.concatenate(rows))


def rounded(n: int) -> int:
    """The next multiple of the vector's width."""
    return -(-n // LANES) * LANES
