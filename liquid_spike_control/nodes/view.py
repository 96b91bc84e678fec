# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike view``: a page about the graph on the ROS domain, in a process of its own."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from ..background import give_way
from ..errors import GraphError
from ..parent_death import end_with_parent
from ..robots.catalogue import robot_named
from ..view.link import announce
from . import graph
from .graph import GraphOptions, domain_id, environment
from .interrupts import Interrupts
from .page import report_opened
from .ros import require_ros, signals_held

if TYPE_CHECKING:
    from ..options import ViewOptions

#: Between two looks at the topics [s].
PERIOD_S = 0.02
#: How long the simulator may take to say what it simulates [s].
SIMULATOR_WAIT_S = 90.0


def view_command(options: ViewOptions) -> int:
    """Serve the page until Ctrl-C.

    Raises:
        LiquidSpikeError: there is no graph on the domain, no such robot, or a model or the scene does not fit.
    """
    if options.source:
        robot_named(options.source)  # what is no robot need not wait for a graph
    require_ros("view")
    os.environ.update(environment())
    domain = domain_id(dict(os.environ))
    if parent := os.environ.get(graph.PARENT):
        end_with_parent(int(parent))
    with signals_held():
        from . import watcher as view
    with Interrupts() as interrupts, view.joined(options.namespace) as node:
        simulated = not options.real
        asked: dict[str, Any] = {"robot": options.source, "settings": "{}", "duration_s": 0.0}
        if simulated:
            asked |= _asked(node, view, interrupts, domain)
        elif not options.source:
            raise GraphError("view --real needs the robot: its name, its folder or its yaml file")
        duration_s = float(asked["duration_s"]) or None
        graph_options = GraphOptions(
            robot=options.source or asked["robot"], simulated=simulated, mode="realtime", namespace=options.namespace,
            settings=json.loads(asked["settings"]), duration_s=duration_s, perception_model=options.perception_model,
        )  # fmt: skip
        with view.Watcher(node, graph_options, options.port) as watcher:
            announce(watcher.page.link, waits=simulated and graph.OPENED in os.environ)
            give_way()
            while not interrupts.came:
                time.sleep(PERIOD_S)
                if watcher.page.opened_pages:
                    report_opened()
                watcher.poll()
    return 0


def _asked(node: Any, view: Any, interrupts: Interrupts, domain: int) -> dict[str, Any]:
    """What the simulator of the graph simulates.

    Raises:
        GraphError: there is none.
    """
    end = time.monotonic() + SIMULATOR_WAIT_S
    while time.monotonic() < end:
        interrupts.check()
        found = view.parameters(node, graph.relative("/simulator"), ("robot", "settings", "duration_s"))
        if found is not None and found["robot"]:
            return found
    raise GraphError(
        f"no /simulator on ROS domain {domain}; run a robot first, or give view --real ROBOT for one that is none"
    )
