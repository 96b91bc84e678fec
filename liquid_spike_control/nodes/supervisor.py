# SPDX-License-Identifier: Apache-2.0
"""Runs a graph without the launch package: its processes, up in order, watched, and down in reverse."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ..errors import GraphError
from ..terminal import Console
from ..view.link import OPEN_S
from .bringup import ACTIVATE_TIMEOUT_S, Bringup
from .graph import ENCLAVE, GraphOptions, NodeSpec, describe, domain_id, environment
from .heartbeat import Heartbeat
from .interrupts import Interrupts
from .monitor import Monitor
from .page import Page
from .process import Claim, new_executor
from .processes import STOP_S, Processes

#: Between two looks at the graph [s]; the nodes need the cores more.
PERIOD_S = 0.2
#: The same where a robot waits for a node that must come back [s].
WATCH_S = 0.05


class Supervisor:
    """Runs a graph from start to end; a context manager that leaves nothing behind.

    Args:
        specs: of the nodes, in the order of activation.
        console: for logs.
        wait_s: how long activation waits for the robot [s].

    Raises:
        GraphError: the domain is in use, or a node refuses; the message has the reason.
    """

    def __init__(
        self, specs: tuple[NodeSpec, ...], console: Console, wait_s: float = 0.0
    ) -> None:
        env = environment()
        self._closing = ExitStack()
        self._namespace, self._wait_s = f"/{specs[0].namespace}", wait_s
        self._closing.callback(Claim(domain_id(env), f"{self._namespace}/run".lstrip("/")).close)
        os.environ.update(env)
        self._specs, self._console = specs, console
        self._running = False

    def __enter__(self):
        self._interrupts = self._closing.enter_context(Interrupts())
        self._processes = Processes(self._console)
        self._closing.callback(self._processes.stop)
        try:
            self._processes.start(self._specs)
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _connect(self) -> None:
        namespace = () if self._namespace == "/" else ("-r", f"__ns:={self._namespace}")
        rclpy.init(args=[*ENCLAVE, *namespace], signal_handler_options=SignalHandlerOptions.NO)
        self._closing.callback(rclpy.shutdown)
        self._node = Node("liquid_spike_supervisor", enable_rosout=False, start_parameter_services=False)
        self._closing.callback(self._node.destroy_node)
        self._executor = new_executor()
        self._executor.add_node(self._node)
        self._attend()
        names = [spec.name for spec in self._specs]
        self._bringup = Bringup(self._node, self._executor, names, self._check, self._report)
        self._pulse = Heartbeat(self._node, names)
        starting = "starting the nodes (the first time kernels are compiled, a minute)"
        try:
            with self._console.status(starting) as self._status:
                self._bringup.up(self._attended, self._wait_s, ACTIVATE_TIMEOUT_S + OPEN_S)
            self._processes.release()
            self._running = True
        except GraphError as error:
            self._bringup.down()  # those that are active already
            raise GraphError(self._processes.why(str(error))) from None

    def _report(self, failure: str) -> None:
        """Show why the graph is not up yet."""
        why, what_next = self._processes.why(failure), failure.partition("; ")[2]
        self._console.print(failure if why == failure else f"{why} ({what_next})", style="bold", highlight=False)

    def _attend(self) -> None:
        """Begin to watch the topics, before the nodes publish."""

    def _attended(self) -> bool:
        """Whether all watched topics are found."""
        return True

    def _check(self) -> None:
        self._interrupts.check()
        self._processes.check()
        if self._running:
            return
        found = self._node.get_node_names_and_namespaces()
        names = [name for name, namespace in found if namespace == self._namespace]
        for spec in self._specs:
            if names.count(spec.name) > 1:
                raise GraphError(
                    f"another /{spec.name} is on this ROS domain; set ROS_DOMAIN_ID to another number"
                )

    def attend(self) -> None:
        """Keep the graph up until Ctrl-C: a node that fails, ends or hangs is brought up again, and meanwhile the gate
        sends the safe command; then take it down in reverse.

        Raises:
            GraphError: a node fails again and again, or refuses.
        """
        try:
            while True:
                time.sleep(WATCH_S)
                self._interrupts.check()
                self._bring_back()
        except GraphError as error:
            raise GraphError(self._processes.why(str(error))) from None
        finally:
            self._bringup.down()

    def _bring_back(self) -> None:
        name = self._bringup.failed()
        for hung in self._pulse.hung():
            self._pulse.forget(hung)
            self._processes.children[hung].kill()
            self._processes.children[hung].wait(STOP_S)
        for spec in self._specs:
            if self._processes.children[spec.name].poll() is not None:
                self._processes.start((spec,))
                name = spec.name
        if name is not None:
            self._console.print(f"{name} failed; it is brought up again", style="bold")
            self._bringup.again(name)

    def __exit__(self, *_) -> None:
        self._closing.close()  # a second Ctrl-C is only noted, and leaves nothing running


class EpisodeSupervisor(Supervisor):
    """Runs a simulated robot's graph for one episode, and watches it.

    Args:
        options: of the graph.
        keep: also keep events and output spikes, for a plot or a video.
        console: for logs.
        posed: also keep poses, for a video.
        page: started with the nodes, ended with them; the robot begins when it is opened, or when its time is over.
    """

    def __init__(
        self, options: GraphOptions, keep: bool, console: Console, posed: bool = False, page: Page | None = None
    ) -> None:
        super().__init__(describe(options), console)
        self._options, self._keep, self._posed, self._page = options, keep, posed, page

    def _attend(self) -> None:
        self.monitor = Monitor(self._options, self._keep, self._posed)
        self._closing.callback(self.monitor.close)
        if self._page is not None:
            self._closing.enter_context(self._page)

    def _attended(self) -> bool:
        if not self.monitor.matched():
            return False
        if self._page is None or self._page.waited_for:
            return True
        self._status.update("waiting for the page to be opened")
        return False

    def run(self, progress) -> None:
        """Watch until the episode is over.

        Raises:
            GraphError: a node ended or failed, or did not answer in lock-step.
        """
        os.nice(5)  # watching must not delay what is watched
        while not self.monitor.finished:
            time.sleep(PERIOD_S)
            self.monitor.poll()
            progress.show(self.monitor.history, self.monitor.number("simulator", "events_hz"))
            try:
                self._check()
                if (name := self._bringup.failed()) is not None:
                    raise GraphError(f"{name} failed")
            except GraphError as error:
                raise GraphError(self._processes.why(str(error))) from None
        if self.monitor.silent:
            raise GraphError(self._processes.why("simulator: lock-step came to a halt"))
        self._bringup.down()  # every node publishes its last diagnostics
        self.monitor.poll()
