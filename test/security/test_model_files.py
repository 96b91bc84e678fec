# SPDX-License-Identifier: Apache-2.0
"""Model files are data: none of them runs code, reads another file, or takes more memory than a model may."""

import ast
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import hostile
import numpy as np
import pytest
import safetensors.numpy
import torch
from hostile import TERA

from liquid_spike_control import hdf5
from liquid_spike_control.errors import LiquidSpikeError
from liquid_spike_control.hdf5 import open_hdf5
from liquid_spike_control.resources import shipped_model

PACKAGE = Path(__file__).parents[2] / "liquid_spike_control"
#: Address space of a process that reads a hostile file, above what it has after its imports [bytes].
ROOM = 1 << 30

READ = """
import resource, sys
from pathlib import Path

from liquid_spike_control.checkpoint import read_controller
from liquid_spike_control.errors import LiquidSpikeError
from liquid_spike_control.neuromorphic.files.compiled import read_network
from liquid_spike_control.neuromorphic.model import read_model
from liquid_spike_control.neuromorphic.files.netx import read_netx
from liquid_spike_control.neuromorphic.files.spike_files import read_payloads, read_spikes
from liquid_spike_control.spiking.nir_io import read_perception_model
from liquid_spike_control.spiking.nir_import import read_nir
from liquid_spike_control.spiking.policy_file import read_spiking_controller

READERS = {
    "controller": read_controller,
    "network": read_network,
    "netx": read_netx,
    "perception": read_perception_model,
    "nir": lambda path: read_nir(path, "euler", 1e-3),
    "spiking": read_spiking_controller,
    "spikes": lambda path: read_spikes(path, 2, 1e-3),
    "payloads": lambda path: read_payloads(path, 2),
}
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]),) * 2)
for which, path in zip(sys.argv[2::2], sys.argv[3::2]):
    try:
        READERS[which](path)
        print(f"{which} {Path(path).name}: read")
    except LiquidSpikeError as error:
        print(f"{which} {Path(path).name}: refused: {error}")
    except BaseException as error:
        print(f"{which} {Path(path).name}: {type(error).__name__}: {error}")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def read_bounded(*files: tuple[str, Path]) -> list[str]:
    """What each reader says of its file, in a process that cannot have more than :data:`ROOM` of memory."""
    arguments = [str(part) for file in files for part in file]
    done = subprocess.run(
        [sys.executable, "-c", READ, str(ROOM), *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *said, peak = done.stdout.splitlines()
    assert len(said) == len(files)
    assert int(peak) * 1024 < ROOM
    return said


# ---- nothing in them is code ----


def test_nothing_that_reads_can_unpickle_or_evaluate():
    forbidden = {"eval", "exec", "compile", "__import__"}
    modules = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "imp"}
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names: set[str] = set()
            if isinstance(node, ast.Import):
                names = {alias.name.partition(".")[0] for alias in node.names} & modules
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").partition(".")[0]} & modules
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if ast.unparse(node) == "exec('')":  # evaluates nothing; see cli.main
                    continue
                if called in forbidden or called in ("torch.load", "yaml.load", "yaml.unsafe_load"):
                    names = {called}
                if called in ("np.load", "numpy.load"):
                    safe = [k for k in node.keywords if k.arg == "allow_pickle" and ast.unparse(k.value) == "False"]
                    names = set() if safe else {called}
            found += [f"{path.relative_to(PACKAGE)}:{node.lineno}: {name}" for name in sorted(names)]
    assert found == []


@pytest.mark.parametrize("suffix", [".safetensors", ".nir", ".net", ".npz", ".npy", ".h5"])
def test_a_pickle_under_the_name_of_a_model_is_refused_and_not_run(tmp_path, suffix):
    witness, path = tmp_path / "it ran", tmp_path / f"model{suffix}"
    hostile.write_trap(path, witness)
    kinds = ("spikes", "payloads") if suffix in (".npz", ".npy", ".h5") else ("controller", "network", "netx", "nir")
    for said in read_bounded(*((kind, path) for kind in (*kinds, "perception"))):
        assert ": refused: " in said
    assert not witness.exists()
    pickle.loads(path.read_bytes())
    assert witness.exists()  # so the trap would have worked


def test_a_checkpoint_of_torch_is_refused_and_not_run(tmp_path):
    witness, path = tmp_path / "it ran", tmp_path / "controller.safetensors"
    torch.save({"weights": torch.zeros(3), "trap": hostile.Trap(witness)}, path)
    spikes = path.with_suffix(".npz")
    spikes.write_bytes(path.read_bytes())
    said = read_bounded(("controller", path), ("network", path), ("nir", path), ("spikes", spikes))
    assert all(": refused: " in line for line in said)
    assert not witness.exists()


# ---- sizes are known before anything is allocated ----


def affine(**more):
    return lambda path: hostile.with_nodes(path, hostile.affine(**more))


NIR_FILES = {
    "a weight of a terabyte": lambda path: hostile.with_nodes(
        path, hostile.enormous("Affine", "weight", (2**20, 2**20), bias=np.zeros(2))
    ),
    "an entry that nobody needs": affine(extra=lambda group: group.create_dataset("more", (TERA,), "f8", chunks=(64,))),
    "many that are just small enough": affine(
        **{f"x{k}": lambda group, k=k: group.create_dataset(f"x{k}", (2**26,), "f8", chunks=(64,)) for k in range(64)}
    ),
    "a million texts": affine(extra=hostile.one_text_many_times),
    "a chunk of 4 GB": affine(extra=hostile.wide_chunk),
    "200 levels": affine(extra=hostile.nested),
    "2^60 ways": affine(extra=hostile.doubled),
    "a loop": affine(extra=hostile.looped),
    "a link to another file": affine(extra=hostile.another_file),
    "bytes of another file": affine(extra=hostile.bytes_of_another_file),
}


def test_nir_files_that_claim_too_much(tmp_path):
    files = []
    for k, write in enumerate(NIR_FILES.values()):
        path = tmp_path / f"{k}.nir"
        write(path)
        assert path.stat().st_size < 1 << 20
        files.append(path)
    kinds = ("nir", "perception", "spiking")
    said = read_bounded(*((kind, path) for kind in kinds for path in files))
    for line, what in zip(said, [*NIR_FILES] * len(kinds), strict=True):
        assert ": refused: " in line and "MemoryError" not in line, (what, line)


def test_a_whole_file_that_is_within_bounds_is_open(tmp_path):
    with open_hdf5(shipped_model("pencil/perception.nir")) as file:
        assert "node" in file
    hostile.with_nodes(tmp_path / "plain.nir", hostile.affine())
    with open_hdf5(tmp_path / "plain.nir") as file:
        assert file["node/nodes/affine/weight"][()].tolist() == [[1, 0], [0, 1]]


def test_strings_count_by_their_length(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "strings.h5", "w") as file:
        file["texts"] = np.array([["x" * 100_000] * 3] * 4, dtype=h5py.string_dtype())
    with open_hdf5(tmp_path / "strings.h5") as file:
        assert len(file["texts"][3, 2]) == 100_000
    monkeypatch.setattr(hdf5, "MAX_BYTES", 1_000_000)
    with pytest.raises(ValueError, match="/texts claims"), open_hdf5(tmp_path / "strings.h5"):
        pass


def test_netx_files_that_claim_too_much(tmp_path):
    neuron = {"neuron/type": "CUBA", "neuron/vThMant": 80, "neuron/iDecay": 1, "neuron/vDecay": 1}
    dense = {"type": "dense", "shape": [2]} | neuron
    kernel = np.ones((2, 1, 3, 3), np.int64)
    image = {"type": "input", "shape": [1, 8, 8]}
    conv = dense | {"type": "conv", "shape": [2, 6, 6], "kernelSize": [3, 3], "weight": kernel}
    cases = {
        "weights": [dense | {"weight": lambda group: hostile.claim(group, "weight", (2**20,) * 2)}],
        "neurons": [{"type": "input", "shape": [2**10, 2**10, 2**10]}, conv],
        "dilation": [image, conv | {"dilation": [2**20, 2**20]}],
        "padding": [image, conv | {"padding": [2**30, 2**30]}],
        "stride": [image, conv | {"stride": [2**30, 2**30], "padding": [2**30, 2**30]}],
    }
    for name, layers in cases.items():
        hostile.netx(tmp_path / f"{name}.net", layers)
    for line in read_bounded(*(("netx", tmp_path / f"{name}.net") for name in cases)):
        assert ": refused: " in line and "MemoryError" not in line, line


def test_safetensors_that_claim_too_much(tmp_path):
    whole = shipped_model("pencil/controller.safetensors").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    metadata = header.pop("__metadata__")
    name = sorted(header)[0]
    entry = {"dtype": "F32", "data_offsets": [0, 4]}
    cases = {
        "shape": header | {name: entry | {"shape": [2**20, 2**20]}},
        "overflow": header | {name: entry | {"shape": [2**32, 2**32]}},
        "negative": header | {name: entry | {"shape": [-4, -1]}},
        "offsets": header | {name: entry | {"shape": [1], "data_offsets": [0, TERA]}},
        "no bytes": header | {name: {"dtype": "F32", "shape": [0, TERA], "data_offsets": [0, 0]}},
    }
    for case, tensors in cases.items():
        hostile.safetensors(tmp_path / f"{case}.safetensors", tensors, metadata, whole[8 + length :])
    units = json.loads(metadata["controller"])
    units["architecture"]["units"] = 2**40
    hostile.safetensors(tmp_path / "units.safetensors", header, {"controller": json.dumps(units)}, whole[8 + length :])
    deep = "[" * 200_000 + "]" * 200_000
    for entry_name in ("controller", "network"):
        hostile.safetensors(tmp_path / f"deep {entry_name}.safetensors", {}, {entry_name: deep})
    (tmp_path / "header.safetensors").write_bytes((2**63).to_bytes(8, "little") + b"{}")
    files = sorted(tmp_path.iterdir())
    for line in read_bounded(*((kind, path) for path in files for kind in ("controller", "network"))):
        assert ": refused: " in line and "MemoryError" not in line, line


def network_header(n: int, populations: int = 1, **more) -> dict:
    rows = [{"class": "CubaLif", "name": f"p{k}", "n": n, **more} for k in range(populations)]
    return {
        "kind": "loihi_network", "version": 1, "n_inputs": 1, "outputs": ["p0"], "populations": rows,
        "connections": [], "metadata": {}, "hash": "",
    }  # fmt: skip


def test_compiled_networks_that_claim_too_much(tmp_path):
    from liquid_spike_control.neuromorphic.files import compiled

    headers = {
        "neurons": network_header(TERA),
        "negative": network_header(-1),
        "text": network_header("2"),
        "inputs": network_header(1) | {"n_inputs": TERA},
        "many": network_header(1 << 24, populations=1000),
    }
    for case, header in headers.items():
        header["sha256"] = compiled._digest(header, {})
        hostile.safetensors(tmp_path / f"{case}.safetensors", {}, {"network": json.dumps(header)})
    for line in read_bounded(*(("network", tmp_path / f"{case}.safetensors") for case in headers)):
        assert ": refused: " in line and "MemoryError" not in line, line


def test_spike_files_that_claim_too_much(tmp_path):
    hostile.npz(tmp_path / "shape.npz", (TERA,))
    hostile.npz(tmp_path / "negative.npz", (-3,))
    with open(tmp_path / "shape.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<i8", "fortran_order": False, "shape": (TERA, 2)})
    with h5py.File(tmp_path / "samples.nir", "w") as file:
        file.create_dataset("node/more", (TERA,), "f8", chunks=(64,))
    names = ("shape.npz", "negative.npz", "shape.npy", "samples.nir")
    for line in read_bounded(*(("spikes", tmp_path / name) for name in names), ("payloads", tmp_path / "shape.npy")):
        assert ": refused: " in line, line


def test_a_sparse_file_of_many_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "large.safetensors"
    with open(path, "wb") as file:
        file.write((100).to_bytes(8, "little"))
        os.truncate(path, 2**36)
    for line in read_bounded(("controller", path), ("network", path)):
        assert ": refused: " in line and str(2**26 if "controller" in line else 2**30) in line


def test_what_is_within_bounds_is_still_read_in_a_process_with_little_memory():
    files = {"controller": "pencil/controller.safetensors", "perception": "pencil/perception.nir"}
    models = ((kind, shipped_model(file)) for kind, file in files.items())
    assert all(line.endswith(": read") for line in read_bounded(*models))


def test_the_readers_raise_one_kind_of_error(tmp_path):
    (tmp_path / "empty.safetensors").write_bytes(b"")
    tensors = {"x": np.zeros(3, np.float32)}
    safetensors.numpy.save_file(tensors, tmp_path / "foreign.safetensors")
    for line in read_bounded(*((k, p) for p in sorted(tmp_path.iterdir()) for k in ("controller", "network"))):
        assert ": refused: " in line and line.count("\n") == 0
    assert issubclass(LiquidSpikeError, Exception)
