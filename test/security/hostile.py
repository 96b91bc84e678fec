# SPDX-License-Identifier: Apache-2.0
"""Files of a few kilobytes that claim to hold more than any machine has, or code, or other people's files."""

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

TERA = 2**40


class Trap:
    """Pickled, it makes a file when it is read."""

    def __init__(self, witness: Path) -> None:
        self._witness = witness

    def __reduce__(self):
        return os.mkdir, (str(self._witness),)


def write_trap(path: Path, witness: Path) -> None:
    """A pickle under the name of a model, in the way of torch.save's old files."""
    path.write_bytes(pickle.dumps([Trap(witness), np.zeros(3)]))


def safetensors(path: Path, tensors: dict, metadata: dict[str, str], data: bytes = b"") -> None:
    """A file whose header says what it likes."""
    header = json.dumps(tensors | {"__metadata__": metadata}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def nir(path: Path, nodes: dict[str, Callable[[h5py.Group], object]], edges: list[tuple[str, str]]) -> None:
    """A NIR file of which each node is what its function writes."""
    with h5py.File(path, "w") as file:
        graph = file.create_group("node")
        graph["type"] = "NIRGraph"
        graph.create_group("nodes")
        graph["edges"] = np.array(edges, dtype=h5py.string_dtype())
        for name, write in nodes.items():
            write(graph["nodes"].create_group(name))


def plain(kind: str, **values) -> Callable[[h5py.Group], None]:
    def write(group: h5py.Group) -> None:
        group["type"] = kind
        for name, value in values.items():
            group[name] = value

    return write


def enormous(kind: str, name: str, shape: tuple[int, ...], **values) -> Callable[[h5py.Group], None]:
    """A node with a parameter of which nothing was ever written: HDF5 fills it up when it is read."""

    def write(group: h5py.Group) -> None:
        plain(kind, **values)(group)
        group.create_dataset(name, shape, "f8", chunks=(1,) * (len(shape) - 1) + (1024,))

    return write


def with_nodes(path: Path, write: Callable[[h5py.Group], object]) -> None:
    """Input, one affine node, Output; ``write`` adds to the affine one."""
    ends = {"input": plain("Input", shape=np.array([2])), "output": plain("Output", shape=np.array([2]))}
    nir(path, {**ends, "affine": write}, [("input", "affine"), ("affine", "output")])


def affine(**more: Callable[[h5py.Group], object]) -> Callable[[h5py.Group], None]:
    def write(group: h5py.Group) -> None:
        plain("Affine", weight=np.eye(2), bias=np.zeros(2))(group)
        for add in more.values():
            add(group)

    return write


def claim(group: h5py.Group, name: str, shape: tuple[int, ...]) -> None:
    group.create_dataset(name, shape, "i4", chunks=(1,) * (len(shape) - 1) + (64,))


def nested(group: h5py.Group) -> None:
    for _ in range(200):
        group = group.create_group("metadata")


def doubled(group: h5py.Group) -> None:
    """Each group has the next one twice: 2^60 ways to its end."""
    for _ in range(60):
        inner = group.create_group("metadata")
        group["again"] = inner
        group = inner


def looped(group: h5py.Group) -> None:
    group.create_group("metadata")["up"] = group


def another_file(group: h5py.Group) -> None:
    group["more"] = h5py.ExternalLink("/etc/passwd", "/")


def bytes_of_another_file(group: h5py.Group) -> None:
    group.create_dataset("more", (100,), "u1", external=[("/etc/passwd", 0, 100)])


def one_text_many_times(group: h5py.Group) -> None:
    group.create_dataset("more", (2**20,), h5py.string_dtype())


def wide_chunk(group: h5py.Group) -> None:
    group.create_dataset("more", (1,), "u1", maxshape=(None,), chunks=(2**32 - 2,), compression="gzip")


def netx(path: Path, layers: list[dict]) -> None:
    with h5py.File(path, "w") as file:
        for k, layer in enumerate(layers):
            group = file.create_group(f"layer/{k}")
            for name, value in layer.items():
                if callable(value):
                    value(group)
                else:
                    group[name] = value


def npz(path: Path, shape: tuple[int, ...]) -> None:
    """Arrays whose headers claim a shape that the archive has no bytes for."""
    import io
    import zipfile

    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<i8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("indptr", "ids"):
            archive.writestr(f"{name}.npy", head.getvalue() + bytes(8))
