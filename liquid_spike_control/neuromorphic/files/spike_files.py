# SPDX-License-Identifier: Apache-2.0
"""Spikes in files: NumPy, NIR sample data, and event cameras' recordings, which are binned into spikes.

| suffix | holds |
|---|---|
| ``.npz`` | ``indptr``, ``ids``, ``n_neurons``, ``dt`` [s], as :class:`~..types.SpikeTrain` has them |
| ``.npy`` | ``(n_steps, n_neurons)`` of zeros and ones; or integer pairs ``(step, neuron)``; or EVENT |
| ``.nir``, ``.h5`` | NIR sample data: ``nir.write_data`` |
| ``.mcap`` | a recorded run: EventPackets of an event camera |
| ``.raw``, ``.es``, ``.dat``, ``.aedat`` | recordings; all but ``.raw`` need the extra ``events`` |
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from ...errors import LiquidSpikeError, TaskError
from ...hdf5 import open_hdf5
from ...outputs import write_file
from ...types import EVENT, SpikeTrain
from ..emulator.graded import GradedTrain
from .event_files import RECORDINGS, read_recording

READS = (".npz", ".npy", ".nir", ".h5", *RECORDINGS)
WRITES = (".npz", ".npy", ".nir")
#: More than this in one file is refused: a whole file is held in memory.
MAX_STEPS, MAX_SPIKES = 1 << 26, 1 << 28
MAX_DENSE = 1 << 32  # neurons and steps
# Steps of an array that are looked at together.
_ROWS = 1024


def read_spikes(
    path: str | Path, n_inputs: int, dt: float, shape: tuple[int, ...] | None = None, node: str | None = None
) -> SpikeTrain:
    """Input spikes of a network from a file, by its suffix.

    Args:
        path: the file.
        n_inputs: axons of the network.
        dt: length of a step [s]; a file that states another is refused.
        shape: of the input, ``(channels, height, width)``, for events. The camera's picture is divided evenly into
            height and width; with two channels the first takes the darker events, the second the brighter.
        node: whose spikes, where a file of NIR samples has several nodes; by default ``input``.

    Raises:
        TaskError: the file is missing, damaged, of another network or step; one line that names it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in READS:
        raise TaskError(f"{path}: {suffix or 'no suffix'} is no spike file; give one of {', '.join(READS)}")
    if not path.is_file():
        raise TaskError(f"{path}: no such file; check the path, or give --rate for random spikes")
    try:
        if suffix == ".npz":
            return _read_npz(path, n_inputs, dt)
        if suffix == ".npy":
            return _read_npy(path, n_inputs, dt, shape)
        if suffix in (".nir", ".h5"):
            return _read_nir(path, n_inputs, dt, node)
        events, picture, start = read_recording(path)
        # without a start: the first event begins the first step
        return _bin(path, events, picture, start, n_inputs, dt, shape)
    except LiquidSpikeError:
        raise
    except Exception as error:  # h5py, zipfile, rosbags and faery each have errors of their own
        line = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise TaskError(f"{path}: not a whole {suffix} file ({line}); write or record it again") from None


def read_payloads(path: str | Path, n_inputs: int) -> GradedTrain:
    """Numbers that go into a network, each as a spike with a payload: ``.npy``, integers ``(n_steps, n_inputs)``.

    Raises:
        TaskError: the file is missing, damaged, or of another network.
    """
    path = Path(path)
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise TaskError(f"{path}: no such file; check the path") from None
    except Exception as error:  # of a damaged header, anything that Python's own tokenizer raises
        line = " ".join(str(error).split())[:160]
        raise TaskError(f"{path}: not a whole .npy file ({line}); write it again") from None
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "iu" or not len(array):
        raise TaskError(f"{path}: payloads are an array of integers (steps, inputs) in a .npy file; write one")
    _check_neurons(path, array.shape[1], n_inputs)
    if array.size and not -(2**31) <= array.min() <= array.max() < 2**31:
        raise TaskError(f"{path}: payloads have 32 bits; {array.min()} .. {array.max()} do not fit")
    return GradedTrain.from_dense(array)


def check_spikes(path: Path, n_steps: int, n_neurons: int) -> None:
    """Refuse a file in which spikes of so many steps and neurons cannot be written.

    Raises:
        TaskError: its suffix is none of :data:`WRITES`, or the array of a ``.npy`` would be too large.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITES:
        raise TaskError(f"{path}: spikes are written as {', '.join(WRITES)}; give one of these suffixes")
    if suffix == ".npy" and n_steps * n_neurons > MAX_DENSE:
        raise TaskError(f"{path}: {n_steps} steps of {n_neurons} neurons are too many to write out; give .npz")


def write_spikes(
    path: str | Path, spikes: SpikeTrain | GradedTrain, n_neurons: int, dt: float, node: str = "output"
) -> None:
    """Write spikes as ``.npz``, ``.npy`` (dense, payloads where there are any) or ``.nir`` (sample data of a node).

    Raises:
        TaskError: see :func:`check_spikes`.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    check_spikes(path, spikes.n_steps, n_neurons)
    suffix = path.suffix.lower()
    buffer = io.BytesIO()  # HDF5 that meets a full disk takes the process with it
    if suffix == ".npz":
        np.savez_compressed(buffer, indptr=spikes.indptr, ids=spikes.ids, n_neurons=n_neurons, dt=dt)
    elif suffix == ".npy":
        np.save(buffer, spikes.to_dense(n_neurons))
    else:
        _write_nir(buffer, spikes, n_neurons, dt, node)
    write_file(path, buffer.getbuffer())


def random_spikes(n_inputs: int, rate: float, steps: int, dt: float, seed: int) -> SpikeTrain:
    """Independent spikes of every axon, at most one a step.

    Args:
        n_inputs: axons.
        rate: mean rate of an axon [Hz].
        steps: how many.
        dt: length of a step [s].
        seed: the same gives the same spikes.

    Raises:
        TaskError: an axon would spike more than once a step, or the numbers are out of range.
    """
    if not 0 <= rate * dt <= 1:
        raise TaskError(f"--rate {rate:g} is more than a spike a step of {dt:g} s; give 0 to {1 / dt:g} Hz")
    if not 0 < steps <= MAX_STEPS or rate * dt * steps * n_inputs > MAX_SPIKES:
        raise TaskError(f"--steps {steps}: give 1 to {MAX_STEPS}, and not more than {MAX_SPIKES} spikes in all")
    rng = np.random.default_rng(seed)
    counts = rng.binomial(n_inputs, rate * dt, steps)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    ids = np.empty(indptr[-1], np.int32)
    for k in np.flatnonzero(counts):
        ids[indptr[k] : indptr[k + 1]] = np.sort(rng.choice(n_inputs, counts[k], replace=False, shuffle=False))
    return SpikeTrain(indptr, ids)


def _read_npz(path: Path, n_inputs: int, dt: float) -> SpikeTrain:
    with np.load(path, allow_pickle=False) as file:
        missing = {"indptr", "ids"} - set(file.files)
        if missing:
            raise TaskError(f"{path}: no array {sorted(missing)[0]}; write it with write_spikes")
        _check_room(path, file.zip)
        indptr, ids = file["indptr"], file["ids"]
        n_neurons = int(file["n_neurons"]) if "n_neurons" in file.files else n_inputs
        stated = float(file["dt"]) if "dt" in file.files else dt
    _check_neurons(path, n_neurons, n_inputs)
    _check_dt(path, stated, dt)
    whole = indptr.ndim == ids.ndim == 1 and indptr.dtype.kind in "iu" and ids.dtype.kind in "iu" and len(indptr) > 0
    if not whole or indptr[0] != 0 or (np.diff(indptr.astype(np.int64)) < 0).any() or indptr[-1] != len(ids):
        raise TaskError(f"{path}: indptr and ids do not meet; write it with write_spikes")
    steps = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr.astype(np.int64)))
    return _train(path, steps, ids, len(indptr) - 1, n_inputs)


def _check_room(path: Path, archive: zipfile.ZipFile) -> None:
    """A small zip may unpack to more than the machine has."""
    size = sum(info.file_size for info in archive.infolist())
    if size > 8 * (MAX_STEPS + MAX_SPIKES):
        raise TaskError(f"{path}: it unpacks to {size} bytes; cut it into parts")


def _read_npy(path: Path, n_inputs: int, dt: float, shape: tuple[int, ...] | None) -> SpikeTrain:
    array = np.load(path, allow_pickle=False, mmap_mode="r")
    if array.dtype.names:
        if not {"t", "x", "y", "p"} <= set(array.dtype.names) or array.ndim != 1:
            raise TaskError(f"{path}: fields {', '.join(array.dtype.names)}; events have t [ns], x, y, p")
        events = np.zeros(len(array), EVENT)
        for name in ("t", "x", "y", "p"):
            events[name] = array[name]
        return _bin(path, events, None, None, n_inputs, dt, shape)
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise TaskError(f"{path}: an array {array.dtype} of shape {array.shape}; give (steps, neurons) or pairs")
    if array.shape[1] == n_inputs:
        if n_inputs == 2 and array.dtype.kind in "iu" and array.max(initial=0) > 1:
            raise TaskError(
                f"{path}: integers in two columns, for two inputs, are pairs (step, neuron) or counts; write spikes of "
                "each step as bool, or pairs with write_spikes as .npz"
            )
        return _spikes_of(path, array)
    if array.shape[1] == 2 and array.dtype.kind in "iu":
        n_steps = int(array[:, 0].max(initial=-1)) + 1
        if n_steps > MAX_STEPS:
            raise TaskError(f"{path}: {n_steps} steps; at most {MAX_STEPS}")
        order = np.lexsort((array[:, 1], array[:, 0]))
        return _train(path, array[order, 0], array[order, 1], n_steps, n_inputs)
    raise TaskError(f"{path}: {array.shape[1]} neurons, the network has {n_inputs} inputs; give spikes made for it")


def _spikes_of(path: Path, dense: np.ndarray) -> SpikeTrain:
    """Spikes of an array ``(steps, neurons)`` of zeros and ones; counts and pictures are not taken for spikes."""
    for first in range(0, len(dense), _ROWS):
        part = dense[first : first + _ROWS]
        other = part[(part != 0) & (part != 1)] if part.dtype.kind != "b" else part[:0]
        if other.size:
            raise TaskError(
                f"{path}: it holds {other.flat[0]:g}, and spikes are 0 or 1; encode counts and pictures as spikes, or "
                "give integers with --payloads to networks that take numbers"
            )
    return SpikeTrain.from_dense(dense)


def _read_nir(path: Path, n_inputs: int, dt: float, node: str | None) -> SpikeTrain:
    import nir

    with open_hdf5(path):
        data = nir.read_data(path)
    held = sorted(name for name, part in data.nodes.items() if isinstance(part, nir.NIRNodeData))
    node = node or ("input" if "input" in held else held[0] if len(held) == 1 else None)
    if node not in held:
        raise TaskError(f"{path}: it has samples of {', '.join(held) or 'no node'}; name one with --node")
    observables = data.nodes[node].observables
    if len(observables) != 1 and "spikes" not in observables:
        raise TaskError(f"{path}: node {node} has {', '.join(sorted(observables)) or 'nothing'}, no spikes")
    sample = observables["spikes"] if "spikes" in observables else next(iter(observables.values()))
    _check_neurons(path, sample.n_neurons, n_inputs)
    if sample.n_samples != 1:
        raise TaskError(f"{path}: {sample.n_samples} samples; give a file of one")
    if isinstance(sample, nir.TimeGriddedData):
        _check_dt(path, sample.dt, dt)
        return _spikes_of(path, np.asarray(sample.data[0]))
    if sample.idx.dtype.kind not in "iu":
        raise TaskError(f"{path}: node {node}: indices of type {sample.idx.dtype}; they must be integers")
    there = sample.idx[0] != -1
    steps, ids = np.floor(sample.time[0][there] / dt + 1e-6), sample.idx[0][there]
    n_steps = round(sample.t_max / dt)
    if not 0 < n_steps <= MAX_STEPS or (len(steps) and not 0 <= steps.min() <= steps.max() < n_steps):
        raise TaskError(f"{path}: spikes outside of 0 .. {sample.t_max} s, or more than {MAX_STEPS} steps of {dt} s")
    pairs = np.unique(steps.astype(np.int64) * n_inputs + ids)  # two events of one step are one spike
    return _train(path, pairs // n_inputs, pairs % n_inputs, n_steps, n_inputs)


def _write_nir(file: io.BytesIO, spikes: SpikeTrain | GradedTrain, n_neurons: int, dt: float, node: str) -> None:
    import nir

    steps = np.repeat(np.arange(spikes.n_steps), np.diff(spikes.indptr))
    data = nir.EventData(spikes.ids[None].astype(np.int64), (steps * dt)[None], n_neurons, spikes.n_steps * dt)
    nir.write_data(file, nir.NIRGraphData({node: nir.NIRNodeData({"spikes": data})}))


def _bin(
    path: Path,
    events: np.ndarray,
    picture: tuple[int, int] | None,
    start_ns: int | None,
    n_inputs: int,
    dt: float,
    shape: tuple[int, ...] | None,
) -> SpikeTrain:
    """Events to spikes: step k holds those of ``start + k dt < t <= start + (k + 1) dt``."""
    if shape is None or len(shape) != 3 or int(np.prod(shape)) != n_inputs or shape[0] not in (1, 2):
        raise TaskError(
            f"{path}: events need an input of shape (1 or 2, height, width), not {shape or n_inputs}; give --shape"
        )
    channels, height, width = shape
    if picture is None:
        picture = (width, height)
    if min(picture) < 1 or picture[0] % width or picture[1] % height:
        raise TaskError(
            f"{path}: a picture of {picture[0]} x {picture[1]} cannot be divided into {width} x {height} inputs"
        )
    x, y = events["x"] // (picture[0] // width), events["y"] // (picture[1] // height)
    outside = (events["x"] >= picture[0]) | (events["y"] >= picture[1])
    if outside.any():
        raise TaskError(f"{path}: {int(outside.sum())} events lie outside of {picture[0]} x {picture[1]} pixels")
    if len(events) and (np.diff(events["t"]) < 0).any():
        raise TaskError(f"{path}: the events are not sorted by time; sort them")
    if not len(events):
        raise TaskError(f"{path}: there is no event in it")
    start = int(events["t"][0]) - 1 if start_ns is None else start_ns
    steps = (events["t"] - start - 1) // round(dt * 1e9)
    n_steps = int(steps[-1]) + 1
    if steps[0] < 0 or n_steps > MAX_STEPS:
        raise TaskError(f"{path}: {n_steps} steps of {dt:g} s; at most {MAX_STEPS}, and none before the first packet")
    channel = np.minimum(events["p"], 1) if channels == 2 else 0
    axon = (channel * height + y.astype(np.int64)) * width + x
    pairs = np.unique(steps * n_inputs + axon)
    return _train(path, pairs // n_inputs, pairs % n_inputs, n_steps, n_inputs)


def _train(path: Path, steps: np.ndarray, ids: np.ndarray, n_steps: int, n_neurons: int) -> SpikeTrain:
    """Steps and neurons, both ascending, as a train."""
    if len(ids) and not 0 <= ids.min() <= ids.max() < n_neurons:
        raise TaskError(
            f"{path}: neurons {ids.min()} .. {ids.max()}, the network has {n_neurons}; give spikes made for it"
        )
    if len(steps) and steps.min() < 0:
        raise TaskError(f"{path}: a step of {steps.min()}; steps begin at 0")
    if (np.diff(steps.astype(np.int64) * n_neurons + ids) <= 0).any():
        raise TaskError(f"{path}: a neuron spikes twice in a step, or the spikes are not in order; write it again")
    counts = np.bincount(steps.astype(np.int64), minlength=n_steps)
    return SpikeTrain(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), ids.astype(np.int32))


def _check_neurons(path: Path, found: int, expected: int) -> None:
    if found != expected:
        raise TaskError(f"{path}: {found} neurons, the network has {expected} inputs; give spikes made for it")


def _check_dt(path: Path, found: float, expected: float) -> None:
    if not np.isclose(found, expected, rtol=1e-6):
        raise TaskError(f"{path}: steps of {found:g} s, the network's are {expected:g} s; give spikes made for it")
