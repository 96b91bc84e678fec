# SPDX-License-Identifier: Apache-2.0
"""The importer against what the frameworks themselves exported and sent; see frameworks/record.py."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.spiking.nir_import import read_nir
from liquid_spike_control.types import SpikeTrain

HERE = Path(__file__).parent
DATA = HERE / "data" / "nir"
CASES = sorted(path.stem for path in DATA.glob("*.npz"))


def run(network, inputs):
    """Spikes and voltages of every population, aligned with the framework's steps, as NIR flattens them."""
    late = max(network.latency.values())
    train = SpikeTrain.from_dense(np.vstack([inputs, np.zeros((late, inputs.shape[1]), bool)]))
    reference = FloatReference(network.graph)
    spikes = reference.run_all(train)
    reference.reset()
    voltages = reference.voltages(train)

    def aligned(name, values):
        values = values[network.latency[name] : network.latency[name] + len(inputs)]
        shape = network.shapes[name]
        if len(shape) == 3:
            channels, rows, columns = shape
            values = values.reshape(-1, rows, columns, channels).transpose(0, 3, 1, 2).reshape(len(inputs), -1)
        return values

    dense = {m: aligned(m, x.to_dense(network.graph.size(m))) for m, x in spikes.items()}
    return dense, {m: aligned(m, v) for m, v in voltages.items()}


def check(stem):
    """Every spike of every layer is the framework's, and voltages are, as far as float32 goes."""
    with np.load(stem.with_suffix(".npz")) as recorded:
        network = read_nir(stem.with_suffix(".nir"), str(recorded["preset"]))
        spikes, voltages = run(network, recorded["inputs"])
        for key in recorded.files:
            kind, _, name = key.partition(" ")
            if kind == "spikes":
                assert 0.02 < recorded[key].mean() < 0.95, f"{name} is no test: it spikes always or never"
                np.testing.assert_array_equal(spikes[name], recorded[key], err_msg=name)
            elif kind == "voltages":
                np.testing.assert_allclose(voltages[name], recorded[key], rtol=1e-5, atol=1e-5, err_msg=name)


def test_every_framework_is_recorded():
    frameworks = {name.split("_")[0] for name in CASES}
    assert frameworks == {"snntorch", "norse", "sinabs", "spikingjelly", "rockpool", "nengo"}


@pytest.mark.parametrize("case", CASES)
def test_spikes_are_those_of_the_framework(case):
    check(DATA / case)


@pytest.mark.parametrize("case", CASES)
def test_the_installed_framework_still_exports_and_runs_as_recorded(case, tmp_path, monkeypatch):
    pytest.importorskip(case.split("_")[0], reason="the framework is not installed; its recording is tested")
    monkeypatch.syspath_prepend(str(HERE / "frameworks"))
    record = importlib.import_module("record")
    record.CASES[case]().write(tmp_path / case)
    check(tmp_path / case)
