# SPDX-License-Identifier: Apache-2.0
"""Intel's Lava, fixed point, or Loihi 2 itself where Intel's extension is installed.

Lava runs every process model in an operating-system process of its own, which it forks. Input spikes, output spikes
and the neurons' state pass through memory that is shared with those; Lava's own channels and variables carry one
number at a time. Imported by the worker's interpreter only.
"""

from __future__ import annotations

import importlib.util
import mmap
import time
from importlib.metadata import version
from typing import Any

import numpy as np

from .recording import Recording
from .serve import Refusal

#: Bytes of shared memory that the spikes of one run of Lava may take.
_ROOM = 1 << 25
#: What Lava's compiler needs to build for the chip.
_EXTENSION = ("lava.utils.loihi2_profiler", "lava.magma.compiler.subcompilers.nc", "lava.proc.embedded_io")


def _shared(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Zeros that forked processes see too; pages take memory once they are touched."""
    size = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
    return np.frombuffer(mmap.mmap(-1, size), dtype, int(np.prod(shape))).reshape(shape)


class _Memory:
    """Data of Lava's processes, a row for each step of one run of Lava.

    Attributes:
        steps: rows.
        inputs: spikes of the axons, bool ``(steps, n_inputs)``.
        spikes, u, v: of each population, ``(steps, n)``.
        stamps_ns: when a step was done.
        first: Lava's number of the step of row 0.
        state: whether to record current and voltage.
    """

    def __init__(self, n_inputs: int, sizes: list[int]) -> None:
        self.steps = int(np.clip(_ROOM // (n_inputs + 9 * sum(sizes)), 8, 4096))
        self.inputs = _shared((self.steps, n_inputs), "|b1")
        self.spikes = [_shared((self.steps, n), "|b1") for n in sizes]
        self.u = [_shared((self.steps, n), "<i4") for n in sizes]
        self.v = [_shared((self.steps, n), "<i4") for n in sizes]
        self.stamps_ns = _shared((self.steps,), "<i8")
        self.first = _shared((1,), "<i8")
        self.state = _shared((1,), "|b1")


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


class Simulator:
    """One network, compiled once and advanced by Lava's ``run``; a run of any length keeps the processes alive."""

    def __init__(self, network: dict, hardware: bool) -> None:
        missing = [name for name in _EXTENSION if hardware and not _found(name)]
        if missing:
            raise Refusal(
                "Loihi 2 needs Intel's extension lava-loihi, which members of Intel's Neuromorphic Research "
                f"Community get; this interpreter lacks {', '.join(missing)}"
            )
        self.versions = {name: version(name) for name in ("lava-nc", "numpy")}
        self._network, self._hardware = network, hardware
        self._sizes = [p["n"] for p in network["populations"]]
        self._memory = _Memory(network["n_inputs"], self._sizes)
        self._start()

    @classmethod
    def open(cls, network: dict, hardware: bool = False) -> Simulator:
        """Build a network.

        Raises:
            Refusal: hardware is requested, and Intel's extension is not installed.
        """
        return cls(network, hardware)

    def _start(self) -> None:
        """Build Lava's processes and start them, so that the first step does not wait for it."""
        self._source, configuration = _build(self._network, self._memory, self._hardware)
        self._source.create_runtime(run_cfg=configuration)
        self._now = 0

    def reset(self) -> None:
        """End and rebuild the processes, unless nothing has run."""
        if self._now:
            self.close()
            self._start()

    def run(self, indptr: np.ndarray, ids: np.ndarray, state: bool) -> dict:
        """Advance; see :mod:`.serve` for the answer."""
        from lava.magma.core.run_conditions import RunSteps

        if state and self._hardware:
            raise Refusal("current and voltage are not read from the chip; request spikes only")
        record, memory = Recording(self._sizes, state), self._memory
        memory.state[0] = state
        for start in range(0, len(indptr) - 1, memory.steps):
            edges = indptr[start : start + memory.steps + 1]
            n_steps = len(edges) - 1
            memory.inputs[:n_steps] = False
            for spikes in memory.spikes:
                spikes[:n_steps] = False
            rows = np.repeat(np.arange(n_steps), np.diff(edges))
            memory.inputs[rows, ids[edges[0] : edges[-1]]] = True
            memory.first[0] = self._now + 1  # Lava counts steps from 1
            self._source.run(RunSteps(num_steps=n_steps))
            self._now += n_steps
            for k in range(n_steps):
                record.add_spikes([np.flatnonzero(s[k]) for s in memory.spikes], int(memory.stamps_ns[k]))
                if state:
                    record.add_u([u[k].copy() for u in memory.u])
                    record.add_v([v[k].copy() for v in memory.v])
        return record.answer()

    def close(self) -> None:
        """End Lava's processes. Those that have run no step would not hear of it; they end with this one."""
        if self._now:
            self._source.stop()


def _build(network: dict, memory: _Memory, hardware: bool) -> tuple:
    """Lava's processes, and the run configuration with the process models that read and write the shared memory.

    Lava looks for process models next to the process's class, so the processes are Lava's own and the models are
    put in their place by the configuration.
    """
    from lava.magma.core.decorator import implements, requires, tag
    from lava.magma.core.model.py.model import PyLoihiProcessModel
    from lava.magma.core.model.py.ports import PyInPort, PyOutPort
    from lava.magma.core.model.py.type import LavaPyType
    from lava.magma.core.resources import CPU
    from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg
    from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source
    from lava.proc.lif.models import PyLifModelBitAcc
    from lava.proc.lif.process import LIF

    @implements(proc=Source, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class SharedSource(PyLoihiProcessModel):
        s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
        data: np.ndarray = LavaPyType(np.ndarray, np.int32)

        def run_spk(self) -> None:
            self.s_out.send(memory.inputs[self.time_step - memory.first[0]].astype(np.int32))

    @implements(proc=Sink, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class SharedSink(PyLoihiProcessModel):
        a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
        data: np.ndarray = LavaPyType(np.ndarray, np.int32)

        def run_spk(self) -> None:
            row, which = self.time_step - memory.first[0], self.proc_params["which"]
            memory.spikes[which][row] = self.a_in.recv()
            memory.stamps_ns[row] = time.monotonic_ns()

    class RecordedLif(PyLifModelBitAcc):
        def run_spk(self) -> None:
            super().run_spk()
            row, which = self.time_step - memory.first[0], self.proc_params["which"]
            memory.spikes[which][row] = self.s_out_buff
            if memory.state[0]:
                memory.u[which][row], memory.v[which][row] = self.u, self.v
            if which == len(memory.spikes) - 1:
                memory.stamps_ns[row] = time.monotonic_ns()

    source = Source(data=np.zeros((network["n_inputs"], 1), np.int32))
    neurons = [
        LIF(
            shape=(p["n"],), du=int(p["du"][0]), dv=int(p["dv"][0]), vth=int(p["vth"][0]),
            bias_mant=p["bias_mant"], bias_exp=p["bias_exp"], which=which,
        )
        for which, p in enumerate(network["populations"])
    ]  # fmt: skip
    ports = [source.s_out, *(lif.s_out for lif in neurons)]
    models = {Source: SharedSource}
    if hardware:  # spikes enter and leave the chip through Intel's adapters
        from lava.proc.embedded_io.spike import NxToPyAdapter, PyToNxAdapter

        entry = PyToNxAdapter(shape=source.s_out.shape)
        source.s_out.connect(entry.inp)
        ports[0] = entry.out
        for which in network["outputs"]:
            leave, sink = NxToPyAdapter(shape=ports[which + 1].shape), Sink(shape=ports[which + 1].shape, buffer=1)
            sink.proc_params.overwrite("which", which)
            ports[which + 1].connect(leave.inp)
            leave.out.connect(sink.a_in)
        models[Sink] = SharedSink
    else:
        models[LIF] = RecordedLif
    for c in network["connections"]:
        _connect(c, ports[c["source"] + 1], neurons[c["target"]].a_in)
    configuration = Loihi2HwCfg if hardware else Loihi2SimCfg
    return source, configuration(select_tag="fixed_pt", exception_proc_model_map=models)


def _connect(c: dict, out: Any, a_in: Any) -> None:
    """One connection, by Lava's process for it."""
    from lava.proc.conv.process import Conv
    from lava.proc.dense.process import DelayDense, Dense
    from lava.proc.sparse.process import DelaySparse, Sparse
    from scipy.sparse import csr_matrix

    if c["type"] == "Conv":
        x, y, channels = c["input_shape"]
        conv = Conv(
            weight=c["weights"],
            input_shape=(x, y, channels),
            padding=tuple(c["padding"]),
            stride=tuple(c["stride"]),
        )
        if c["channels_first"]:
            out.reshape((channels, x, y)).transpose((1, 2, 0)).connect(conv.s_in)
        else:
            out.reshape((x, y, channels)).connect(conv.s_in)
        conv.a_out.reshape(a_in.shape).connect(a_in)
        return
    how = {"weight_exp": c["weight_exp"], "num_weight_bits": c["num_weight_bits"]}
    shape, where = tuple(c["shape"]), (c["targets"], c["sources"])
    weights, delays = (csr_matrix((values, where), shape) for values in (c["weights"], c["delays"]))
    if c["type"] == "Dense":
        weights, delays = weights.toarray(), delays.toarray()
    if c["delays"].any():
        process = DelayDense if c["type"] == "Dense" else DelaySparse
        synapses = process(weights=weights, delays=delays, **how)
    else:
        synapses = (Dense if c["type"] == "Dense" else Sparse)(weights=weights, **how)
    out.connect(synapses.s_in)
    synapses.a_out.connect(a_in)
