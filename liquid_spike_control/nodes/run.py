# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike run``: a run with progress, table, plot and JSON, over ROS 2 or in one process."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LiquidSpikeError
from ..records.mcap_file import check_whole
from ..terminal import Console
from . import graph
from .graph import GraphOptions
from .page import Page
from .progress import Progress
from .ros import require_ros, signals_held
from .scheduling import default_priority

if TYPE_CHECKING:
    from ..history import History
    from ..options import RunOptions
    from .report import Report

#: Part of the deadlines that may be missed without a remark.
MANY_MISSED = 0.01
#: How long a run lasts that people watch [s].
VIEWED_S = 600.0


def run_command(options: RunOptions) -> int:
    """Run and report; 0 if the episode was a success, 1 if not. A real robot is run until Ctrl-C.

    Raises:
        LiquidSpikeError: an option or a file is wrong, or the graph cannot be started.
    """
    graph_options = _graph_options(options)
    if options.real:
        if options.video is not None:
            raise LiquidSpikeError("--video needs the simulated scene; leave --real out")
        return _run_real(graph_options, options)
    if options.expert and not options.in_process:
        raise LiquidSpikeError("--expert sees the simulated state; add --in-process")
    if options.in_process and options.record is not None:
        raise LiquidSpikeError("--record needs topics; leave --in-process out")
    if options.in_process and options.simulator != "loihi":
        raise LiquidSpikeError(f"--simulator {options.simulator} is for the offload node; leave --in-process out")
    if options.video is not None:
        from ..video.encoding import check_encoder

        check_encoder(options.video)
    keep = options.plot is not None or options.video is not None
    posed = options.video is not None
    logs = Console(stderr=True, soft_wrap=True, highlight=False)
    progress = Progress(logs, graph_options.duration_s)
    if options.in_process:
        from .in_process import run

        with progress:
            history, report = run(graph_options, progress, keep, posed, options.port if options.view else None)
    else:
        require_ros(f"run {options.robot} without --in-process")
        history, report = _run_graph(graph_options, keep, posed, logs, progress, options)
    report.print(Console())
    if options.priority is None and not report.priority and report.missed > MANY_MISSED:
        remedy = "a real-time priority keeps other programs away, and liquid-spike doctor says how to permit one"
        logs.print(f"{100 * report.missed:.1f} % of the deadlines were missed; {remedy}")
    if options.json is not None:
        report.write_json(options.json)
    if options.plot is not None:
        from .plot import plot

        plot(history, report, options.plot)
    if options.video is not None:
        _film(graph_options, history, report, options.video, logs)
    if options.record is not None:
        check_whole(options.record)
    return 0 if report.success else 1


def _film(options: GraphOptions, history: History, report: Report, path: Path, logs: Console) -> None:
    from ..video.film import film

    title = f"{report.robot}, seed {report.seed}: {report.outcome}"
    film(history, path, title, options.seed, options.duration_s, options.settings, logs)


def _run_real(options: GraphOptions, given: RunOptions) -> int:
    require_ros("run --real")
    with ExitStack() as closing:
        if given.view:
            closing.enter_context(_page(given))
        return _attend(graph.describe(options), options.record, options.wait_s)


def _page(options: RunOptions) -> Page:
    arguments = ["--namespace", options.namespace, "--port", str(options.port)]
    if options.perception_model is not None:
        arguments += ["--perception-model", str(options.perception_model)]
    return Page([*arguments, options.robot, "--real"] if options.real else arguments)


def _attend(specs: tuple[graph.NodeSpec, ...], record: Path | None, wait_s: float) -> int:
    logs = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        with _supervisors().Supervisor(specs, logs, wait_s) as supervisor:
            logs.print(f"running {', '.join(spec.name for spec in specs)}; Ctrl-C takes them down", style="bold")
            supervisor.attend()
    except KeyboardInterrupt:
        if record is not None:
            check_whole(record)
        raise
    return 0


def _supervisors():
    """The module, imported while Ctrl-C waits.

    Raises:
        LiquidSpikeError: ROS 2 is not installed.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    with signals_held():
        from . import supervisor
    return supervisor


def _run_graph(options: GraphOptions, keep: bool, posed: bool, logs: Console, progress: Progress, given: RunOptions):
    page = _page(given) if given.view else None
    with _supervisors().EpisodeSupervisor(options, keep, logs, posed, page) as supervisor:
        with progress:
            supervisor.run(progress)
        return supervisor.monitor.history, supervisor.monitor.report()


def _interrupt(_signum, _frame) -> None:
    raise KeyboardInterrupt


def _graph_options(options: RunOptions) -> GraphOptions:
    try:
        settings = graph.settings_of(",".join(options.set))
    except ValueError as error:
        raise LiquidSpikeError(f"--set {error}; give name=value, e.g. push=0.02") from None
    duration_s = options.duration or (VIEWED_S if options.view and not options.real else None)
    priority = default_priority(options.mode) if options.priority is None else options.priority
    return GraphOptions(
        robot=options.robot, simulated=not options.real, seed=options.seed, duration_s=duration_s,
        settings=settings, mode=options.mode, backend=options.backend, simulator=options.simulator,
        perception_model=options.perception_model, controller_model=options.controller_model, record=options.record,
        priority=priority, params=options.params, namespace=options.namespace, wait_s=options.wait,
        expert=options.expert, rewards=options.rewards, learnt=options.learnt,
    )  # fmt: skip
