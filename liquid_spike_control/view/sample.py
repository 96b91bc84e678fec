# SPDX-License-Identifier: Apache-2.0
"""What a view is given of one tick, and what it asks of a run."""

from __future__ import annotations

import msgspec


class Sample(msgspec.Struct, array_like=True):
    """One tick, or what is known of it.

    Attributes:
        stamp_ns: of the sensing [ns].
        pose: see :meth:`~..tasks.mujoco_task.MujocoTask.pose`; empty where there is no simulation.
        truth: readings, setpoints and the true values of the estimates.
        estimate: of the perception.
        command, output: before and behind the gate.
        verdict: name of what the gate did, lower case.
        events: bytes of an EVENT array of the time since the last tick; several cameras side by side.
        latency_us: sensing to command.
        spikes: of a recording, bytes of float64 pairs: time [s] and neuron, since the last tick.
    """

    stamp_ns: int
    pose: list[float] = []
    truth: list[float] = []
    estimate: list[float] = []
    command: list[float] = []
    output: list[float] = []
    verdict: str = ""
    events: bytes = b""
    latency_us: float = 0.0
    spikes: bytes = b""


class Facts(msgspec.Struct):
    """What changes seldom.

    Attributes:
        seed: of the episode.
        paused, stopped: whether the world stands still, and whether the e-stop is pressed.
        outcome: of the episode when it is over.
        numbers: anything else, name to text.
        speed: of a recording that is played, seconds of it in one of the wall clock.
    """

    seed: int = 0
    paused: bool = False
    stopped: bool = False
    outcome: str = ""
    numbers: dict[str, str] = {}
    speed: float = 1.0


class Playback(msgspec.Struct, frozen=True):
    """What a page must know of a recording.

    Attributes:
        name: of the recording.
        start_ns, end_ns: stamps of its first and last tick.
        events: whether it has events.
        layers: layers whose recorded spikes its samples have, with their sizes.
        notes: what cannot be shown, and why.
    """

    name: str
    start_ns: int
    end_ns: int
    events: bool = True
    layers: dict[str, int] = {}
    notes: tuple[str, ...] = ()


class Order(msgspec.Struct):
    """What a person asks for on the page.

    Attributes:
        do: pause, go, step, push, setpoint, stop or release; seek or speed, of a recording; watch or unwatch, which the
            view itself does; open, which the view sends when its page was opened.
        body, impulse: what is pushed, and how [N s], in the world's frame.
        name, value: of a setpoint, in its unit; of a neuron that is watched, its layer and number; the time from the
            beginning that is looked up [s]; the speed.
    """

    do: str
    body: str = ""
    impulse: tuple[float, float, float] = (0.0, 0.0, 0.0)
    name: str = ""
    value: float = 0.0


#: What an order may ask for.
ORDERS = ("pause", "go", "step", "push", "setpoint", "stop", "release", "watch", "unwatch")
#: The most that a push may be [N s].
MOST_IMPULSE = 100.0
