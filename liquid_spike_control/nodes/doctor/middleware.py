# SPDX-License-Identifier: Apache-2.0
"""Checks of ROS: middleware, domain, discovery, shared memory, security, and event cameras."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import rclpy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import get_rmw_implementation_identifier

from ...errors import GraphError
from ...events.codec import DECODED
from .. import graph
from ..capture import Capture
from ..shared_memory import FOLDER, own_segment_bytes, stale_segments
from ..transport import profile_file
from .finding import Finding, error, ok, warning

FAST_DDS = ("rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")
PACKET = graph.TOPICS[graph.EVENTS]
#: How long the domain is given to show a camera, and how long each one's packets are counted at least [s].
DISCOVER_S, LISTEN_S = 5.0, 1.5
#: Between two drains of what has come [s].
_PERIOD_S = 0.05
#: Packets larger than this need more shared memory than Fast-DDS has by itself [bytes].
LARGEST_PACKET = 6_000_000


def examine_middleware(given: dict[str, str]) -> Iterator[Finding]:
    """All of it; joins the ROS domain for some seconds.

    Args:
        given: the environment as the user has it, before the graph's defaults.
    """
    middleware = get_rmw_implementation_identifier()
    yield _middleware(middleware)
    yield _discovery()
    yield _security()
    try:
        yield _domain(given)
    except GraphError as failure:
        yield error("domain", str(failure), "unset ROS_DOMAIN_ID, or set it to 0 to 101")
        return
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        capture = Capture("liquid_spike_doctor", ())
    except Exception as failure:  # RCLError of rclpy's own, of which not even the name is public
        reason = " ".join(str(failure).split())
        yield error("participant", reason, "docs/security.md, if ROS_SECURITY_ENABLE is set; otherwise docs/doctor.md")
        rclpy.try_shutdown()
        return
    try:
        if middleware in FAST_DDS:
            yield _shared_memory(own_segment_bytes())
        yield from _cameras(capture)
    finally:
        capture.close()
        rclpy.shutdown()


def _middleware(name: str) -> Finding:
    if name not in FAST_DDS:
        return warning("rmw", name, "the tests pass on rmw_fastrtps_cpp only: unset RMW_IMPLEMENTATION")
    return ok("rmw", name)


def _domain(given: dict[str, str]) -> Finding:
    domain = graph.domain_id(dict(os.environ))
    source = "from ROS_DOMAIN_ID" if "ROS_DOMAIN_ID" in given else "the default of ROS"
    if domain > 101:
        return warning("domain", f"{domain}, {source}", "above 101 its ports may be taken by other programs")
    return ok("domain", f"{domain}, {source}")


def _discovery() -> Finding:
    reach = os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"]
    peers = os.environ.get("ROS_STATIC_PEERS", "")
    text = f"{reach}, peers {peers}" if peers else reach
    known = ("LOCALHOST", "SUBNET", "OFF", "SYSTEM_DEFAULT")
    if reach not in known:
        return error("discovery", text, f"set ROS_AUTOMATIC_DISCOVERY_RANGE to {', '.join(known)}")
    if reach == "LOCALHOST" or os.environ.get("ROS_LOCALHOST_ONLY") == "1":
        return ok("discovery", text, "ROS_STATIC_PEERS=<address> for a camera on another machine" if not peers else "")
    if reach == "OFF" and not peers:
        return warning("discovery", text, "no node finds another: set ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST")
    if os.environ.get("ROS_SECURITY_ENABLE", "").lower() == "true":
        return ok("discovery", text)
    return warning("discovery", text, "anyone on the network can command the robot: LOCALHOST, or docs/security.md")


def _security() -> Finding:
    if os.environ.get("ROS_SECURITY_ENABLE", "").lower() != "true":
        return ok("security", "off: every process on the domain may command the robot", "docs/security.md")
    keystore = os.environ.get("ROS_SECURITY_KEYSTORE", "")
    if not os.path.isdir(os.path.join(keystore, "enclaves")):
        return error("security", f"no keystore in ROS_SECURITY_KEYSTORE={keystore}", "liquid-spike security keystore")
    if os.environ.get("ROS_SECURITY_STRATEGY") != "Enforce":
        return warning("security", "on, but nodes without keys run without it", "ROS_SECURITY_STRATEGY=Enforce")
    return ok("security", f"enforced, keystore {keystore}")


def _shared_memory(segment: int) -> Finding:
    name, profile = "shared memory", profile_file(os.environ)
    free = shutil.disk_usage(FOLDER).free
    stale = len(stale_segments())
    left = f", {stale} segments of dead processes" if stale else ""
    text = f"{segment / 2**20:.0f} MB a process, {free / 2**20:.0f} MB of {FOLDER} free{left}, {profile}"
    if not os.path.isfile(profile):
        return error(name, f"{profile} does not exist", "unset FASTRTPS_DEFAULT_PROFILES_FILE and FASTDDS_...")
    if not segment:
        return warning(name, f"none is in use, {text}", f"give {FOLDER} 35 MB a node (docker run --shm-size=1g)")
    if segment < 4 * LARGEST_PACKET:
        remedy = "large packets will be lost; unset FASTRTPS_DEFAULT_PROFILES_FILE and FASTDDS_..., or add to that file"
        return warning(name, text, remedy)
    if free < 6 * segment:
        return warning(name, text, f"six nodes need {6 * segment / 2**20:.0f} MB (docker run --shm-size=1g)")
    return ok(name, text, "the next node that starts removes those segments" if stale else "")


@dataclass
class _Camera:
    """Packets of one topic: number, total size [bytes], the latest, and when each was published [ns]."""

    packets: int = 0
    size: int = 0
    latest: bytes = b""
    stamps: list[int] = field(default_factory=list)


def _cameras(capture: Capture) -> Iterator[Finding]:
    domain = os.environ["ROS_DOMAIN_ID"]
    found: dict[str, _Camera] = {}
    until = deadline = time.monotonic() + DISCOVER_S
    while time.monotonic() < until:
        time.sleep(_PERIOD_S)
        for topic in _topics(capture):
            if topic not in found:
                # As long again for the next camera: on a busy machine they are not found all at once.
                until = min(time.monotonic(), deadline) + LISTEN_S
                found[topic] = _Camera()
                capture.add(topic, PACKET)
        for topic, stamp, data in capture.drain():
            camera = found[topic]
            camera.packets += 1
            camera.size += len(data)
            camera.latest = data
            camera.stamps.append(stamp)
    if not found:
        remedy = "start the camera's driver, or set ROS_DOMAIN_ID and ROS_AUTOMATIC_DISCOVERY_RANGE to where it is"
        yield warning("event cameras", f"none on domain {domain} within {DISCOVER_S} s", remedy)
    for topic, camera in sorted(found.items()):
        yield _finding(capture, topic, camera)


def _topics(capture: Capture) -> list[str]:
    """Return the published topics of event packets, without our own topics of spikes."""
    return [
        topic
        for topic, kinds in sorted(capture.node.get_topic_names_and_types())
        if PACKET in kinds
        and topic not in (graph.SPIKES_IN, graph.SPIKES_OUT)
        and capture.node.count_publishers(topic)
    ]


def _finding(capture: Capture, topic: str, camera: _Camera) -> Finding:
    if not camera.packets:
        publishers = capture.node.get_publishers_info_by_topic(topic)
        by = ", ".join(sorted(info.node_name for info in publishers)) or "a node that has ended"
        return warning(topic, f"published by {by}, but silent for {LISTEN_S} s", "is the camera plugged in and active?")
    packet = deserialize_message(camera.latest, capture.types[topic])
    span = (camera.stamps[-1] - camera.stamps[0]) * 1e-9
    rate = (camera.packets - 1) / span if camera.packets > 1 and span > 0 else camera.packets / LISTEN_S
    text = (
        f"{rate:.0f} packets/s, {camera.size / camera.packets / 1e3:.1f} kB each, {packet.encoding},"
        f" {packet.width}x{packet.height}"
    )
    if packet.encoding not in DECODED:
        return warning(topic, text, f"{', '.join(DECODED)} are read here; set the driver's encoding")
    return ok(topic, text)
