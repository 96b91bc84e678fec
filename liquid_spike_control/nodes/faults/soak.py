# SPDX-License-Identifier: Apache-2.0
"""The whole graph for a long time: deadlines and memory."""

from __future__ import annotations

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from std_srvs.srv import Trigger

from .. import graph
from ..diagnostics import read_status
from ..graph import GraphOptions, describe
from .camera import resident_mb
from .measurement import Measurement
from .rig import Rig

#: Simulated pushes that the shipped controller stands, all the time.
PUSH = 0.03
#: Between two looks at the memory [s].
SAMPLE_S = 5.0
#: Memory of the first part of the run, in which caches fill, is not fitted.
WARM_UP = 0.2
LENGTHS_S = {False: 30.0, True: 1800.0}


def soak(thorough: bool = False, priority: int = 0) -> list[Measurement]:
    """The closed loop in real time for 30 min if thorough, or 0.5: missed deadlines, and the slope of the memory."""
    return soaked(LENGTHS_S[thorough], priority)


def soaked(seconds: float, priority: int = 0) -> list[Measurement]:
    """The closed loop in real time for so long, at a real-time priority; a pole that falls is set up again, and
    counted.
    """
    specs = describe(GraphOptions(mode="realtime", settings={"push": PUSH}, duration_s=900_000.0, priority=priority))
    with Rig(specs) as rig:
        reported = rig.observer.subscribe(DiagnosticArray, graph.DIAGNOSTICS)
        memory, began, falls = [], time.monotonic(), 0
        status: dict[str, str] = {}
        while time.monotonic() - began < seconds:
            time.sleep(SAMPLE_S)
            memory.append([time.monotonic() - began, *(resident_mb(rig.pid(spec.name)) for spec in specs)])
            for received in reported:
                status = read_status(received.message).get("simulator", status)
            reported.clear()
            if status.get("finished") == "True":
                falls += 1
                rig.observer.call(Trigger, "/simulator/reset_world", Trigger.Request())
    ticks, missed = int(status["ticks"]), int(status.get("deadline_misses", 0))
    samples = np.array(memory)[int(WARM_UP * len(memory)) :]
    slopes = np.polyfit(samples[:, 0], samples[:, 1:], 1)[0] * 600
    name = f"{seconds / 60:g} min closed loop, {ticks} ticks" + (f", priority {priority}" if priority else "")
    return [
        Measurement(name, "deadlines met", 100 * missed / ticks, 0.1, "% missed"),
        Measurement(name, "memory is level", float(slopes.max()), 1.0, f"MB / 10 min, {specs[slopes.argmax()].name}"),
        Measurement(name, "the pole stands", falls, 0, "falls"),
    ]
