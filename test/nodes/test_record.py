# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike record`` beside a real graph, ended by Ctrl-C and by SIGKILL; and the replay of what it recorded."""

import gc
import itertools
import signal
import subprocess
import sys

import pytest
import rclpy
from cli_here import cli
from processes import command, models, run, wait_for

from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.recorder import RecorderNode
from liquid_spike_control.records.bag import Bag
from liquid_spike_control.records.mcap_file import GRAPH_TOPIC, file_hash
from liquid_spike_control.records.replay import replay
from liquid_spike_control.records.setup import Topics

#: Long enough for recorders that know of a topic only when it is there.
EPISODE = ("--mode", "lockstep", "--duration", "2", "--set", "push=0.02", "--seed", "1", *models())
PERCEPTION, CONTROLLER = models()[1::2]


#: Runs its arguments with files of at most a megabyte.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
os.execv(sys.argv[1], sys.argv[1:])
"""


def recorder(path, *arguments) -> subprocess.Popen:
    command = [sys.executable, "-m", "liquid_spike_control", "record", "--out", str(path), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A lock-step run that records itself, with two recorders beside it: one is killed, the other gets Ctrl-C."""
    folder = tmp_path_factory.mktemp("recorded")
    whole, cut, own = folder / "whole.mcap", folder / "cut.mcap", folder / "own.mcap"
    beside = [recorder(whole), recorder(cut)]
    try:
        wait_for(lambda: whole.exists() and cut.exists(), 20, "recorders")
        done = run(*EPISODE, "--record", str(own), timeout=200)
        assert done.returncode == 0, done.stderr
        wait_for(lambda: cut.stat().st_size > 20_000, 10, "messages in the file")
        beside[1].kill()
        beside[0].send_signal(signal.SIGINT)
        said = beside[0].communicate(timeout=10)
        assert beside[0].returncode == 0, said
    finally:
        for process in beside:
            if process.poll() is None:
                process.kill()
            process.wait()
    return {"whole": whole, "cut": cut, "own": own, "said": said[0]}


def replayed(path):
    return replay(path, PERCEPTION, CONTROLLER, Topics())


@pytest.mark.lockstep
def test_a_lockstep_run_over_ros_is_replayed_three_times_of_three(recorded):
    for _ in range(3):
        outcome = replayed(recorded["own"])
        assert outcome.setup.lockstep and outcome.identical and outcome.notes == []
        topics = (graph.SPIKES_IN, graph.SPIKES_OUT, graph.ESTIMATE, graph.COMMAND, graph.GATED_COMMAND)
        assert [c.topic for c in outcome.comparisons] == list(topics)
        assert [c.identical for c in outcome.comparisons] == [400] * 5


@pytest.mark.lockstep
def test_a_bag_from_beside_has_the_hashes_and_the_parameters(recorded):
    outcome = replayed(recorded["whole"])
    description = outcome.description
    assert description.models == {"perception_model": file_hash(PERCEPTION), "controller_model": file_hash(CONTROLLER)}
    assert description.parameter("gate", "mode") == "lockstep"
    assert description.parameter("gate", "upper") == [10.0]
    assert f"perception_model {file_hash(PERCEPTION)[:16]}" in recorded["said"]


@pytest.mark.lockstep
def test_a_killed_recorder_leaves_a_bag_that_is_read_up_to_the_cut(recorded):
    bag = Bag(recorded["cut"])
    topics = {raw.topic for raw in bag.messages()}
    assert "the file ends at byte" in bag.cut
    assert {graph.EVENTS, graph.COMMAND, GRAPH_TOPIC} <= topics
    # events are sent best effort: on a busy machine each of two recorders may miss some, or join late
    whole, cut = ({r.data for r in Bag(recorded[m]).messages() if r.topic == graph.EVENTS} for m in ("whole", "cut"))
    assert len(cut & whole) > 0.5 * len(cut) > 0


@pytest.mark.real_time
def test_only_the_topics_asked_for(ros_domain, tmp_path, probe):
    from std_msgs.msg import Float64, String

    file = tmp_path / "o.mcap"
    process = recorder(file, "--topics", "/wanted", "/silent")
    wanted = probe.node.create_publisher(Float64, "/wanted", 10)
    other = probe.node.create_publisher(String, "/other", 10)
    try:
        probe.spin_until(lambda: wanted.get_subscription_count(), 20, "recorder")
        for k in range(5):
            wanted.publish(Float64(data=float(k)))
            other.publish(String(data="no"))
        wait_for(lambda: file.stat().st_size > 0 and b"/wanted" in file.read_bytes(), 10, "messages in the file")
        process.send_signal(signal.SIGTERM)
        said, log = process.communicate(timeout=10)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == 0, log
    assert "no message on /silent" in said
    bag = Bag(file)
    assert [bag.read(raw).data for raw in bag.messages() if raw.topic == "/wanted"] == [0, 1, 2, 3, 4]
    assert "/other" not in {raw.topic for raw in bag.messages()}


@pytest.mark.real_time
def test_best_effort_publishers_are_heard(ros_domain, tmp_path, probe):
    """A camera driver's quality of service; a reliable subscription would get nothing."""
    from event_camera_msgs.msg import EventPacket
    from rclpy.qos import QoSProfile, QoSReliabilityPolicy

    best_effort = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    file = tmp_path / "o.mcap"
    camera = probe.node.create_publisher(EventPacket, graph.EVENTS, best_effort)
    process = recorder(file)
    try:
        probe.spin_until(lambda: camera.get_subscription_count(), 20, "recorder")

        def recorded() -> bool:  # the recorder may know of the camera a little later than the camera of it
            camera.publish(EventPacket(encoding="evt3", seq=7))
            return graph.EVENTS.encode() in file.read_bytes()

        wait_for(recorded, 10, "packet")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    bag = Bag(file)
    assert {bag.read(raw).seq for raw in bag.messages() if raw.topic == graph.EVENTS} == {7}


@pytest.mark.real_time
def test_a_lossy_capture_costs_its_reliable_publishers_no_care(ros_domain, probe):
    import rclpy
    from rclpy.qos import QoSReliabilityPolicy
    from rclpy.serialization import deserialize_message
    from std_msgs.msg import Float64

    from liquid_spike_control.nodes.capture import Capture

    publisher = probe.node.create_publisher(Float64, "/number", 10)
    rclpy.init()
    capture = Capture("lossy", ["/number"], ["std_msgs/msg/Float64"], lossy=True)
    try:
        probe.spin_until(lambda: publisher.get_subscription_count() and capture.matched(), 20, "capture")
        (subscription,) = probe.node.get_subscriptions_info_by_topic("/number")
        assert subscription.qos_profile.reliability == QoSReliabilityPolicy.BEST_EFFORT
        capture.resubscribe()
        publisher.publish(Float64(data=7.0))
        taken = wait_for(lambda: list(capture.drain()), 10, "message")
    finally:
        capture.close()
        rclpy.shutdown()
    assert [deserialize_message(data, Float64).data for _, _, data in taken] == [7.0]


@pytest.mark.lockstep
def test_a_full_disk_ends_the_recording_in_one_line_and_keeps_what_there_is(ros_domain, tmp_path, probe):
    """A limit on the file's size fails its writes as a full disk does."""
    from std_msgs.msg import String

    file = tmp_path / "o.mcap"
    command = [sys.executable, "-m", "liquid_spike_control", "record", "--out", str(file), "--topics", "/much"]
    limited = [sys.executable, "-c", LIMITED, *command]
    process = subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    much = probe.node.create_publisher(String, "/much", 10)
    try:
        probe.spin_until(lambda: much.get_subscription_count(), 20, "recorder")
        for k in range(200):
            much.publish(String(data=f"{k} " * 5000))
            probe.spin_for(0.02)
            if process.poll() is not None:
                break
        _, log = process.communicate(timeout=10)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == 1, log
    assert "File too large; what was flushed before is kept" in log.splitlines()[-1]
    assert "Traceback" not in log
    bag = Bag(file)
    kept = [bag.read(raw).data for raw in bag.messages() if raw.topic == "/much"]
    assert kept and kept[0].startswith("0 0 ") and bag.cut


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["o.bag"], "give one of .mcap"), (["there.mcap"], "exists; give another name"),
     (["none/o.mcap"], "make it first"), (["o.mcap", "--duration", "0"], "--duration 0.0")],
)  # fmt: skip
def test_what_cannot_be_recorded_is_refused_in_one_line(ros_domain, tmp_path, arguments, says):
    (tmp_path / "there.mcap").touch()
    done = cli("record", "--out", tmp_path / arguments[0], *arguments[1:])
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.lockstep
def test_nothing_to_record_is_reported(ros_domain, tmp_path):
    process = recorder(tmp_path / "o.mcap", "--topics", "/silent", "--duration", "0.5")
    said, log = process.communicate(timeout=20)
    assert process.returncode == 1, log
    assert "no message on /silent" in said
    assert list(Bag(tmp_path / "o.mcap").messages()) == []


def test_a_recorder_that_is_brought_up_again_goes_on_in_another_file(ros_domain, tmp_path, capfd):
    """As after a SIGKILL: the files of the first processes are there, and stay as they are."""
    path, others = tmp_path / "robot.mcap", [tmp_path / f"robot_{k}.mcap" for k in (2, 3)]
    for file in (path, others[0]):
        file.write_bytes(b"cut")
    rclpy.init(args=["recorder", "--ros-args", "-p", f"output:={path}"])
    node = RecorderNode()
    try:
        for change in (node.trigger_configure, node.trigger_activate, node.trigger_deactivate):
            assert change().name == "SUCCESS"
    finally:
        node.destroy_node()
        rclpy.shutdown()
        gc.collect()
    assert path.read_bytes() == others[0].read_bytes() == b"cut" and not Bag(others[1]).cut
    assert f"{path} exists; recording into {others[1]}" in capfd.readouterr().err


@pytest.mark.lockstep
@pytest.mark.slow
def test_episodes_are_replayed_each_from_its_start(probe, tmp_path):
    """The world is reset in the middle of a tick; what is still under way belongs to the episode before."""
    from std_srvs.srv import Trigger

    bag = tmp_path / "o.mcap"
    arguments = command("--mode", "lockstep", "--duration", "60", "--set", "push=0.02", *models(), "--record", str(bag))
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: bag.exists() and bag.stat().st_size > 100_000, 60, "messages in the file")
        for _ in range(3):
            assert probe.call(Trigger, "/simulator/reset_world", Trigger.Request()).success
            probe.spin_for(0.5)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 130, said
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(10)
    outcome = replayed(bag)
    stamps = [message.quantities.stamp_ns for message in outcome.contents.commands]
    # on a loaded machine an episode may end before its first command
    assert 1 <= sum(b - a > 500_000_000 for a, b in itertools.pairwise(stamps)) <= 3
    assert outcome.setup.lockstep and outcome.identical, outcome.comparisons
