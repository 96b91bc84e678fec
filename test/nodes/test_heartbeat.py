# SPDX-License-Identifier: Apache-2.0
"""A node that was silent for long before its new process speaks is still a node that was restarted."""

from liquid_spike_control.nodes.heartbeat import Heartbeat


def test_a_node_that_was_silent_before_it_was_restarted_is_reported(probe):
    pulse = Heartbeat(probe.node, ("controller",))
    pulse._look("controller", {"state": "active", "pid": "7"})
    pulse.forget_process("controller")  # as for one that hangs, or whose process ended a second ago
    assert pulse.pid("controller") is None
    pulse._look("controller", {"state": "unconfigured", "pid": "8"})
    assert pulse.restarted() == "controller" and pulse.restarted() is None
    pulse.forget("controller")  # it was brought up again
    pulse._look("controller", {"state": "unconfigured", "pid": "8"})
    assert pulse.restarted() is None
