# SPDX-License-Identifier: Apache-2.0
"""Other simulators in child processes: the protocol, the watchdog, and the simulators themselves where installed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError, WorkerError
from liquid_spike_control.neuromorphic import workers
from liquid_spike_control.neuromorphic.fuzz import compare
from liquid_spike_control.neuromorphic.loihi import (
    Conv,
    Dense,
    LoihiEmulator,
    LoihiNetwork,
    Population,
    Sparse,
)
from liquid_spike_control.neuromorphic.random_network import SCOPES, random_case
from liquid_spike_control.neuromorphic.workers.backend import _BOOT, new_worker
from liquid_spike_control.neuromorphic.workers.child import Child
from liquid_spike_control.neuromorphic.workers.oracles import FOLDER, KINDS, check_network, find_oracle
from liquid_spike_control.neuromorphic.workers.wire import Inbox, WireError, pack
from liquid_spike_control.types import SpikeTrain

# ---- messages ----


def test_messages_arrive_whole_however_they_are_cut():
    message = {
        "a": np.arange(6).reshape(2, 3),
        "b": [{"c": np.array([True, False])}, None, "text", 1.5, np.zeros((0, 4), np.int32)],
    }
    data = pack(message) + pack({"next": 1})
    for size in (1, 7, len(data)):
        inbox, arrived = Inbox(), []
        for start in range(0, len(data), size):
            arrived.append(inbox.feed(data[start : start + size]))
        arrived = [m for m in arrived if m is not None] + ([inbox.feed(b"")] if size == len(data) else [])
        assert len(arrived) == 2 and arrived[1] == {"next": 1}
        np.testing.assert_array_equal(arrived[0]["a"], message["a"])
        b = arrived[0]["b"]
        assert b[0]["c"].tolist() == [True, False] and b[1:4] == [None, "text", 1.5] and b[4].shape == (0, 4)


def framed(text: bytes, arrays: bytes = b"", announced: int | None = None) -> bytes:
    sizes = len(text).to_bytes(4, "little") + (len(arrays) if announced is None else announced).to_bytes(8, "little")
    return b"LSW1" + sizes + text + arrays


@pytest.mark.parametrize(
    "data",
    [
        b"Traceback (most recent call last)",
        framed(b"{}", announced=1 << 50),
        b"LSW1" + b"\xff" * 12,
        framed(b"not json"),
        framed(b"[1]"),
        framed(b"[" * 100_000),
        framed(b'{"a": {"array": ["|O", [1]]}}', b"12345678"),
        framed(b'{"a": {"array": ["<i8", [2]]}}', b"12345678"),
        framed(b'{"a": {"array": ["<i8", [-1]]}}'),
        framed(b'{"a": {"array": ["<i8"]}}'),
        framed(b'{"a": {"array": 1}}'),
        framed(b"{}", b"12345678"),
        framed(b"\xff\xfe"),
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(WireError):
        Inbox().feed(data)


def test_objects_cannot_be_sent():
    with pytest.raises(WireError, match="object"):
        pack({"a": np.array([object()])})


# ---- the watchdog ----


def python(program: str) -> Child:
    return Child("worker", [sys.executable, "-c", program])


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def ends(pid: int, within_s: float = 15.0) -> bool:
    until = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("import time; time.sleep(60)", "no answer within 0.5 s"),
        ("import sys; sys.exit('no licence found')", "ended with status 1.*no licence found"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("print('Welcome to the simulator!', flush=True); import time; time.sleep(60)", "no message.*Welcome"),
        ("import os; os.close(1); import time; time.sleep(60)", "closed its output|no answer"),
        ("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)", "no answer"),
    ],
)
def test_a_child_that_does_not_answer_is_ended_and_reported(program, complaint):
    child = python(program)
    with pytest.raises(WorkerError, match=f"(?s)worker: .*({complaint})") as caught:
        child.ask({"run": np.zeros(1 << 20)}, timeout_s=20 if "exit" in program or "print" in program else 0.5)
    assert "\n" not in str(caught.value)
    assert not alive(child._process.pid)
    with pytest.raises(WorkerError, match="has ended"):
        child.ask({}, 1.0)


def test_a_child_of_the_child_is_ended_too(tmp_path):
    note = tmp_path / "pid"
    child = python(
        "import pathlib, subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(p.pid)); time.sleep(60)"
    )
    until = time.monotonic() + 10
    while not (note.exists() and note.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    grandchild = int(note.read_text())
    assert alive(grandchild)
    child.close(patience_s=0.1)
    assert ends(grandchild) and not alive(child._process.pid)


def test_what_cannot_be_started_is_named(tmp_path):
    with pytest.raises(WorkerError, match="worker cannot be started.*nowhere"):
        Child("worker", [str(tmp_path / "nowhere")])


@pytest.fixture
def toy(tmp_path) -> list[str]:
    """The workers' real main loop around a simulator of four lines, in this interpreter."""
    for name in ("wire.py", "serve.py"):
        shutil.copy(Path(workers.__file__).parent / name, tmp_path)
    (tmp_path / "toy.py").write_text(
        "import os, time\n"
        "from .serve import Refusal\n"
        "class Simulator:\n"
        "    versions = {'toy': '1'}\n"
        "    @classmethod\n"
        "    def open(cls, network): return cls()\n"
        "    def reset(self): raise Refusal('it cannot go back')\n"
        "    def close(self): pass\n"
        "    def run(self, indptr, ids, state):\n"
        "        print('chatter on standard output')\n"
        "        if len(ids) and ids[0] < 0: raise ValueError('negative')\n"
        "        if os.fork() == 0: time.sleep(60)\n"
        "        return {'ids': ids * 2}\n"
    )
    return [sys.executable, "-I", "-c", _BOOT, str(tmp_path), "toy"]


def spikes_message(*ids: int) -> dict:
    return {"run": {"indptr": np.array([0, len(ids)]), "ids": np.array(ids, np.int32)}, "state": False}


def test_the_main_loop_answers_refuses_and_reports(toy):
    child = Child("toy", toy)
    assert child.ask({"open": {}, "options": {}}, 20.0) == {"versions": {"toy": "1"}}
    assert child.ask(spikes_message(1, 2), 20.0)["ids"].tolist() == [2, 4]
    assert child.ask({"reset": True}, 20.0) == {"refused": "it cannot go back"}
    assert child.ask(spikes_message(-1), 20.0) == {"failed": "ValueError: negative"}
    assert child.ask(spikes_message(3), 20.0)["ids"].tolist() == [6]
    child.close()
    assert not alive(child._process.pid)


def test_a_worker_and_its_forks_die_with_a_parent_that_is_killed(toy, tmp_path):
    program = (
        "import numpy as np, os, pathlib, signal\n"
        "from liquid_spike_control.neuromorphic.workers.child import Child\n"
        f"child = Child('toy', {toy!r}); child.ask({{'open': {{}}, 'options': {{}}}}, 30.0)\n"
        "child.ask({'run': {'indptr': np.zeros(1, int), 'ids': np.zeros(0, np.int32)}, 'state': False}, 30.0)\n"
        "print(child._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert printed.returncode == -signal.SIGKILL, printed.stderr
    worker = int(printed.stdout)
    assert ends(worker)
    assert all(ends(int(p.name)) for p in session(worker))


def session(leader: int) -> list[Path]:
    """Entries in /proc of the processes of a child's session."""

    def group(process: Path) -> int | None:
        try:
            return int((process / "stat").read_text().rpartition(")")[2].split()[2])
        except OSError:
            return None

    return [p for p in Path("/proc").iterdir() if p.name.isdigit() and group(p) == leader]


# ---- what is installed, and what it can run ----


def test_a_missing_oracle_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    for kind in KINDS:
        with pytest.raises(WorkerError, match=f"{kind} is not installed.*{tmp_path}.*make oracles"):
            find_oracle(kind)
    with pytest.raises(WorkerError, match="nest is no simulator.*lava"):
        find_oracle("nest")


def test_an_interpreter_without_the_simulator_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    (tmp_path / "nengo_loihi/bin").mkdir(parents=True)
    # Not a link: Python would take the link's folder for its own, and find no NumPy.
    wrapper = tmp_path / "nengo_loihi/bin/python"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    with pytest.raises(WorkerError, match="nengo_loihi has failed: PackageNotFoundError.*nengo-loihi"):
        new_worker("nengo_loihi", network())


def network(connection=None, n_inputs=3, **parameters) -> LoihiNetwork:
    population = Population(**{"n": 2, "du": 100, "dv": 100, "vth": 5, **parameters})
    dense = connection or Dense("input", "a", np.full((2, n_inputs), 100))
    return LoihiNetwork(n_inputs, {"a": population}, [dense])


def dense(**changes) -> Dense:
    return replace(Dense("input", "a", np.array([[9, -4, 3], [0, 2, 254]])), **changes)


CONV = Conv("input", "a", np.ones((2, 1, 3, 1), int), (1, 3, 1))


@pytest.mark.parametrize(
    ("kind", "refused", "why"),
    [
        ("lava", network(refractory=3), "population a: a refractory period"),
        ("lava", network(start=3), "population a: a late start"),
        ("lava", network(du=np.array([1, 2])), "population a: du of each neuron"),
        ("lava", network(replace(CONV, weight_exp=1)), "Conv input -> a: weight_exp 1"),
        ("lava", network(replace(CONV, delay=1)), "Conv input -> a: a delay"),
        ("lava", network(dense(rounding="brian2loihi")), "Dense input -> a: weights rounded as brian2loihi"),
        (
            "lava",
            LoihiNetwork(3, {"a": Population(2, 1, 1, 1), "b": Population(1, 1, 1, 1)}, [dense()]),
            "population b: nothing joins it",
        ),
        ("nengo_loihi", network(CONV), "Conv input -> a: a convolution"),
        ("nengo_loihi", network(dense(delays=1)), "Dense input -> a: delays"),
        ("nengo_loihi", network(dense(weight_exp=-1)), "Dense input -> a: weight_exp -1"),
        ("brian2_loihi", network(CONV), "Conv input -> a: a convolution"),
        ("brian2_loihi", network(dense()), "Dense input -> a: weights rounded as lava"),
        ("brian2_loihi", network(dense(rounding="brian2loihi"), bias_mant=1), "population a: a bias"),
        ("brian2_loihi", network(dense(rounding="brian2loihi"), start=1), "population a: a late start"),
        ("brian2_loihi", network(dense(rounding="brian2loihi", delays=63)), "Dense input -> a: a delay above 62"),
        (
            "brian2_loihi",
            network(dense(rounding="brian2loihi", weights=np.array([[-1, 255, 0], [0, 0, 0]]))),
            "Dense input -> a: a weight of 255",
        ),
        (
            "brian2_loihi",
            network(dense(rounding="brian2loihi", weight_exp=7, weights=np.array([[-256, 2, 0], [0, 0, 0]]))),
            "Dense input -> a: a weight of -256 at exponent 7",
        ),
    ],
)
def test_what_a_simulator_lacks_is_refused_by_name(kind, refused, why):
    with pytest.raises(ModelError, match=f"{kind} cannot run {why}"):
        check_network(kind, refused)


@pytest.mark.parametrize("kind", KINDS)
def test_random_networks_stay_within_what_a_simulator_has(kind):
    for seed in range(40):
        check_network(kind, random_case(SCOPES[kind], seed)[0])


# ---- the simulators themselves ----


@pytest.fixture(params=KINDS)
def kind(request):
    try:
        find_oracle(request.param)
    except WorkerError as error:
        pytest.skip(str(error))
    return request.param


def lively(kind: str) -> tuple[LoihiNetwork, SpikeTrain]:
    """Two populations with recurrence, whose spikes depend on their past."""
    rng = np.random.default_rng(5)

    def synapses(source, target, n_target, n_source):
        w = rng.integers(-120, 200, (n_target, n_source))
        return Dense(source, target, w, rounding=SCOPES[kind].rounding)

    connections = [synapses("input", "a", 12, 9), synapses("a", "a", 12, 12), synapses("a", "b", 4, 12)]
    populations = {"a": Population(12, du=700, dv=300, vth=150), "b": Population(4, du=900, dv=200, vth=200)}
    return LoihiNetwork(9, populations, connections, ("b", "a")), SpikeTrain.from_dense(rng.random((40, 9)) < 0.2)


def test_backend_runs_steps_resets_and_counts_as_the_emulator_does(kind):
    model, train = lively(kind)
    emulator = LoihiEmulator(model)
    expected, stats = emulator.run(train), emulator.stats()
    assert 100 < len(expected.ids) < 600
    with new_worker(kind, model) as worker:
        assert (worker.n_inputs, worker.n_outputs, worker.network_hash) == (9, 16, model.hash)
        first = worker.run(SpikeTrain(train.indptr[:35], train.ids))
        last = [worker.step(train.step(k)) for k in range(34, 40)]
        whole = SpikeTrain.from_steps([*(first.step(k) for k in range(34)), *last])
        np.testing.assert_array_equal(whole.indptr, expected.indptr)
        np.testing.assert_array_equal(whole.ids, expected.ids)
        counted = worker.stats()
        assert counted == replace(stats, neuron_updates=counted.neuron_steps)
        worker.reset()
        assert worker.stats().steps == 0
        again = worker.run(SpikeTrain(train.indptr[:35], train.ids))
        np.testing.assert_array_equal(again.ids, first.ids)
        assert (np.diff(worker.stamps_ns) > 0).all() and len(worker.stamps_ns) == 34
        with pytest.raises(ValueError, match="0 .. 8"):
            worker.step([9])
        pid = worker._child._process.pid
    assert not alive(pid)


def test_random_network_agrees_in_u_v_and_spikes(kind):
    seeds = {"lava": 36, "nengo_loihi": 33, "brian2_loihi": 38}  # lava's has a convolution
    network, train = random_case(SCOPES[kind], seeds[kind])
    with new_worker(kind, network) as worker:
        theirs = worker.probe(train)
    assert sum(p.spikes.sum() for p in theirs.values()) > 300
    assert compare(network, train, theirs) is None


@pytest.mark.parametrize("kind", ["lava", "nengo_loihi"])
def test_a_simulator_that_hangs_is_ended(kind):
    model, train = lively(need(kind))
    worker = new_worker(kind, model)
    pid = worker._child._process.pid
    worker.run(train)
    maps = [(p / "maps").read_text() for p in session(pid)]
    shared = set(re.findall(r"/dev/shm/psm_\w+", "".join(maps)))
    assert len(maps) > 1 and len(shared) > 5 if kind == "lava" else not shared
    worker._timeout_s = 0.5
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(WorkerError, match=f"{kind}: no answer within 0.5 s"):
        worker.run(train)
    assert not alive(pid)
    with pytest.raises(WorkerError, match=f"{kind} has ended"):
        worker.step([])
    assert not any(Path(name).exists() for name in shared)


def need(kind: str) -> str:
    try:
        find_oracle(kind)
    except WorkerError as error:
        pytest.skip(str(error))
    return kind


def test_hardware_without_intels_extension_says_what_is_missing():
    with pytest.raises(ModelError, match=r"lava-loihi.*lacks lava\.utils\.loihi2_profiler"):
        new_worker(need("lava"), network(), hardware=True)
    with pytest.raises(ModelError, match="nengo_loihi knows no hardware"):
        new_worker(need("nengo_loihi"), network(), hardware=True)


def rounded(exponents: tuple[int, ...], signs: tuple[str, ...]) -> tuple[LoihiNetwork, SpikeTrain]:
    """One axon with every weight that there is, for each exponent and sign mode a population."""
    # Loihi clips what -256 at exponent 7 would give, and that is refused.
    ranges = {"mixed": (-254, 254), "excitatory": (0, 255), "inhibitory": (-255, 0)}
    populations, connections = {}, []
    for exponent in exponents:
        for sign in signs:
            w = np.arange(ranges[sign][0], ranges[sign][1] + 1)[:, None]
            name, bits = f"{sign} {exponent}", 8 if exponent % 2 else 5
            populations[name] = Population(len(w), du=4095, dv=0, vth=2**17 - 1)
            connections.append(Dense("input", name, w, bits, exponent, rounding="brian2loihi"))
    return LoihiNetwork(1, populations, connections), SpikeTrain.from_dense(np.arange(4)[:, None] == 1)


@pytest.mark.parametrize(
    ("exponents", "signs"),
    [
        ((0, 1, 4, 7), ("mixed", "excitatory", "inhibitory")),
        ((-8, -3, -1), ("excitatory",)),
        ((-8, -3, -1), ("mixed", "inhibitory")),
    ],
)
def test_brian2loihi_rounding_is_that_of_brian2loihi(exponents, signs):
    model, train = rounded(exponents, signs)
    with new_worker(need("brian2_loihi"), model) as worker:
        assert compare(model, train, worker.probe(train)) is None


def test_sums_that_arrive_with_different_delays_are_shifted_apart():
    rng = np.random.default_rng(0)
    w, delays = rng.integers(-9, 10, (8, 6)), rng.integers(0, 4, (8, 6))
    at = np.nonzero(w)
    neurons = Population(8, du=900, dv=100, vth=4)
    connections = [
        Dense("input", "a", w, weight_exp=-3, delays=delays),
        Sparse("input", "b", w.shape, *at, w[at], weight_exp=-3, delays=delays[at]),
    ]
    model = LoihiNetwork(6, {"a": neurons, "b": neurons}, connections)
    train = SpikeTrain.from_dense(rng.random((60, 6)) < 0.4)
    with new_worker(need("lava"), model) as worker:
        theirs = worker.probe(train)
    np.testing.assert_array_equal(theirs["a"].u, theirs["b"].u)
    assert compare(model, train, theirs) is None


def test_refractory_periods_are_those_of_nengo_loihi():
    n = 64
    model = network(
        Dense("input", "a", np.full((n, 1), 200)), n_inputs=1, n=n, du=4095, dv=0, vth=20, refractory=np.arange(n),
        bias_mant=30, start=np.arange(n)[::-1].copy(),
    )  # fmt: skip
    train = SpikeTrain.from_dense(np.ones((200, 1)))
    with new_worker(need("nengo_loihi"), model) as worker:
        theirs = worker.probe(train)
    assert compare(model, train, theirs) is None
    intervals = [np.diff(np.flatnonzero(spikes)) for spikes in theirs["a"].spikes.T]
    assert all((i == max(1, r)).all() for r, i in enumerate(intervals))
