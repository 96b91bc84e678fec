# SPDX-License-Identifier: Apache-2.0
"""Starts a graph without the launch package: one process a node, logs with the node's name, up and down in
order.

No child outlives this process: each asks the kernel for SIGTERM at its parent's death and looks at its
parent's pid besides (``process.run``), and :meth:`Processes.stop` ends with SIGKILL.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import ExitStack

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.text import Text

from ..errors import GraphError
from .bringup import Bringup
from .graph import GraphOptions, NodeSpec, describe, domain_id, environment, params_file
from .monitor import Monitor
from .process import PARENT, Claim, new_executor

#: Between two looks at the graph [s]; the nodes need the cores more.
PERIOD_S = 0.2
#: From the first signal to SIGKILL [s].
STOP_S = 2.5
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
        self._up = threading.Event()
        self._readers: list[threading.Thread] = []
        self.children: dict[str, subprocess.Popen] = {}

    def start(self, specs: tuple[NodeSpec, ...], options: GraphOptions) -> None:
        """Start a process for each node."""
        env = environment() | {PARENT: str(os.getpid())}
        file = params_file(options)
        for spec, colour in zip(specs, COLOURS * 2, strict=False):
            child = subprocess.Popen(
                [sys.executable, "-m", spec.module, *spec.arguments(file)],
                env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace",
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends them in order
            )  # fmt: skip
            self.children[spec.name] = child
            reader = threading.Thread(target=self._read, args=(spec.name, colour, child.stdout), daemon=True)
            reader.start()
            self._readers.append(reader)

    def _read(self, name: str, colour: str, lines) -> None:
        for line in lines:
            line = line.rstrip()
            if line.startswith("[ERROR] "):
                self._errors.setdefault(name, line.removeprefix("[ERROR] "))
                continue  # told once, at the end, by why()
            # until all are up, so that a refusal is one line
            if not self._up.is_set():
                self._held.append((name, colour, line))
            else:
                self._print(name, colour, line)

    def release(self) -> None:
        """Print the lines so far, and from now on at once."""
        self._up.set()
        while self._held:
            self._print(*self._held.popleft())

    def _print(self, name: str, colour: str, line: str) -> None:
        self._console.print(Text.assemble((f"{name:>12} ", colour), line))

    def why(self, failure: str) -> str:
        """The failure, or what the node itself said of it where it said something."""
        time.sleep(0.1)  # for the line to come through the pipe
        for name in (failure.split()[0].rstrip(":"), *self._errors):
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
        deadline = time.monotonic() + STOP_S
        for child in self.children.values():
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for reader in self._readers:
            reader.join(1.0)


class Supervisor:
    """Runs a graph from start to end; a context manager that leaves nothing behind.

    Args:
        options: of the graph.
        keep: also keep events and output spikes, for a plot.
        console: for logs.

    Raises:
        GraphError: the domain is in use, or a node refuses; the message says why.
    """

    def __init__(self, options: GraphOptions, keep: bool, console: Console) -> None:
        env = environment()
        self._closing = ExitStack()
        self._closing.callback(Claim(domain_id(env), "run").close)
        os.environ.update(env)
        self._options, self._keep, self._console = options, keep, console
        self._specs = describe(options)

    def __enter__(self) -> Supervisor:
        self._processes = Processes(self._console)
        self._closing.callback(self._processes.stop)
        try:
            self._processes.start(self._specs, self._options)
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _connect(self) -> None:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._closing.callback(rclpy.shutdown)
        self._node = Node("liquid_spike_supervisor", enable_rosout=False, start_parameter_services=False)
        self._closing.callback(self._node.destroy_node)
        self._executor = new_executor()
        self._executor.add_node(self._node)
        self.monitor = Monitor(self._options, self._keep)
        self._closing.callback(self.monitor.close)
        names = [spec.name for spec in self._specs]
        self._bringup = Bringup(self._node, self._executor, names, self._check)
        starting = "starting the nodes (the first time kernels are compiled, a minute)"
        try:
            with self._console.status(starting):
                self._bringup.up(self.monitor.matched)
            self._processes.release()
        except GraphError as error:
            raise GraphError(self._processes.why(str(error))) from None
        os.nice(5)  # watching must not delay what is watched

    def _check(self) -> None:
        self._processes.check()
        names = self._node.get_node_names()
        for spec in self._specs:
            if names.count(spec.name) > 1:
                raise GraphError(
                    f"another /{spec.name} is on this ROS domain; set ROS_DOMAIN_ID to another number"
                )

    def run(self, progress) -> None:
        """Watch until the episode is over.

        Raises:
            GraphError: a node ended, or did not answer in lock-step.
        """
        while not self.monitor.finished:
            time.sleep(PERIOD_S)
            self.monitor.poll()
            progress.show(self.monitor.history, self.monitor.number("simulator", "events_hz"))
            try:
                self._processes.check()
            except GraphError as error:
                raise GraphError(self._processes.why(str(error))) from None
        if self.monitor.silent:
            raise GraphError(self._processes.why("simulator: lock-step came to a halt"))
        self._bringup.down()  # every node tells its last diagnostics
        self.monitor.poll()

    def __exit__(self, *_) -> None:
        # a second Ctrl-C must not leave half of it running
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._closing.close()
        finally:
            signal.signal(signal.SIGINT, interrupt)
