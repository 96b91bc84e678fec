# SPDX-License-Identifier: Apache-2.0
"""Permissions as files: SROS2's policy, and the governance and permissions of DDS Security that are made of it.

Formats: the schema ``policy.xsd`` of sros2, policy version 0.2.0; OMG DDS Security 1.1, annexes on governance and
permissions documents. ROS names become DDS names by ros2/design, "Topic and Service name mapping to DDS".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from .permissions import Permissions

VERSION = "0.2.0"
#: The topic on which ROS nodes of all processes find each other.
DISCOVERY = "ros_discovery_info"
_OMG = "http://www.omg.org/spec/DDS-SECURITY/20170901/omg_shared_ca_{}.xsd"
_SCHEMA = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
_PROTECTION = ("discovery_protection_kind", "liveliness_protection_kind", "rtps_protection_kind")

Enclaves = Mapping[str, Mapping[str, Permissions]]


def policy_xml(enclaves: Enclaves) -> str:
    """A policy for ``ros2 security create_permission`` and ``generate_artifacts``."""
    root = Element("policy", version=VERSION)
    contexts = SubElement(root, "contexts")
    for path, nodes in enclaves.items():
        profiles = SubElement(SubElement(contexts, "context", path=path), "profiles")
        for node, allowed in nodes.items():
            profile = SubElement(profiles, "profile", ns="/", node=node)
            for kind, rule, names in (
                ("topic", "publish", allowed.publish),
                ("topic", "subscribe", allowed.subscribe),
                ("service", "reply", allowed.serve),
                ("service", "request", allowed.call),
            ):
                if names:
                    group = SubElement(profile, f"{kind}s", {rule: "ALLOW"})
                    for name in sorted(names):
                        SubElement(group, kind).text = name
    return _text(root)


def governance_xml(domain: int) -> str:
    """Return rules of a domain on which every participant must have keys, with encryption and access control."""
    root = Element("dds", {_SCHEMA: _OMG.format("governance")})
    rule = SubElement(SubElement(root, "domain_access_rules"), "domain_rule")
    SubElement(SubElement(rule, "domains"), "id").text = str(domain)
    SubElement(rule, "allow_unauthenticated_participants").text = "false"
    SubElement(rule, "enable_join_access_control").text = "true"
    for kind in _PROTECTION:
        SubElement(rule, kind).text = "ENCRYPT"
    topic = SubElement(SubElement(rule, "topic_access_rules"), "topic_rule")
    SubElement(topic, "topic_expression").text = "*"
    for right in ("discovery_protection", "liveliness_protection", "read_access_control", "write_access_control"):
        SubElement(topic, f"enable_{right}").text = "true"
    for kind in ("metadata_protection_kind", "data_protection_kind"):
        SubElement(topic, kind).text = "ENCRYPT"
    return _text(root)


def permissions_xml(
    path: str, nodes: Mapping[str, Permissions], domain: int, begin: datetime, end: datetime
) -> str:
    """Return the permissions of the participant with the certificate ``CN=path`` on a domain; all else is denied.

    Args:
        path: of the enclave, such as ``/gate``.
        nodes: of the enclave's process.
        domain: ROS domain.
        begin, end: when the permissions hold, UTC.
    """
    root = Element("dds", {_SCHEMA: _OMG.format("permissions")})
    grant = SubElement(SubElement(root, "permissions"), "grant", name=path)
    SubElement(grant, "subject_name").text = f"CN={path}"
    validity = SubElement(grant, "validity")
    SubElement(validity, "not_before").text = begin.strftime("%Y-%m-%dT%H:%M:%S")
    SubElement(validity, "not_after").text = end.strftime("%Y-%m-%dT%H:%M:%S")
    rule = SubElement(grant, "allow_rule")
    SubElement(SubElement(rule, "domains"), "id").text = str(domain)
    publish, subscribe = {DISCOVERY}, {DISCOVERY}
    for node, allowed in nodes.items():
        publish |= {f"rt{_absolute(name, node)}" for name in allowed.publish}
        subscribe |= {f"rt{_absolute(name, node)}" for name in allowed.subscribe}
        for services, asks, answers in ((allowed.serve, subscribe, publish), (allowed.call, publish, subscribe)):
            asks |= {f"rq{_absolute(name, node)}Request" for name in services}
            answers |= {f"rr{_absolute(name, node)}Reply" for name in services}
    for right, topics in (("publish", publish), ("subscribe", subscribe)):
        group = SubElement(SubElement(rule, right), "topics")
        for topic in sorted(topics):
            SubElement(group, "topic").text = topic
    SubElement(grant, "default").text = "DENY"
    return _text(root)


def _absolute(name: str, node: str) -> str:
    return f"/{node}{name[1:]}" if name.startswith("~") else name


def _text(root: Element) -> str:
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'
