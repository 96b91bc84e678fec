# SPDX-License-Identifier: Apache-2.0
"""Compiled networks come back as they were; whatever is not one is refused in one line."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_spike_control.errors import ModelError, OutputError
from liquid_spike_control.neuromorphic.emulator.loihi import LoihiEmulator
from liquid_spike_control.neuromorphic.files import compiled
from liquid_spike_control.neuromorphic.files.compiled import read_network, write_network
from liquid_spike_control.neuromorphic.integers.network import LoihiNetwork
from liquid_spike_control.neuromorphic.integers.neurons import (
    AdaptivePopulation,
    AlifPopulation,
    Delta,
    Population,
    ProgrammedPopulation,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
)
from liquid_spike_control.neuromorphic.integers.nonlinear_neurons import AdExPopulation, IzhikevichPopulation
from liquid_spike_control.neuromorphic.integers.synapses import Conv, Dense, Sparse
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.spiking.nonlinear_neurons import AdEx, Izhikevich
from liquid_spike_control.types import SpikeTrain


def network(seed: int = 0) -> LoihiNetwork:
    """Every kind of connection; parameters shared and one a neuron."""
    rng = np.random.default_rng(seed)
    image = 5 * 4 * 3
    sources, targets = np.divmod(rng.choice(12 * 7, 30, replace=False), 7)
    return LoihiNetwork(
        n_inputs=2 * 9 * 7,
        populations={
            "image": Population(image, du=rng.integers(0, 4096, image), dv=205, vth=30, refractory=2),
            "dense": Population(12, du=0, dv=4095, vth=rng.integers(1, 200, 12), bias_mant=-3, bias_exp=6),
            "sparse/ü": Population(7, du=1, dv=2, vth=3, start=5),
        },
        connections=[
            Conv("input", "image", rng.integers(-256, 256, (3, 3, 3, 2)), (9, 7, 2), 2, (1, 1), 2, True, 3),
            Dense("image", "dense", rng.integers(-256, 256, (12, image)), 6, -2, rounding="brian2loihi"),
            Dense("dense", "dense", rng.integers(-9, 9, (12, 12)), delays=rng.integers(0, 5, (12, 12))),
            Sparse("dense", "sparse/ü", (7, 12), targets, sources, rng.integers(0, 250, 30), weight_exp=3),
        ],
        outputs=("sparse/ü", "dense"),
    )


def spikes(n_inputs: int, seed: int = 1) -> SpikeTrain:
    return SpikeTrain.from_dense(np.random.default_rng(seed).random((200, n_inputs)) < 0.1)


def test_round_trip(tmp_path):
    ours, metadata = network(), {"dt": 1e-3, "made": "here", "scales": {"dense": 0.25}, "notes": ["none"]}
    path = tmp_path / "n.safetensors"
    assert write_network(path, ours, metadata) == ours.hash
    read = read_network(path)
    assert (read.hash, read.metadata, read.source) == (ours.hash, metadata, str(path))
    for name in ours.populations:
        for field in ("du", "dv", "vth", "bias_mant", "bias_exp", "refractory", "start"):
            assert np.array_equal(getattr(read.network.populations[name], field),
                                  getattr(ours.populations[name], field))  # fmt: skip
    given = spikes(ours.n_inputs)
    a, b = LoihiEmulator(ours).run(given), LoihiEmulator(read.network).run(given)
    assert len(a.ids) and np.array_equal(a.indptr, b.indptr) and np.array_equal(a.ids, b.ids)
    # written again, from what was read: the same bytes
    write_network(tmp_path / "again.safetensors", read.network, read.metadata)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.safetensors", "n.safetensors"]


def one(population) -> LoihiNetwork:
    weights = np.arange(3 * population.n).reshape(population.n, 3)
    return LoihiNetwork(3, {"a": population}, [Dense("input", "a", weights)])


@pytest.mark.parametrize(
    "population",
    [
        Population(4, 1, [0, 1, 2, 3], 9, refractory=[0, 1, 2, 3]),
        ProgrammedPopulation(4, 1, 2, [5, 6, 7, 8], [9, 8, 7, 6], 300, 3, "subtract", -3, 2, 1, 5),
        AlifPopulation(4, 1, 2, [5, 6, 7, 8], [9, 8, 7, 6], 300, rise=[1, 2, 3, 4], dh=70),
        AdaptivePopulation(4, 1, 4096, [5, 6, 7, 8], 9, 50, [1, 2, 3, 4], -3, 2, 1),
        SigmaDelta(4, [3, 4, 5, 6], -7, 3, 2, "unit", True, 4),
        Delta(4, 3, [1, 2, 3, 4], 2, True),
        Sigma(4),
        ResonateAndFire.of_period(4, [3.0, 5.0, 7.0, 9.0], 0.1, 200, rule="izhikevich"),
        IzhikevichPopulation.of(3, Izhikevich(), bias=np.arange(3.0)),
        AdExPopulation.of(3, AdEx(), du=700, bias=np.arange(3.0)),
    ],
    ids=lambda p: type(p).__name__,
)
def test_every_neuron_model(tmp_path, population):
    ours = one(population)
    write_network(tmp_path / "n.safetensors", ours, {})
    (read,) = read_network(tmp_path / "n.safetensors").network.populations.values()
    assert type(read) is type(population)
    for field in dataclasses.fields(population):
        assert np.array_equal(getattr(read, field.name), getattr(population, field.name)), field.name


def test_every_class_of_neurons_and_synapses_is_known():
    """Fails where a class is added and the test above was not told."""
    names = {"Population", "AdaptivePopulation", "SigmaDelta", "Delta", "Sigma", "ResonateAndFire"}
    names |= {"ProgrammedPopulation", "AlifPopulation", "IzhikevichPopulation", "AdExPopulation"}
    assert set(compiled.POPULATIONS) == names and set(compiled.CONNECTIONS) == {"Dense", "Sparse", "Conv"}


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as error:
        read_network(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    return str(error.value)


@given(at=st.floats(0, 1), bit=st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_a_flipped_bit_is_noticed(tmp_path_factory, at, bit):
    folder = tmp_path_factory.getbasetemp()
    path, damaged = folder / "whole.safetensors", folder / "damaged.safetensors"
    if not path.exists():
        write_network(path, network(), {"dt": 1e-3})
    whole = path.read_bytes()
    data = bytearray(whole)
    data[min(int(at * len(data)), len(data) - 1)] ^= 1 << bit
    damaged.write_bytes(data)
    if bytes(data).lower() == whole.lower() and content(data) == content(whole):
        return  # in JSON, \u00FC is \u00fc
    refused(damaged)


def content(data: bytes) -> object:
    """What the header of a file says, or None if it is broken."""
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return header | {"__metadata__": {k: json.loads(v) for k, v in header["__metadata__"].items()}}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def test_truncated_foreign_and_missing(tmp_path):
    path = tmp_path / "n.safetensors"
    write_network(path, network(), {})
    data = path.read_bytes()
    for n in (0, 7, 8, 300, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:n])
        assert "not a whole safetensors file" in refused(path)
    path.write_bytes(b"\xff" * 64)
    assert "not a whole safetensors file" in refused(path)
    assert "it holds a controller" in refused(shipped_model("pencil/controller.safetensors"))
    assert "not a whole safetensors file" in refused(shipped_model("pencil/perception.nir"))
    assert "No such file" in refused(tmp_path / "none.safetensors")


def forged(path: Path, **changes) -> Path:
    """A file whose checksum is right and whose content is not."""
    write_network(path, network(), {"dt": 1e-3})
    data = path.read_bytes()
    tensors = safetensors.numpy.load(data)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["network"])
    for place, value in changes.items():
        *way, last = place.split("__")
        table = header
        for key in way:
            table = table[int(key) if key.isdecimal() else key]
        table[last] = value
    header["sha256"] = compiled._digest(header, tensors)
    path.write_bytes(safetensors.numpy.save(tensors, {"network": json.dumps(header)}))
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hash": "f" * 64}, "hash: expected ffff"),
        ({"version": 99}, "version: expected 1, found 99"),
        ({"metadata": 3}, "metadata are no table"),
        ({"populations": 3}, "lists of tables"),
        ({"n_inputs": 1e300}, "inputs"),
        ({"n_inputs": "many"}, "not a network"),
        ({"populations__0__class": "LoihiNetwork"}, "LoihiNetwork is none of"),
        ({"populations__0__n": 10**15}, "n must lie in"),
        ({"populations__0__n": True}, "n must lie in"),
        ({"populations__0__colour": 1}, "not a network"),
        ({"populations__0__du": {"tensor": "none"}}, "not a network"),
        ({"populations__0__dv": 10**30}, "dv"),
        ({"connections__0__input_shape": [9, 7]}, "Conv input -> image"),
        ({"connections__1__rounding": "mine"}, "rounding must be"),
        ({"connections__1__target": "nobody"}, "nobody is no population"),
    ],
)
def test_a_right_checksum_around_wrong_content(tmp_path, changes, says):
    assert says in refused(forged(tmp_path / "n.safetensors", **changes))


def test_what_cannot_be_written(tmp_path):
    for metadata in ({"dt": float("nan")}, {"dt": object()}):
        with pytest.raises(ModelError, match="metadata"):
            write_network(tmp_path / "n.safetensors", network(), metadata)
    with pytest.raises(OutputError, match="cannot be written"):
        write_network(tmp_path / "no" / "n.safetensors", network(), {})
    assert list(tmp_path.iterdir()) == []
