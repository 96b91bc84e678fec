# SPDX-License-Identifier: Apache-2.0
"""netx files of lava-dl, against what Lava (and slayer, where Lava does not load them) made of them."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.emulator.engine import emulate
from liquid_spike_control.neuromorphic.emulator.loihi2 import GradedTrain, Loihi2Emulator
from liquid_spike_control.neuromorphic.files.netx import read_netx
from liquid_spike_control.neuromorphic.integers.neurons import AdaptivePopulation
from liquid_spike_control.types import SpikeTrain

DATA = Path(__file__).parents[1] / "data" / "netx"
SLAYER = np.load(DATA / "slayer.npz")


def in_file_order(array):
    """Lava's width, height, channel, time as time and the file's channel, height, width."""
    return np.moveaxis(array, -1, 0).swapaxes(1, -1).reshape(array.shape[-1], -1)


@pytest.mark.parametrize("case", ["cuba", "recurrent", "sdnn", "resonators"])
def test_networks_give_what_lava_gives(case):
    read, recorded = read_netx(DATA / f"{case}.net"), np.load(DATA / f"{case}.npz")
    inputs, expected = in_file_order(recorded["input"]), recorded["output"].T
    late = int("one step later" in " ".join(read.notes))
    assert late == (case in ("cuba", "sdnn"))
    train = GradedTrain.from_dense(np.concatenate([inputs, inputs[-late:]]) if late else inputs)
    output = Loihi2Emulator(read.network).run_graded(train).to_dense(expected.shape[1])
    np.testing.assert_array_equal(output[late:], expected)
    assert np.count_nonzero(expected) > 40


def test_adaptive_neurons_spike_as_slayers():
    read = read_netx(DATA / "alif.net")
    assert isinstance(read.network.populations["dense0"], AdaptivePopulation)
    output = emulate(read.network).run(SpikeTrain.from_dense(SLAYER["alif_input"].T)).to_dense(7)
    np.testing.assert_array_equal(output, SLAYER["alif_output"].T)


def test_pools_sum_as_slayers_do_where_the_kernel_does_not_divide_the_picture():
    read = read_netx(DATA / "pool.net", input_shape=(2, 5, 7))
    assert read.shapes == {"pool0": (2, 3, 2), "conv1": (2, 2, 1)}
    train = SpikeTrain.from_dense(np.stack([SLAYER["pool_input"].ravel(), np.zeros(70)]))
    u = Loihi2Emulator(read.network).probe(train)["pool0"].states["u"][1]
    np.testing.assert_array_equal(u.reshape(3, 2, 2).transpose(2, 0, 1) >> 6, SLAYER["pool_sums"])


def test_chw_axons_and_notes_of_an_encoder():
    read = read_netx(DATA / "cuba.net")
    assert read.input_shape == (2, 7, 5)
    assert read.graded_input
    assert list(read.shapes) == ["input0", "conv1", "conv2", "dense4", "dense5"]
    assert read.hash == read.network.hash == read_netx(DATA / "cuba.net").hash
    assert not read_netx(DATA / "recurrent.net").graded_input


def changed(tmp_path, source, change):
    """A copy of a file after ``change(file)``."""
    path = tmp_path / "changed.net"
    path.write_bytes((DATA / f"{source}.net").read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def put(name, value):
    def change(file):
        if name in file:
            del file[name]
        if value is not None:
            file[name] = value

    return change


@pytest.mark.parametrize(
    ("source", "change", "words"),
    [
        ("cuba", put("layer", None), "no group 'layer'; export it"),
        ("cuba", put("layer/2", None), r"layers must be numbered 0 \.\. 4"),
        ("cuba", put("layer/2/type", None), r"layer 2 \(layer\): type is missing"),
        ("cuba", put("layer/2/type", [b"unpool"]), r"layer 2 \(unpool\): known layers are"),
        ("cuba", put("layer/2/type", 3), "type must be one string"),
        ("cuba", put("layer/2/shape", [3, 3, 3]), r"it makes \(3, 3, 2\) of \(4, 4, 4\), the file has \(3, 3, 3\)"),
        ("cuba", put("layer/2/shape", [3, -3, 2]), "must be \\(channels, height, width\\)"),
        ("cuba", put("layer/2/shape", [2**20, 2**20, 2**20]), "must be \\(channels, height, width\\)"),
        ("cuba", put("layer/2/weight", np.full((3, 4, 2, 2), np.nan)), "weight has 48 numbers that are not finite"),
        ("cuba", put("layer/2/weight", np.full((3, 4, 2, 2), 300)), r"weights reach 300 \.\. 300; Loihi's lie in"),
        ("cuba", put("layer/2/weight", np.full((3, 5, 2, 2), 3)), r"weight of shape \(3, 5, 2, 2\) does not meet"),
        ("cuba", put("layer/2/groups", 3), "3 groups do not divide 4 and 3 channels"),
        ("cuba", put("layer/2/stride", 0), r"stride \[0\] must be"),
        ("cuba", put("layer/2/kernelSize", [9, 9]), "does not meet"),
        ("cuba", put("layer/4/weight", np.full((8, 18), 1000.0)), r"layer 4 \(dense\): weights reach 1000 \.\. 1000"),
        ("cuba", put("layer/4/weight", np.full((8, 18), 1e30)), "the file is damaged"),
        ("cuba", put("layer/4/weight", np.full((8, 17), 3)), r"weight of shape \(8, 17\) does not meet \(8, 18\)"),
        ("cuba", put("layer/4/delay", np.full(8, -1)), "delay -1 must not be negative"),
        ("cuba", put("layer/4/delay", np.zeros(5)), "delay has 5 numbers; give one, or one a neuron, 8"),
        ("cuba", put("layer/4/neuron/type", b"ADRF_PHASE"), "neurons ADRF_PHASE are unknown; known are"),
        ("cuba", put("layer/4/neuron/vThMant", None), "neuron/vThMant is missing"),
        ("cuba", put("layer/4/neuron/iDecay", 5000), r"neuron/iDecay 5000 must lie in 0 \.\. 4096"),
        ("cuba", put("layer/4/neuron/iDecay", [1, 2]), "export with shared_param=True"),
        ("cuba", put("layer/5/bias", np.full(5, 9000)), r"biases reach 9000 \.\. 9000"),
        ("cuba", put("layer/3/type", [b"average"]), "it follows an average layer"),
        ("cuba", put("layer/3/type", [b"input"]), "an input layer can only be the first"),
        ("sdnn", put("layer/2/type", [b"pool"]), r"layer 2 \(pool\): it needs a picture|kernelSize is missing"),
        ("sdnn", put("layer/1/neuron/activation", b"tanh"), "activation tanh cannot be run"),
        ("sdnn", put("layer/4/bias", [4, 5]), "SDNN has no bias"),
        ("resonators", put("layer/0/neuron/type", b"CUBA"), "neuron/iDecay is missing|complex weights need"),
        ("pool", put("layer/0/stride", [2, 2]), "the file has no input layer; give input_shape"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, source, change, words):
    path = changed(tmp_path, source, change)
    with pytest.raises(ModelError, match=words) as caught:
        read_netx(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "change", "note"),
    [
        ("cuba", put("layer/4/delay", np.full(8, 80)), "8 delays beyond 62 steps become 62"),
        ("cuba", put("layer/4/neuron/iDecay", 0), "iDecay 0 becomes 1"),
        ("cuba", put("layer/5/neuron/vThMant", 2**18 - 1), "vThMant 262143, which nothing reaches, becomes 131071"),
        ("cuba", put("layer/5/neuron/refDelay", 3), "refDelay 3 is applied"),
        ("cuba", put("layer/5/weight", np.linspace(-200, 201, 40)), "40 numbers of weight are no integers"),
        ("cuba", put("layer/5/weight", np.arange(-20, 180, 5)), "20 of 40 weights lose their last bit"),
        ("cuba", put("layer/2/delay", np.array([0, 3, 3])), "its delays are applied"),
        ("recurrent", put("layer/1/neuron", None), "it has no neurons"),
    ],
)
def test_what_is_clipped_or_added_is_in_the_notes(tmp_path, source, change, note):
    read = read_netx(changed(tmp_path, source, change))
    assert note in " ".join(read.notes)
    assert len(read.notes) > len(read_netx(DATA / f"{source}.net").notes)


def test_delays_of_convolutions_delay_their_channels(tmp_path):
    read = read_netx(changed(tmp_path, "cuba", put("layer/2/delay", np.array([0, 3, 3]))))
    plain = read_netx(DATA / "cuba.net")
    inputs = np.zeros((12, 70), int)
    inputs[0] = 3
    late, now = (Loihi2Emulator(r.network).probe(GradedTrain.from_dense(inputs)) for r in (read, plain))
    u, expected = (traces["conv2"].states["u"].reshape(12, 6, 3) for traces in (late, now))
    np.testing.assert_array_equal(u[..., 0], expected[..., 0])
    np.testing.assert_array_equal(u[3:, :, 1:], expected[:-3, :, 1:])
    assert expected[:-3, :, 1:].any()


def test_truncated_and_foreign_files_are_refused(tmp_path):
    whole = (DATA / "recurrent.net").read_bytes()
    path = tmp_path / "cut.net"
    for length in [0, 1, *range(7, len(whole) - 1, 601)]:
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match="cut.net: not a whole netx file"):
            read_netx(path)
    path.write_bytes(b"PK\x03\x04" + bytes(5000))
    with pytest.raises(ModelError, match="not a whole netx file"):
        read_netx(path)
    with h5py.File(path, "w") as file:
        file["node/type"] = b"NIRGraph"
    with pytest.raises(ModelError, match="no group 'layer'"):
        read_netx(path)
    with pytest.raises(ModelError, match="no such file"):
        read_netx(tmp_path / "nowhere.net")


def test_damaged_bytes_never_crash_the_reader(tmp_path):
    rng = np.random.default_rng(0)
    whole = np.frombuffer((DATA / "recurrent.net").read_bytes(), np.uint8)
    path, refused = tmp_path / "damaged.net", 0
    for _ in range(150):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 20)] = rng.integers(0, 256, 20)
        path.write_bytes(damaged.tobytes())
        try:
            read_netx(path)
        except ModelError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 5


def test_arguments_that_do_not_fit_the_file_are_refused():
    with pytest.raises(ModelError, match=r"cuba.net: layer 0 \(input\): its shape is \(2, 7, 5\), not \(2, 5, 7\)"):
        read_netx(DATA / "cuba.net", input_shape=(2, 5, 7))
    with pytest.raises(ModelError, match=r"sdnn.net: layer 0 \(input\): spike_exp must lie in 0 \.\. 7"):
        read_netx(DATA / "sdnn.net", spike_exp=9)
    with pytest.raises(ModelError, match=r"pool.net: layer 0 \(pool\): it makes \(2, 3, 3\) of \(2, 5, 9\)"):
        read_netx(DATA / "pool.net", input_shape=(2, 5, 9))
