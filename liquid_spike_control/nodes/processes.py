# SPDX-License-Identifier: Apache-2.0
"""The nodes' processes: one each, their logs with the node's name, and none left behind.

They are forked from a server that has imported what they need, see :mod:`.fork_server`. No child outlives this process:
each asks the kernel for SIGTERM at its parent's death and looks at its parent's pid besides (``process.run``), and
:meth:`Processes.stop` ends with SIGKILL.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections import deque

from rich.text import Text

from ..errors import GraphError
from ..terminal import Console
from .fork_server import Child, ForkServer
from .graph import PARENT, NodeSpec, environment

#: From the first signal to SIGKILL [s].
STOP_S = 2.0
#: A line with the reason why a node ends: its own, or rclpy's with time and name.
_ERROR = re.compile(r"\[(?:ERROR|FATAL)\] (?:\[\d+\.\d+\] \[[^]]*\]: )?(.*)")
COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_red")


class Processes:
    """The processes of the nodes. Start them from the main thread: their death signal follows the thread.

    Args:
        console: where their logs go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._errors: dict[str, str] = {}
        self._held: deque[tuple[str, str, str]] = deque()
        self._colours: dict[str, str] = {}
        self._up = threading.Event()
        self._readers: list[threading.Thread] = []
        self._server: ForkServer | None = None
        self.children: dict[str, Child] = {}

    def start(self, specs: tuple[NodeSpec, ...]) -> None:
        """Start a process for each node, with the parameters of its spec; one that has ended is restarted."""
        if self._server is None or self._server.ended:
            env = environment() | {PARENT: str(os.getpid())}
            self._server = ForkServer([spec.module for spec in specs], env)
        for spec in specs:
            colour = self._colours.setdefault(spec.name, COLOURS[len(self._colours) % len(COLOURS)])
            self._errors.pop(spec.name, None)
            child = self._server.start(spec.module, spec.arguments())
            self.children[spec.name] = child
            reader = threading.Thread(target=self._read, args=(spec.name, colour, child.stdout), daemon=True)
            reader.start()
            self._readers.append(reader)

    def _read(self, name: str, colour: str, lines) -> None:
        for line in lines:
            line = line.rstrip()
            if (error := _ERROR.match(line)) is not None:
                if self._up.is_set():
                    self._errors[name] = error[1]  # the latest explains why a node ends
                else:
                    self._errors.setdefault(name, error[1])  # what follows a refusal is its consequence
            # until all are up, so that a refusal is one line, see why()
            if not self._up.is_set():
                self._held.append((name, colour, line))
            else:
                self._print(name, colour, line)

    def release(self) -> None:
        """Print the lines so far, and all later ones immediately, at any level."""
        self._up.set()
        while self._held:
            self._print(*self._held.popleft())

    def _print(self, name: str, colour: str, line: str) -> None:
        self._console.print(Text.assemble((f"{name:>12} ", colour), line))

    def why(self, failure: str) -> str:
        """Return the node's own error message, if it logged one, or else the failure."""
        time.sleep(0.1)  # for the line to come through the pipe
        named = failure.split()[0].rstrip(":")
        # before all are up, one that refuses keeps the others waiting
        for name in (named,) if self._up.is_set() else (named, *self._errors):
            if name in self._errors:
                return f"{name}: {self._errors[name]}"
        return failure

    def check(self) -> None:
        """Raise GraphError if a node has ended."""
        for name, child in self.children.items():
            if (status := child.poll()) is not None:
                how = f"by signal {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
                raise GraphError(f"{name} ended {how}")

    def stop(self) -> None:
        """SIGTERM to all, last in the chain first; SIGKILL to those that do not end in :data:`STOP_S`."""
        for child in reversed(self.children.values()):
            if child.poll() is None:
                child.terminate()
        if self._server is not None:
            self._server.close()
        deadline = time.monotonic() + STOP_S
        for child in self.children.values():
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(STOP_S)
        for reader in self._readers:
            reader.join(1.0)
