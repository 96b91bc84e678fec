# SPDX-License-Identifier: Apache-2.0
"""The main loop of a worker, in the other interpreter: requests on standard input, answers on standard output.

Requests are messages of :mod:`.wire`, each answered by one:

- ``{"open": network, "options": {...}}``: build it; the answer has the ``versions`` of the simulator's packages.
- ``{"run": {"indptr", "ids"}, "state": bool}``: advance; the answer has ``spikes``, one ``{"indptr", "ids"}`` a
  population, ``stamps_ns`` (when each step was done, monotonic clock) and, if requested, ``u`` and ``v``.
- ``{"reset": true}``.

``{"refused": text}`` reports a feature that the simulator lacks, ``{"failed": text}`` an error in it.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import Any

from . import wire

#: Seconds that a simulator has to end its own processes after the last request.
GRACE_S = 3.0
_PR_SET_PDEATHSIG = 1


class Refusal(Exception):
    """The simulator cannot run this network, or not in this way."""


def _listen(requests: queue.SimpleQueue) -> None:
    """Requests into the queue. The end of standard input is that of the parent: nothing may outlive it."""
    inbox = wire.Inbox()
    try:
        while data := os.read(0, 1 << 16):
            message = inbox.feed(data)
            if message is not None:
                requests.put(message)
    finally:
        requests.put(None)
        time.sleep(GRACE_S)
        os.killpg(0, signal.SIGTERM)  # not KILL: that would leave shared memory behind


def _end_forks_with_parent() -> None:
    """Let processes that a simulator forks end when the process that forks them does, however it does."""
    parent = os.getpid()

    def remember() -> None:
        nonlocal parent
        parent = os.getpid()

    def end_with_parent() -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before
            os._exit(0)

    os.register_at_fork(before=remember, after_in_child=end_with_parent)


def _answer(simulator: Any, request: dict) -> tuple[Any, dict]:
    try:
        if "open" in request:
            simulator = simulator.open(request["open"], **request["options"])
            return simulator, {"versions": simulator.versions}
        if "run" in request:
            spikes = request["run"]
            return simulator, simulator.run(spikes["indptr"], spikes["ids"], request["state"])
        simulator.reset()
        return simulator, {}
    except Refusal as error:
        return simulator, {"refused": str(error)}
    except Exception as error:
        traceback.print_exc()
        return simulator, {"failed": f"{type(error).__name__}: {error}"}


def main(kind: str) -> None:
    """Serve a simulator, the ``Simulator`` of the module of this name, until standard input ends."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what a simulator prints must not get in between the answers
    sys.stdout = sys.stderr
    _end_forks_with_parent()
    requests: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    simulator = importlib.import_module(f"{__package__}.{kind}").Simulator
    while (request := requests.get()) is not None:
        simulator, answer = _answer(simulator, request)
        data = wire.pack(answer)
        while data:
            data = data[os.write(answers, data) :]
    if not isinstance(simulator, type):
        simulator.close()
    os._exit(0)
