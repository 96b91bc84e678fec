# SPDX-License-Identifier: Apache-2.0
"""Permissions are exactly what the running graph does; keys and signatures hold; intruders stay out where DDS can."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from processes import command, models, wait_for

from liquid_spike_control.errors import GraphError
from liquid_spike_control.nodes.graph import VIEW, VIEW_CAPTURE, GraphOptions
from liquid_spike_control.nodes.security.permissions import BRINGUP, OPERATOR, SUPERVISOR, Permissions, permissions
from liquid_spike_control.nodes.security.policy import governance_xml, permissions_xml, policy_xml
from liquid_spike_control.resources import share

WITHOUT_SECURITY = "This Fast DDS version doesn't have the security libraries"


def done_by(node, name: str) -> dict[str, set[str]]:
    """What a node of the domain publishes, subscribes to, serves and calls, as ``node`` sees it."""
    looks = {
        "publish": node.get_publisher_names_and_types_by_node,
        "subscribe": node.get_subscriber_names_and_types_by_node,
        "serve": node.get_service_names_and_types_by_node,
        "call": node.get_client_names_and_types_by_node,
    }
    found = {what: {found for found, _ in look(name, "/")} for what, look in looks.items()}
    own = f"/{node.get_name()}/"  # the recorder asks every node that there is for its parameters
    return {what: {name for name in names if not name.startswith(own)} for what, names in found.items()}


def allowed_to(name: str, allowed: Permissions) -> dict[str, set[str]]:
    return {
        what: {f"/{name}{x[1:]}" if x.startswith("~") else x for x in getattr(allowed, what)}
        for what in ("publish", "subscribe", "serve", "call")
    }


@pytest.mark.parametrize("mode", [
    pytest.param("realtime", marks=[pytest.mark.slow, pytest.mark.real_time]),
    pytest.param("lockstep", marks=[pytest.mark.slow, pytest.mark.lockstep]),
])  # fmt: skip
def test_the_running_graph_does_what_it_may_and_nothing_else(probe, tmp_path, mode):
    options = GraphOptions(mode=mode, record=tmp_path / "out.mcap")
    nodes = {name: may for enclave in permissions(options).values() for name, may in enclave.items()}
    for name in (OPERATOR, BRINGUP, VIEW, VIEW_CAPTURE):
        del nodes[name]
    record = ("--record", str(options.record), "--plot", str(tmp_path / "out.png"),
              "--video", str(tmp_path / "out.gif"))  # fmt: skip
    graph = command("--mode", mode, "--duration", "600", *record, *models())
    with subprocess.Popen(graph, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            differences: list[str] = []

            def the_same() -> bool:
                probe.spin_for(0.1)
                differences.clear()
                known = set(probe.node.get_node_names())
                for name, may in nodes.items():
                    if name not in known:
                        differences.append(f"{name} is not there")
                        continue
                    does, allowed = done_by(probe.node, name), allowed_to(name, may)
                    for what in does:
                        differences.extend(f"{name}: {what} {x}, not allowed" for x in does[what] - allowed[what])
                        differences.extend(f"{name}: {what} {x}, not done" for x in allowed[what] - does[what])
                return not differences

            try:
                wait_for(the_same, 40, "permissions are what is done")
            except AssertionError:
                pytest.fail("\n".join(differences))
        finally:
            process.terminate()
            process.wait(10)


def test_a_robots_topics_are_those_of_its_description():
    gate = permissions(GraphOptions(share("config/robot_cart.yaml"), simulated=False, mode="realtime"))["/gate"]["gate"]
    assert "/effort_controller/commands" in gate.publish and "/robot_joint_command" not in gate.publish
    assert permissions(GraphOptions(backend="in_process")).keys() == {
        "/gate", "/controller", "/perception", "/simulator", f"/{SUPERVISOR}", f"/{OPERATOR}"
    }  # fmt: skip
    for enclave in permissions(GraphOptions(backend="in_process")).values():
        for may in enclave.values():
            assert not {"/neuromorphic/input", "/neuromorphic/output"} & {*may.publish, *may.subscribe}


def test_only_the_controller_may_command_the_gate_and_only_the_gate_the_robot():
    for options in (GraphOptions(), GraphOptions(share("config/robot_cart.yaml"), simulated=False, mode="realtime")):
        enclaves = permissions(options)
        (robot,) = {"/robot_joint_command", "/effort_controller/commands"} & set(enclaves["/gate"]["gate"].publish)
        for topic, speaker in (("/controller/command", "controller"), (robot, "gate"), ("/e_stop", OPERATOR)):
            speakers = [e for e, nodes in enclaves.items() for may in nodes.values() if topic in may.publish]
            assert set(speakers) == {f"/{speaker}"}


def test_rewards_go_from_the_simulator_to_the_controller_where_they_are_asked_for():
    for rewards in (False, True):
        enclaves = permissions(GraphOptions("lane_car", rewards=rewards))
        speakers = {e for e, nodes in enclaves.items() for may in nodes.values() if "/reward" in may.publish}
        listeners = {e for e, nodes in enclaves.items() for may in nodes.values() if "/reward" in may.subscribe}
        assert (speakers, listeners) == (({"/simulator"}, {"/controller"}) if rewards else (set(), set()))
        assert ("/controller/reward" in enclaves["/controller"]["controller"].publish) == rewards


def test_the_policy_is_of_the_form_of_sros2():
    enclaves = permissions(GraphOptions())
    root = ElementTree.fromstring(policy_xml(enclaves).encode())
    assert (root.tag, root.attrib) == ("policy", {"version": "0.2.0"})
    (contexts,) = root
    assert [context.get("path") for context in contexts] == list(enclaves)
    rules = {"topics": {"publish", "subscribe"}, "services": {"reply", "request"}}
    for context in contexts:
        (profiles,) = context
        assert {profile.get("node") for profile in profiles} == set(enclaves[context.get("path")])
        for profile in profiles:
            assert profile.get("ns") == "/"
            for group in profile:
                ((rule, verdict),) = group.attrib.items()
                assert rule in rules[group.tag] and verdict == "ALLOW"
                assert {part.tag for part in group} == {group.tag.removesuffix("s")}
                assert all(part.text.startswith(("/", "~/")) for part in group)


def test_names_of_ros_are_those_of_dds_and_all_else_is_denied():
    may = Permissions(("/a", "~/b"), ("/c",), ("~/serve",), ("/gate/reset",))
    begin, end = datetime(2026, 1, 2, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC)
    root = ElementTree.fromstring(permissions_xml("/me", {"node": may}, 7, begin, end).encode())
    (grant,) = root.find("permissions")
    assert grant.findtext("subject_name") == "CN=/me" and grant.findtext("default") == "DENY"
    assert [e.text for e in grant.find("validity")] == ["2026-01-02T00:00:00", "2027-01-02T00:00:00"]
    (rule,) = grant.findall("allow_rule")
    assert [e.text for e in rule.find("domains")] == ["7"]
    topics = {right: {e.text for e in rule.find(f"{right}/topics")} for right in ("publish", "subscribe")}
    served, called = "/node/serve", "/gate/reset"
    assert topics == {
        "publish": {"ros_discovery_info", "rt/a", "rt/node/b", f"rr{served}Reply", f"rq{called}Request"},
        "subscribe": {"ros_discovery_info", "rt/c", f"rq{served}Request", f"rr{called}Reply"},
    }


def test_the_domain_refuses_participants_without_keys():
    rule = ElementTree.fromstring(governance_xml(7).encode()).find("domain_access_rules/domain_rule")
    assert rule.findtext("allow_unauthenticated_participants") == "false"
    assert rule.findtext("enable_join_access_control") == "true"
    (topic,) = rule.find("topic_access_rules")
    said = {e.tag: e.text for e in (*rule, *topic) if e.text and e.text.strip()}
    assert all(text == "ENCRYPT" for tag, text in said.items() if tag.endswith("_kind"))
    assert said["enable_write_access_control"] == said["enable_read_access_control"] == "true"


def make_keystore(folder: Path) -> Path:
    pytest.importorskip("cryptography")
    from liquid_spike_control.nodes.security.keystore import write_keystore

    write_keystore(folder, permissions(GraphOptions()), int(os.environ["ROS_DOMAIN_ID"]))
    return folder


def test_keys_and_signatures_hold_and_are_private(tmp_path):
    openssl = shutil.which("openssl") or pytest.skip("openssl is not installed")
    keys = make_keystore(tmp_path / "keys")
    authority = keys / "public/permissions_ca.cert.pem"

    def holds(*arguments: str | Path) -> bool:
        return subprocess.run([openssl, *arguments], capture_output=True, timeout=20).returncode == 0

    for enclave in (keys / "enclaves/gate", keys / "enclaves/controller"):
        assert {path.name for path in enclave.iterdir()} == {
            "cert.pem", "key.pem", "governance.p7s", "identity_ca.cert.pem", "permissions.p7s", "permissions.xml",
            "permissions_ca.cert.pem",
        }  # fmt: skip
        assert holds("verify", "-CAfile", authority, enclave / "cert.pem")
        for signed in ("permissions.p7s", "governance.p7s"):
            assert holds("smime", "-verify", "-in", enclave / signed, "-CAfile", enclave / "permissions_ca.cert.pem")
        assert (enclave / "key.pem").stat().st_mode & 0o077 == 0
        altered = tmp_path / "altered.p7s"
        altered.write_bytes((enclave / "permissions.p7s").read_bytes().replace(b"DENY", b"ALLOW"))
        assert not holds("smime", "-verify", "-in", altered, "-CAfile", authority)
    other = make_keystore(tmp_path / "other")
    assert not holds("verify", "-CAfile", authority, other / "enclaves/gate/cert.pem")
    with pytest.raises(GraphError, match="exists"):
        make_keystore(keys)


LISTENER = """
import sys, time
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import JointState

enclave, name, speaks = sys.argv[1:]
rclpy.init(args=["--ros-args", "--enclave", enclave] if enclave else None)
node = Node(name, start_parameter_services=False)
if speaks == "yes":
    publisher = node.create_publisher(JointState, "/controller/command", 10)
else:
    node.create_subscription(JointState, "/controller/command", lambda message: print(message.name[0], flush=True), 10)
print("up", flush=True)
until = time.monotonic() + 8
while time.monotonic() < until:
    if speaks == "yes":
        publisher.publish(JointState(name=[name]))
    rclpy.spin_once(node, timeout_sec=0.1)
"""


def test_an_intruders_command_is_refused(ros_domain, tmp_path):
    """The controller's keys open the gate's ear, no keys do not."""
    keys = make_keystore(tmp_path / "keys")
    secure = os.environ | {
        "ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce", "ROS_SECURITY_KEYSTORE": str(keys)
    }  # fmt: skip

    def start(*arguments: str, env: dict[str, str]) -> subprocess.Popen:
        command = [sys.executable, "-c", LISTENER, *arguments]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    gate = start("/gate", "gate", "no", env=secure)
    try:
        if gate.stdout.readline() != "up\n":
            complaint = gate.communicate(timeout=20)[1]
            assert WITHOUT_SECURITY in complaint, complaint
            pytest.skip(f"DDS without security: {WITHOUT_SECURITY}")
        friend = start("/controller", "controller", "yes", env=secure)
        others = [friend, start("", "intruder", "yes", env=dict(os.environ))]
        try:
            heard = set(gate.communicate(timeout=30)[0].split())
        finally:
            for other in others:
                other.kill()
                other.communicate()
        assert heard == {"controller"}
    finally:
        gate.kill()
        gate.communicate()
