# SPDX-License-Identifier: Apache-2.0
"""Layered networks: their description, their compiled gradients, what is written, and their training on a robot."""

import dataclasses
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from liquid_spike_control.assembly import new_backend, read_robot_perception
from liquid_spike_control.errors import LiquidSpikeError, ModelError, TaskError
from liquid_spike_control.options import TrainOptions
from liquid_spike_control.robot_file import read_robot
from liquid_spike_control.spiking.layers import (
    Layer,
    LayeredNetwork,
    Training,
    check_layers,
    default_network,
    read_layers,
    shapes,
)
from liquid_spike_control.spiking.nir_io import read_perception_model, write_perception_model
from liquid_spike_control.types import SpikeTrain

torch = pytest.importorskip("torch")

from liquid_spike_control.spiking.alif_bptt import AdaptiveSpikes  # noqa: E402
from liquid_spike_control.spiking.layer_bptt import EventConvolution, LayerSpikes  # noqa: E402
from liquid_spike_control.spiking.layer_steps import spikes_of  # noqa: E402
from liquid_spike_control.spiking.layered_network import TrainableLayers  # noqa: E402
from liquid_spike_control.training.entry import train_command  # noqa: E402
from liquid_spike_control.training.layers import LayersTrainer, check_network  # noqa: E402
from liquid_spike_control.training.recorded_episodes import (  # noqa: E402
    CACHE_VARIABLE,
    Recording,
    expert_episodes,
    front_end_of,
    own_episodes,
    recorded,
)

ARM = Path(__file__).parents[1] / "robots/arm"
SMALL = LayeredNetwork(
    step_s=0.002,
    layers=(
        Layer(kernel=5, stride=4, channels=4, delays_s=(0.0, 0.008), start="gabor"),
        Layer(kernel=3, stride=2, channels=6),
        Layer(neurons=8, delays_s=(0.0, 0.002)),
    ),
    training=Training(episodes=4, seconds=1.0, updates=6, streams=3, chunk_s=0.1),
)


# ---- the description ----


def test_quadrotor_and_default_networks_are_sound():
    from liquid_spike_control.robots.catalogue import robot_named

    network = read_layers(robot_named("quadrotor").file("network.yaml"))
    assert sum(int(np.prod(s)) for s in shapes(network, 64, 64)[1:]) <= 20_000
    for period_s in (0.001, 0.005, 0.02, 0.033):
        check_layers(default_network(period_s), "default")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers: []", "layers: none; give at least one"),
        ("layers: [{}]", "layers[0]: neither; give a kernel or neurons"),
        ("layers: [{kernel: 4, channels: 2}]", "give an odd kernel"),
        ("layers: [{neurons: 0}]", "layers[0].neurons: 0; give at least 1"),
        ("layers: [{neurons: 4}, {kernel: 3, channels: 2}]", "put convolutions before dense layers"),
        ("layers: [{neurons: 4, start: gabor}]", "layers[0].start: gabor"),
        ("layers: [{neurons: 4, delays_s: [0.0015]}]", "give whole steps of 0.001 s, at most 0.061 s"),
        ("layers: [{neurons: 4, delays_s: [0.2]}]", "layers[0].delays_s: 0.2"),
        ("layers: [{neurons: 4, delays_s: [0, 0]}]", "each once"),
        ("layers: [{neurons: 4, membrane_s: [0.01, .nan]}]", "layers[0].membrane_s: nan"),
        ("layers: [{neurons: 4}]\nstep_s: 0", "step_s: 0"),
        ("layers: [{neurons: 4}]\noperations_per_s: -1", "operations_per_s: -1"),
        ("layers: [{neurons: 4}]\nreadout_taus_s: []", "readout_taus_s: none"),
        ("layers: [{neurons: 4}]\ntraining: {updates: 0}", "training.updates: 0; give at least 1"),
        ("layers: [{neurons: 4}]\ntraining: {exploration: .inf}", "training.exploration: inf"),
        ("layers: [{neurons: 4, colour: red}]", "colour"),
        ("layers: {", "correct it"),
    ],
)
def test_a_wrong_description_names_file_and_field(tmp_path, text, message):
    path = tmp_path / "network.yaml"
    path.write_text(text)
    with pytest.raises(ModelError) as refusal:
        read_layers(path)
    assert str(refusal.value).startswith(str(path)) and message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_description_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none.yaml: No such file"):
        read_layers(tmp_path / "none.yaml")


# ---- compiled gradients ----


@pytest.mark.parametrize(("kernel", "stride", "rows"), [(5, 4, 16), (3, 2, 9), (3, 1, 7), (1, 1, 4)])
def test_convolution_of_events_is_torch_s(kernel, stride, rows):
    rng, delays, steps = np.random.default_rng(0), [0, 2, 5], 6
    whole = torch.from_numpy((rng.random((2, steps + 6, 2, rows, rows + 3)) < 0.2).astype(np.float32))
    weight = torch.randn(4, 6, kernel, kernel, requires_grad=True)
    due = torch.cat([whole[:, 5 - d : 5 - d + steps] for d in delays], 2).flatten(0, 1)
    wanted = torch.nn.functional.conv2d(due, weight, stride=stride, padding=kernel // 2).unflatten(0, (2, steps))
    each = weight.unflatten(1, (3, -1)).permute(1, 2, 3, 4, 0)
    found = EventConvolution.apply(each, whole, delays, stride, kernel // 2, wanted.shape[2:]).permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    worth = torch.randn(wanted.shape)
    gradients = [torch.autograd.grad((x * worth).sum(), weight)[0] for x in (found, wanted)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("adapts", [False, True])
def test_compiled_steps_and_gradients_are_those_of_torch_s_operations(adapts):
    torch.manual_seed(adapts)
    batch, steps, n = 3, 25, 7
    a = (0.4 * adapts + 0.5 * torch.randn(batch, steps, n)).requires_grad_()
    du, dv, rise, dh = (torch.rand(n).mul(0.5).add(0.1).requires_grad_() for _ in range(4))
    numbers = [du, dv, torch.zeros(n, requires_grad=True), *([rise, dh] if adapts else [])]
    compiled, plain = ([torch.zeros(batch, n) for _ in range(3 + adapts)] for _ in range(2))
    for _ in range(2):  # the second chunk goes on from the first one's state
        found = (AdaptiveSpikes if adapts else LayerSpikes).apply(a, *numbers, compiled)
        wanted = spikes_of(a, *numbers[:3], plain, tuple(numbers[3:]) or None)
        assert torch.equal(found, wanted) and 0.02 < float(found.detach().mean()) < 0.9
        for one, other in zip(compiled, plain, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        worth = torch.randn(wanted.shape)
        for one, other in zip(
            torch.autograd.grad((found * worth).sum(), [a, *numbers]),
            torch.autograd.grad((wanted * worth).sum(), [a, *numbers]),
            strict=True,
        ):
            assert other.abs().max() > 0
            torch.testing.assert_close(one, other, atol=2e-4, rtol=2e-4)


# ---- what is written ----

ADAPTING = msgspec.structs.replace(
    SMALL, layers=(SMALL.layers[0], *(msgspec.structs.replace(layer, rise=0.3) for layer in SMALL.layers[1:]))
)


@pytest.mark.parametrize("network", [SMALL, ADAPTING], ids=["plain", "adapting"])
def test_the_file_s_network_gives_the_spikes_that_were_trained(tmp_path, network):
    rng = np.random.default_rng(1)
    net = TrainableLayers(network, 32, 32, 2, seed=3)
    x = (rng.random((1, 60, 2, 32, 32)) < 0.03).astype(np.float32)
    with torch.no_grad():
        net.calibrate(torch.from_numpy(x))
        state = net.initial_state(1)
        pieces = [net(torch.from_numpy(x[:, k : k + 20]), state) for k in (0, 20, 40)]
    wanted = torch.cat([spikes[-1] for _, spikes in pieces], 1)[0].flatten(1).numpy()
    assert 5 < wanted.sum() < wanted.size / 2
    metadata = {"feature_names": ["a", "b"], "weight_scale": net.weight_scale()}
    path = tmp_path / "n.nir"
    write_perception_model(path, net.graph(), net.to_readout(np.array([2.0, 0.5])), metadata, dt=0.002)
    model = read_perception_model(path)
    assert [p.adapts for p in model.graph.populations.values()] == [layer.rise > 0 for layer in network.layers]
    assert model.graph.hash == net.graph().hash and {c.delay for c in model.graph.connections} == {0, 4, 1}
    steps, ids = np.nonzero(x[0].reshape(60, -1))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(steps, minlength=60))])
    with new_backend(model, "float") as backend:
        out = backend.run(SpikeTrain(indptr.astype(np.int64), ids.astype(np.int32)))
    found = np.zeros_like(wanted)
    found[np.repeat(np.arange(60), np.diff(out.indptr)), out.ids] = 1
    assert np.array_equal(found, wanted)
    estimate = pieces[-1][0][0, -1].numpy() * [2.0, 0.5]
    np.testing.assert_allclose(model.readout.step(out), estimate, atol=1e-5)
    spikes = [torch.cat(part, 1) for part in zip(*(part for _, part in pieces), strict=True)]
    operations = float(net.operations(spikes).detach())
    with new_backend(model) as chip:  # integers: the same network but for the rounding of its state
        chip.run(SpikeTrain(indptr.astype(np.int64), ids.astype(np.int32)))
        stats = chip.stats()
    assert stats.synaptic_operations == pytest.approx(operations, rel=0.15)  # at the edges fields are smaller


@pytest.mark.parametrize("network", [SMALL, ADAPTING], ids=["plain", "adapting"])
def test_a_network_learns_alike_without_compiled_steps(network):
    rng = np.random.default_rng(4)
    x = torch.from_numpy((rng.random((2, 40, 2, 32, 32)) < 0.03).astype(np.float32))
    nets = [TrainableLayers(network, 32, 32, 2, seed=3) for _ in range(2)]
    nets[1].compiled = False
    states = []
    for net in nets:
        net.calibrate(x)
        states.append(net.initial_state(2))
        for _ in range(2):
            estimates, spikes = net(x, states[-1])
        (estimates**2).sum().backward()
        assert 10 < float(spikes[-1].detach().sum())
    for one, other in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-3)
    for one, other in zip(*(state.before + [state.traces] for state in states), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("network", [SMALL, ADAPTING], ids=["plain", "adapting"])
def test_a_step_of_training_stays_on_its_device(network):
    """Torch's fake tensors have shapes and devices alone, and no operation takes two devices; as on CUDA."""
    from torch._subclasses.fake_tensor import FakeTensorDeviceMismatchError, FakeTensorMode

    device = torch.device("meta")
    with FakeTensorMode():
        with device:
            net = TrainableLayers(network, 32, 32, 2, seed=3)
        net.compiled, state = False, net.initial_state(2)
        optimiser = torch.optim.Adam(net.parameters())
        x = torch.zeros(2, 40, 2, 32, 32, device=device)
        estimates, spikes = net(x, state)
        assert {part.device for part in (estimates, *spikes, *net.parameters())} == {device}
        (estimates**2).sum().backward()
        optimiser.step()
        state.forget(1)
        with pytest.raises(FakeTensorDeviceMismatchError):
            net(x.to("cpu"), state)


# ---- training ----


@pytest.fixture
def arm(tmp_path, monkeypatch):
    """A copy of the arm, with a cache of episodes of its own."""
    folder = tmp_path / "arm"
    shutil.copytree(ARM, folder)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return folder


@pytest.mark.parametrize("network", [SMALL, ADAPTING], ids=["plain", "adapting"])
def test_train_write_and_run(arm, capsys, network):
    (arm / "small.yaml").write_bytes(msgspec.yaml.encode(network))
    out = arm / "perception.nir"
    options = TrainOptions(str(arm), network=arm / "small.yaml", updates=3, logs=arm / "logs")
    assert train_command("perception", options) == 0
    (log,) = (arm / "logs").iterdir()
    tags = (b"loss", b"operations_per_s", b"ball_x", b"held out/ball_x", b"held out, float/ball_y")
    assert [log.read_bytes().count(b"\x0a" + bytes([len(tag)]) + tag) for tag in tags] == [3, 3, 3, 1, 1]
    said = capsys.readouterr().out
    assert "in the emulator's integers" in said and "ball_x: error" in said and "in floats" in said
    assert not out.with_name("perception.nir.checkpoint").exists()
    model = read_robot_perception(read_robot(arm))
    assert model.metadata["training_command"].endswith("--updates 3 --network small.yaml")
    assert model.metadata["training_seeds"] == [1_000_000_000, 1_000_000_003]
    assert model.metadata["training"]["network"]["layers"][0]["kernel"] == 5
    rises = [p.rise for p in model.graph.populations.values() if p.adapts]
    assert len(rises) == sum(layer.rise > 0 for layer in network.layers)
    for rise in rises:  # of the description, with three steps of the optimiser
        assert 0 < np.abs(rise - 0.3).max() < 0.05


def new_trainer(robot, network, seed, folder):
    check_network(robot, network)
    return LayersTrainer(robot, network, seed, expert_episodes(robot, network, seed, folder, 1))


def test_a_training_that_was_interrupted_ends_alike(arm, tmp_path):
    robot, folder = read_robot(arm), tmp_path / "cache"
    whole = new_trainer(robot, SMALL, 1, folder)
    losses = [whole.update()["loss"] for _ in range(4)]
    first = new_trainer(robot, SMALL, 1, folder)
    for _ in range(2):
        first.update()
    first.save(tmp_path / "c")
    second = new_trainer(robot, SMALL, 1, folder)
    second.restore(tmp_path / "c")
    assert second.done == 2 and [second.update()["loss"] for _ in range(2)] == losses[2:]
    for one, other in zip(whole.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(one, other)
    other = new_trainer(robot, SMALL, 2, folder)
    with pytest.raises(TaskError, match="seed differs"):
        other.restore(tmp_path / "c")


def on_policy(arm, **changes):
    """The arm with a variant that drives on its estimates, and a training of which half is driven by it."""
    (arm / "keeper.py").write_text(
        "import numpy as np\n\n\nclass Keeper:\n"
        "    observation_names = ('ball_x', 'ball_y')\n\n"
        "    def __init__(self, task):\n        self.most = task.most\n\n"
        "    def reset(self):\n        pass\n\n"
        "    def step(self, observation, dt):\n        return self.most * np.clip(observation.sum(), -1, 1)\n"
    )
    with open(arm / "robot.yaml", "a") as file:
        file.write("\nvariants:\n  keeper: {controller: keeper.py:Keeper}\n")
    training = msgspec.structs.replace(SMALL.training, **{"on_policy": 0.5, "driver": "keeper"} | changes)
    network = msgspec.structs.replace(SMALL, training=training)
    (arm / "small.yaml").write_bytes(msgspec.yaml.encode(network))
    return network


def test_half_of_the_episodes_are_driven_by_the_network_itself(arm, capsys, tmp_path):
    network = on_policy(arm)
    options = TrainOptions(str(arm), network=arm / "small.yaml", updates=4)
    assert train_command("perception", options) == 0
    first = (arm / "perception.nir").read_bytes()
    metadata = read_robot_perception(read_robot(arm)).metadata
    assert metadata["training"]["network"]["training"]["on_policy"] == 0.5
    assert metadata["training_seeds"] == [1_000_000_000, 1_000_000_003]
    (half,) = (tmp_path / "cache").glob("*.nir")
    robot = read_robot(arm)
    own = own_episodes(robot, network, 1, tmp_path / "cache", 1, half.stem)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    theirs = expert_episodes(robot, network, 1, tmp_path / "cache", 1)
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}  # all were there
    assert len(own) == len(theirs.training) == 2
    driven = recorded(robot, Recording(0.002, 1, network.training.seconds), [1_000_000_002], tmp_path / "b", 1)[0]
    assert len(own[0].spikes.ids) and not np.array_equal(own[0].spikes.ids, driven.spikes.ids)  # the arm is seen, too
    assert train_command("perception", options) == 0 and (arm / "perception.nir").read_bytes() == first
    capsys.readouterr()


def test_a_training_that_was_interrupted_has_its_own_episodes_again(arm, tmp_path):
    network = on_policy(arm)
    robot, folder = read_robot(arm), tmp_path / "cache"
    network = msgspec.structs.replace(network, training=msgspec.structs.replace(network.training, updates=4))

    def own(driven_by):
        return own_episodes(robot, network, 1, folder, 1, driven_by)

    whole = new_trainer(robot, network, 1, folder)
    assert not whole.wants_own
    for _ in range(2):
        whole.update()
    assert whole.wants_own and len(whole.episodes) == 2
    half = whole.half(folder, "a test").hash
    whole.learn_from(own(half), half)
    assert not whole.wants_own and len(whole.episodes) == 4
    whole.save(tmp_path / "c")
    losses = [whole.update()["loss"] for _ in range(2)]
    second = new_trainer(robot, network, 1, folder)
    second.restore(tmp_path / "c", own)
    assert len(second.episodes) == 4 and [second.update()["loss"] for _ in range(2)] == losses
    (folder / f"{half}.nir").unlink()
    with pytest.raises(LiquidSpikeError, match="not there any more; remove the checkpoint"):
        new_trainer(robot, network, 1, folder).restore(tmp_path / "c", own)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"driver": "nobody"}, "small.yaml: training.driver: unknown variant 'nobody'"),
        ({"driver": ""}, "small.yaml: training.driver"),
        ({"on_policy": 1.5}, "training.on_policy: 1.5; give a part of the episodes"),
        ({"on_policy": 0.0}, "training.driver: keeper; give on_policy"),
    ],
)
def test_a_driver_that_is_not_there_is_named_before_the_work(arm, changes, message):
    on_policy(arm, **changes)
    with pytest.raises(LiquidSpikeError) as refusal:
        train_command("perception", TrainOptions(str(arm), network=arm / "small.yaml", updates=3))
    assert message in str(refusal.value) and not (arm.parent / "cache").exists()


def test_episodes_are_recorded_once(arm, tmp_path):
    robot, recording = read_robot(arm), Recording(0.002, 1, 0.3)
    one = recorded(robot, recording, range(2), tmp_path / "a", 1)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()}
    recorded(robot, recording, range(2), tmp_path / "a", 1)
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()}
    finer = recorded(robot, dataclasses.replace(recording, step_s=0.001), range(1), tmp_path / "a", 1)
    assert finer[0].truth.tobytes() == one[0].truth.tobytes() and finer[0].spikes.n_steps == 2 * one[0].spikes.n_steps
    assert len(one[0].spikes.ids) and len(list((tmp_path / "a").iterdir())) == 3
    next(iter(stamps)).write_bytes(b"PK")
    with pytest.raises(LiquidSpikeError, match="not a whole recorded episode"):
        recorded(robot, recording, range(2), tmp_path / "a", 1)


def test_episodes_pass_the_robot_s_front_end(arm, tmp_path):
    robot, recording = read_robot(arm), Recording(0.002, 1, 0.3)
    description = arm / "robot.yaml"
    description.write_text(description.read_text().replace("name: eye, ", "name: eye, front_end: {group: [2, 4]}, "))
    grouped = read_robot(arm)
    assert front_end_of(robot)[1] == (32, 32) and front_end_of(grouped)[1] == (16, 8)
    plain, small = (recorded(r, recording, range(1), tmp_path / "a", 1)[0] for r in (robot, grouped))
    assert plain.spikes.ids.max() >= 2 * 16 * 8 > small.spikes.ids.max() and len(small.spikes.ids)
    assert TrainableLayers(SMALL, *front_end_of(grouped)[1], 2, 1).shapes[0] == (2, 8, 16)


@pytest.mark.slow
def test_workers_record_the_same(arm, tmp_path):
    robot, recording = read_robot(arm), Recording(0.002, 1, 0.3)
    one, many = (recorded(robot, recording, range(2), tmp_path / str(n), n) for n in (1, 2))
    for a, b in zip(one, many, strict=True):
        assert np.array_equal(a.spikes.ids, b.spikes.ids) and np.array_equal(a.truth, b.truth)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 3}, "--rounds belongs to the training of a controller"),
        ({"random_features": True, "updates": 3}, "--updates does not belong to --random-features"),
        ({"random_features": True, "logs": Path("logs")}, "--logs does not belong to --random-features"),
        ({"network": Path("none.yaml")}, "none.yaml: No such file"),
        ({"random_features": True, "device": "cuda"}, "--random-features trains on the CPU; leave --device out"),
        ({"network": Path("a.nir"), "device": "cuda"}, "--network a.nir trains on the CPU; leave --device out"),
    ],
)
def test_options_that_do_not_go_together_are_named(arm, options, message):
    with pytest.raises(LiquidSpikeError, match=message):
        train_command("perception", TrainOptions(str(arm), **options))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device_is_refused(arm):
    with pytest.raises(TaskError, match="--device cuda: torch finds no CUDA device"):
        train_command("perception", TrainOptions(str(arm), device="cuda"))


@pytest.mark.parametrize(
    ("found", "instead", "change", "message"),
    [
        (", mujoco: {body: ball, field: y}", "", {}, "estimates (ball_y): its truth is not finite"),
        ("name: eye, ", "name: eye, mujoco: blind, ", {}, "cameras: they gave no event"),
        ("estimates:", "estimates: []\nunused:", {}, "unused"),
        ("", "", {"step_s": 0.003}, "give a whole part of the control period"),
        ("", "", {"row_group": 5}, "give a divisor of the picture's height, 32"),
        ("", "", {"operations_per_s": 1.0}, "in the first layer alone; give more"),
        ("", "", {"training": Training(mirror_rows={"ball": -1.0})}, "name one of the estimates: ball_x, ball_y"),
    ],
)
def test_bad_input_is_named(arm, tmp_path, found, instead, change, message):
    description = arm / "robot.yaml"
    description.write_text(description.read_text().replace(found, instead) if found else description.read_text())
    scene = (arm / "scene.xml").read_text()
    blind = '<camera name="blind" pos="0 0 5" xyaxes="1 0 0 0 -1 0"/>'
    (arm / "scene.xml").write_text(scene.replace("</worldbody>", f"{blind}</worldbody>"))
    layers = SMALL.layers if "step_s" not in change else (Layer(neurons=4),)
    with pytest.raises(LiquidSpikeError) as refusal:
        robot = read_robot(arm)
        robot = msgspec.structs.replace(
            robot, cameras=tuple(
                msgspec.structs.replace(c, model=msgspec.structs.replace(c.model, shot_noise_hz=0.0, leak_hz=0.0))
                for c in robot.cameras
            ),
        )  # fmt: skip
        new_trainer(robot, msgspec.structs.replace(SMALL, layers=layers, **change), 1, tmp_path / "cache")
    assert message in str(refusal.value) and "\n" not in str(refusal.value)
