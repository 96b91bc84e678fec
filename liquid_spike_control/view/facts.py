# SPDX-License-Identifier: Apache-2.0
"""The facts that a page shows of a graph, from what its nodes report of themselves."""

from __future__ import annotations

from collections.abc import Mapping

from ..control.gate import Verdict
from ..robot import Robot
from .sample import Facts

#: What the gate counts.
VERDICTS = (*(verdict.name.lower() for verdict in Verdict), "watchdog")


def facts_of(status: Mapping[str, Mapping[str, str]], robot: Robot, seed: int = 0) -> Facts:
    """The facts of a graph.

    Args:
        status: of each node, see :func:`..statuses.read_status`; another program's values need not be numbers.
        robot: of the graph.
        seed: of the episode, where the simulator has not reported it.
    """
    simulator, gate = status.get("simulator", {}), status.get("gate", {})
    finished = simulator.get("finished") == "True"
    outcome = robot.success if simulator.get("success") == "True" else robot.failure
    numbers = {}
    for node, values in status.items():
        for key, value in values.items():
            if key.endswith("_us_p50") and key.startswith(("sensing", "work")):
                name = key.removesuffix("_us_p50")
                p50, p99 = _ms(value), _ms(values.get(f"{name}_us_p99", ""))
                numbers[f"{node}: {name.rpartition('/')[2]}"] = f"{p50} ms p50, {p99} ms p99"
        if values.get("message", "ok") != "ok":
            numbers[node] = values["message"]
    for key in ("deadline_misses", "real_time_factor"):
        if key in simulator:
            numbers[key.replace("_", " ")] = simulator[key]
    verdicts = [f"{k.replace('_', ' ')} {gate[k]}" for k in VERDICTS if k in gate]
    numbers |= {"gate's verdicts": ", ".join(verdicts)} if verdicts else {}
    given = simulator.get("seed", "")
    return Facts(
        int(given) if given.isdecimal() and len(given) < 20 else seed, simulator.get("paused") == "True",
        gate.get("e_stop_pressed") == "True", outcome if finished else "", numbers,
    )  # fmt: skip


def _ms(microseconds: str) -> str:
    try:
        return f"{float(microseconds) / 1e3:.2f}"
    except ValueError:
        return "?"
