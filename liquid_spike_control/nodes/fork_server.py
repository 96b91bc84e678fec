# SPDX-License-Identifier: Apache-2.0
"""Processes of nodes, forked from one that has imported everything already.

A node's imports and numba's tables take three seconds of a core. The server does them once and forks a process for each
node; with them warm a node is up in a fraction of that. A forked process becomes a child of the one that asked for it,
which is its subreaper meanwhile (prctl): it waits for it, and a node ends with it, as with a process of its own making.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ..errors import GraphError
from ..parent_death import end_with_parent

_PR_SET_CHILD_SUBREAPER = 36
#: Longest request: a module and the parameters of a node [bytes].
_REQUEST = 1 << 20


class Child:
    """A forked process, with what a :class:`subprocess.Popen` has of it.

    Attributes:
        stdout: its standard output and error, text.
        returncode: its exit status, minus the signal that ended it, or None.
    """

    def __init__(self, server: ForkServer, output: int) -> None:
        self._server = server
        self._pid: int | None = None
        self.stdout = os.fdopen(output, encoding="utf-8", errors="replace")
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        """Its process. Waits until the server has its imports.

        Raises:
            ProcessLookupError: the server ended before.
        """
        while self._pid is None:
            if self.poll() is not None:
                raise ProcessLookupError("the process was never started")
            time.sleep(0.005)
        return self._pid

    def began(self, pid: int | None) -> None:
        """Take the process's number; None: the server ended before."""
        self._pid = pid
        if pid is None:
            self.returncode = 1

    def poll(self) -> int | None:
        """Return the exit status, None if it runs."""
        if self._pid is None:
            self._server.take_replies()
        if self.returncode is None and self._pid is not None:
            with suppress(ChildProcessError):
                pid, status = os.waitpid(self._pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it runs still after ``timeout`` [s].
        """
        until = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("node", timeout)
            time.sleep(0.005)
        return status

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is not None:
            return
        if self._pid is None:
            self._server.close()  # in the middle of its imports: nothing runs yet
        else:
            os.kill(self._pid, number)


class ForkServer:
    """The server, as seen by the process that starts nodes. Make it in the main thread: its end follows the thread.

    Args:
        modules: what it imports before it forks.
        env: environment of the server and of all its children.
    """

    def __init__(self, modules: Sequence[str], env: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        _be_subreaper(True)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                env=dict(env), pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        self._socket = ours
        ours.send(json.dumps(sorted(set(modules))).encode())
        self._asked: deque[Child] = deque()

    def start(self, module: str, arguments: Sequence[str]) -> Child:
        """Fork a process that runs ``main()`` of a module; it begins when the server has its imports.

        Raises:
            GraphError: the server has ended.
        """
        output, theirs = os.pipe()
        try:
            socket.send_fds(self._socket, [json.dumps([module, *arguments]).encode()], [theirs])
        except OSError as error:
            os.close(output)
            raise GraphError(f"no process for {module}: {error.strerror or error}") from None
        finally:
            os.close(theirs)
        child = Child(self, output)
        self._asked.append(child)
        return child

    @property
    def ended(self) -> bool:
        """Whether the server is gone, and forks no more."""
        return self._process.poll() is not None

    def take_replies(self) -> None:
        """Take the numbers of the processes that have begun."""
        while self._asked:
            try:
                reply = self._socket.recv(32, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                reply = b""
            self._asked.popleft().began(int(reply) if reply else None)

    def close(self) -> None:
        """End the server. Its children go on."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self.take_replies()
        self._socket.close()
        _be_subreaper(False)


def _be_subreaper(on: bool) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def _warm(modules: Sequence[str]) -> None:
    """Import what the children need. What fails here fails again in a child, which reports it."""
    for module in (*modules, "rosidl_generator_py"):  # the latter at a node's first message
        with suppress(Exception):
            importlib.import_module(module)
    if "numba" in sys.modules:
        from numba.core.registry import cpu_target

        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()
    gc.collect()
    gc.freeze()  # their memory stays shared


def _serve(server: socket.socket) -> Sequence[str] | None:
    """Fork a process for each request. Returns in a child, with its module and arguments, and at the end with None."""
    while True:
        request, received, _, _ = socket.recv_fds(server, _REQUEST, 1)
        if not request:
            return None
        (output,) = received
        replies, reply = os.pipe()
        gate, go = os.pipe()
        if not os.fork():  # a process that ends at once, which makes its child the subreaper's
            if pid := os.fork():
                os.write(reply, str(pid).encode())
                os._exit(0)
            os.close(go)
            if not os.read(gate, 1):  # the server was ended before the one that asked had the number
                os._exit(1)
            os.setsid()  # Ctrl-C is for the supervisor, which ends them in order
            for number in (1, 2):
                os.dup2(output, number)
            for opened in (output, replies, reply, gate):
                os.close(opened)
            server.close()
            return json.loads(request)
        os.wait()
        server.send(os.read(replies, 32))
        os.write(go, b"1")
        for opened in (output, replies, reply, gate, go):
            os.close(opened)


def main() -> None:
    """Serve on the socket of the first argument. Its first message has the modules to import, each other a request."""
    end_with_parent()
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*multi-threaded, use of fork")
    with socket.socket(fileno=int(sys.argv[1])) as server:
        _warm(json.loads(server.recv(_REQUEST)))
        request = _serve(server)
    if request is None:
        return
    module, *arguments = request
    sys.argv = [module, *arguments]
    _name_process([sys.executable, "-m", *sys.argv])
    importlib.import_module(module).main()


def _name_process(arguments: Sequence[str]) -> None:
    """Show the node in ``ps``, as if it had been started by itself."""
    with suppress(ImportError):  # ROS's key file has no key for it; nothing but the name depends on it
        from setproctitle import setproctitle

        setproctitle(" ".join(arguments))


if __name__ == "__main__":
    main()
