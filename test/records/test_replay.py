# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import replace

import numpy as np
import pytest
from bags import CONTROLLER, LOST, PERCEPTION, SECOND, TICKS, TOPICS, changed, described, episode, write
from cli_here import cli

from liquid_spike_control.checkpoint import read_controller, write_controller
from liquid_spike_control.errors import LiquidSpikeError, ModelError, TaskError
from liquid_spike_control.records.mcap_file import file_hash
from liquid_spike_control.records.replay import replay


def replayed(path, **options):
    return replay(path, PERCEPTION, CONTROLLER, TOPICS, **options)


def account(outcome, topic):
    (comparison,) = (c for c in outcome.comparisons if c.topic == topic)
    return comparison


def test_the_loops_own_commands_are_replayed_three_times_of_three(tmp_path):
    bag = write(tmp_path / "o.mcap", episode(), described())
    for _ in range(3):
        outcome = replayed(bag)
        assert outcome.identical and outcome.setup.lockstep and outcome.notes == []
        for topic in (TOPICS.estimate, TOPICS.command, TOPICS.gated):
            assert account(outcome, topic).identical == TICKS


def flip(value: np.ndarray) -> np.ndarray:
    bits = value.view(np.uint64)
    bits ^= 1  # the last of the significand
    return value


def test_a_flipped_bit_is_found_and_nothing_else(tmp_path):
    bag = write(tmp_path / "o.mcap", changed(episode(), TOPICS.command, 70, flip), described())
    outcome = replayed(bag)
    assert not outcome.identical
    command = account(outcome, TOPICS.command)
    assert (command.identical, command.differing) == (TICKS - 1, 1)
    assert command.first.stamp_ns == SECOND + 70 * 5_000_000
    recorded, made = float(command.first.recorded), float(command.first.replayed)
    assert np.nextafter(recorded, made) == made != recorded
    assert account(outcome, TOPICS.gated).identical == TICKS


def test_a_gated_command_that_is_another_is_found(tmp_path):
    """The gate's own arithmetic is checked too, not only the controller's."""
    bag = write(tmp_path / "o.mcap", changed(episode(), TOPICS.gated, 50, lambda value: value + 0.5), described())
    outcome = replayed(bag)
    assert account(outcome, TOPICS.gated).differing == 1
    assert account(outcome, TOPICS.command).differing == 0


def test_what_the_perception_never_got_is_lost_in_real_time_and_a_difference_in_lockstep(tmp_path):
    """Ticks are lost; the loop that made the bag went on with what it had, and so does the replay."""
    bag = write(tmp_path / "o.mcap", episode(LOST), described("realtime"))
    outcome = replayed(bag)
    assert outcome.identical and not outcome.setup.lockstep
    assert account(outcome, outcome.setup.events[0]).unanswered == len(LOST)
    assert account(outcome, TOPICS.command).identical == TICKS - len(LOST)
    strict = replayed(bag, mode="lockstep")
    assert account(strict, outcome.setup.events[0]).differing == len(LOST)
    assert account(strict, outcome.setup.events[0]).first.stamp_ns == SECOND + LOST[0] * 5_000_000


def test_a_command_that_is_missing_is_a_difference_in_lockstep(tmp_path):
    messages = [m for i, m in enumerate(episode()) if m.topic != TOPICS.command or i % 50 != 3]
    dropped = len(episode()) - len(messages)
    assert dropped
    assert account(replayed(write(tmp_path / "o.mcap", messages, described())), TOPICS.command).differing >= dropped


def test_a_bag_that_begins_in_mid_run_is_noted(tmp_path):
    outcome = replayed(write(tmp_path / "o.mcap", episode()[300:], described("realtime")))
    assert any("begins in mid-run (packet 60)" in note for note in outcome.notes)
    assert not outcome.identical


@pytest.fixture
def other_controller(tmp_path):
    """The shipped one with the last bit of one weight flipped."""
    file = read_controller(CONTROLLER)
    tensors = {name: tensor.copy() for name, tensor in file.tensors.items()}
    tensors["project.bias"].view(np.uint32)[0] ^= 1
    path = tmp_path / "other.safetensors"
    write_controller(path, replace(file, tensors=tensors))
    return path


def test_another_model_is_refused_by_its_hash_and_differs_if_insisted_on(tmp_path, other_controller):
    bag = write(tmp_path / "o.mcap", episode(), described())
    with pytest.raises(ModelError, match=r"other.safetensors: its hash is \w{16}, the bag was recorded with"):
        replay(bag, PERCEPTION, other_controller, TOPICS)
    outcome = replay(bag, PERCEPTION, other_controller, TOPICS, other_models=True)
    assert account(outcome, TOPICS.estimate).differing == 0
    assert account(outcome, TOPICS.command).differing > 0


def test_the_models_that_the_bag_names_are_taken_while_they_are_the_same(tmp_path, other_controller):
    told = described(controller_model=file_hash(other_controller))
    told["nodes"]["/controller"]["controller_model"] = str(other_controller)
    bag = write(tmp_path / "o.mcap", episode(), told)
    outcome = replay(bag, None, None, TOPICS)
    assert account(outcome, TOPICS.command).differing > 0  # the loop had the shipped one
    other_controller.write_bytes(CONTROLLER.read_bytes())
    with pytest.raises(ModelError, match="controller.safetensors: its hash is"):
        replay(bag, None, None, TOPICS)


def test_a_bag_without_hashes_is_replayed_with_a_note(tmp_path):
    outcome = replayed(write(tmp_path / "o.mcap", episode(), None))
    assert outcome.identical
    assert len([note for note in outcome.notes if "does not contain the hash" in note]) == 2


@pytest.mark.parametrize("missing", [TOPICS.events, TOPICS.command])
def test_a_bag_without_what_is_to_be_replayed(tmp_path, missing):
    bag = write(tmp_path / "o.mcap", [m for m in episode() if m.topic != missing], described())
    with pytest.raises(TaskError, match=f"nothing on {missing}"):
        replayed(bag)


@pytest.mark.parametrize(
    ("node", "parameters", "says"),
    [
        ("/gate", {"rate": "fast"}, "rate"),
        ("/gate", {"max_age_s": [1]}, "the bag's parameters cannot be read"),
        ("/gate", {"safe": [99.0]}, "gate: safe"),
        ("/controller", {"joint_interfaces": [1, 2]}, "the bag's parameters cannot be read"),
        ("/controller", {"joint_type": "geometry_msgs/msg/Twist"}, "'cart_slide/position' is no path to a number"),
        ("/controller", {"estimate_names": ["x", "y"]}, "its outputs are pole_angle, pole_rate, the bag has x, y"),
    ],
)
def test_parameters_that_cannot_be_are_refused_in_one_line(tmp_path, node, parameters, says):
    told = described()
    told["nodes"][node] |= parameters
    with pytest.raises(LiquidSpikeError, match=says) as refused:
        replayed(write(tmp_path / "o.mcap", episode()[:40], told))
    assert "\n" not in str(refused.value)


def run(*arguments):
    return cli("replay", *arguments)


def test_the_command_with_picture_and_numbers(tmp_path):
    bag = write(tmp_path / "o.mcap", changed(episode(), TOPICS.command, 70, flip), described())
    done = run(bag, "--plot", tmp_path / "o.png", "--json", tmp_path / "o.json")
    assert (done.returncode, done.stderr) == (1, "")
    assert f"{TOPICS.command}: first difference at 0.350 s (stamp 1350000000 ns)" in done.stdout
    assert (tmp_path / "o.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads((tmp_path / "o.json").read_text())
    assert told["identical"] is False
    assert [c["differing"] for c in told["topics"] if c["topic"] == TOPICS.command] == [1]


def test_the_command_on_nothing(tmp_path):
    done = run(tmp_path / "none.mcap")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "no such bag" in done.stderr
