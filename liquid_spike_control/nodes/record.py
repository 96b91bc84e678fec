# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike record``: record the graph on the ROS domain into one MCAP file, with live figures."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table

from ..terminal import Console
from .graph import domain_id, environment
from .interrupts import Interrupts
from .ros import require_ros

if TYPE_CHECKING:
    from ..options import RecordOptions
    from .recording import Recording

#: Between two looks at what has come [s].
PERIOD_S = 0.1
#: Between two drawings of the figures [s].
DRAW_S = 0.5


def record_command(options: RecordOptions) -> int:
    """Record until Ctrl-C, SIGTERM or the end of the duration; 0 if there was anything to record, otherwise 1.

    Raises:
        LiquidSpikeError: the file exists or cannot be written, or the duration or the domain is invalid.
    """
    require_ros("record")
    os.environ.update(environment())
    domain = domain_id(dict(os.environ))
    with Interrupts() as interrupts:
        recording = _record(options, domain, interrupts)
    _summary(Console(), recording, options)
    return 0 if recording.counts else 1


def _record(options: RecordOptions, domain: int, interrupts: Interrupts) -> Recording:
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.signals import SignalHandlerOptions

    from .recording import Recording

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node("liquid_spike_record", enable_rosout=False)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    console = Console(stderr=True, highlight=False)
    console.print(f"recording ROS domain {domain} into {options.out}; Ctrl-C ends")
    try:
        recording = Recording(options.out, node, discover=set(options.topics))
        began = time.monotonic()
        with _Figures(console, recording) as figures:
            while not interrupts.came and (options.duration is None or time.monotonic() - began < options.duration):
                executor.spin_once(timeout_sec=PERIOD_S)
                recording.look()
                recording.poll()
                figures.show(time.monotonic() - began)
        recording.close()
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()
    return recording


class _Figures:
    """Messages and rate of every topic, drawn where the console is a terminal."""

    def __init__(self, console: Console, recording: Recording) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._recording = recording
        self._drawn = 0.0
        self._before: dict[str, int] = {}

    def __enter__(self) -> _Figures:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_) -> None:
        if self._live:
            self._live.stop()

    def show(self, elapsed_s: float) -> None:
        """Draw, at most every :data:`DRAW_S`."""
        if self._live is None or elapsed_s - self._drawn < DRAW_S:
            return
        seconds = elapsed_s - self._drawn
        counts = self._recording.counts
        table = Table(title=f"{elapsed_s:.0f} s, {self._recording.file.size / 1e6:.1f} MB", box=None)
        table.add_column("topic")
        table.add_column("messages", justify="right")
        table.add_column("1/s", justify="right")
        for topic in sorted(counts):
            rate = (counts[topic] - self._before.get(topic, 0)) / seconds
            table.add_row(topic, str(counts[topic]), f"{rate:.0f}")
        self._live.update(table, refresh=True)
        self._drawn, self._before = elapsed_s, dict(counts)


def _summary(console: Console, recording: Recording, options: RecordOptions) -> None:
    size = options.out.stat().st_size
    console.print(
        f"{options.out}: {recording.counts.total()} messages on {len(recording.counts)} topics, {size / 1e6:.1f} MB",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    for name, digest in sorted(recording.description.models.items()):
        console.print(f"{name} {digest[:16]}", highlight=False)
    for topic, kind in sorted(recording.skipped.items()):
        console.print(f"{topic} was not recorded: the definition of {kind} is not installed", highlight=False)
    for topic in sorted(set(options.topics) - set(recording.counts)):
        console.print(f"no message on {topic}", highlight=False)
