# SPDX-License-Identifier: Apache-2.0
"""The watchdog: a child that does not answer is ended and reported, and none outlives its parent."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sessions import alive, ends, session

from liquid_spike_control.errors import WorkerError
from liquid_spike_control.neuromorphic import workers
from liquid_spike_control.neuromorphic.workers.backend import _BOOT
from liquid_spike_control.neuromorphic.workers.child import Child


def python(program: str) -> Child:
    return Child("worker", [sys.executable, "-c", program])


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
    child.close(wait_s=0.1)
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
