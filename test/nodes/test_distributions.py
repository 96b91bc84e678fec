# SPDX-License-Identifier: Apache-2.0
"""Nothing here uses what rclpy 10 (Lyrical) removed: all that rclpy 7 and 9 (Jazzy, Kilted) call deprecated."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy.qos
from rclpy.qos import QoSReliabilityPolicy

ROOT = Path(__file__).parents[2]
#: Modules and classes that went, by ros2/rclpy#1456.
GONE = {"qos_event", "QoSEventHandler"}
#: Old names of the values of QoS policies.
OLD_POLICY = re.compile(r"RMW_QOS_POLICY_\w+")


def removed(source: str) -> Iterator[str]:
    """What of a module's text is gone in Lyrical."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {part for alias in node.names for part in alias.name.split(".")}
            names |= set((getattr(node, "module", None) or "").split("."))
            yield from sorted(names & GONE)
        elif isinstance(node, ast.Attribute):
            if node.attr in GONE or OLD_POLICY.fullmatch(node.attr):
                yield node.attr
            if node.attr == "warn" and "logger" in ast.unparse(node.value):
                yield "logger.warn"
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "declare_parameter":
            if len(node.args) + len(node.keywords) < 2:
                yield "declare_parameter by name alone"


def test_nothing_is_used_that_lyrical_removed():
    found = [
        f"{path.relative_to(ROOT)}: {what}"
        for folder in ("liquid_spike_control", "launch", "test")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for what in removed(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("from rclpy.qos_event import SubscriptionEventCallbacks", "qos_event"),
        ("import rclpy.event_handler\nrclpy.event_handler.QoSEventHandler()", "QoSEventHandler"),
        ("policy = QoSReliabilityPolicy.RMW_QOS_POLICY_RELIABILITY_RELIABLE", "RMW_QOS_POLICY_RELIABILITY_RELIABLE"),
        ("self.get_logger().warn('low')", "logger.warn"),
        ("self.declare_parameter('period')", "declare_parameter by name alone"),
    ],
)
def test_each_of_them_would_be_found(source, what):
    assert list(removed(source)) == [what]


def test_the_old_names_of_policies_are_deprecated_in_the_rclpy_that_is_here():
    """Or the list above is out of date."""
    if not hasattr(rclpy.qos, "_DeprecatedPolicyValueAlias"):
        pytest.skip("this rclpy has them no more")
    name = "RMW_QOS_POLICY_RELIABILITY_RELIABLE"
    with pytest.warns(match="deprecated"):
        old = getattr(QoSReliabilityPolicy, name)
    assert old == QoSReliabilityPolicy.RELIABLE
