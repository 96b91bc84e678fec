# SPDX-License-Identifier: Apache-2.0
"""The offload node's process on its own: the same spikes as the backend in this process."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from event_camera_msgs.msg import EventPacket
from lifecycle_msgs.msg import Transition
from processes import ACTIVATE, CONFIGURE, DEACTIVATE, alive, children_of, perception_model, run, started, wait_for
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from liquid_spike_control.assembly import new_backend
from liquid_spike_control.errors import WorkerError
from liquid_spike_control.neuromorphic import model as spiking_model
from liquid_spike_control.neuromorphic.files.compiled import write_network
from liquid_spike_control.neuromorphic.integers.network import LoihiNetwork
from liquid_spike_control.neuromorphic.integers.neurons import Population
from liquid_spike_control.neuromorphic.integers.synapses import Dense
from liquid_spike_control.neuromorphic.workers.oracles import find_oracle
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.convert import packet_to_spikes, spikes_to_packet
from liquid_spike_control.nodes.diagnostics import read_status
from liquid_spike_control.spiking.nir_io import read_perception_model
from liquid_spike_control.types import SpikeTrain

TICK_NS = 5_000_000
START_NS = 1_000_000_000
CLEANUP = Transition.TRANSITION_CLEANUP


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


class Offload:
    """The node in its process, the same network in this one, and packets between them."""

    def __init__(self, probe, process):
        self.probe, self.process = probe, process
        self.publisher = probe.node.create_publisher(EventPacket, graph.SPIKES_IN, 10)
        self.heard = probe.hear(EventPacket, graph.SPIKES_OUT)
        self.told = probe.hear(DiagnosticArray, graph.DIAGNOSTICS)
        self._tick = self._seq = 0

    def start(self, path, kind: str = "loihi") -> None:
        """Configure and activate, and load the same model here."""
        assert self.probe.change("neuromorphic", CONFIGURE, timeout=60)
        wait_for(self.publisher.get_subscription_count, 10, "match")
        assert self.probe.change("neuromorphic", ACTIVATE)
        self.model = spiking_model.read_model(path)
        self.backend = spiking_model.new_backend(self.model, kind)
        self._tick += 10**6  # an episode of its own
        self.heard.clear()

    def stop(self) -> None:
        assert self.probe.change("neuromorphic", DEACTIVATE)
        assert self.probe.change("neuromorphic", CLEANUP)

    def set(self, **parameters: str) -> None:
        refused = self.ask_to_set(**parameters)
        assert not refused, refused

    def ask_to_set(self, **parameters: str) -> list[str]:
        """Set parameters; why those that are refused are."""
        request = SetParameters.Request()
        for name, value in parameters.items():
            held = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
            request.parameters.append(Parameter(name=name, value=held))
        done = self.probe.call(SetParameters, "/neuromorphic/set_parameters", request)
        return [result.reason for result in done.results if not result.successful]

    def packet(self, spikes: SpikeTrain, network_hash: str | None = None) -> EventPacket:
        start = START_NS + self._tick * 1_000_000
        self._tick += spikes.n_steps
        self._seq += 1
        named = network_hash or self.model.hash
        return spikes_to_packet(spikes, self.backend.n_inputs, named, start, start, self._seq)

    def exchange(self, n_steps: int, seed: int, rate: float = 0.02) -> int:
        """Send a packet, check the answer to the spike, give the number of spikes in it."""
        dense = np.random.default_rng(seed).random((n_steps, self.backend.n_inputs)) < rate
        spikes = SpikeTrain.from_dense(dense)
        before = len(self.heard)
        self.publisher.publish(self.packet(spikes))
        self.probe.spin_until(lambda: len(self.heard) > before, 10, "an answer")
        answer = packet_to_spikes(self.heard[-1], self.backend.n_outputs, self.model.hash)
        expected = self.backend.run(spikes)
        assert np.array_equal(answer.indptr, expected.indptr) and np.array_equal(answer.ids, expected.ids)
        return len(expected.ids)

    def status(self, holds) -> dict[str, str]:
        """The first status from now on of which something holds."""
        self.told.clear()

        def found():
            statuses = (read_status(m).get("neuromorphic", {}) for m in self.told)
            return next((s for s in statuses if holds(s)), None)

        return self.probe.spin_until(found, 5, "diagnostics")


def other_network(path: Path) -> Path:
    """A small network in a compiled file."""
    rng = np.random.default_rng(3)
    weights = rng.integers(-100, 200, (20, 30))
    network = LoihiNetwork(30, {"only": Population(20, 500, 300, 60)}, [Dense("input", "only", weights)])
    write_network(path, network, {"step_s": 1e-3})
    return path


@pytest.mark.real_time
def test_another_network_without_another_process(probe, tmp_path):
    compiled = other_network(tmp_path / "other.safetensors")
    with started("neuromorphic", mode="lockstep", perception_model=perception_model()) as process:
        offload = Offload(probe, process)
        offload.start(perception_model())
        assert offload.exchange(50, seed=1) > 0
        first = offload.model.hash

        offload.stop()
        offload.set(model=str(compiled))
        offload.start(compiled)
        assert offload.model.hash != first
        assert offload.exchange(50, seed=2) > 0
        offload.publisher.publish(offload.packet(silence(5), first))
        said = offload.status(lambda s: s.get("refused") == "1")
        assert said["network"] == offload.model.hash[:16]
        offload._tick -= 5  # it was refused, so its time did not pass
        assert offload.exchange(50, seed=3) > 0

        # a file that is none: refused at configure, in one line, and the node lives
        offload.stop()
        offload.set(model=str(tmp_path / "none.safetensors"))
        assert not probe.change("neuromorphic", CONFIGURE)

        # back to the first, in floats
        offload.set(model="", backend="float")
        offload.start(perception_model(), "float")
        assert offload.exchange(50, seed=4) > 0
        said = offload.status(lambda s: s.get("backend") == "float" and s.get("packets") == "1")
        assert said["refused"] == "0"  # the counts are those of this activation
        assert process.poll() is None


@pytest.mark.real_time
def test_many_steps_a_packet_and_packets_that_ask_for_too_much(probe, tmp_path):
    compiled = other_network(tmp_path / "other.safetensors")
    with started("neuromorphic", model=compiled, max_steps=5000) as process:
        offload = Offload(probe, process)
        offload.start(compiled)
        assert offload.exchange(5000, seed=1) > 0
        offload.exchange(1, seed=2, rate=0.5)
        assert offload.exchange(777, seed=3) > 0
        said = offload.status(lambda s: s.get("packets") == "3")
        assert 0 <= float(said["load"]) < 1 and said["lost"] == "0"
        held = memory_kib(process.pid)

        quiet = silence(5)
        for field, value in (("height", 2**32 - 1), ("height", 5001), ("width", 2**32 - 1), ("encoding", "evt3")):
            packet = offload.packet(quiet)
            setattr(packet, field, value)
            offload.publisher.publish(packet)
        for stamp_ns, data in ((2**32 - 1, b""), (0, b"\xff" * 16), (0, b"odd")):
            packet = offload.packet(quiet)
            packet.header.stamp.sec, packet.header.stamp.nanosec = 2**31 - 1, stamp_ns
            packet.events = data
            offload.publisher.publish(packet)
        said = offload.status(lambda s: s.get("refused") == "7")
        assert memory_kib(process.pid) - held < 20_000
        # at the end of time, and then at its beginning: episodes of their own
        for base in (2**64 - 1, 0):
            packet = offload.packet(quiet)
            packet.time_base = base
            before = len(offload.heard)
            offload.publisher.publish(packet)
            probe.spin_until(lambda n=before: len(offload.heard) > n, 5, "an answer")
        offload.backend.reset()
        assert offload.exchange(100, seed=4) > 0
        assert process.poll() is None and children_of(process.pid) == []


def memory_kib(pid: int) -> int:
    """Resident memory of a process [KiB]."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.real_time
def test_what_cannot_be_configured(probe, tmp_path):
    with started("neuromorphic") as process:
        assert not probe.change("neuromorphic", CONFIGURE)  # no model
        offload = Offload(probe, process)
        rng = np.random.default_rng(3)
        network = LoihiNetwork(3, {"a": Population(2, 0, 0, 9)}, [Dense("input", "a", rng.integers(0, 9, (2, 3)))])
        write_network(tmp_path / "timeless.safetensors", network, {})
        for parameters in (
            {"model": str(tmp_path / "timeless.safetensors")},  # and no step_s
            {"model": str(other_network(tmp_path / "o.safetensors")), "backend": "float"},
        ):
            offload.set(**parameters)
            assert not probe.change("neuromorphic", CONFIGURE)
        (refused,) = offload.ask_to_set(backend="chip")
        assert "backend: 'chip'; give one of loihi" in refused
        offload.set(model=str(tmp_path / "o.safetensors"), backend="loihi")
        offload.start(tmp_path / "o.safetensors")
        assert offload.exchange(50, seed=1) > 0
        process.terminate()
        process.wait(10)
        errors = [line for line in process.stderr.read().splitlines() if "[ERROR]" in line]
        for text in ("model: it is empty", "give parameter step_s", "no float network"):
            assert sum(text in line for line in errors) == 1, (text, errors)
        assert len(errors) == 3


@pytest.mark.real_time
@pytest.mark.parametrize("kind", [pytest.param("lava", marks=pytest.mark.slow), "nengo_loihi"])
def test_another_simulator_as_backend(probe, tmp_path, kind):
    try:
        find_oracle(kind)
    except WorkerError as error:
        pytest.skip(str(error))
    compiled = other_network(tmp_path / "other.safetensors")
    with started("neuromorphic", model=compiled, backend=kind) as process:
        offload = Offload(probe, process)
        offload.start(compiled)  # the emulator here, the other simulator there
        assert offload.exchange(60, seed=1) > 0
        assert offload.exchange(40, seed=2) > 0
        assert offload.status(lambda s: s.get("packets") == "2")["backend"] == kind
        children = children_of(process.pid)
        assert children

        # it dies: told, no answers, and configured anew it is back
        for child in children:
            os.kill(child, signal.SIGKILL)
        offload.publisher.publish(offload.packet(silence(5)))
        said = offload.status(lambda s: s.get("unanswered") == "1" and "configure" in s["message"])
        assert int(said["level"]) == 2
        offload.stop()
        offload.start(compiled)
        assert offload.exchange(60, seed=3) > 0
        children = children_of(process.pid)
    assert not any(alive(child) for child in children)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_pencil_on_another_simulator(ros_domain, tmp_path):
    """Every figure of the run is the same, but for those of time."""
    try:
        find_oracle("nengo_loihi")
    except WorkerError as error:
        pytest.skip(str(error))
    reports = []
    for simulator in ("loihi", "nengo_loihi"):
        path = tmp_path / f"{simulator}.json"
        how = ("--seed", "5", "--duration", "1", "--mode", "lockstep")
        done = run(*how, "--simulator", simulator, "--json", str(path), timeout=120)
        assert done.returncode == 0, done.stderr
        reports.append(json.loads(path.read_text()))
    differ = {name for name in reports[0] if reports[0][name] != reports[1][name]}
    assert reports[0]["spikes_per_s"] > 0 and differ <= {"wall_s", "latencies_us"}
