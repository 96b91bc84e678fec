# SPDX-License-Identifier: Apache-2.0
"""Training of a perception on bags: the events of a robot's camera, and topics with the truth."""

from pathlib import Path

import numpy as np
import pytest

from liquid_spike_control.errors import LiquidSpikeError, TaskError
from liquid_spike_control.events.codec import encode
from liquid_spike_control.mcap import EVENT_PACKET
from liquid_spike_control.options import TrainOptions
from liquid_spike_control.records.mcap_file import McapFile
from liquid_spike_control.robot_file import read_robot
from liquid_spike_control.sim.world import World
from liquid_spike_control.spiking.layers import Layer, LayeredNetwork, Training
from liquid_spike_control.tasks.of_robot import task_of
from liquid_spike_control.training.bag_episodes import Target, bag_episodes, parse_targets
from liquid_spike_control.training.recorded_runs import SHORTEST

ARM = Path(__file__).parents[1] / "robots/arm"
NETWORK = LayeredNetwork(
    step_s=0.002, layers=(Layer(kernel=5, stride=4, channels=4), Layer(neurons=8)),
    training=Training(seconds=1.0, updates=2, streams=2, chunk_s=0.1),
)  # fmt: skip
TARGETS = ("ball_x=/ball.point.x", "ball_y=/ball.point.y")
START_NS = 5_000_000_000
PERIOD_NS = 10_000_000


def write_bag(path, robot, ticks=400, pause=None, blank=False, late_ns=0, spoilt=None):
    """Events of each control period, and every second one the ball's place; returns the truths by time [ns].

    The place is ``late_ns`` behind the events, and NaN in the period ``spoilt``.
    """
    file, truths, seq, shift = McapFile(path), {}, 0, 0
    types = file.types.types

    def header(stamp_ns):
        stamp = types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        return types["std_msgs/msg/Header"](stamp=stamp, frame_id="")

    try:
        with World(task_of(robot), rendered=False) as world:
            expert = world.task.expert()
            world.reset(3)
            expert.reset()
            for tick in range(ticks):
                shift = 3_000_000_000 if pause is not None and tick >= pause else 0
                sensing = world.advance(expert.act(world.task))
                end_ns = START_NS + shift + (tick + 1) * PERIOD_NS
                events = sensing.events[0].copy()
                events["t"] += end_ns - sensing.stamp_ns
                data = encode(events[:0] if blank else events, "mono", end_ns - PERIOD_NS)
                file.write_message("/eye/events", end_ns, types[EVENT_PACKET](
                    header=header(end_ns), height=32, width=32, seq=seq, time_base=end_ns - PERIOD_NS, encoding="mono",
                    is_bigendian=False, events=np.frombuffer(data, np.uint8),
                ))  # fmt: skip
                seq += 1
                truths[end_ns] = world.truth
                if tick % 2 == 0:
                    x, y = map(float, world.truth)
                    point = types["geometry_msgs/msg/Point"](float("nan") if tick == spoilt else x, y, z=0.0)
                    stamped = types["geometry_msgs/msg/PointStamped"](header=header(end_ns + late_ns), point=point)
                    file.write_message("/ball", end_ns, stamped)
    finally:
        file.close()
    return truths


@pytest.fixture(scope="module")
def robot():
    return read_robot(ARM)


@pytest.fixture(scope="module")
def bag(robot, tmp_path_factory):
    path = tmp_path_factory.mktemp("bag") / "arm.mcap"
    return path, write_bag(path, robot)


def test_episodes_hold_the_events_and_the_interpolated_truth(robot, bag):
    path, truths = bag
    found = bag_episodes(robot, NETWORK, [path], parse_targets(robot, TARGETS))
    assert len(found.held_out) == 2 and len(found.training) == 15
    assert found.source["training_data"] == ["arm.mcap"] and found.source["training_targets"] == list(TARGETS)
    episodes = [*found.training[:4], found.held_out[0], *found.training[4:11], found.held_out[1], *found.training[11:]]
    truth = np.concatenate([episode.truth for episode in episodes])
    true = np.array(list(truths.values()))[1 : len(truth) + 1]  # the first packet begins the stream
    assert len(truth) == 398  # and no truth comes after the last
    assert np.abs(truth - true).max() < 1e-3 and np.array_equal(truth[1::2], true[1::2])
    assert all(episode.spikes.n_steps == len(episode.truth) * 5 for episode in episodes)
    assert sum(len(episode.spikes.ids) for episode in episodes) > 100


def test_a_pause_ends_an_episode(robot, tmp_path):
    write_bag(tmp_path / "paused.mcap", robot, 400, pause=200)
    whole = bag_episodes(robot, NETWORK, [tmp_path / "paused.mcap"], parse_targets(robot, TARGETS))
    lengths = [len(e.truth) for e in (*whole.training, *whole.held_out)]
    assert sum(lengths) == 198 + 198 and min(lengths) >= SHORTEST


def test_targets():
    robot = read_robot(ARM)
    found = parse_targets(robot, ("ball_y=/a/b.c.0", "ball_x=/joint_states.pole/position"))
    assert found == (Target("ball_x", "/joint_states", "pole/position"), Target("ball_y", "/a/b", "c.0"))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (("ball_x",), "give [ESTIMATE=]/TOPIC.FIELD"),
        (("/ball.point.x",), "name one of the estimates: ball_x, ball_y"),
        (("speed=/ball.point.x",), "name one of the estimates"),
        (TARGETS[:1], "--target: none of ball_y"),
        (("ball_x=/none.point.x", TARGETS[1]), "nothing on /none; the bag has /ball, /eye/events"),
        (("ball_x=/ball.point.w", TARGETS[1]), "/ball is a geometry_msgs/msg/PointStamped without point.w"),
        (("ball_x=/ball.header", TARGETS[1]), "without header; name a number"),
    ],
)
def test_a_target_that_is_not_there_is_named(robot, bag, targets, message):
    with pytest.raises(TaskError) as refusal:
        bag_episodes(robot, NETWORK, [bag[0]], parse_targets(robot, targets))
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_recordings_that_do_not_serve_are_refused(robot, bag, tmp_path):
    targets = parse_targets(robot, TARGETS)
    write_bag(tmp_path / "short.mcap", robot, 30)
    with pytest.raises(TaskError, match=r"short.mcap: 0.28 s of events with truths; record at least 1.6 s"):
        bag_episodes(robot, NETWORK, [tmp_path / "short.mcap"], targets)
    write_bag(tmp_path / "late.mcap", robot, 30, late_ns=10**10)
    with pytest.raises(TaskError, match=r"late.mcap: events from .* and truths from .* do not overlap"):
        bag_episodes(robot, NETWORK, [tmp_path / "late.mcap"], targets)
    write_bag(tmp_path / "spoilt.mcap", robot, 30, spoilt=10)
    with pytest.raises(TaskError, match=r"spoilt.mcap: /ball.point.x at \d+ ns is nan; leave it out"):
        bag_episodes(robot, NETWORK, [tmp_path / "spoilt.mcap"], targets)
    with pytest.raises(LiquidSpikeError, match="none.mcap: no such bag"):
        bag_episodes(robot, NETWORK, [tmp_path / "none.mcap"], targets)


def test_the_command(bag, tmp_path, capsys):
    pytest.importorskip("torch")
    import msgspec

    from liquid_spike_control.spiking.nir_io import read_perception_model
    from liquid_spike_control.training.entry import train_command

    network, out = tmp_path / "small.yaml", tmp_path / "out.nir"
    network.write_bytes(msgspec.yaml.encode(NETWORK))
    options = TrainOptions(str(ARM), network=network, data=(bag[0],), target=TARGETS, out=out)
    assert train_command("perception", options) == 0
    assert "held-out episodes" in capsys.readouterr().out
    metadata = read_perception_model(out).metadata
    assert metadata["training_data"] == ["arm.mcap"] and "training_seeds" not in metadata
    assert metadata["training_command"].endswith(f"--data arm.mcap --target {' '.join(TARGETS)} --network small.yaml")
    with pytest.raises(TaskError, match="--data and --target belong together"):
        train_command("perception", TrainOptions(str(ARM), network=network, data=(bag[0],)))
    write_bag(tmp_path / "blank.mcap", read_robot(ARM), blank=True)
    with pytest.raises(TaskError, match="blank.mcap: cameras: they gave no event"):
        train_command("perception", TrainOptions(
            str(ARM), network=network, data=(tmp_path / "blank.mcap",), target=TARGETS, out=out,
        ))  # fmt: skip
