# SPDX-License-Identifier: Apache-2.0
"""The pencil's plant and task."""

import math

import msgspec
import numpy as np
import pytest

from liquid_spike_control.errors import RobotError, TaskError
from liquid_spike_control.robots.catalogue import robot_named, task_named
from liquid_spike_control.robots.pencil.episodes import PencilEpisode, PencilEpisodes
from liquid_spike_control.sim.world import World
from liquid_spike_control.tasks.of_robot import task_of


def quiet_task(**changes):
    """A pencil that nothing disturbs."""
    still = dict(push=0.0, tilt=0.0, mass_spread=0.0, length_spread=0.0, friction_spread=0.0, lighting_spread=0.0)
    return task_named("pencil", **(still | changes))


def test_same_seed_same_episode_and_other_seed_another():
    task = PencilEpisodes()
    a, b, c = (task.draw(seed) for seed in (5, 5, 6))
    assert a.tilt == b.tilt and np.array_equal(a.push_times_s, b.push_times_s)
    assert a.tilt != c.tilt


def test_an_episode_is_within_its_spreads():
    task = PencilEpisodes()
    for seed in range(200):
        e = task.draw(seed)
        assert abs(e.tilt) <= task.tilt
        assert abs(e.mass_scale - 1) <= task.mass_spread and abs(e.length_scale - 1) <= task.length_spread
        gaps = np.diff(np.concatenate([[0], e.push_times_s]))
        assert gaps.min() >= task.push_interval_s[0] and gaps.max() <= task.push_interval_s[1]
        assert set(np.abs(e.push_impulses)) == {task.push}


def test_a_push_gives_its_impulse():
    """On a free pole of mass m and length l, an impulse J at its centre gives J l/2 about the hinge."""
    plant = quiet_task(push=0.02)
    plant.reset(0)
    start = plant.episode.push_times_s[0]
    while plant.elapsed_s < start:
        plant.step(0.0)
    x, angle = plant.data.qpos
    before = plant.data.qvel.copy()
    while plant.elapsed_s < start + plant.episodes.push_duration_s + 1e-9:
        plant.step(0.0)
    # Momentum of cart and pole along the rail changes by J; gravity has no part along it
    change = plant.data.qvel - before
    momentum = 1.1 * change[0] + 0.1 * 0.2 * change[1] * math.cos(plant.data.qpos[1])
    assert momentum == pytest.approx(plant.episode.push_impulses[0], rel=0.05)


def test_length_and_mass_change_the_fall():
    """The rate of falling of a pole on a held cart is sqrt(3 g / (2 l)), whatever its mass."""
    for scale in (0.8, 1.2):
        plant = quiet_task(tilt=0.01)
        episode = PencilEpisode(0.001, 1.0, scale, 0.0, 1.0, np.empty(0), np.empty(0))
        plant.begin_episode(episode)
        plant.model.body_mass[plant.model.body("cart").id] = 1e6  # a cart that does not move
        angles = []
        for _ in range(500):
            plant.step(0.0)
            angles.append(plant.true_state()[0])
        rate = math.log(angles[-1] / angles[-101]) / 0.1
        assert rate == pytest.approx(math.sqrt(3 * 9.81 / (2 * 0.4 * scale)), rel=0.03)


def test_fallen_on_angle_rail_and_nan():
    plant = quiet_task()
    plant.reset(0)
    assert not plant.fallen
    for index, value in ((1, 0.61), (0, -0.98), (0, math.nan)):
        plant.reset(0)
        plant.data.qpos[index] = value
        assert plant.fallen


def test_time_goes_on_from_where_an_episode_begins():
    plant = task_named("pencil")
    plant.begin_episode(plant.episodes.draw(0), start_ns=7_000_000_000)
    plant.step(0.0)
    assert plant.now_ns == 7_001_000_000 and plant.elapsed_s == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"duration_s": 0.0}, "duration_s"),
        ({"push": -0.1}, "push"),
        ({"push": math.nan}, "push"),
        ({"mass_spread": 1.0}, "mass_spread"),
        ({"push_interval_s": (4.0, 2.0)}, "push_interval_s"),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(change, named):
    with pytest.raises(TaskError, match=named):
        PencilEpisodes(**change)
    with pytest.raises(TaskError, match=named):
        task_named("pencil", **change)


def test_a_period_that_is_no_whole_number_of_milliseconds_is_refused_by_name():
    robot = msgspec.structs.replace(robot_named("pencil"), period_s=0.0015, cameras=(), estimates=())
    with pytest.raises(RobotError, match=r"robot\.yaml: period_s: 0\.0015; give a whole multiple of .*0\.001 s"):
        task_of(robot)


def test_an_unknown_task_lists_the_known_ones():
    with pytest.raises(RobotError, match="unknown robot 'broom'; known: .*pencil"):
        task_named("broom")


def test_pictures_from_the_table_give_the_events_of_rendered_ones():
    counts, truths = [], []
    for rendered in (True, False):
        with World(task_named("pencil"), rendered=rendered) as world:
            expert, events = world.task.expert(), []
            world.reset(3)
            assert world.picture().max() > 50  # there is a pole
            for _ in range(80):
                events += world.advance(expert.act(world.task)).events
            x, y = (np.concatenate([e[axis] for e in events]) for axis in "xy")
            counts.append(np.bincount(y // 4 * 64 + x, minlength=1024))
            truths.append(world.truth)
    np.testing.assert_array_equal(*truths)
    assert counts[0].sum() > 1000 and 0.95 < counts[1].sum() / counts[0].sum() < 1.2
    assert np.corrcoef(*counts)[0, 1] > 0.97
