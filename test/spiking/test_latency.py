# SPDX-License-Identifier: Apache-2.0
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.spiking.latency import delay, latencies


def test_layers_are_late_by_the_longest_path_and_short_cuts_wait():
    edges = [("input", "a", 0), ("a", "b", 0), ("b", "c", 0), ("a", "c", 0), ("input", "c", 3)]
    late = latencies(edges, "abc")
    assert late == {"a": 1, "b": 2, "c": 3}
    assert [delay(e, late) for e in edges] == [0, 0, 0, 1, 5]


def test_delays_make_up_for_latency():
    late = latencies([("input", "a", 1), ("a", "b", 3), ("b", "b", 1)], "ab")
    assert late == {"a": 0, "b": 0}
    assert delay(("a", "b", 3), late) == 2
    assert delay(("b", "b", 1), late) == 0


def test_a_circle_needs_a_step_for_every_connection_in_it():
    late = latencies([("input", "a", 0), ("a", "b", 1), ("b", "a", 1)], "ab")
    assert late == {"a": 1, "b": 1}
    late = latencies([("input", "a", 0), ("a", "b", 0), ("b", "a", 2)], "ab")
    assert late == {"a": 1, "b": 2}
    with pytest.raises(ModelError, match=r"a -> b -> a|b -> a -> b") as error:
        latencies([("input", "a", 0), ("a", "b", 0), ("b", "a", 1)], "ab")
    assert "Delay" in str(error.value)
