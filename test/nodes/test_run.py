# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike run``: the whole graph in real processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from event_camera_msgs.msg import EventPacket
from processes import alive, children_of, command, models, run, started, wait_for
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool, Trigger

from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.convert import to_ns
from liquid_spike_control.nodes.ros import signals_held
from liquid_spike_control.nodes.scheduling import priority_permitted
from liquid_spike_control.records.mcap_file import GRAPH_TOPIC, file_hash

#: 1000 ticks; pushes that any controller worth shipping stands.
GENTLE = ("--set", "push=0.02", "--seed", "1", *models())
EPISODE = ("--duration", "5", *GENTLE)


@pytest.mark.lockstep
def test_lockstep_commands_are_those_of_the_loop_byte_by_byte(ros_domain, tmp_path):
    """Six processes against one; and the recording and the picture of the same run."""
    one, many = tmp_path / "one.json", tmp_path / "many.json"
    recording, picture = tmp_path / "out.mcap", tmp_path / "out.png"
    alone = run("--in-process", *EPISODE, "--json", str(one))
    assert alone.returncode == 0, alone.stderr
    out = ("--json", str(many), "--record", str(recording), "--plot", str(picture))
    over_ros = run("--mode", "lockstep", *EPISODE, *out)
    assert over_ros.returncode == 0, over_ros.stderr
    a, b = json.loads(one.read_text()), json.loads(many.read_text())
    assert a["ticks"] == b["ticks"] == 1000
    assert a["commands_sha256"] == b["commands_sha256"]
    for key in (
        "rmse",
        "spikes_per_s",
        "synaptic_operations_per_s",
        "events_per_s",
    ):
        assert a[key] == b[key], key
    assert b["spikes_per_s"] > 0
    assert "(davies2018)" in b["energy"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    _check_recording(recording)


def _check_recording(path: Path) -> None:
    with AnyReader([path]) as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
        assert set(counts) | {graph.E_STOP} == {*graph.TOPICS, GRAPH_TOPIC}
        for topic in set(graph.TOPICS) - {graph.DIAGNOSTICS, graph.E_STOP, graph.GATED_COMMAND}:
            assert counts[topic] == 1000, topic
        assert counts[graph.GATED_COMMAND] == 1001  # the last is the safe one
        (gated,) = (c for c in reader.connections if c.topic == graph.GATED_COMMAND)
        last = [reader.deserialize(raw, c.msgtype).effort[0] for c, _, raw in reader.messages([gated])][-1]
        assert last == 0.0
        (packets,) = (c for c in reader.connections if c.topic == graph.EVENTS)
        _, _, raw = next(reader.messages([packets]))
        assert reader.deserialize(raw, packets.msgtype).encoding in ("evt3", "mono")
    content = path.read_bytes()
    for model in models()[1::2]:
        assert file_hash(model).encode() in content


@pytest.fixture
def running(ros_domain, tmp_path):
    """A graph in real time, and its children's pids."""
    log = open(tmp_path / "log", "w+")
    process = subprocess.Popen(
        command("--mode", "realtime", *GENTLE, "--duration", "60"), stdout=log, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    children: list[int] = []

    def text() -> str:
        return (tmp_path / "log").read_text()

    try:
        # the logs are printed when all nodes are active
        wait_for(lambda: text().count("configured in") == 5 or process.poll() is not None, 30, "start")
        assert process.poll() is None, text()
        children = children_of(process.pid)
        assert len(children) == 6  # the nodes, and what they were forked from
        yield process, children, text
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for child in children:
            if alive(child):
                os.kill(child, signal.SIGKILL)
        log.close()


@pytest.mark.real_time
def test_a_graph_in_real_time_from_services_to_ctrl_c(running, probe):
    process, children, text = running
    clock = probe.hear(Clock, graph.CLOCK)
    packets = probe.hear(EventPacket, graph.EVENTS)
    probe.spin_until(lambda: len(clock) > 20 and packets, 10, "clock")

    # ground truth is for evaluation: of the graph, only the supervisor's monitor hears it
    def listeners(topic):
        return {info.node_name for info in probe.node.get_subscriptions_info_by_topic(topic)}

    def known():
        heard = "perception" in listeners(graph.EVENTS) and "controller" in listeners(graph.ESTIMATE)
        # the name of a node may arrive later than its subscriptions
        return heard and listeners(graph.GROUND_TRUTH) - {"_NODE_NAME_UNKNOWN_"}

    probe.spin_until(known, 10, "the graph's subscriptions")
    assert listeners(graph.GROUND_TRUTH) == {"liquid_spike_monitor"}

    # a paused world stands still, but for single steps
    assert probe.call(SetBool, "/simulator/set_pause", SetBool.Request(data=True)).success
    probe.spin_for(0.2)
    n = len(clock)
    assert probe.call(Trigger, "/simulator/step_simulation", Trigger.Request()).success
    probe.spin_until(lambda: len(clock) > n, 3, "step")
    probe.spin_for(0.2)
    assert len(clock) == n + 1
    assert probe.call(SetBool, "/simulator/set_pause", SetBool.Request(data=False)).success
    assert not probe.call(Trigger, "/simulator/step_simulation", Trigger.Request()).success

    # a new episode begins later, never earlier
    assert probe.call(Trigger, "/simulator/reset_world", Trigger.Request()).success
    n = len(clock)
    probe.spin_until(lambda: len(clock) > n + 20, 5, "clock after the reset")
    stamps = np.array([to_ns(m.clock) for m in clock])
    assert np.all(np.diff(stamps) > 0)
    assert np.diff(stamps).max() >= 1_000_000_000
    assert process.poll() is None, text()

    # another run on the same domain is refused with the remedy
    second = run(*EPISODE, timeout=20)
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "set ROS_DOMAIN_ID" in second.stderr

    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(10)
    assert time.monotonic() - began < 5
    assert process.returncode == 130, text()
    assert not [child for child in children if alive(child)]
    assert "Traceback" not in text()


@pytest.mark.real_time
@pytest.mark.slow
def test_a_stranger_of_the_same_name_is_refused(probe):
    with started("gate"):
        probe.spin_until(lambda: "gate" in probe.node.get_node_names(), 10, "the stranger")
        time.sleep(0.1)  # a node takes its name on the machine just after it joins ROS
        done = run(*EPISODE)
    assert done.returncode == 2
    assert "another /gate is on it" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.real_time
@pytest.mark.parametrize("after_s", [0.3, 1.2])
def test_ctrl_c_while_the_graph_starts(ros_domain, after_s):
    process = subprocess.Popen(
        command(*EPISODE),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        time.sleep(after_s)
        children = children_of(process.pid)
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=10)
        assert (process.returncode, log) == (130, "liquid-spike: interrupted\n")
        assert not [child for child in children if alive(child)]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_signals_wait_for_an_import_whichever_thread_they_come_to():
    """A thread that a numerical library has made takes a signal of the process, and the main thread its handler."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait, args=(10,))
    thread.start()
    seen, before = [], signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), signals_held():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            seen.append("the whole import")
        assert seen == ["the whole import"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with signals_held():
            pass
    finally:
        signal.signal(signal.SIGINT, before)
        done.set()
        thread.join()


@pytest.mark.real_time
@pytest.mark.slow
def test_no_orphans_when_the_supervisor_is_killed(running):
    process, children, _ = running
    process.kill()
    process.wait()
    wait_for(lambda: not [child for child in children if alive(child)], 5, "end of the nodes")


@pytest.mark.lockstep
@pytest.mark.slow
def test_a_frozen_stage_is_named_in_lockstep(ros_domain, tmp_path):
    """The world waits for the command, but not for ever."""
    process = subprocess.Popen(
        command("--mode", "lockstep", *GENTLE, "--duration", "600"), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def controller() -> int | None:
        for child in children_of(process.pid):
            if b"nodes.controller" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
        return None

    child = wait_for(controller, 20, "controller")
    try:
        wait_for(lambda: "configured" in process.stderr.readline(), 30, "start")
        time.sleep(1.0)
        os.kill(child, signal.SIGSTOP)
        _, log = process.communicate(timeout=20)
        assert process.returncode == 2
        assert "controller did not answer stamp" in log.splitlines()[-1]
        assert not alive(child)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.real_time
def test_a_node_that_dies_ends_the_run(running):
    process, children, text = running
    (controller,) = (c for c in children if b"nodes.controller" in Path(f"/proc/{c}/cmdline").read_bytes())
    os.kill(controller, signal.SIGKILL)
    process.wait(10)
    assert process.returncode == 2
    assert "controller ended by signal SIGKILL" in text().splitlines()[-1]
    assert not [child for child in children if alive(child)]


@pytest.mark.real_time
@pytest.mark.parametrize("permitted", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_machine_that_is_busy_slows_the_world_down_and_the_pole_stands(ros_domain, tmp_path, permitted):
    """With as many busy loops as there are cores beside it, and a real-time priority where that is permitted."""
    if permitted and not priority_permitted():
        pytest.skip("real-time priorities are not permitted here")
    # root may take one by its capability
    without = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]
    prefix = without if os.geteuid() == 0 and not permitted else []
    out = tmp_path / "out.json"
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 2)]
    try:
        ran = command("pencil", "--seed", "5", "--duration", "5", *models(), "--json", str(out))
        done = subprocess.run([*prefix, *ran], capture_output=True, text=True, timeout=120)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(out.read_text())
    assert report["success"] is True
    assert report["ticks"] == 1000
    assert 0 < report["real_time_factor_least"] <= report["real_time_factor"] + 0.05
    assert f"{report['real_time_factor']:.2f}x real time, at its slowest" in done.stdout
    assert (report["priority"] > 0) == permitted
    hint = "liquid-spike doctor says how to permit one"
    assert (hint in done.stderr) == (not permitted and report["deadline_misses"] > 0.01 * report["ticks"])


@pytest.mark.real_time
@pytest.mark.parametrize("backend", ["offload", "in_process"])
@pytest.mark.slow
def test_a_run_in_real_time_reports_every_hop(ros_domain, tmp_path, backend):
    out = tmp_path / "out.json"
    done = run("--mode", "realtime", "--backend", backend, *GENTLE, "--duration", "1", "--json", str(out))
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    hops = {
        "perception: hop /event_camera/events", "controller: hop /perception/state",
        "controller: hop /joint_states", "gate: hop /controller/command",
        "simulator: hop /robot_joint_command",
    }  # fmt: skip
    if backend == "offload":
        hops |= {"neuromorphic: hop /neuromorphic/input", "perception: hop /neuromorphic/output"}
    assert hops | {"simulator: sensing to command"} <= set(report["latencies_us"])
    assert all(0 < p50 <= p99 for p50, p99 in report["latencies_us"].values())
    assert 0 <= report["deadline_misses"] <= report["ticks"] == 200
    assert report["spikes_per_s"] > 0
    for row in ("simulated time", "pole_angle RMSE", "deadline misses", "synaptic operations", "energy"):
        assert row in done.stdout
