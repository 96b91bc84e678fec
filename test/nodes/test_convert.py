# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from liquid_spike_control.nodes.convert import (
    from_joint_state,
    packet_to_spikes,
    spikes_to_packet,
    to_joint_state,
    to_ns,
    to_time,
)
from liquid_spike_control.types import Quantities, SpikeTrain

HASH = "0123456789abcdef" * 4


def spikes(n_steps=5, n_neurons=40, seed=0):
    return SpikeTrain.from_dense(np.random.default_rng(seed).random((n_steps, n_neurons)) < 0.2)


def packet(**changes):
    message = spikes_to_packet(spikes(), 40, HASH, 7_000_000, 2_000_000, 3)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_stamps_survive_to_the_nanosecond():
    for stamp in (0, 1, 999_999_999, 1_000_000_000, 2**31 * 1_000_000_000 - 1):
        assert to_ns(to_time(stamp)) == stamp


def test_quantities_survive_a_joint_state_bit_by_bit():
    names = ("cart_position", "cart_velocity", "pole_angle", "pole_rate")
    sent = Quantities(1_005_000_000, names, np.random.default_rng(0).normal(size=4))
    message = to_joint_state(sent)
    assert list(message.name) == list(names)
    received = from_joint_state(message, names)
    assert received.stamp_ns == sent.stamp_ns
    assert received.values.tobytes() == sent.values.tobytes()


def test_what_a_joint_state_does_not_carry_is_nan():
    message = to_joint_state(Quantities(0, ("cart_force",), np.array([2.5])))
    assert (list(message.name), list(message.effort), list(message.position)) == (["cart_force"], [], [2.5])
    received = from_joint_state(message, ("cart_force", "cart_position", "pole_angle"))
    assert received.values[0] == 2.5
    assert all(math.isnan(v) for v in received.values[1:])


def test_spikes_survive_a_packet():
    message = packet()
    assert (message.header.frame_id, message.width, message.height) == (HASH[:16], 40, 5)
    assert (message.time_base, to_ns(message.header.stamp), message.seq) == (2_000_000, 7_000_000, 3)
    received = packet_to_spikes(message, 40, HASH)
    np.testing.assert_array_equal(received.indptr, spikes().indptr)
    np.testing.assert_array_equal(received.ids, spikes().ids)


def test_a_silent_packet_keeps_its_steps():
    silent = SpikeTrain(np.zeros(4, np.int64), np.empty(0, np.int32))
    assert packet_to_spikes(spikes_to_packet(silent, 40, HASH, 0, 0, 0), 40, HASH).n_steps == 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"encoding": "mono"}, "encoding 'mono'"),
        ({"width": 41}, "41 neurons instead of 40"),
        ({"events": b"\0" * 7}, "malformed"),
        ({"events": b"\xff" * 8}, "malformed"),
        ({"height": 1}, "malformed"),
    ],
)
def test_a_packet_that_does_not_fit_is_refused_by_name(changes, says):
    with pytest.raises(ValueError, match=says):
        packet_to_spikes(packet(**changes), 40, HASH)


def test_a_packet_of_another_network_is_refused():
    with pytest.raises(ValueError, match="network '0123456789abcdef' instead of 'ffff"):
        packet_to_spikes(packet(), 40, "f" * 64)
