# SPDX-License-Identifier: Apache-2.0
"""The offload node's process on its own: the same spikes as the emulator in this process."""

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from event_camera_msgs.msg import EventPacket
from processes import ACTIVATE, CONFIGURE, perception_model, started, wait_for

from liquid_spike_control.assembly import new_backend
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.convert import packet_to_spikes, spikes_to_packet
from liquid_spike_control.nodes.diagnostics import read_status
from liquid_spike_control.spiking.nir_io import read_perception_model
from liquid_spike_control.types import SpikeTrain

TICK_NS = 5_000_000
START_NS = 1_000_000_000


def silence(n_steps):
    return SpikeTrain(np.zeros(n_steps + 1, np.int64), np.empty(0, np.int32))


@pytest.fixture
def offload(probe):
    with started("neuromorphic", mode="lockstep", perception_model=perception_model()):
        publisher = probe.node.create_publisher(EventPacket, graph.SPIKES_IN, 10)
        heard = probe.hear(EventPacket, graph.SPIKES_OUT)
        assert probe.change("neuromorphic", CONFIGURE)
        wait_for(publisher.get_subscription_count, 10, "match")
        assert probe.change("neuromorphic", ACTIVATE)
        yield probe, publisher, heard


def test_answers_with_the_spikes_of_the_emulator_and_refuses_strangers(offload):
    probe, publisher, heard = offload
    told = probe.hear(DiagnosticArray, graph.DIAGNOSTICS)
    model = read_perception_model(perception_model())
    backend = new_backend(model)
    rng = np.random.default_rng(0)

    def answer(tick: int, spikes: SpikeTrain) -> SpikeTrain:
        before = len(heard)
        start = START_NS + tick * TICK_NS
        publisher.publish(
            spikes_to_packet(spikes, backend.n_inputs, model.hash, start + TICK_NS, start, tick)
        )
        probe.spin_until(lambda: len(heard) > before, 5, f"answer to packet {tick}")
        return packet_to_spikes(heard[-1], backend.n_outputs, model.hash)

    def same(a: SpikeTrain, b: SpikeTrain) -> bool:
        return a.indptr.tobytes() == b.indptr.tobytes() and a.ids.tobytes() == b.ids.tobytes()

    n_spikes = 0
    for tick in range(30):
        spikes = SpikeTrain.from_dense(rng.random((5, backend.n_inputs)) < 0.01)
        expected = backend.run(spikes)
        assert same(answer(tick, spikes), expected)
        n_spikes += len(expected.ids)
    assert n_spikes > 0  # or nothing was compared

    # another network's packet and a malformed one are refused, and change nothing
    publisher.publish(spikes_to_packet(silence(5), backend.n_inputs, "f" * 64, 0, 0, 30))
    broken = spikes_to_packet(silence(5), backend.n_inputs, model.hash, 0, 0, 30)
    broken.events = b"\xff" * 8
    publisher.publish(broken)

    # two packets are lost: their steps are run without input
    backend.run(silence(10))
    spikes = SpikeTrain.from_dense(rng.random((5, backend.n_inputs)) < 0.01)
    assert same(answer(32, spikes), backend.run(spikes))

    # a jump in time is a new episode
    backend.reset()
    assert same(answer(1000, spikes), backend.run(spikes))

    def status():
        values = [read_status(m).get("neuromorphic", {}) for m in told]
        return next((v for v in values if v.get("episodes") == "2"), None)

    values = probe.spin_until(status, 3, "diagnostics")
    assert values["refused"] == "2"
    assert values["steps_without_input"] == "10"
    assert int(values["synaptic_operations"]) > 0
    assert "hop /neuromorphic/input_us_p99" in values
