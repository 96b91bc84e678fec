# SPDX-License-Identifier: Apache-2.0
"""How many events a second the perception takes from a 1280 x 720 camera.

Packets of 1 ms as metavision_driver sends them (evt3 on the sensor's clock), events at random, windows of 5 ms, a
network of 2,560 axons (a column and polarity each) and 256 neurons.

- In process, one core: packet to estimate, as the node does it.
- Over topics: this process publishes in real time, best effort, and the perception node in a process of its own
  answers. Latency is from the publication of the packet that ends a window until the estimate is heard here. On a
  machine that does other work, give both processes a SCHED_RR priority.

Run: ``python test/benchmarks/perception_rate.py [seconds [priority]]``
"""

from __future__ import annotations

import array
import gc
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from liquid_spike_control.assembly import new_backend
from liquid_spike_control.events.codec import encode
from liquid_spike_control.events.stream import EventStream
from liquid_spike_control.events.windows import Windows
from liquid_spike_control.perception import Perception
from liquid_spike_control.spiking.graph import CubaPopulation, Linear, SpikingGraph
from liquid_spike_control.spiking.nir_io import read_perception_model, write_perception_model
from liquid_spike_control.spiking.readout import Readout
from liquid_spike_control.types import EVENT

WIDTH, HEIGHT, N_NEURONS = 1280, 720, 256
PACKET_NS, WINDOW_NS = 1_000_000, 5_000_000
START_NS = 123_000_000
NAMES, UNITS = ["pole_angle", "pole_rate"], ["rad", "rad/s"]


def write_model(path: Path) -> None:
    """A neuron takes ten columns of one polarity."""
    rng, n_axons = np.random.default_rng(0), 2 * WIDTH
    weight = np.zeros((N_NEURONS, n_axons))
    weight[np.arange(n_axons) * N_NEURONS // n_axons, np.arange(n_axons)] = 0.05
    fields = [np.full(N_NEURONS, value) for value in (0.5, 0.2, 1.0, 0.0)]
    graph = SpikingGraph(
        n_axons, {"columns": CubaPopulation(*fields)}, [Linear("input", "columns", weight)], ("columns",)
    )
    readout = Readout(rng.normal(0, 0.01, (2, N_NEURONS)), 0.05, np.eye(2))
    metadata = {
        "input_encoding": {"width": WIDTH, "height": HEIGHT, "row_group": HEIGHT}, "feature_names": NAMES,
        "feature_units": UNITS,
    }  # fmt: skip
    write_perception_model(path, graph, readout, metadata, 0.001)


def packets(rate: float, n: int) -> list[bytes]:
    """``n`` packets of events at random, on the sensor's clock."""
    rng, made = np.random.default_rng(1), []
    for k in range(n):
        events = np.zeros(round(rate * PACKET_NS * 1e-9), EVENT)
        events["t"] = START_NS + k * PACKET_NS + np.sort(rng.integers(0, PACKET_NS // 1000, len(events))) * 1000
        events["t"][0] = START_NS + k * PACKET_NS
        events["x"], events["y"] = rng.integers(0, WIDTH, len(events)), rng.integers(0, HEIGHT, len(events))
        events["p"] = rng.integers(0, 2, len(events))
        made.append(encode(events, "evt3", 0))
    return made


def in_process(model, rate: float) -> str:
    perception, backend = Perception(model), new_backend(model)
    made = packets(rate, 500)
    best = np.inf
    for _ in range(5):
        stream, windows, n = EventStream(sensor_clock=True), Windows(WINDOW_NS), 0
        windows.reset(START_NS)
        perception.reset(START_NS)
        began = time.thread_time()  # of this thread alone, whatever else the machine does
        for k, data in enumerate(made):
            packet = SimpleNamespace(
                events=data, encoding="evt3", time_base=0, width=WIDTH, height=HEIGHT, is_bigendian=False
            )
            events = stream.read(packet, START_NS + k * PACKET_NS)
            n += len(events)
            if (window := windows.add(events, stream.latest_ns)) is not None:
                perception.step(*window, backend)
        best = min(best, time.thread_time() - began)
    assert not any(stream.decoder.dropped.values())
    speed = n / best
    return f"in process  {rate / 1e6:5.1f} Mev/s for 0.5 s: {best:.3f} s, so {speed / 1e6:.1f} Mev/s on one core"


def over_topics(path: Path, rate: float, seconds: float, priority: int) -> str:
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from event_camera_msgs.msg import EventPacket
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState
    from rclpy.node import Node
    from rclpy.qos import QoSProfile, QoSReliabilityPolicy
    from sensor_msgs.msg import JointState

    from liquid_spike_control.nodes import graph

    os.environ.update(graph.environment())
    from liquid_spike_control.nodes.diagnostics import read_status
    from liquid_spike_control.nodes.process import new_executor

    said = {
        "mode": "realtime", "priority": priority, "live_inputs": False,
        "perception_model": path, "backend": "in_process", "event_clock": "sensor",
        "window_s": WINDOW_NS * 1e-9,
        "camera_width": WIDTH, "camera_height": HEIGHT,
        "estimate_names": str(NAMES).replace("'", '"'), "estimate_units": str(UNITS).replace("'", '"'),
        f"qos_overrides.{graph.EVENTS}.subscription.depth": 1000,
        f"qos_overrides.{graph.EVENTS}.subscription.reliability": "best_effort",
    }  # fmt: skip
    arguments = [text for key, value in said.items() for text in ("-p", f"perception:{key}:={value}")]
    made = packets(rate, round(seconds * 1e9 / PACKET_NS))
    module = "liquid_spike_control.nodes.perception"
    child = subprocess.Popen([sys.executable, "-m", module, "--ros-args", *arguments])
    rclpy.init()
    node, executor = Node("camera"), new_executor()
    executor.add_node(node)
    try:
        late, published, status = [], [], {}
        qos = QoSProfile(depth=1000, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        publisher = node.create_publisher(EventPacket, graph.EVENTS, qos)

        def on_estimate(message: JointState) -> None:
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            late.append((time.time_ns(), stamp))

        node.create_subscription(JointState, graph.ESTIMATE, on_estimate, 1000)
        node.create_subscription(DiagnosticArray, graph.DIAGNOSTICS, lambda m: status.update(read_status(m)), 100)
        client = node.create_client(ChangeState, "/perception/change_state")
        assert client.wait_for_service(60)
        future = client.call_async(ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE)))
        while not future.done() or not publisher.get_subscription_count():
            executor.spin_once(timeout_sec=0.01)
        assert future.result().success
        future = client.call_async(ChangeState.Request(transition=Transition(id=Transition.TRANSITION_ACTIVATE)))
        while not future.done():
            executor.spin_once(timeout_sec=0.01)
        assert future.result().success
        messages = []
        for k, data in enumerate(made):
            data = array.array("B", data)
            messages.append(EventPacket(encoding="evt3", width=WIDTH, height=HEIGHT, seq=k, events=data))
        if priority:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
        gc.collect()
        gc.freeze()  # thousands of messages: a collection between two would hold up the camera
        gc.disable()
        before, began, slow = _cpu_s(child.pid), time.time_ns() + 10_000_000, 0
        for k, message in enumerate(messages):
            stamp = began + k * PACKET_NS
            message.header.stamp.sec, message.header.stamp.nanosec = stamp // 10**9, stamp % 10**9
            # A driver sends when the millisecond is over. Sleep until then: Linux takes the processor for 50 ms of each
            # second from a SCHED_RR thread that does not.
            while (rest := stamp + PACKET_NS - time.time_ns()) > 0:
                executor.spin_once(timeout_sec=0) if rest > 600_000 else time.sleep(rest * 1e-9)
            slow += -rest > PACKET_NS
            published.append(time.time_ns())
            publisher.publish(message)
        gc.enable()
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        busy = (_cpu_s(child.pid) - before) / (time.time_ns() - began) * 1e11
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            executor.spin_once(timeout_sec=0.01)
        told = status.get("perception", {})
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()
        child.terminate()
        child.wait(10)
    sent, events = sum(rate * PACKET_NS * 1e-9 for _ in made), float(told.get("events", 0))
    ends = [min(max(-(-(stamp - began) // PACKET_NS), 0), len(published) - 1) for _, stamp in late]
    waits = [(heard - published[k]) * 1e-6 for (heard, _), k in zip(late, ends, strict=True)]
    p50, p99 = np.percentile(waits[len(waits) // 10 :], (50, 99)) if waits else (np.nan, np.nan)
    shed = float(told.get("shed", 0))
    return (
        f"over topics {rate / 1e6:5.1f} Mev/s for {seconds:g} s: {100 * (events - shed) / sent:.2f} % perceived, "
        f"{told.get('lost')} packets lost, {told.get('too_old', 0)} too old, {100 * shed / sent:.2f} % of events shed, "
        f"{len(late)} estimates, latency p50 {p50:.2f} ms, p99 {p99:.2f} ms, "
        f"{busy:.0f} % of a core ({slow} packets sent late)"
    )


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    priority = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.nir"
        write_model(path)
        model = read_perception_model(path)
        os.sched_setaffinity(0, {min(cores)})
        for rate in (1e6, 5e6, 10e6, 20e6):
            print(in_process(model, rate), flush=True)
        os.sched_setaffinity(0, cores)
        for rate in (1e6, 5e6, 10e6, 20e6):
            print(over_topics(path, rate, seconds, priority), flush=True)


if __name__ == "__main__":
    main()
