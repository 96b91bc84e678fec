# SPDX-License-Identifier: Apache-2.0
"""The doctor as a user runs it: on a ROS domain with and without cameras, and on machines that lack something."""

import gzip
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from liquid_spike_control.nodes.doctor.machine import governor, preemption
from liquid_spike_control.nodes.transport import VARIABLES

CAMERAS = """
import array, time
import rclpy
from event_camera_msgs.msg import EventPacket
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

rclpy.init()
node = Node("driver")
qos = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
camera = node.create_publisher(EventPacket, "/left/events", qos)
other = node.create_publisher(EventPacket, "/back/events", qos)
silent = node.create_publisher(EventPacket, "/right/events", qos)
spikes = node.create_publisher(EventPacket, "/neuromorphic/input", qos)
foreign = EventPacket(encoding="evt2", events=array.array("B", bytes(100)))
packet = EventPacket(encoding="evt3", width=346, height=260, events=array.array("B", bytes(4000)))
print("publishing", flush=True)
due = time.monotonic()
while True:
    camera.publish(packet)
    other.publish(foreign)
    due += 0.01
    time.sleep(max(0.0, due - time.monotonic()))
"""


@contextmanager
def cameras():
    with subprocess.Popen([sys.executable, "-c", CAMERAS], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "publishing\n"
            yield
        finally:
            process.kill()


def doctor(folder: Path, **environment: str) -> tuple[int, dict[str, dict], str]:
    """Status, findings by name and output of ``liquid-spike doctor``."""
    command = [sys.executable, "-m", "liquid_spike_control", "doctor", "--json", folder / "findings.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=os.environ | environment)
    assert "Traceback" not in done.stderr
    findings = json.loads((folder / "findings.json").read_text())
    assert len({finding["name"] for finding in findings}) == len(findings)
    return done.returncode, {finding["name"]: finding for finding in findings}, done.stdout


def test_a_machine_that_runs_these_tests_has_no_error_and_its_cameras_are_measured(ros_domain, tmp_path):
    with cameras():
        status, findings, output = doctor(tmp_path)
    assert status == 0, output
    assert not [finding for finding in findings.values() if finding["status"] == "error"]
    for name in ("python", "libraries", "ros", "off-screen rendering", "kernels", "rmw", "domain", "discovery",
                 "shared memory"):  # fmt: skip
        assert findings[name]["status"] == "ok", findings[name]
        assert name in output
    assert findings["domain"]["text"].startswith(str(ros_domain))
    assert findings["shared memory"]["text"].startswith("34 MB")
    rate, _, rest = findings["/left/events"]["text"].partition(" packets/s, ")
    assert 20 <= int(rate) <= 120 and rest.endswith("evt3, 346x260")
    assert findings["/right/events"]["status"] == "warning" and "driver" in findings["/right/events"]["text"]
    assert findings["/back/events"]["status"] == "warning" and "evt2" in findings["/back/events"]["text"]
    assert "/neuromorphic/input" not in findings and "event cameras" not in findings


@pytest.mark.slow
def test_without_graphics_and_with_wrong_settings_it_names_the_remedy_and_ends_with_1(ros_domain, tmp_path):
    wrong = dict.fromkeys(set(VARIABLES) & set(os.environ), "/nowhere.xml")
    status, findings, output = doctor(tmp_path, MUJOCO_GL="bogus", ROS_AUTOMATIC_DISCOVERY_RANGE="NEAR", **wrong)
    errors = {name: finding for name, finding in findings.items() if finding["status"] == "error"}
    assert status == 1 and "3 errors" in output
    said = {"off-screen rendering": "bogus", "discovery": "NEAR", "shared memory": "/nowhere.xml"}
    assert set(errors) == set(said)
    for name, finding in errors.items():
        assert said[name] in finding["text"] and finding["remedy"] in output
    assert "libegl1" in errors["off-screen rendering"]["remedy"]
    assert findings["event cameras"]["status"] == "warning"


@pytest.mark.slow
def test_what_works_but_not_as_a_robot_should_is_a_warning(ros_domain, tmp_path):
    own = tmp_path / "own.xml"
    own.write_text('<?xml version="1.0"?><dds xmlns="http://www.eprosima.com"><profiles/></dds>')
    profile = dict.fromkeys(set(VARIABLES) & set(os.environ), str(own))
    status, findings, _ = doctor(tmp_path, ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET", **profile)
    assert status == 0
    assert findings["discovery"]["status"] == findings["shared memory"]["status"] == "warning"
    assert findings["shared memory"]["text"].startswith("1 MB") and str(own) in findings["shared memory"]["text"]


@pytest.mark.slow
def test_a_domain_that_is_none_and_keys_that_are_not_there(ros_domain, tmp_path):
    security = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_KEYSTORE": "/nowhere"}
    status, findings, _ = doctor(tmp_path, ROS_DOMAIN_ID="300", **security)
    assert status == 1
    for name, says in (("domain", "ROS_DOMAIN_ID=300"), ("security", "/nowhere")):
        assert findings[name]["status"] == "error" and says in findings[name]["text"]


@pytest.mark.parametrize(
    ("governors", "status"), [((), "ok"), (("performance",) * 2, "ok"), (("performance", "powersave"), "warning")]
)
def test_frequency_of_the_cores(tmp_path, governors, status):
    for core, text in enumerate(governors):
        folder = tmp_path / f"cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{text}\n")
    assert governor(tmp_path).status == status


@pytest.mark.parametrize(
    ("files", "text", "status"),
    [
        ({"proc/cmdline": "quiet"}, "not reported by this kernel", "ok"),
        ({"proc/cmdline": "quiet", "sys/kernel/realtime": "1"}, "PREEMPT_RT", "ok"),
        ({"proc/cmdline": "quiet preempt=full", "proc/config.gz": "CONFIG_PREEMPT_NONE=y"}, "full", "ok"),
        ({"proc/cmdline": "preempt=voluntary"}, "voluntary", "warning"),
        ({"proc/cmdline": "", "proc/config.gz": "CONFIG_PREEMPT_NONE=y\nCONFIG_PREEMPT_BUILD=y"}, "none", "warning"),
        ({"proc/cmdline": "", "boot/config-6.8": "# CONFIG_PREEMPT_NONE is not set\nCONFIG_PREEMPT=y"}, "full", "ok"),
        ({"proc/cmdline": "", "boot/config-6.5": "CONFIG_PREEMPT=y"}, "not reported by this kernel", "ok"),
    ],
)
def test_a_kernel_that_does_not_preempt_itself_is_reported(tmp_path, files, text, status):
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    finding = preemption(tmp_path, "6.8")
    assert (finding.text, finding.status) == (text, status)
    assert ("preempt=full" in finding.remedy) == (status == "warning")
