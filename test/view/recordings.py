# SPDX-License-Identifier: Apache-2.0
"""Bags of whole runs of the pencil, and what was in the run: what a page of the bag must show. No ROS."""

import sys
from dataclasses import replace
from functools import cache

import numpy as np
from sources import ROOT

sys.path.insert(0, str(ROOT / "test/records"))
from bags import (
    ROBOT,
    SECOND,
    TOPICS,
    Message,
    described,
    header,
    packet,
    quantities_message,
    robot_message,
    store,
    write,
)

from liquid_spike_control.assembly import new_backend, read_robot_controller, read_robot_perception
from liquid_spike_control.events.codec import encode_spikes
from liquid_spike_control.history import History, KeepingEstimator
from liquid_spike_control.loop import Loop, SpikingEstimator
from liquid_spike_control.mcap import EVENT_PACKET
from liquid_spike_control.perception import Perception
from liquid_spike_control.robot import names
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.sim.world import World
from liquid_spike_control.types import Quantities, SpikeTrain

__all__ = [
    "DESCRIPTION", "LATENCY_US", "SEED", "TOPICS", "Message", "described", "quantities_message", "recorded", "without",
    "write",
]  # fmt: skip

#: The gate of these runs lets less through than the robot's, so that it has something to clip [N].
MOST = 3.0
SEED = 3
DESCRIPTION = described()
DESCRIPTION["nodes"] |= {
    "/gate": {"mode": "lockstep", "lower": [-MOST], "upper": [MOST]},
    "/simulator": {"robot": str(ROBOT.source), "seed": SEED, "duration_s": 5.0, "settings": "{}"},
}
#: From the publication of what was sensed to that of the gated command [us].
LATENCY_US = 700.0
_KNOWN = (*names(ROBOT.seen), *names(ROBOT.estimates))


def _spikes(spikes: SpikeTrain, stamp_ns: int, start_ns: int, network: str):
    stamped = header(stamp_ns)
    stamped.frame_id = network[:16]
    return store().types[EVENT_PACKET](
        header=stamped, height=spikes.n_steps, width=224, seq=0, time_base=start_ns, encoding="spikes",
        is_bigendian=False, events=np.frombuffer(encode_spikes(spikes), np.uint8),
    )  # fmt: skip


def _report(at_ns: int, node: str, **values: str):
    types = store().types
    pairs = [types["diagnostic_msgs/msg/KeyValue"](key=k, value=v) for k, v in values.items()]
    status = types["diagnostic_msgs/msg/DiagnosticStatus"](
        level=0, name=f"{node}: liquid_spike_control", message="ok", hardware_id="liquid_spike_control", values=pairs
    )
    return types["diagnostic_msgs/msg/DiagnosticArray"](header=header(at_ns), status=[status])


@cache
def recorded(ticks: int) -> tuple[tuple[Message, ...], History, tuple[str, ...]]:
    """The messages of a run, its history, and the gate's verdicts."""
    model = read_robot_perception(ROBOT)
    controller = read_robot_controller(ROBOT)
    period_ns = round(ROBOT.period_s * SECOND)
    messages, verdicts, history = [], [], History(ROBOT)
    with World(task_named("pencil", duration_s=5.0)) as world, new_backend(model) as backend:
        estimator = KeepingEstimator(SpikingEstimator(Perception(model), backend), history)
        limits = ROBOT.gate_limits(controller.command_limits)
        loop = Loop(world, estimator, controller, replace(limits, lower=np.array([-MOST]), upper=np.array([MOST])))
        loop.reset(SEED, SECOND)
        for tick in range(ticks):
            sensing = loop.sensing
            stamp, truth = sensing.stamp_ns, world.truth
            pose = world.task.pose()
            decision = loop.decide(sensing)
            history.add(sensing, truth, decision, events=True)
            history.poses[stamp] = pose
            verdicts.append(decision.verdict.name.lower())
            start_ns, steps, neurons = history.spikes[-1]
            n_steps = (stamp - start_ns) // 1_000_000
            train = SpikeTrain.from_steps([neurons[steps == k] for k in range(n_steps)])
            every = np.array([*sensing.readings.values, *truth])
            told = [
                (TOPICS.truth, quantities_message(Quantities(stamp, _KNOWN, every))),
                (TOPICS.pose, quantities_message(Quantities(stamp, tuple(map(str, range(len(pose)))), pose))),
                (TOPICS.joints, robot_message(sensing.readings, ROBOT.reading_places())),
                (TOPICS.events, packet(sensing.events[0], stamp, stamp - period_ns, tick)),
                (TOPICS.spikes_out, _spikes(train, stamp, start_ns, model.hash)),
                (TOPICS.estimate, quantities_message(decision.estimate)),
                (TOPICS.command, quantities_message(Quantities(stamp, names(ROBOT.commands), decision.command))),
                (TOPICS.gated, robot_message(
                    Quantities(stamp, names(ROBOT.commands), decision.output), ROBOT.command_places())),
            ]  # fmt: skip
            if tick % 100 == 50:
                told.append((TOPICS.diagnostics, _report(stamp, "gate", accepted=str(tick))))
                told.append((TOPICS.diagnostics, _report(stamp, "simulator", seed=str(SEED), deadline_misses="7")))
            late = {TOPICS.gated: round(LATENCY_US * 1e3) + 2}  # after the readings' own place
            messages += [Message(t, stamp + late.get(t, i), content) for i, (t, content) in enumerate(told)]
            loop.advance(decision)
    return tuple(messages), history, tuple(verdicts)


def without(messages, *topics: str) -> list[Message]:
    """The messages but for those on some topics."""
    return [message for message in messages if message.topic not in topics]
