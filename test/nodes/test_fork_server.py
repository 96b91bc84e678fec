# SPDX-License-Identifier: Apache-2.0
"""Processes forked from one that has imported everything."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from processes import alive, children_of, wait_for

from liquid_spike_control.nodes.fork_server import ForkServer
from liquid_spike_control.nodes.graph import NodeSpec
from liquid_spike_control.nodes.processes import Processes
from liquid_spike_control.terminal import Console

pytest.importorskip("setproctitle")

MODULE = """
import os, sys, time

FROM = os.getpid()

def main():
    print(os.getpid(), FROM, os.getppid(), os.getsid(0), *sys.argv[1:], os.environ["MARK"], flush=True)
    print("to standard error", file=sys.stderr)
    if sys.argv[1] == "wait":
        time.sleep(60)
    sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def server(tmp_path):
    (tmp_path / "a_node.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "broken.py").write_text("raise ValueError('not a node')")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    found = ForkServer(["a_node", "broken"], os.environ | {"PYTHONPATH": paths, "MARK": "of the server"})
    yield found
    found.close()


def test_a_child_is_its_askers_and_runs_what_the_server_imported(server):
    first, second = server.start("a_node", ["end", "3"]), server.start("a_node", ["end", "0"])
    assert (first.wait(30), second.wait(30)) == (3, 0)
    pid, imported_in, parent, session, *rest = first.stdout.readline().split()
    assert int(pid) == first.pid == int(session) != second.pid
    assert (int(imported_in), int(parent)) == (server._process.pid, os.getpid())
    assert rest == ["end", "3", "of", "the", "server"]
    assert first.stdout.read() == "to standard error\n"


def test_it_is_ended_by_signals_and_goes_by_its_own_name(server):
    child = server.start("a_node", ["wait", "0"])
    assert child.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.02)
    assert Path(f"/proc/{child.pid}/cmdline").read_text().rstrip("\0") == f"{sys.executable} -m a_node wait 0"
    child.terminate()
    assert child.wait(10) == -signal.SIGTERM
    child.kill()  # what has ended stays as it is
    assert child.poll() == -signal.SIGTERM


def test_what_cannot_be_imported_is_reported_by_the_child(server):
    child = server.start("broken", [])
    assert child.wait(30) == 1
    assert "ValueError: not a node" in child.stdout.read()


def test_children_outlive_the_server_and_one_asked_of_a_server_that_is_gone_has_failed(server):
    child = server.start("a_node", ["wait", "0"])
    assert child.stdout.readline()
    server._process.kill()
    server._process.wait()
    assert child.poll() is None
    child.kill()
    assert child.wait(10) == -signal.SIGKILL


def test_ended_in_the_midst_of_its_imports_nothing_runs(tmp_path):
    server = ForkServer(["numba"], os.environ)
    child = server.start("a_node", [])
    assert child.poll() is None
    child.terminate()
    assert child.wait(1) == 1
    with pytest.raises(ProcessLookupError):
        _ = child.pid
    server.close()


def test_the_server_ends_with_its_asker():
    program = """
    import os, sys
    from liquid_spike_control.nodes.fork_server import ForkServer
    server = ForkServer([], os.environ)
    print("up", flush=True)
    sys.stdin.read()
    """
    asker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert asker.stdout.readline() == b"up\n"
        (process,) = children_of(asker.pid)
        time.sleep(0.3)
    finally:
        asker.kill()
        asker.communicate()
    wait_for(lambda: not alive(process), 5, "end of the server")


def test_a_node_is_started_again_where_the_server_has_gone(ros_domain):
    """A robot's graph outlives it, killed for want of memory, and a node's end after that."""
    processes = Processes(Console(file=io.StringIO()))
    gate = NodeSpec("gate", {})
    try:
        processes.start((gate,))
        first = processes.children["gate"]
        processes._server._process.kill()
        processes._server._process.wait()
        processes.start((gate,))
        second = processes.children["gate"]
        wait_for(lambda: alive(second.pid), 30, "the second process")
        assert second.pid != first._pid and second.poll() is None
    finally:
        processes.stop()
    assert second.poll() is not None
