# SPDX-License-Identifier: Apache-2.0
"""Training of a perception on recordings of an event camera as DSEC has them, with files of labels beside."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from liquid_spike_control.errors import TaskError
from liquid_spike_control.options import TrainOptions
from liquid_spike_control.robot_file import read_robot
from liquid_spike_control.sim.world import World
from liquid_spike_control.spiking.layers import Layer, LayeredNetwork, Training
from liquid_spike_control.tasks.of_robot import task_of
from liquid_spike_control.training.labelled_events import labelled_episodes, parse_label_targets
from liquid_spike_control.training.labels import read_labels
from liquid_spike_control.types import EVENT

ARM = Path(__file__).parents[1] / "robots/arm"
NETWORK = LayeredNetwork(
    step_s=0.002, layers=(Layer(kernel=5, stride=4, channels=4), Layer(neurons=8)),
    training=Training(seconds=1.0, updates=2, streams=2, chunk_s=0.1),
)  # fmt: skip
TARGETS = ("ball_x=labels.csv:x", "ball_y=labels.csv:y")
#: Of DSEC: microseconds since a time of their own.
OFFSET_US = 49_599_300_523
PERIOD_US = 10_000


@pytest.fixture(scope="module")
def robot():
    return read_robot(ARM)


@pytest.fixture(scope="module")
def seen(robot):
    """Events of four seconds, from a time of 0, the ball's place after each control period, and when that is [us]."""
    events, truths = [], []
    with World(task_of(robot), rendered=False) as world:
        expert = world.task.expert()
        begin_ns = world.reset(3).stamp_ns
        expert.reset()
        for _ in range(400):
            sensing = world.advance(expert.act(world.task))
            part = sensing.events[0].copy()
            part["t"] -= begin_ns
            events.append(part)
            truths.append(world.truth)
    return np.concatenate(events), np.array(truths), PERIOD_US * np.arange(1, 401)


def write_dsec(path, events):
    """Events as DSEC has them: microseconds since ``t_offset``, and where each millisecond begins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    t_us = events["t"] // 1000
    with h5py.File(path, "w") as file:
        for name, values in (("t", t_us.astype(np.uint32)), ("x", events["x"]), ("y", events["y"]),
                             ("p", events["p"].astype(np.uint8))):  # fmt: skip
            packed = {"chunks": (min(len(values), 4096),), "compression": "gzip"} if len(values) else {}
            file.create_dataset(f"events/{name}", data=values, **packed)
        file["t_offset"] = np.int64(OFFSET_US)
        milliseconds = 1000 * np.arange(int(t_us.max(initial=0)) // 1000 + 1)
        file["ms_to_idx"] = np.searchsorted(t_us, milliseconds).astype(np.uint64)


def write_labels(path, times_us, truths):
    rows = [f"{t},{x!r},{y!r}" for t, (x, y) in zip(times_us.tolist(), truths.tolist(), strict=True)]
    path.write_text("\n".join(["# timestamp_us, x, y", *rows]) + "\n")


@pytest.fixture(scope="module")
def drive(seen, tmp_path_factory):
    """A folder with ``events.h5`` and ``labels.csv``, which has every third control period."""
    folder = tmp_path_factory.mktemp("drive")
    events, truths, times_us = seen
    write_dsec(folder / "events.h5", events)
    write_labels(folder / "labels.csv", OFFSET_US + times_us[::3], truths[::3])
    return folder


def in_order(found):
    """Episodes of a recording as they followed each other: every eighth is held out, the fifth first."""
    episodes, held_out = list(found.training), list(found.held_out)
    for k, episode in enumerate(held_out):
        episodes.insert(4 + 8 * k, episode)
    return episodes


def test_episodes_hold_the_recording_s_events_and_the_interpolated_labels(robot, drive, seen):
    events, truths, times_us = seen
    found = labelled_episodes(robot, NETWORK, [drive], parse_label_targets(robot, TARGETS))
    assert found.source == {"training_data": [drive.name], "training_targets": list(TARGETS)}
    episodes = in_order(found)
    truth = np.concatenate([episode.truth for episode in episodes])
    # windows begin with the first event, labels with the first control period
    first_us = events["t"][0] / 1000
    ends_us = first_us + PERIOD_US * np.arange(1, 400)
    ends_us = ends_us[ends_us >= times_us[0]][: len(truth)]
    wanted = np.stack([np.interp(ends_us, times_us, column) for column in truths.T], 1)
    assert len(truth) > 380 and np.abs(truth - wanted).max() < 2e-3
    spikes = sum(len(episode.spikes.ids) for episode in episodes)
    assert 0.3 * len(events) < spikes <= len(events) and all(e.spikes.n_steps == 5 * len(e.truth) for e in episodes)
    # the file itself, its labels as arrays, in seconds: the same
    np.savez(drive / "labels.npz", t_s=1e-6 * (OFFSET_US + times_us[::3]), x=truths[::3, 0], y=truths[::3, 1])
    targets = parse_label_targets(robot, ("ball_x=labels.npz:x", "ball_y=labels.npz:y"))
    again = in_order(labelled_episodes(robot, NETWORK, [drive / "events.h5"], targets))
    assert np.abs(np.concatenate([e.truth for e in again]) - truth).max() < 1e-5
    assert all(np.array_equal(a.spikes.ids, b.spikes.ids) for a, b in zip(again, episodes, strict=True))


def test_a_pause_of_labels_or_of_events_ends_an_episode(robot, seen, tmp_path):
    events, truths, times_us = seen
    shifted = events.copy()
    shifted["t"][events["t"] > 2_000_000_000] += 3_000_000_000
    write_dsec(tmp_path / "events.h5", shifted)
    late_us = times_us + 3_000_000 * (times_us > 2_000_000)
    write_labels(tmp_path / "labels.csv", OFFSET_US + late_us, truths)
    found = labelled_episodes(robot, NETWORK, [tmp_path], parse_label_targets(robot, TARGETS))
    assert 380 < sum(len(e.truth) for e in in_order(found)) < 400
    write_dsec(tmp_path / "events.h5", events)
    keep = (times_us < 1_000_000) | (times_us > 1_800_000)
    write_labels(tmp_path / "labels.csv", OFFSET_US + times_us[keep], truths[keep])
    found = labelled_episodes(robot, NETWORK, [tmp_path], parse_label_targets(robot, TARGETS))
    assert 300 < sum(len(e.truth) for e in in_order(found)) < 320


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (("ball_x",), "give [ESTIMATE=]FILE:COLUMN, such as labels.csv:speed"),
        (("labels.csv:x",), "name one of the estimates: ball_x, ball_y"),
        (TARGETS[:1], "--target: none of ball_y; give ball_y=FILE:COLUMN"),
        (("ball_x=labels.csv:speed", TARGETS[1]), "labels.csv: no column speed; it has x, y"),
        (("ball_x=none.csv:x", TARGETS[1]), "none.csv: No such file or directory; name a file of labels"),
        (("ball_x=events.h5:x", TARGETS[1]), "events.h5: no file of labels; give one of .csv, .txt, .npz"),
    ],
)
def test_a_target_that_is_not_there_is_named(robot, drive, targets, message):
    with pytest.raises(TaskError) as refusal:
        labelled_episodes(robot, NETWORK, [drive], parse_label_targets(robot, targets))
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("1000,2.0\n2000,3.0\n", "line 1 does not name the columns, the time first, such as t_us,speed"),
        ("t_us,x\n", "no label in it"),
        ("t_us,x\n1000,1\n2000\n", "line 3 has no number in column x"),
        ("t_us,x\n1000,1\n2000,fast\n", "line 3 has no number in column x"),
        ("t_us,x\n1000,1\n2000,nan\n", "label 2: x is nan; leave it out"),
        ("t_us,x\n1000,1\n2000,inf\n", "label 2: x is inf; leave it out"),
        ("t_us,x\n1000,1\n1000,2\n", "label 2: its time is not after the one before"),
        ("t_us,x\n1000,1\nnan,2\n", "label 2: the time nan is none"),
        ("t_us,x\n1000,1\n9e99,2\n", "label 2: the time 9e99 is none"),
    ],
)
def test_labels_that_are_wrong_are_refused(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(TaskError) as refusal:
        read_labels(path, "x")
    assert str(refusal.value).startswith(str(path)) and message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": [1.0]}, "name one array the time"),
        ({"t": [1], "time": [1], "x": [1.0]}, "t, time in it; name one array the time"),
        ({"t": [1], "y": [1.0]}, "no array x; it has y"),
        ({"t": [1, 2], "x": [1.0]}, "t and x are no lists of numbers of one length"),
        ({"t": [1, 2], "x": ["a", "b"]}, "t and x are no lists of numbers of one length"),
        ({"t": [1.0, np.nan], "x": [1.0, 2.0]}, "label 2: the time nan is none"),
        ({"t": [1, 2], "x": [1.0, np.nan]}, "label 2: x is nan"),
    ],
)
def test_arrays_of_labels_that_are_wrong_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "labels.npz", **arrays)
    with pytest.raises(TaskError) as refusal:
        read_labels(tmp_path / "labels.npz", "x")
    assert message in str(refusal.value) and "\n" not in str(refusal.value)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "labels.npz").read_bytes()[:60])
    with pytest.raises(TaskError, match=r"cut.npz: .*; correct it"):
        read_labels(tmp_path / "cut.npz", "x")


@pytest.mark.parametrize(
    ("time", "wanted_ns"),
    [
        (("t_s", "2"), 2 * 10**9), (("t_ms", "2.5"), 2_500_000), (("t_us", "2.5"), 2500), (("t_ns", "3"), 3),
        (("t", "2.5"), 2_500_000_000), (("t", "3"), 3000), (("timestamp", str(10**17 + 1)), 10**17 + 1),
        (("from_timestamp_us", "7"), 7000),
    ],
)  # fmt: skip
def test_times_have_the_unit_of_their_name_or_that_of_recordings(tmp_path, time, wanted_ns):
    (tmp_path / "labels.txt").write_text(f"{time[0]} x\n{time[1]} 0.5\n")
    truth = read_labels(tmp_path / "labels.txt", "x")
    assert truth.times_ns.tolist() == [wanted_ns] and truth.values.tolist() == [0.5]


def test_recordings_that_do_not_serve_are_refused(robot, drive, seen, tmp_path):
    events, truths, times_us = seen
    targets = parse_label_targets(robot, TARGETS)

    def refusal(path):
        with pytest.raises(TaskError) as found:
            labelled_episodes(robot, NETWORK, [path], targets)
        assert "\n" not in str(found.value)
        return str(found.value)

    write_dsec(tmp_path / "events.h5", events)
    write_labels(tmp_path / "labels.csv", times_us, truths)  # not on the events' clock
    assert "events from 49599.31 to 49603.30 s and truths from 0.01 to 4.00 s do not overlap" in refusal(tmp_path)
    write_labels(tmp_path / "labels.csv", OFFSET_US + times_us[:20], truths[:20])
    assert "s of events with truths; record at least 1.6 s" in refusal(tmp_path)
    write_dsec(tmp_path / "events.h5", np.empty(0, EVENT))
    assert "events.h5: no event in it" in refusal(tmp_path)
    write_dsec(tmp_path / "events.h5", events[::-1])
    assert "events run back in time; sort them" in refusal(tmp_path)
    wide = events.copy()
    wide["x"][10] = 40
    write_dsec(tmp_path / "events.h5", wide)
    assert "events lie outside of 32 x 32 pixels" in refusal(tmp_path)
    (tmp_path / "empty").mkdir()
    assert "no recording called events in it; name the file" in refusal(tmp_path / "empty")


def test_the_command(drive, tmp_path, capsys):
    pytest.importorskip("torch")
    import msgspec

    from liquid_spike_control.spiking.nir_io import read_perception_model
    from liquid_spike_control.training.entry import train_command

    network, out = tmp_path / "small.yaml", tmp_path / "out.nir"
    network.write_bytes(msgspec.yaml.encode(NETWORK))
    options = TrainOptions(str(ARM), network=network, data=(drive,), target=TARGETS, out=out)
    assert train_command("perception", options) == 0
    assert "held-out episodes" in capsys.readouterr().out
    metadata = read_perception_model(out).metadata
    assert metadata["training_targets"] == list(TARGETS) and "training_seeds" not in metadata
    with pytest.raises(TaskError, match=r"--data .*drive.mcap: a bag beside .*, a recording of events; give one kind"):
        train_command("perception", TrainOptions(
            str(ARM), network=network, data=(drive, tmp_path / "drive.mcap"), target=TARGETS, out=out,
        ))  # fmt: skip
