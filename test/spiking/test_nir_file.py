# SPDX-License-Identifier: Apache-2.0
"""Files that are damaged, foreign or contradict themselves: one line that names file and node."""

from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liquid_spike_control.errors import ModelError
from liquid_spike_control.spiking.nir_file import read_nir_file
from liquid_spike_control.spiking.nir_import import read_nir

DATA = Path(__file__).parents[1] / "data" / "nir"
WHOLE = DATA / "spikingjelly_conv.nir"


def lif(n, tau=0.01):
    return nir.LIF(np.full(n, tau), np.ones(n), np.zeros(n), np.ones(n))


def chain(*nodes, n_in=3, n_out=4):
    """Input -> nodes -> Output, named by their places."""
    named = {"input": nir.Input(np.array([n_in])), **{str(i): node for i, node in enumerate(nodes)}}
    named["output"] = nir.Output(np.array([n_out]))
    names = list(named)
    return named, list(zip(names, names[1:], strict=False))


def write(path, nodes, edges):
    nir.write(path, nir.NIRGraph(nodes, edges, type_check=False))
    return path


def refused(path, match, **arguments):
    with pytest.raises(ModelError, match=match) as error:
        read_nir(path, **({"preset": "euler", "dt": 1e-3} | arguments))
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_a_file_that_is_missing_or_foreign(tmp_path):
    refused(tmp_path / "none.nir", "no such file")
    text = tmp_path / "text.nir"
    text.write_text("weights: 3\n")
    refused(text, "not a whole NIR file")
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["data"] = np.zeros(3)
    refused(tmp_path / "other.nir", "not a whole NIR file")
    with h5py.File(tmp_path / "empty.nir", "w") as file:
        file.create_group("node")
    refused(tmp_path / "empty.nir", "no NIRGraph")


@pytest.mark.parametrize("kept", [0, 8, 100, 1000, 4000, -1000, -1])
def test_a_truncated_file(tmp_path, kept):
    path = tmp_path / "short.nir"
    path.write_bytes(WHOLE.read_bytes()[:kept])
    refused(path, "not a whole NIR file")


def places():
    """Every entry of the file."""
    found = []
    with h5py.File(WHOLE, "r") as file:
        file["node"].visit(found.append)
    return found


contents = st.one_of(
    st.none(),
    st.sampled_from([b"\xff\n", "LIF", "same", "0", np.float64(0), np.float64(np.inf), np.int64(-1), np.int64(2**62)]),
    st.tuples(st.lists(st.integers(0, 4), max_size=5), st.floats(-3, 1e308)).map(lambda x: np.full(*x)),
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(places()), contents), min_size=1, max_size=4))
def test_damaged_entries_never_crash(tmp_path, damage):
    path = tmp_path / "damaged.nir"
    path.write_bytes(WHOLE.read_bytes())
    with h5py.File(path, "r+") as file:
        for place, content in damage:
            if place in file["node"]:
                del file["node"][place]
                if content is not None:
                    file["node"][place] = content
    try:
        read_nir(path, "spikingjelly")
    except ModelError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


def test_an_unknown_node(tmp_path):
    path = write(tmp_path / "a.nir", *chain(nir.Linear(np.ones((4, 3))), lif(4)))
    with h5py.File(path, "r+") as file:
        del file["node/nodes/1/type"]
        file["node/nodes/1/type"] = "Lstm"
    refused(path, "node 1 is a Lstm; rebuild")


def test_a_parameter_that_is_missing_nan_or_text(tmp_path):
    for replacement, match in ((None, "no tau"), (np.full(4, np.nan), "tau holds NaN"), ("ten", "tau is no number")):
        path = write(tmp_path / "a.nir", *chain(nir.Linear(np.ones((4, 3))), lif(4)))
        with h5py.File(path, "r+") as file:
            del file["node/nodes/1/tau"]
            if replacement is not None:
                file["node/nodes/1/tau"] = replacement
        refused(path, f"node 1: (it has )?{match}")
    weight = np.ones((4, 3))
    weight[0, 0] = np.inf
    refused(write(tmp_path / "a.nir", *chain(nir.Linear(weight), lif(4))), "node 0: weight is not finite")


def test_an_edge_to_nowhere(tmp_path):
    nodes, edges = chain(nir.Linear(np.ones((4, 3))), lif(4))
    refused(write(tmp_path / "a.nir", nodes, [*edges, ("1", "2")]), "names node 2, which is missing")


def test_shapes_that_do_not_meet(tmp_path):
    first = nir.Linear(np.ones((4, 3)))
    path = write(tmp_path / "a.nir", *chain(first, lif(5)))
    refused(path, r"node 1: v_threshold has shape \(5,\), its input \(4,\)")
    path = write(tmp_path / "a.nir", *chain(first, lif(4), nir.Linear(np.ones((2, 7))), lif(2)))
    refused(path, "node 2: it takes 7 values, it gets 4")
    conv = nir.Conv2d(None, np.ones((2, 3, 3, 3)), (1, 1), (0, 0), (1, 1), 1, np.zeros(2))
    nodes, edges = chain(conv, lif(1))
    nodes["0"].input_shape = (8, 8)
    nodes["input"] = nir.Input(np.array([2, 8, 8]))
    refused(write(tmp_path / "a.nir", nodes, edges), "node 0: it takes 3 channels, it gets 2", input_shape=(2, 8, 8))
    nodes["0"].weight = np.ones((2, 2, 9, 3))
    refused(write(tmp_path / "a.nir", nodes, edges), "node 0: a kernel of 9 does not fit 8")
    nodes["0"].weight, nodes["0"].stride = np.ones((2, 2, 3, 3)), (0, 1)
    refused(write(tmp_path / "a.nir", nodes, edges), r"node 0: stride is \[0 1\]; give 2 integers of 1 or more")


def test_circles(tmp_path):
    nodes, edges = chain(nir.Linear(np.ones((4, 3))), lif(4))
    nodes |= {"a": nir.Linear(np.eye(4)), "b": nir.Linear(np.eye(4))}
    loop = [("0", "a"), ("a", "b"), ("b", "a"), ("b", "1")]
    refused(write(tmp_path / "a.nir", nodes, edges + loop), "a circle without neurons")
    nodes["c"] = lif(4)
    back = [("1", "a"), ("a", "c"), ("c", "b"), ("b", "1")]
    path = write(tmp_path / "a.nir", nodes, edges + back)
    refused(path, "feed each other within one step; put a Delay")
    assert read_nir(path, "loihi").latency == {"1": 0, "c": 0}


def test_neurons_that_nothing_reaches(tmp_path):
    nodes, edges = chain(nir.Linear(np.ones((4, 3))), lif(4))
    nodes["lonely"] = lif(2)
    refused(write(tmp_path / "a.nir", nodes, edges), "node lonely: no path from the input")


def test_ends_that_are_missing(tmp_path):
    nodes, edges = chain(nir.Linear(np.ones((4, 3))), lif(4))
    refused(write(tmp_path / "a.nir", nodes, edges[:-1]), "node output: no path")
    no_output = {name: node for name, node in nodes.items() if name != "output"}
    refused(write(tmp_path / "a.nir", no_output, edges[:-1]), "no Output node")
    idle = nodes | {"more": nodes["input"]}
    refused(write(tmp_path / "a.nir", idle, edges), "node more: an Input that feeds nothing")
    refused(write(tmp_path / "a.nir", *chain(nir.Linear(np.ones((4, 3))))), "no neurons")


def test_time_constants_and_steps(tmp_path):
    path = write(tmp_path / "a.nir", *chain(nir.Linear(np.ones((4, 3))), lif(4)))
    refused(path, "node 1: a time constant of 0.01 is shorter than the step 0.02", dt=0.02)
    refused(path, "no time step", dt=None)
    refused(path, "preset pytorch is unknown; use one of .*snntorch", preset="pytorch")
    refused(write(tmp_path / "b.nir", *chain(nir.Linear(np.ones((4, 3))), lif(4, -1.0))), "node 1: .* not positive")
    path = write(tmp_path / "c.nir", *chain(nir.Linear(np.ones((4, 3))), nir.Delay(np.full(4, 0.0015)), lif(4)))
    refused(path, "node 1: its delays are not whole steps")
    path = write(tmp_path / "d.nir", *chain(nir.Linear(np.ones((4, 3))), nir.Delay(np.full(4, 5.0)), lif(4)))
    refused(path, "input -> 2: delays must lie in 0 .. 4095")
    dead = nir.LIF(np.ones(4), np.ones(4), np.zeros(4), np.ones(4), np.full(4, 2.0))
    refused(write(tmp_path / "e.nir", *chain(nir.Linear(np.ones((4, 3))), dead)), "node 1: v_threshold must lie above")


def test_an_unknown_reset(tmp_path):
    nodes, edges = chain(nir.Linear(np.ones((4, 3))), lif(4))
    nodes["1"].metadata = {"reset": "random"}
    refused(write(tmp_path / "a.nir", nodes, edges), "node 1: reset random is unknown")


def test_the_same_content_has_the_same_hash(tmp_path):
    nodes, edges = chain(nir.Linear(np.ones((4, 3))), lif(4))
    one = read_nir_file(write(tmp_path / "a.nir", nodes, edges)).hash
    assert one == read_nir_file(write(tmp_path / "b.nir", nodes, edges[::-1])).hash
    nodes["0"] = nir.Linear(np.full((4, 3), 2.0))
    assert one != read_nir_file(write(tmp_path / "c.nir", nodes, edges)).hash
