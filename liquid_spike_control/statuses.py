# SPDX-License-Identifier: Apache-2.0
"""What the graph's nodes report of themselves on /diagnostics, as text. Needs no ROS: it reads a bag's reports, too."""

from __future__ import annotations

from typing import Any

#: Marks the statuses of this package's nodes.
HARDWARE_ID = "liquid_spike_control"


def read_status(message: Any) -> dict[str, dict[str, str]]:
    """Node name to its values, of the statuses that are ours; ``level`` and ``message`` are among them.

    Args:
        message: a ``diagnostic_msgs/DiagnosticArray``, of rclpy or of a bag.
    """
    found = {}
    for status in message.status:
        if status.hardware_id == HARDWARE_ID:
            values = {pair.key: pair.value for pair in status.values}
            level = status.level if isinstance(status.level, int) else status.level[0]
            values["level"], values["message"] = str(level), status.message
            found[status.name.partition(":")[0]] = values
    return found
