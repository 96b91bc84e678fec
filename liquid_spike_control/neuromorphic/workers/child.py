# SPDX-License-Identifier: Apache-2.0
"""A child process that answers messages, and the watchdog that does not wait for it for ever."""

from __future__ import annotations

import functools
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence

from ...errors import WorkerError
from .wire import Inbox, WireError, pack

_CHUNK = 1 << 16
_LAST_BYTES = 1 << 14  # of what a child wrote to standard error


class Child:
    """A process in a session of its own, with its child processes; :meth:`close` ends all of them.

    Args:
        name: how errors call it.
        command: program and arguments.

    Raises:
        WorkerError: it cannot be started.
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self._name = name
        self._inbox = Inbox()
        self._complaints = bytearray()
        pipe = subprocess.PIPE
        environment = os.environ | {m: "1" for m in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        try:
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True, env=environment
            )
        except OSError as error:
            raise WorkerError(f"{name} cannot be started: {error}") from None
        self._open = True
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)

    def ask(self, message: dict, timeout_s: float) -> dict:
        """Send a message and wait for the answer. After an error the child is gone.

        Raises:
            WorkerError: it was closed, has died, wrote something else than an answer, or was silent for too long.
        """
        if not self._open:
            raise WorkerError(f"{self._name} has ended; open a new one")
        try:
            return self._exchange(memoryview(pack(message)), time.monotonic() + timeout_s, timeout_s)
        except (WireError, WorkerError) as error:
            output = self._last_lines()
            self._end()
            raise WorkerError(f"{self._name}: {error}{output}") from None
        except BaseException:
            self._end()  # a late answer would be taken for that to the next request
            raise

    def _exchange(self, unsent: memoryview, deadline: float, timeout_s: float) -> dict:
        ask, answer, complain = self._process.stdin, self._process.stdout, self._process.stderr
        assert ask is not None and answer is not None and complain is not None
        with selectors.DefaultSelector() as selector:
            selector.register(ask, selectors.EVENT_WRITE)
            selector.register(answer, selectors.EVENT_READ)
            selector.register(complain, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    if key.fileobj is ask:
                        try:
                            unsent = unsent[os.write(key.fd, unsent[:_CHUNK]) :]
                        except BrokenPipeError:
                            unsent = unsent[len(unsent) :]
                        if not unsent:
                            selector.unregister(ask)
                        continue
                    data = os.read(key.fd, _CHUNK)
                    if not data:
                        selector.unregister(key.fileobj)
                    if key.fileobj is complain:
                        self._keep_stderr(data)
                    elif not data:
                        raise WorkerError(self._how_it_ended())
                    elif (message := self._inbox.feed(data)) is not None:
                        return message
        raise WorkerError(f"no answer within {timeout_s:g} s; it was killed")

    def _keep_stderr(self, data: bytes) -> None:
        self._complaints += data
        del self._complaints[:-_LAST_BYTES]

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "it closed its output"
        return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with status {code}"

    def _last_lines(self) -> str:
        """Return the last lines of standard error, on one line."""
        assert self._process.stderr is not None
        try:
            while data := self._process.stderr.read(_CHUNK):
                self._keep_stderr(data)
        except OSError:
            pass
        lines = [line.strip() for line in self._complaints.decode(errors="replace").splitlines() if line.strip()]
        return f"; its last output: {' | '.join(lines[-3:])}" if lines else ""

    def close(self, wait_s: float = 2.0) -> None:
        """Let it end by itself, then make it end."""
        if self._open:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(wait_s)
            except subprocess.TimeoutExpired:
                pass
            self._end()

    def _end(self) -> None:
        """End the whole session, the child before the rest: Python's resource tracker, which ignores SIGTERM, frees
        shared memory once all others have ended.
        """
        self._open = False
        child, session = self._process.send_signal, functools.partial(os.killpg, self._process.pid)
        stages = ((session, signal.SIGTERM, 1.0), (child, signal.SIGKILL, 2.0), (session, signal.SIGKILL, 5.0))
        for send, number, wait_s in stages:
            try:
                send(number)
                session(signal.SIGCONT)  # a process that was stopped does not see SIGTERM before
            except ProcessLookupError:
                break
            until = time.monotonic() + wait_s
            while self._session_lives() and time.monotonic() < until:
                time.sleep(0.01)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()

    def _session_lives(self) -> bool:
        self._process.poll()
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True
