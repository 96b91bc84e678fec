# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike neuromorphic``: what it writes and says, and one line for what the user gets wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nir
import numpy as np
import pytest

from liquid_spike_control.cli import main
from liquid_spike_control.errors import WorkerError
from liquid_spike_control.neuromorphic.emulator.graded import GradedTrain
from liquid_spike_control.neuromorphic.emulator.loihi import LoihiEmulator
from liquid_spike_control.neuromorphic.emulator.loihi2 import Loihi2Emulator
from liquid_spike_control.neuromorphic.files.compiled import read_network, write_network
from liquid_spike_control.neuromorphic.files.netx import read_netx
from liquid_spike_control.neuromorphic.files.spike_files import random_spikes, read_spikes, write_spikes
from liquid_spike_control.neuromorphic.integers.network import LoihiNetwork
from liquid_spike_control.neuromorphic.integers.neurons import AdaptivePopulation, Population
from liquid_spike_control.neuromorphic.integers.synapses import Dense
from liquid_spike_control.neuromorphic.model import new_backend, read_model
from liquid_spike_control.neuromorphic.workers.oracles import find_oracle
from liquid_spike_control.resources import shipped_model

PENCIL = str(shipped_model("pencil/perception.nir"))
NIR = Path(__file__).parents[1] / "data/nir"
NETX = Path(__file__).parents[1] / "data/netx"
NORSE = ("--preset", "norse")


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """``liquid-spike neuromorphic`` in this process and an empty folder: status, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["liquid-spike", "neuromorphic", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run


def works(done) -> str:
    status, out, err = done
    assert status == 0, err
    return out


def is_png(path: str) -> bool:
    return Path(path).read_bytes().startswith(b"\x89PNG")


def test_compile_and_run(call):
    said = works(call("compile", PENCIL, "--json", "c.json"))
    compiled = read_network("perception.safetensors")
    assert compiled.hash in said and json.loads(Path("c.json").read_text())["hash"] == compiled.hash
    assert compiled.hash == read_model(PENCIL).network().hash
    assert compiled.metadata["step_s"] == 1e-3 and compiled.metadata["input_shape"] == [2, 16, 64]

    out = ("--out", "o.npz", "--json", "r.json", "--plot", "r.png", "--rate", 4, "--steps", 500, "--seed", 3)
    said = works(call("run", "perception.safetensors", *out))
    spikes = random_spikes(2048, 4.0, 500, 1e-3, 3)
    emulator = LoihiEmulator(compiled.network)
    expected = emulator.run(spikes)
    written = read_spikes("o.npz", 224, 1e-3)
    assert len(expected.ids) and np.array_equal(written.ids, expected.ids)
    numbers = json.loads(Path("r.json").read_text())
    assert numbers["synaptic_operations"] == emulator.stats().synaptic_operations
    assert numbers["steps"] == 500 and numbers["output_spikes"] == len(expected.ids)
    assert str(len(expected.ids)) in said and is_png("r.png")

    # the same from a file, from the float file, and as another format
    write_spikes("in.npy", spikes, 2048, 1e-3)
    works(call("run", PENCIL, "--spikes", "in.npy", "--out", "o.nir"))
    assert np.array_equal(read_spikes("o.nir", 224, 1e-3).ids, expected.ids)


@pytest.mark.parametrize(
    ("case", "preset"),
    [("snntorch_dense", "snntorch"), ("sinabs_dense", "sinabs_multispike"), ("rockpool_dense", "rockpool")],
)
def test_a_network_that_only_loihi_2_has_is_labelled_wherever_it_runs(call, case, preset):
    """Networks as these frameworks make them by default, on integers, from floats and compiled."""
    given = NIR / f"{case}.nir", "--preset", preset, "--steps", 20
    label = "integers for Loihi 2's programmable neuron"
    assert label in works(call("run", *given))
    assert label in works(call("compare", *given))
    assert label in works(call("compile", *given[:3], "--out", "c.safetensors"))
    assert label in works(call("run", "c.safetensors", "--steps", 20))
    assert label not in works(call("run", *given, "--backend", "float"))


def test_run_in_floats(call):
    works(call("run", PENCIL, "--backend", "float", "--steps", 300, "--out", "o.npz", "--plot", "f.png"))
    expected = new_backend(read_model(PENCIL), "float").run(random_spikes(2048, 10.0, 300, 1e-3, 0))
    assert len(expected.ids) and np.array_equal(read_spikes("o.npz", 224, 1e-3).ids, expected.ids)
    assert is_png("f.png")


def test_compile_with_few_bits_and_an_exponent(call):
    model = NIR / "norse_conv.nir"
    works(call("compile", model, *NORSE, "--bits", 3, "--exponent", 2, "--out", "few.safetensors"))
    connections = read_network("few.safetensors").network.connections
    assert [c.weight_exp for c in connections] == [2, 2]
    assert all((c.weights % 2 ** (8 - 3 + 1) == 0).all() for c in connections)  # both signs: one bit less


def test_compile_on_sample_spikes(call):
    model = NIR / "norse_conv.nir"
    write_spikes("samples.npz", random_spikes(162, 80.0, 400, 1e-3, 1), 162, 1e-3)
    said = works(call("compile", model, *NORSE, "--bits", 3, "--calibration", "samples.npz", "--out", "on.safetensors"))
    assert "calibration on sample spikes" in said
    works(call("compile", model, *NORSE, "--bits", 3, "--out", "off.safetensors"))
    on, off = (read_network(f"{name}.safetensors").hash for name in ("on", "off"))
    assert on != off


LONGER = [pytest.param(simulator, marks=pytest.mark.slow) for simulator in ("lava", "brian2_loihi")]


@pytest.mark.parametrize("simulator", ["nengo_loihi", *LONGER])
def test_fuzz(call, simulator):
    try:
        find_oracle(simulator)
    except WorkerError as error:
        pytest.skip(str(error))
    said = works(call("fuzz", simulator, "--neuron-steps", 2000, "--json", "f.json"))
    assert "no mismatch" in said and json.loads(Path("f.json").read_text())["neuron_steps"] >= 2000


def test_inspect(call):
    said = works(call("inspect", NIR / "norse_conv.nir", *NORSE, "--json", "i.json", "--plot", "i.png"))
    assert is_png("i.png") and "messages a step" in said
    numbers = json.loads(Path("i.json").read_text())
    assert numbers["input_shape"] == [2, 9, 9] and numbers["unsupported"] == [] and numbers["cores"] == 2
    assert [c["synapses"] for c in numbers["connections"]] == [1152, 1200]
    for text in ("2 x 9 x 9 -> 4 x 4 x 4", "note: Norse does not write v_reset", "2 cores on 1 chip", numbers["hash"]):
        assert text in said
    # what Loihi 1 cannot do is said, and the network placed on Loihi 2
    said = works(call("inspect", NIR / "sinabs_dense.nir", "--preset", "sinabs", "--json", "i.json"))
    assert json.loads(Path("i.json").read_text())["unsupported"] == []
    assert said.count("its reset subtracts: integers for Loihi 2's programmable neuron, not for Loihi 1") > 1
    assert "ProgrammedPopulation" not in said.split("note:")[0] and "on Loihi 2" in said
    # what no Loihi can do is said, not refused: the file can be looked at
    long = nir.NIRGraph(
        {"input": nir.Input({"input": np.array([3])}), "delay": nir.Delay(np.full(3, 0.1)),
         "lif": nir.LIF(*np.ones((4, 3))), "output": nir.Output({"output": np.array([3])})},
        [("input", "delay"), ("delay", "lif"), ("lif", "output")],
    )  # fmt: skip
    nir.write("late.nir", long)
    said = works(call("inspect", "late.nir", "--preset", "euler", "--dt", "1e-3", "--json", "i.json"))
    (reason,) = json.loads(Path("i.json").read_text())["unsupported"]
    assert "a delay of 99 steps, the limit is 62" in reason and f"not on Loihi: {reason}" in said
    works(call("run", "late.nir", "--preset", "euler", "--dt", "1e-3", "--backend", "float", "--steps", 20))


def test_dt_is_in_the_unit_of_the_file_and_not_in_seconds(call):
    """A step of 1e-6 in Norse's unit is no microsecond: static energy is that of the default step, or of --step's."""
    arguments = "energy", NIR / "norse_conv.nir", "--preset", "norse", "--steps", 20, "--json", "e.json"

    def step_s(*more):
        works(call(*arguments, *more))
        return json.loads(Path("e.json").read_text())["step_s"]

    assert step_s() == step_s("--dt", "1e-6") == 1e-3
    assert step_s("--dt", "1e-6", "--step", "0.002") == 0.002
    works(call("inspect", NIR / "norse_conv.nir", "--preset", "norse", "--dt", "1e-6", "--json", "i.json"))
    assert json.loads(Path("i.json").read_text())["step_s"] is None


def test_netx_files(call):
    said = works(call("inspect", NETX / "cuba.net"))
    assert "2 x 7 x 5" in said and "conv2" in said
    works(call("compile", NETX / "cuba.net", "--out", "cuba.safetensors"))
    for name in (NETX / "cuba.net", "cuba.safetensors"):
        works(call("run", name, "--rate", 100, "--steps", 200, "--out", f"{Path(name).suffix[1:]}.npz"))
    one, other = (read_spikes(f"{name}.npz", 5, 1e-3) for name in ("net", "safetensors"))
    assert len(one.ids) and np.array_equal(one.ids, other.ids)


def test_numbers_go_into_a_network_of_loihi_2(call):
    assert "on Loihi 2" in works(call("inspect", NETX / "sdnn.net"))
    numbers = np.random.default_rng(0).integers(0, 90, (30, 70))
    np.save("in.npy", numbers)
    works(call("run", NETX / "sdnn.net", "--payloads", "in.npy", "--out", "out.npy", "--plot", "s.png"))
    expected = Loihi2Emulator(read_netx(NETX / "sdnn.net").network).run_graded(GradedTrain.from_dense(numbers))
    assert len(expected.ids) and np.array_equal(np.load("out.npy"), expected.to_dense(2)) and is_png("s.png")


def test_inspect_neurons_of_loihi_2(call):
    adaptive = AdaptivePopulation(4, 1, 2, 30, 9, 50, 60)
    network = LoihiNetwork(3, {"a": adaptive}, [Dense("input", "a", np.ones((4, 3), int))])
    write_network("a.safetensors", network, {})
    assert "AdaptivePopulation" in works(call("inspect", "a.safetensors"))
    assert "200 of 1 ms" in works(call("run", "a.safetensors", "--rate", 900, "--steps", 200, "--plot", "a.png"))
    assert is_png("a.png")


def test_compare(call):
    said = works(call("compare", NIR / "norse_conv.nir", *NORSE, "--rate", 80, "--json", "c.json", "--plot", "c.png"))
    numbers = json.loads(Path("c.json").read_text())
    assert {p["name"] for p in numbers["agreement"]} == {p["name"] for p in numbers["quantisation"]["populations"]}
    assert all(p["float_rate"] > 0 for p in numbers["agreement"]) and "F1" in said and is_png("c.png")


def test_energy(call):
    said = works(call("energy", PENCIL, "--steps", 200, "--inference", 5, "--json", "e.json", "--plot", "e.png"))
    assert "davies2018" in said and "estimate" in said
    assert json.loads(Path("e.json").read_text())["inference_steps"] == 5 and is_png("e.png")


def test_what_the_user_gets_wrong(call, tmp_path):
    write_spikes("other.npz", random_spikes(99, 10.0, 50, 1e-3, 0), 99, 1e-3)
    write_spikes("slow.npz", random_spikes(2048, 10.0, 50, 5e-3, 0), 2048, 5e-3)
    Path("cut.npz").write_bytes(Path("other.npz").read_bytes()[:200])
    Path("junk.nir").write_bytes(b"junk" * 100)
    Path("cut.nir").write_bytes(Path(PENCIL).read_bytes()[:5000])
    Path("junk.safetensors").write_bytes(b"junk" * 100)
    Path("junk.net").write_bytes(b"junk" * 100)
    np.save("real.npy", np.ones((5, 70)))
    np.save("wide.npy", np.ones((5, 71), int))
    np.save("large.npy", np.full((5, 70), 2**40))
    plain = LoihiNetwork(3, {"a": Population(4, 1, 2, 30)}, [Dense("input", "a", np.ones((4, 3), int))])
    write_network("plain.safetensors", plain, {})
    norse = NIR / "norse_conv.nir"
    for arguments, says in (
        (["inspect", "none.nir"], "none.nir: no such file"),
        (["inspect", "model.pt"], "model.pt: .pt is no model; give one of .nir"),
        (["inspect", tmp_path], "is no model"),
        (["inspect", "junk.nir"], "junk.nir: not a whole NIR file"),
        (["inspect", "cut.nir"], "cut.nir: not a whole NIR file"),
        (["run", "junk.safetensors"], "junk.safetensors: not a whole safetensors file"),
        (["run", shipped_model("pencil/controller.safetensors")], "it holds a controller"),
        (["run", norse], "give --preset, one of euler"),
        (["run", norse, "--preset", "torch"], "preset torch is unknown; use one of"),
        (["run", norse, *NORSE, "--dt", "-1"], "--dt -1.0; give a number from 1e-12"),
        (["run", "plain.safetensors", *NORSE], "--preset norse is for .nir files"),
        (["run", "plain.safetensors", "--backend", "float"], "it holds integers, no float network"),
        (["compile", "plain.safetensors", "--out", "b.safetensors", "--bits", "4"], "it holds integers already"),
        (["compile", PENCIL, "--calibration", "none.npz"], "none.npz: no such file"),
        (["compile", PENCIL, "--calibration", "other.npz", "--exponent", "2"], "the calibration chooses it"),
        (["inspect", "junk.net"], "junk.net: not a whole netx file"),
        (["run", NETX / "sdnn.net", "--payloads", "none.npy"], "none.npy: no such file"),
        (["run", NETX / "sdnn.net", "--payloads", "other.npz"], "payloads are an array of integers"),
        (["run", NETX / "sdnn.net", "--payloads", "real.npy"], "payloads are an array of integers"),
        (["run", NETX / "sdnn.net", "--payloads", "wide.npy"], "71 neurons, the network has 70 inputs"),
        (["run", NETX / "sdnn.net", "--payloads", "large.npy"], "payloads have 32 bits"),
        (["run", NETX / "sdnn.net", "--payloads", "wide.npy", "--backend", "lava"], "--payloads replaces --spikes"),
        (["fuzz", "lava", "--neuron-steps", "0"], "--neuron-steps 0; give a whole number from 1"),
        (["fuzz", "lava", "--folder", "nowhere"], "--folder nowhere: there is no such folder"),
        (["compare", "plain.safetensors"], "it holds integers, no float network"),
        (["compile", PENCIL, "--out", "b.nir"], "compiled networks are .safetensors files"),
        (["compile", PENCIL, "--bits", "9"], "--bits 9; give a whole number from 1 to 8"),
        (["compile", PENCIL, "--exponent", "12"], "--exponent 12; give a whole number from -8 to 7"),
        (["compile", NIR / "sinabs_dense.nir", "--preset", "sinabs:min_v_mem=2"], "a number of at most 0"),
        (["run", PENCIL, "--spikes", "none.npz"], "none.npz: no such file"),
        (["run", PENCIL, "--spikes", "other.npz"], "other.npz: 99 neurons, the network has 2048 inputs"),
        (["run", PENCIL, "--spikes", "slow.npz"], "slow.npz: steps of 0.005 s"),
        (["run", PENCIL, "--spikes", "cut.npz"], "cut.npz: not a whole .npz file"),
        (["run", PENCIL, "--rate", "5000"], "--rate 5000 is more than a spike a step"),
        (["run", PENCIL, "--steps", "0"], "--steps 0"),
        (["run", PENCIL, "--out", "o.txt", "--steps", "5"], "unknown suffix"),
        (["run", PENCIL, "--plot", "p.txt", "--steps", "5"], "--plot p.txt: unknown suffix '.txt'; give one of .png"),
        (["run", PENCIL, "--json", "no/where.json"], "make it first"),
        (["energy", PENCIL, "--steps", "5", "--inference", "9"], "9"),
    ):
        status, _, err = call(*arguments)
        assert status == 2 and err.startswith("liquid-spike: ") and err.count("\n") == 1 and says in err, (says, err)
    assert not {"b.safetensors", "o.txt", "p.txt"} & set(os.listdir())


def process(*arguments: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "liquid_spike_control", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["neuromorphic", "run", "--help"]])
def test_a_reader_that_has_seen_enough(arguments):
    """``liquid-spike --help | head -1``: no traceback."""
    child = process(*arguments)
    child.stdout.close()  # before a word was written
    assert child.stderr.read() == b""
    assert child.wait(30) == 141
    child.stderr.close()


def test_ctrl_c(tmp_path):
    child = process("neuromorphic", "run", PENCIL, "--steps", "30000000", "--rate", "0.001", cwd=tmp_path)
    tasks = Path(f"/proc/{child.pid}/maps")
    deadline = time.monotonic() + 60
    while "llvmlite" not in tasks.read_text():  # it has begun
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.02)
    time.sleep(1.0)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (130, b"liquid-spike: interrupted\n")
