# SPDX-License-Identifier: Apache-2.0
"""Another simulator as a :class:`~..backend.Backend`.

>>> with WorkerBackend("lava", network) as lava:  # doctest: +SKIP
...     same = np.array_equal(lava.run(spikes).ids, LoihiEmulator(network).run(spikes).ids)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from ...errors import ModelError, WorkerError
from ...types import SpikeTrain
from ..backend import BackendStats
from ..emulator.loihi import Probe
from ..energy.metrics import fan_out
from ..integers.network import INPUT, LoihiNetwork
from ..integers.synapses import Conv, Dense, Sparse
from .child import Child
from .oracles import Kind, check_network, find_oracle

#: Steps that one request to a worker holds at most, so that no answer takes long.
_MOST_STEPS = 256
# The other interpreter sees this folder as a package and nothing else of ours: not what our package needs, nor
# modules that are named as the simulators are.
_BOOT = (
    "import sys, types; package = sys.modules['workers'] = types.ModuleType('workers');"
    " package.__path__ = [sys.argv[1]]; import workers.serve; workers.serve.main(sys.argv[2])"
)


def new_worker(kind: Kind, network: LoihiNetwork, hardware: bool = False) -> WorkerBackend:
    """A worker with the network on it, ready to run.

    Args:
        kind: ``lava``, ``nengo_loihi`` or ``brian2_loihi``.
        network: what to run.
        hardware: Loihi 2 itself, by Intel's extension of Lava.

    Raises:
        WorkerError: the simulator is not installed, or has failed.
        ModelError: it cannot run this network, or has no such hardware.
    """
    return WorkerBackend(kind, network, hardware=hardware)


class WorkerBackend:
    """A network on another simulator, in a child process and an interpreter of its own.

    A call costs what the simulator costs and a round trip; one step at a time is much slower than a run, see
    ``docs/neuromorphic/oracles.md``. After a :class:`~...errors.WorkerError` the child is gone, and every further
    call raises one too.

    Args:
        kind, network, hardware: as for :func:`new_worker`.
        answer_timeout_s: how long the answer to a request, of at most 256 steps, may take.
        open_timeout_s: how long building the network may take.

    Attributes:
        network: what runs.
        versions: of the packages that run it.
        n_inputs, n_outputs, network_hash: as in ``Backend``.
        stamps_ns: when the simulator was done with each step of the last run, on the monotonic clock, int64.
    """

    def __init__(
        self,
        kind: Kind,
        network: LoihiNetwork,
        hardware: bool = False,
        answer_timeout_s: float = 60.0,
        open_timeout_s: float = 120.0,
    ) -> None:
        python = find_oracle(kind)
        check_network(kind, network)
        if hardware and kind != "lava":
            raise ModelError(f"{kind} does not support hardware; lava does")
        self.network, self.n_inputs, self.n_outputs = network, network.n_inputs, network.n_outputs
        self.network_hash = network.hash
        self.stamps_ns = np.zeros(0, np.int64)
        self._kind, self._timeout_s, self._open_timeout_s = kind, answer_timeout_s, open_timeout_s
        self._fan_out = _fan_outs(network)
        self._clear()
        self._child = Child(kind, [str(python), "-I", "-c", _BOOT, str(Path(__file__).parent), kind])
        options = {"hardware": True} if hardware else {}
        try:
            answer = self._ask({"open": describe(network), "options": options}, open_timeout_s)
        except BaseException:
            self._child.close()
            raise
        self.versions: dict[str, str] = answer["versions"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child process."""
        self._child.close()

    def reset(self) -> None:
        """Return to the initial state and restart the counts; this rebuilds the simulators."""
        self._ask({"reset": True}, self._open_timeout_s)
        self._clear()

    def step(self, ids: np.ndarray) -> np.ndarray:
        """Advance one step; see ``Backend``."""
        return self.run(SpikeTrain.from_steps([np.asarray(ids)])).ids

    def run(self, spikes: SpikeTrain) -> SpikeTrain:
        """Advance ``spikes.n_steps`` steps.

        Raises:
            ValueError: an index is not that of an axon.
            WorkerError: the simulator has failed, or was silent for too long.
        """
        trains = self.run_all(spikes)
        sizes = np.cumsum([0, *(self.network.size(name) for name in self.network.outputs)])
        if len(self.network.outputs) == 1:
            return trains[self.network.outputs[0]]
        parts = [(trains[name], first) for name, first in zip(self.network.outputs, sizes[:-1], strict=True)]
        return SpikeTrain.from_steps(
            [np.concatenate([train.step(k) + first for train, first in parts]) for k in range(spikes.n_steps)]
        )

    def run_all(self, spikes: SpikeTrain) -> dict[str, SpikeTrain]:
        """As :meth:`run`, but return the spikes of every population."""
        return self._advance(spikes, state=False)[0]

    def probe(self, spikes: SpikeTrain) -> dict[str, Probe]:
        """As :meth:`run`, but return current, voltage and spikes of every neuron and step."""
        trains, u, v = self._advance(spikes, state=True)
        return {
            name: Probe(u[name], v[name], train.to_dense(self.network.size(name))) for name, train in trains.items()
        }

    def stats(self) -> BackendStats:
        """Work since the last reset. These simulators update every neuron in every step."""
        neuron_steps = self._steps * self.network.n_neurons
        return BackendStats(
            steps=self._steps,
            input_spikes=self._input_spikes,
            spikes=self._spikes,
            synaptic_operations=self._synaptic_operations,
            neuron_updates=neuron_steps,
            neuron_steps=neuron_steps,
        )

    def _clear(self) -> None:
        self._steps = self._input_spikes = self._spikes = self._synaptic_operations = 0

    def _ask(self, message: dict, timeout_s: float) -> dict:
        answer = self._child.ask(message, timeout_s)
        if "refused" in answer:
            raise ModelError(f"{self._kind}: {answer['refused']}")
        if "failed" in answer:
            self._child.close()
            raise WorkerError(f"{self._kind} has failed: {answer['failed']}")
        return answer

    def _advance(self, spikes: SpikeTrain, state: bool):
        indptr, ids = np.ascontiguousarray(spikes.indptr, np.int64), np.ascontiguousarray(spikes.ids, np.int32)
        ids = ids[indptr[0] : indptr[-1]]
        indptr = indptr - indptr[0]
        if len(ids) and (ids.min() < 0 or ids.max() >= self.n_inputs):
            raise ValueError(f"input spikes must have indices in 0 .. {self.n_inputs - 1}")
        answers = []
        for start in range(0, spikes.n_steps, _MOST_STEPS):
            edges = indptr[start : start + _MOST_STEPS + 1]
            part = {"indptr": edges - edges[0], "ids": ids[edges[0] : edges[-1]]}
            answers.append(self._ask({"run": part, "state": state}, self._timeout_s))
        self.stamps_ns = np.concatenate([np.empty(0, np.int64), *(a["stamps_ns"] for a in answers)])
        names = list(self.network.populations)
        trains = {name: _joined([a["spikes"][k] for a in answers]) for k, name in enumerate(names)}
        self._count(spikes.n_steps, ids, trains)
        if not state:
            return trains, {}, {}
        nothing = {name: np.empty((0, self.network.size(name)), np.int32) for name in names}
        u, v = (
            {name: np.concatenate([nothing[name], *(a[x][k] for a in answers)]) for k, name in enumerate(names)}
            for x in "uv"
        )
        return trains, u, v

    def _count(self, n_steps: int, ids: np.ndarray, trains: dict[str, SpikeTrain]) -> None:
        self._steps += n_steps
        self._input_spikes += len(ids)
        for name, spikes in ((INPUT, ids), *((name, train.ids) for name, train in trains.items())):
            self._spikes += len(spikes) if name != INPUT else 0
            self._synaptic_operations += int(self._fan_out[name][spikes].sum())


def _joined(parts: Sequence[dict]) -> SpikeTrain:
    counts = np.concatenate([np.empty(0, np.int64), *(np.diff(p["indptr"]) for p in parts)])
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return SpikeTrain(indptr, np.concatenate([np.empty(0, np.int32), *(p["ids"] for p in parts)]))


def _fan_outs(network: LoihiNetwork) -> dict[str, np.ndarray]:
    """Synapses that a spike goes over, of every neuron and axon."""
    counts = {name: np.zeros(network.size(name), np.int64) for name in (INPUT, *network.populations)}
    for c in network.connections:
        counts[c.source] += fan_out(c)
    return counts


def describe(network: LoihiNetwork) -> dict:
    """A network as the workers read it: one parameter a neuron, synapses one by one, convolutions as they are.

    Populations are numbered in order; the source -1 is the input.
    """
    order = {name: k for k, name in enumerate((INPUT, *network.populations), -1)}
    parameters = ("du", "dv", "vth", "bias", "bias_mant", "bias_exp", "refractory", "start")
    return {
        "n_inputs": network.n_inputs,
        "outputs": [order[name] for name in network.outputs],
        "populations": [
            {"name": name, "n": p.n, **{m: np.broadcast_to(getattr(p, m), p.n).copy() for m in parameters}}
            for name, p in network.populations.items()
        ],
        "connections": [
            {"type": type(c).__name__, "source": order[c.source], "target": order[c.target], **_synapses(c)}
            for c in network.connections
        ],
    }


def _synapses(c: Dense | Sparse | Conv) -> dict:
    if isinstance(c, Conv):
        return {
            "weights": c.weights,
            "input_shape": c.input_shape,
            "stride": c.strides,
            "padding": c.paddings,
            "channels_first": c.channels_first,
        }
    if isinstance(c, Dense):
        targets, sources = np.nonzero(c.weights)
        weights, synapses = c.weights[targets, sources], c.synapses[targets, sources]
        delays = np.broadcast_to(c.delays, c.shape)[targets, sources]
    else:
        targets, sources, weights, synapses = c.targets, c.sources, c.weights, c.synapses
        delays = np.broadcast_to(c.delays, weights.shape)
    return {
        "shape": c.shape,
        "targets": targets,
        "sources": sources,
        "weights": weights.astype(np.int64),
        "synapses": synapses,
        "delays": delays.astype(np.int64),
        "shift": c.shift,
        "weight_exp": c.weight_exp,
        "num_weight_bits": c.num_weight_bits,
    }
