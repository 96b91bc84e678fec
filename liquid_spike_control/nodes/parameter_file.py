# SPDX-License-Identifier: Apache-2.0
"""ROS parameter files: yaml blocks of ``ros__parameters``, by node name, below namespaces, or for every node."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import GraphError
from ..inputs import read_yaml

EXAMPLE = "gate: {ros__parameters: {priority: 50}}"
#: The block of every node.
EVERY = "/**"
#: Every parameter of any node of the graph; a block of all nodes holds some that one of them does not have.
KNOWN = frozenset(
    (
        "diagnostics_period_s", "live_inputs", "mode", "peers", "priority",
        "controller_model", "perception_model", "learning", "learnt_file", "rewards",
        "output", "topics", "types", "drain_period_s",
        "command_names", "command_units", "command_topic", "command_type", "command_interfaces", "command_frame_id",
        "command_constants",
        "robot_topics", "robot_types", "robot_interfaces",
        "lower", "upper", "rate", "safe", "safe_after_s", "safe_then", "max_age_s", "watchdog_s",
        "joint_topic", "joint_type", "joint_names", "joint_units", "joint_interfaces", "joint_topics",
        "joint_types", "tolerance_s", "period_s",
        "setpoint_names", "setpoint_defaults", "estimate_names", "estimate_units", "spiking_backend", "sheds",
        "model", "preset", "dt", "step_s", "backend", "max_steps",
        "events_topic", "event_clock", "window_s", "camera_width", "camera_height",
        "events_topics", "event_clocks", "camera_widths", "camera_heights", "front_end",
        "robot", "settings", "duration_s", "seed", "answer_timeout_s", "command_timeout_s",
    )
)  # fmt: skip
#: Those that ROS gives every node, and the beginning of those of its topics.
ROS_OWN, QOS_OVERRIDES = frozenset(("use_sim_time", "start_type_description_service")), "qos_overrides."


def read_parameters(path: Path) -> dict[str, dict[str, Any]]:
    """The blocks of a yaml file: ``gate``, ``robot1/gate`` where it lies in a namespace, and ``/**``.

    Raises:
        GraphError: it cannot be read as such a file.
    """
    try:
        content = read_yaml(path)
    except OSError as error:
        raise GraphError(f"{path}: {error.strerror}; give --params a yaml file of ROS parameters") from None
    except ValueError as error:
        raise GraphError(f"{path}: not yaml: {error}") from None
    if not isinstance(content, dict):
        raise GraphError(f"{path}: it holds no nodes; give blocks such as {EXAMPLE}")
    blocks: dict[str, dict[str, Any]] = {}
    _collect(path, "", content, blocks)
    return blocks


def _collect(path: Path, above: str, content: dict, blocks: dict[str, dict[str, Any]]) -> None:
    for node, block in content.items():
        name = f"{above}/{str(node).strip('/')}".strip("/")
        held = block.get("ros__parameters") if isinstance(block, dict) else None
        if isinstance(block, dict) and held is None and block and all(isinstance(b, dict) for b in block.values()):
            _collect(path, name, block, blocks)
            continue
        if not isinstance(held, dict):
            raise GraphError(f"{path}: {node}: no ros__parameters; give e.g. {EXAMPLE}")
        blocks.setdefault(EVERY if name == "**" else name, {}).update(held)


def parameters_of(path: Path, node: str, namespace: str) -> dict[str, Any]:
    """What a file sets for a node, its own block before that of all; nested names are joined by dots, as ROS does.

    Args:
        path: the yaml file.
        node: its name.
        namespace: that it runs in, without slashes at the ends; blocks named without one hold in any.

    Raises:
        GraphError: it cannot be read as such a file, or a parameter has no value or is of no node.
    """
    blocks = read_parameters(path)
    found: dict[str, Any] = {}
    for name in (EVERY, f"{namespace}/**".strip("/"), node, f"**/{node}", f"{namespace}/{node}".strip("/")):
        found |= flatten(blocks.get(name, {}))
    if empty := [key for key, value in found.items() if value is None]:
        raise GraphError(f"{path}: {node}: {empty[0]}: it has no value; give one, or leave the line out")
    if complaint := unknown(found):
        raise GraphError(f"{path}: {node}: {complaint}")
    return found


def check_nodes(path: Path, nodes: Sequence[str]) -> None:
    """Refuse a file with a block for a node that the graph does not have.

    Raises:
        GraphError: names it.
    """
    for block in read_parameters(path):
        if block and block.rpartition("/")[2] not in (*nodes, "**"):
            raise GraphError(f"{path}: {block}: no such node; give {', '.join(nodes)}, or /**")


def unknown(names: Iterable[str]) -> str | None:
    """Return the error of the first parameter that no node of the graph has, or None."""
    for name in names:
        if name not in KNOWN | ROS_OWN and not name.startswith(QOS_OVERRIDES):
            near = difflib.get_close_matches(name, KNOWN, 1)
            remedy = f"did you mean {near[0]}?" if near else "leave it out"
            return f"{name}: no node has such a parameter; {remedy}"
    return None


def flatten(parameters: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Nested parameters under names joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in parameters.items():
        flat |= flatten(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat
