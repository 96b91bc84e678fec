# SPDX-License-Identifier: Apache-2.0
"""Controllers that learn by reward: the network in a loop, its file, the training command, and wrong inputs."""

import json

import numpy as np
import pytest
import yaml
from cli_here import cli

from liquid_spike_control.control.files import controller_of, read_controller_file
from liquid_spike_control.control.reward import REWARD_UNIT, RewardController, RewardFile, RewardNetwork
from liquid_spike_control.control.reward_file import write_reward
from liquid_spike_control.errors import LearningRuleError, ModelError, TaskError
from liquid_spike_control.robots.catalogue import robot_named
from liquid_spike_control.training.reward_command import first_lasting

DT = 0.02


def described(**network) -> RewardFile:
    """A cart whose speed is the command; a second command passes a setpoint on."""
    options = {"centres": (0.0,), "scales": (0.5,), "limits": (2.0,), "errors": (REWARD_UNIT,), "period_s": DT}
    return RewardFile(
        observation_names=("x", "wanted"), observation_units=("m", "m/s"), observation_scales=(0.5, 1.0),
        command_names=("lamp", "speed"), command_units=("m/s", "m/s"), command_limits=(3.0, 2.0), nominal_period_s=DT,
        task="cart", training_command="test", training_seeds=(0, 0), learnt=(1,), passed=((0, 1),),
        network=RewardNetwork(**options | network), inputs=(0,),
    )  # fmt: skip


def driven(controller: RewardController, n: int, reward: float, seed: int = 0) -> np.ndarray:
    """Distances of a cart from where it should be; every second it is put elsewhere."""
    rng, x, found = np.random.default_rng(seed), 0.0, []
    controller.reset()
    for k in range(n):
        if k % 50 == 0:
            x = rng.uniform(-1, 1)
        if reward:
            controller.reinforce(np.array([-reward * np.clip(x / 0.1, -1, 1)]))
        x += DT * controller.step(np.array([x, 1.25]), DT)[1] + 0.01 * rng.normal()
        found.append(abs(x))
    return np.array(found)


@pytest.fixture(scope="module")
def learnt() -> RewardController:
    controller = RewardController(described(), training=True)
    driven(controller, 3000, 8.0)
    return controller


def test_it_learns_to_go_back_and_keeps_what_it_has_learnt(learnt):
    before = driven(RewardController(described()), 1000, 0.0, seed=1)
    weights = learnt.outputs.weights
    after = driven(learnt, 1000, 0.0, seed=1)
    assert (learnt.outputs.weights == weights).all(), "without a reward nothing changes"
    assert np.median(after) < 0.3 * np.median(before)
    plus, minus = weights[:4].mean(0), weights[4:].mean(0)
    assert plus[0] > 0 > plus[-1] and minus[0] < 0 < minus[-1], "fields of negative x excite the sign that raises x"


def test_it_learns_only_in_training(learnt):
    still = RewardController(described())
    driven(still, 200, 8.0)
    assert not still.outputs.weights.any() and learnt.outputs.weights.any()


def test_commands_are_within_their_limits_and_others_are_passed_on(learnt):
    assert learnt.step(np.array([-1.0, 1.25]), DT)[0] == 1.25
    assert learnt.step(np.array([-1.0, 9.0]), DT)[0] == 3.0
    for x in (-1e300, 0.0, 1e300):
        assert abs(learnt.step(np.array([x, 0.0]), DT)[1]) <= 2.0
    assert np.isnan(learnt.step(np.array([np.nan, 0.0]), DT)).all() and learnt.poisoned == 1


def test_the_same_bytes_again_and_from_a_state():
    one, two = (RewardController(described(), training=True) for _ in range(2))
    assert (driven(one, 300, 8.0) == driven(two, 300, 8.0)).all()
    state = one.state
    first = [one.step(np.array([0.1, 0.0]), DT).tobytes() for _ in range(20)]
    one.state = state
    assert [one.step(np.array([0.1, 0.0]), DT).tobytes() for _ in range(20)] == first
    one.state = state
    one.warm()
    assert (one.state == state).all()


# ---- while it runs ----


def running(**changes) -> RewardController:
    """As ``run --rewards`` has it."""
    return controller_of(RewardFile(**vars(described()) | changes), rewards=True)


def test_while_it_runs_it_learns_from_the_task_s_rewards_as_in_training():
    one, two = running(reward=8.0), RewardController(described(), training=True)
    for x in np.random.default_rng(1).uniform(-1, 1, 200):
        one.judge(np.array([np.nan, -np.sign(x)]))  # the lamp is not judged
        two.reinforce(np.array([-8.0 * np.sign(x)]))
        assert (one.step(np.array([x, 0.0]), DT) == two.step(np.array([x, 0.0]), DT)).all()
    assert (one.outputs.weights == two.outputs.weights).all() and one.outputs.weights.any()
    assert one.account()["learning"] == "on"
    one.reset()
    assert (one.outputs.weights == two.outputs.weights).all(), "an episode goes on with what was learnt"


def test_a_reward_counts_once():
    once, always = running(), running()
    for k in range(100):
        if k == 50:
            once.judge(np.array([0.0, 1.0]))
        if k >= 50:
            always.judge(np.array([0.0, 1.0]))
        for c in (once, always):
            c.step(np.array([0.2, 0.0]), DT)
    assert 0 < np.abs(once.outputs.weights).sum() < 0.2 * np.abs(always.outputs.weights).sum()


def test_a_reward_that_is_not_finite_freezes_learning():
    c = running()
    for bad in (np.nan, np.inf):
        for _ in range(100):
            c.judge(np.array([np.nan, 1.0]))
            c.step(np.array([0.2, 0.0]), DT)
        c.judge(np.array([0.0, bad]))
        assert c.account()["learning"] == "frozen: a reward was not finite"
        frozen = c.outputs.weights
        for _ in range(100):
            c.judge(np.array([np.nan, 1.0]))
            assert np.isfinite(c.step(np.array([0.2, 0.0]), DT)).all()
        c.reset()
        assert (c.outputs.weights == frozen).all() and not c.learning and frozen.any()
        c.learning = True
        assert c.account()["learning"] == "on"
    c.learning = False
    c.judge(np.array([0.0, np.nan]))
    assert c.account()["learning"] == "off", "what is off has nothing to freeze"


@pytest.mark.parametrize(
    ("full_rate", "reward", "why"),
    [
        (0.15, 10.0, "the learnt term was at its limit for 2 s"),
        (1.0, 127.0, "more than 48 % of a command's weights ran to their bound"),
    ],
)
def test_learning_that_leaves_its_bounds_freezes(full_rate, reward, why):
    """A reward that no command satisfies; a limit that takes a spike in every step is hardly ever reached."""
    c = running(reward=reward, network=described(full_rate=full_rate).network)
    for x in np.random.default_rng(0).uniform(-0.6, 0.6, 3000):
        c.judge(np.array([0.0, 1.0]))
        assert abs(c.step(np.array([x, 0.0]), DT)[1]) <= 2.0
    assert c.account()["learning"] == f"frozen: {why}"
    assert c.account()["learnt_saturated"] <= 0.48  # those of the last check


def test_one_command_that_runs_away_freezes_learning_whatever_the_others_do():
    network = RewardNetwork(
        centres=(0.0,), scales=(0.5,), limits=(2.0,) * 4, errors=(REWARD_UNIT,) * 4, period_s=DT, full_rate=1.0
    )  # fmt: skip
    names = {"command_names": tuple("abcd"), "command_units": ("m/s",) * 4, "command_limits": (2.0,) * 4}
    c = running(reward=127.0, network=network, learnt=(0, 1, 2, 3), passed=(), **names)
    for x in np.random.default_rng(0).uniform(-0.6, 0.6, 2000):
        c.judge(np.array([0.0, 0.0, 1.0, 0.0]))
        c.step(np.array([x, 0.0]), DT)
    assert c.account()["learning"] == "frozen: more than 48 % of a command's weights ran to their bound"
    assert c.account()["learnt_saturated"] < 0.13


def test_what_does_not_learn_by_reward_is_named():
    still = controller_of(described())
    assert still.account() == {} and not still.learning
    with pytest.raises(TaskError, match="it learns while it runs where it gets rewards; run it with --rewards"):
        still.learning = True
    with pytest.raises(ModelError, match="does not learn by reward; give one that train reward made"):
        controller_of(read_controller_file("hover/ncp.safetensors"), rewards=True)
    with pytest.raises(ModelError, match=r"learning.reward: 0; give more than 0, at most 127"):
        running(reward=0)


def test_what_was_learnt_lasts_or_each_episode_begins_anew():
    lasts, anew = running(reward=8.0), running(reward=8.0)
    anew.lasting = False
    driven(lasts, 300, 0.0)
    for c in (lasts, anew):
        first = [c.step(np.array([0.1, 0.0]), DT).tobytes() for _ in range(5)]
        for _ in range(100):
            c.judge(np.array([0.0, 1.0]))
            c.step(np.array([0.1, 0.0]), DT)
        c.judge(np.array([0.0, np.nan]))
        c.reset()
        assert c.outputs.weights.any() == c.lasting and c.learning == (not c.lasting)
    assert first == [anew.step(np.array([0.1, 0.0]), DT).tobytes() for _ in range(5)]


RSTDP = ("run", "lane_car", "--in-process", "--controller-model", "lane_car/rstdp.yaml", "--duration", "0.4")


def test_a_run_goes_on_learning_and_keeps_it(tmp_path):
    found = []
    for name, options in (("a", ["--rewards", "--learnt"]), ("b", ["--rewards", "--learnt"]), ("c", [])):
        kept = [tmp_path / f"{name}.safetensors"] if options else []
        done = cli(*RSTDP, "--seed", "3", *options, *kept, "--json", tmp_path / "o.json")
        assert done.returncode in (0, 1), done.stderr
        found.append(json.loads((tmp_path / "o.json").read_text()))
    (a, b, c), kept = found, tmp_path / "a.safetensors"
    assert a["learning"] | {"learnt_file": ""} == b["learning"] | {"learnt_file": ""}
    assert a["commands_sha256"] == b["commands_sha256"] != c["commands_sha256"] and c["learning"] == {}
    assert a["learning"]["learning"] == "on" and a["learning"]["learnt_file"] == str(kept)
    source = read_controller_file("lane_car/rstdp.yaml").source
    values = yaml.safe_load(open(source))
    values["learning"] |= {"weights": str(kept), "weights_hash": a["learning"]["learnt_hash"]}
    (tmp_path / "goes_on.yaml").write_text(yaml.safe_dump(values))
    after, before = read_controller_file(tmp_path / "goes_on.yaml"), read_controller_file("lane_car/rstdp.yaml")
    assert 0 < (after.weights != before.weights).sum() < 100


def test_a_run_that_cannot_learn_is_refused(tmp_path):
    robot = robot_named("hover")
    names = {f"observation_{field}": tuple(getattr(o, field[:-1]) for o in robot.observations)
             for field in ("names", "units", "scales")}  # fmt: skip
    commands = {f"command_{field}": tuple(getattr(c, field[:-1]) for c in robot.commands)
                for field in ("names", "units")}  # fmt: skip
    file = RewardFile(**vars(described()) | names | commands | {
        "command_limits": tuple(robot.greatest_commands.tolist()), "passed": ((0, 0), (2, 0), (3, 0)),
    })  # fmt: skip
    write_reward(tmp_path / "o.yaml", file, RewardController(file))
    for arguments, says in (
        (["hover", "--controller-model", tmp_path / "o.yaml", "--rewards"], "task: gives no reward; add a method"),
        (["hover", "--rewards"], "ncp.safetensors: this controller does not learn by reward; give one that train"),
        (["lane_car", "--learnt", tmp_path / "o.safetensors"], "nothing in this controller learns while it runs"),
        (["lane_car", "--learnt", tmp_path / "o.txt"], "--learnt"),
    ):
        done = cli("run", *arguments, "--in-process", "--duration", "1")
        assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1, done.stderr


# ---- files ----


def test_a_file_keeps_it(learnt, tmp_path):
    path = tmp_path / "o.yaml"
    write_reward(path, described(), learnt)
    file = read_controller_file(path)
    assert isinstance(file, RewardFile) and (file.weights == learnt.outputs.weights).all()
    assert file.passed == ((0, 1),) and file.learnt == (1,) and file.training_command == "test"
    controller = controller_of(file)
    assert (driven(controller, 100, 0.0) == driven(RewardController(file), 100, 0.0)).all()
    assert np.median(driven(controller, 1000, 0.0)) < 0.2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "rewards"}, "kind: 'rewards'; give tracking or reward"),
        ({"learning": {"inputs": []}}, "learning.inputs: none"),
        ({"learning": {"inputs": [{"of": "y"}]}}, "learning.inputs[0].of: 'y'; name one of the observations: x"),
        ({"learning": {"inputs": [{"of": "x"}], "fields": 1}}, "learning.fields: 1; give 2 to 100"),
        ({"learning": {"inputs": [{"of": "x"}], "tag_dacay": 1}}, "tag_dacay"),
        ({"commands": [{"command": "speed", "unit": "m/s", "limit": 2.0, "of": "x"}]}, "commands: none is learnt"),
        ({"commands": [{"command": "speed", "unit": "m/s", "limit": 2.0},
                       {"command": "lamp", "unit": "m/s", "limit": 2.0, "of": "z"}]}, "commands[1].of: 'z'"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused(learnt, tmp_path, change, says):
    path = tmp_path / "o.yaml"
    write_reward(path, described(), learnt)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(ModelError) as error:
        read_controller_file(path)
    assert str(path) in str(error.value) and says in str(error.value) and "\n" not in str(error.value)


def test_weights_of_another_network_are_refused(learnt, tmp_path):
    path = tmp_path / "o.yaml"
    write_reward(path, described(), learnt)
    values = yaml.safe_load(path.read_text())
    for change, says in (({"weights_hash": "0"}, "learning.weights_hash"), ({"pairs": 3}, "another network")):
        path.write_text(yaml.safe_dump(values | {"learning": values["learning"] | change}))
        with pytest.raises(ModelError, match=says):
            read_controller_file(path)


def test_what_cannot_be(learnt):
    with pytest.raises(TaskError, match="backend 'float' has no plastic synapses; give loihi"):
        RewardController(described(), "float")
    for reward in ([np.nan], [1.0, 2.0]):
        with pytest.raises(TaskError, match="give 1 finite numbers"):
            learnt.reinforce(np.array(reward))
    with pytest.raises(LearningRuleError):
        described(rate=1e9)
    with pytest.raises(ModelError, match="commands"):
        RewardFile(**vars(described()) | {"passed": ()})
    with pytest.raises(ValueError, match="shape"):
        learnt.step(np.zeros(3), DT)


# ---- the command ----


def trained(tmp_path, *arguments):
    command = ("train", "reward", "lane_car", "--passed", "speed=target_speed", "--estimates", "truth")
    return cli(*command, "--out", tmp_path / "o.yaml", *arguments)


def test_the_command(tmp_path):
    found = []
    for _ in range(2):
        done = trained(tmp_path, "--episodes", "2", "--tries", "1", "--json", tmp_path / "o.json", "--plot",
                       tmp_path / "o.png")  # fmt: skip
        assert done.returncode == 0, done.stderr
        found.append(((tmp_path / "o.yaml").read_bytes(), (tmp_path / "o.json").read_bytes()))
    assert found[0] == found[1]
    (one,) = json.loads(found[0][1])
    assert len(one["rewards"]) == 2 and one["held_out"]["episodes"] == 1
    assert (tmp_path / "o.png").stat().st_size > 1000
    file = read_controller_file(tmp_path / "o.yaml")
    said = "liquid-spike train reward lane_car --passed speed=target_speed --estimates truth --episodes 2"
    assert file.training_command == said and file.weights.any()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--passed", "speed"], "--passed speed: give COMMAND=OBSERVATION"),
        (["--passed", "speed=tempo"], "no observation 'tempo'; give speed, steering_angle"),
        (["--passed", "sped=speed"], "no command 'sped'; give steering, speed"),
        (["--passed", "steering=speed"], "lane_car: speed: the task gives no reward for it; give --passed speed="),
        (["--reward", "nan"], "--reward"),
        (["--out", "a.nir"], "ends in .yaml"),
    ],
)
def test_a_wrong_argument_is_named(tmp_path, arguments, says):
    done = trained(tmp_path, "--episodes", "1", "--tries", "0", *arguments)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_robot_without_rewards_is_named(tmp_path):
    done = cli("train", "reward", "hover", "--out", tmp_path / "o.yaml")
    assert done.returncode == 2 and "task: gives no reward; add a method reinforcement() to it" in done.stderr


def test_successes_in_a_row():
    assert first_lasting([True, False, True, True, True]) == 5
    assert first_lasting([True, True, False]) is None
