# SPDX-License-Identifier: Apache-2.0
"""A page about a bag, without a browser: what is shown of it is what was recorded, at any time and speed."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
from recordings import (
    DESCRIPTION,
    LATENCY_US,
    SEED,
    TOPICS,
    Message,
    described,
    quantities_message,
    recorded,
    without,
    write,
)
from sources import ROOT

from liquid_spike_control.errors import TaskError
from liquid_spike_control.records.bag import is_bag
from liquid_spike_control.records.recorded_run import RecordedRun
from liquid_spike_control.robots.catalogue import robot_named, task_named
from liquid_spike_control.sim.joint_positions import JointPositions
from liquid_spike_control.types import EVENT, Quantities
from liquid_spike_control.view.player import Player
from liquid_spike_control.view.sample import Order
from liquid_spike_control.view.solids import places

TICKS = 400
PERIOD_NS = 5_000_000


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write(tmp_path_factory.mktemp("bag") / "run.mcap", recorded(TICKS)[0], DESCRIPTION)


def written(tmp_path, messages, description=DESCRIPTION):
    return write(tmp_path / f"{len(list(tmp_path.iterdir()))}.mcap", messages, description)


def events_of(told):
    return np.frombuffer(base64.b64decode(told["events"]), np.int8).reshape(64, 64)


def test_every_tick_is_as_it_was_recorded(bag):
    _, history, verdicts = recorded(TICKS)
    run = RecordedRun(bag)
    assert run.playback.notes == () and run.stamps.tolist() == sorted(history.truth)
    events, spikes = [], []
    for number, stamp in enumerate(run.stamps.tolist()):
        sample = run.sample(number)
        assert sample.stamp_ns == stamp and tuple(sample.truth) == history.truth[stamp]
        assert tuple(sample.estimate) == history.estimates[stamp]
        assert tuple(sample.output) == history.commands[stamp] and sample.verdict == verdicts[number]
        assert sample.pose == history.poses[stamp].tolist()
        assert sample.latency_us == pytest.approx(LATENCY_US)
        events.append(sample.events)
        spikes.append(np.frombuffer(sample.spikes).reshape(-1, 2))
        assert not len(spikes[-1]) or (stamp - PERIOD_NS) * 1e-9 < spikes[-1][:, 0].min()
    assert np.array_equal(np.frombuffer(b"".join(events), EVENT), np.concatenate(history.events))
    assert np.concatenate(spikes)[:, 1].tolist() == [n for _, _, neurons in history.spikes for n in neurons]
    assert run.verdicts(TICKS) == Counter(verdicts) and {"accepted", "clipped_range"} <= set(verdicts)
    assert run.facts(run.stamps[10]).seed == SEED and run.facts(run.stamps[10]).numbers == {}
    for number, count in ((70, 50), (TICKS - 1, 350)):
        later = run.facts(run.stamps[number]).numbers
        assert later["gate's verdicts"] == f"accepted {count}" and later["deadline misses"] == "7"


def test_it_is_played_at_its_pace_and_from_any_time(bag):
    _, history, verdicts = recorded(TICKS)
    run = RecordedRun(bag)
    player = Player(run)
    player.play(0.05)
    assert run.screen.last_stamp_ns == -1, "nobody looks yet"
    player.play(0.05, pages=1)
    assert run.screen.last_stamp_ns == run.stamps[10]
    player.give(Order("speed", value=0.5))
    player.play(0.05, pages=1)
    assert run.screen.last_stamp_ns == run.stamps[15] and run.screen.update()["facts"]["speed"] == 0.5
    player.give(Order("pause"))
    player.play(0.05, pages=1)
    told = run.screen.update()
    assert told["facts"]["paused"] and told["ticks"] == [] and run.screen.last_stamp_ns == run.stamps[15]
    player.give(Order("step"))
    player.play(0.0, pages=1)
    assert run.screen.last_stamp_ns == run.stamps[16]

    for number in (300, 120):  # forward, and back
        run.screen.update()
        player.give(Order("seek", value=number * 0.005))
        player.play(0.05, pages=1)
        told = run.screen.update()
        stamp = int(run.stamps[number])
        assert told["stamp_ns"] == stamp and told["facts"]["paused"]
        assert told["ticks"][-1] == [
            stamp * 1e-9, list(history.truth[stamp]), list(history.estimates[stamp]), list(history.commands[stamp]),
            told["ticks"][-1][4], verdicts[number],
        ]  # fmt: skip
        assert told["ticks"][0][0] == pytest.approx(1.0, abs=0.01), "what led to it is in the charts"
        assert told["verdicts"] == Counter(verdicts[: number + 1])
        task = task_named("pencil")
        task.reset(SEED)
        task.take_pose(history.poses[stamp])
        drawn = np.frombuffer(base64.b64decode(told["places"]), np.float32).reshape(-1, 12)
        geoms = [solid["geom"] for solid in run.screen._solids]
        assert np.array_equal(drawn, places(task.data, geoms))
        recent = np.concatenate(history.events)
        recent = recent[(recent["t"] <= stamp) & (recent["t"] > stamp - 50_000_000)]
        last = {(e["x"], e["y"]): 1 if e["p"] > 0 else -1 for e in recent}
        assert {(x, y): events_of(told)[y, x] for y, x in zip(*np.nonzero(events_of(told)), strict=True)} == last
        fired = [n for start, _, ids in history.spikes if start < stamp for n in ids]
        (layer,) = run.playback.layers
        assert [n for _, n in told["spikes"][layer]] == fired[:: -(-len(fired) // 1500)]

    run.screen.update()
    player.play(0.0, pages=2)
    assert run.screen.update()["ticks"], "a page that is opened while the run stands still shows it"
    player.give(Order("go"))
    player.give(Order("speed", value=10))
    while player.playing or run.screen.last_stamp_ns < run.stamps[-1]:
        player.play(0.1, pages=2)
    assert run.screen.update()["facts"]["outcome"] == "end of the recording"
    player.give(Order("go"))
    player.play(0.02, pages=2)
    assert run.screen.last_stamp_ns < run.stamps[50] and player.playing
    with pytest.raises(ValueError, match="0.01 to 100"):
        player.give(Order("speed", value=0))


def test_without_poses_the_robot_is_drawn_from_its_joints(tmp_path):
    messages, history, _ = recorded(TICKS)
    run = RecordedRun(written(tmp_path, without(messages, TOPICS.pose)))
    assert run.playback.notes == ("no /simulation/pose in the bag: the robot is drawn from its readings and truth",)
    for number, stamp in enumerate(run.stamps.tolist()):
        assert run.sample(number).pose[1:] == pytest.approx(history.poses[stamp].tolist()[1:], abs=1e-12)
    # of a real robot there is no truth either
    run = RecordedRun(written(tmp_path, without(messages, TOPICS.pose, TOPICS.truth)))
    assert "readings and estimates" in run.playback.notes[0]
    stamp = int(run.stamps[200])
    sample = run.sample(200)
    assert sample.pose[1:3] == [history.truth[stamp][0], history.estimates[stamp][0]]
    assert sample.truth == list(history.truth[stamp][:2])


def test_joints_that_no_reading_gives_are_named():
    task = task_named("hover")
    assert JointPositions(robot_named("hover"), task.model).missing
    swing = task_named("swing-up")
    swing.reset(1)
    swing.data.qpos[:] = 0.2, 2.5
    robot = robot_named("swing-up")
    joints, qpos = JointPositions(robot, swing.model), np.zeros(2)
    values = dict(zip(swing.observation_names, swing.observe(), strict=True))
    assert joints.missing == [] and joints.write(values, qpos)
    assert qpos == pytest.approx([0.2, 2.5], abs=1e-9)
    assert not joints.write({}, qpos) and qpos[0] == pytest.approx(0.2)


def test_what_a_bag_lacks_is_left_out_with_a_word(tmp_path):
    messages, history, _ = recorded(TICKS)
    run = RecordedRun(written(tmp_path, without(messages, TOPICS.events, TOPICS.spikes_out)))
    assert run.playback.notes == ("no events: the bag has none on /event_camera/events",)
    told = run.screen.describe()
    assert told["layers"] == {} and told["wiring"] is None and told["camera"] == {"width": 0, "height": 0}
    Player(run).play(0.05, pages=1)
    assert "events" not in (update := run.screen.update()) and len(update["ticks"]) == 11

    # recorded spikes of another network than the robot's have their raster, and nothing else is made up
    renamed = deepcopy([m for m in messages if m.topic == TOPICS.spikes_out])
    for message in renamed:
        message.content.header.frame_id = "0" * 16
    run = RecordedRun(written(tmp_path, [*without(messages, TOPICS.spikes_out), *renamed]))
    assert "layers and membrane potentials are not shown" in run.playback.notes[0]
    assert run.screen.describe()["wiring"] is None and list(run.screen.describe()["layers"]) == ["output"]
    player = Player(run)
    player.play(0.1, pages=1)
    expected = [n for start, _, ids in history.spikes if start < run.screen.last_stamp_ns for n in ids]
    assert [n for _, n in run.screen.update()["spikes"]["output"]] == expected


def test_bags_that_cannot_be_shown_are_refused(tmp_path):
    messages = recorded(TICKS)[0]
    foreign = [Message("/odometry", 5, quantities_message(Quantities(5, ("x",), np.zeros(1))))]
    with pytest.raises(TaskError, match=r"no topic of robot pencil \(it has /odometry, .*\); give --robot"):
        RecordedRun(written(tmp_path, foreign))
    with pytest.raises(TaskError, match="its commands are thrust, robot pencil has cart_force; give --robot"):
        RecordedRun(written(tmp_path, messages, described() | {"nodes": {"/gate": {"command_names": ["thrust"]}}}))
    whole = written(tmp_path, messages).read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(whole[: len(whole) // 2])
    run = RecordedRun(cut)
    assert 10 < len(run.stamps) < TICKS and "the bag is cut" in run.playback.notes[0]


def view(*arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "liquid_spike_control", "view", *map(str, arguments)]
    return subprocess.Popen(command, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.mcap", None, "no such bag"), ("notes.txt", b"hello", "not a bag"), ("a.mcap", b"", "not an MCAP file"),
        ("b.mcap", b"\x89MCAP0\r\n" + bytes(100), "no topic of robot"), ("c.db3", b"x" * 100, "not a whole bag"),
    ],
)  # fmt: skip
def test_what_is_no_bag_is_refused_in_one_line(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert is_bag(str(tmp_path / name))
    with pytest.raises(TaskError, match=says) as error:
        RecordedRun(tmp_path / name)
    assert "\n" not in str(error.value) and error.value.status == 2


def test_robots_are_no_bags():
    for name in ("", "pencil", str(ROOT / "config/robot_cart.yaml"), str(ROOT / "liquid_spike_control/robots/pencil")):
        assert not is_bag(name)


def test_the_command_refuses_what_is_no_bag_with_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    process = view(tmp_path / "notes.txt")
    out, error = process.communicate(timeout=60)
    assert process.returncode == 2 and "not a bag" in error and error.count("\n") == 1 and not out, error


def test_the_command_serves_the_bag(bag):
    process = view(bag)
    try:
        link = re.search(r"http\S+", process.stderr.readline())[0]
        description = json.loads(urllib.request.urlopen(link.replace("/?", "/description?"), timeout=30).read())
        assert description["playback"]["end_ns"] == 1_000_000_000 + (TICKS - 1) * PERIOD_NS
        urllib.request.urlopen(link.replace("/?", "/order?"), b'{"do": "speed", "value": 20}', timeout=30)
        with urllib.request.urlopen(link.replace("/?", "/updates?"), timeout=30) as stream:
            end = time.monotonic() + 30
            while time.monotonic() < end:
                line = stream.readline()
                if line.startswith(b"data: ") and json.loads(line[6:])["facts"]["outcome"]:
                    break
            else:
                raise AssertionError("it was not played to its end")
        for wrong in (b'{"do": "push"}', b'{"do": "stop"}'):  # there is nothing to push or to stop
            with pytest.raises(urllib.error.HTTPError, match="400"):
                urllib.request.urlopen(link.replace("/?", "/order?"), wrong, timeout=5)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
