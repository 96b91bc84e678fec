# SPDX-License-Identifier: Apache-2.0
"""Training streams: pictures from a table give the events of true rendering."""

from dataclasses import replace

import numpy as np
import pytest

from liquid_spike_control.events.binning import SpikeBinner
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.robots.pencil.description import CAMERA, ROBOT
from liquid_spike_control.robots.pencil.episodes import PencilEpisodes
from liquid_spike_control.robots.pencil.expert import cart_pole_lqr
from liquid_spike_control.robots.pencil.streams import PencilStream, PictureTable
from liquid_spike_control.sim.world import World
from liquid_spike_control.training.receptive_fields import oriented_bands
from liquid_spike_control.training.seeds import PERCEPTION_SEEDS

TASK = PencilEpisodes(push=0.04)
SEED = PERCEPTION_SEEDS[0] + 3


@pytest.fixture(scope="module")
def table():
    return PictureTable(TASK, CAMERA, n_variants=2, seed=1)


def drive(observe, truth, advance, n_ticks):
    lqr = cart_pole_lqr(ROBOT, ROBOT.period_s)
    for _ in range(n_ticks):
        advance(float(lqr.step(np.concatenate([observe(), truth()]))[0]))


def test_events_from_the_table_are_those_of_rendering(table):
    binner = SpikeBinner(64, 64, 4, 1_000_000)
    stream = PencilStream(table, CAMERA, [TASK], binner, SEED, 1)
    from_table = []
    drive(stream.plant.observe, stream.plant.true_state, lambda f: from_table.append(stream.advance(f, 5)[0]), 100)

    rendered = []
    with World(task_named("pencil", push=TASK.push)) as world:
        world.reset(SEED)
        episode = replace(
            TASK.draw(SEED),
            length_scale=stream.plant.episode.length_scale,
            light_scale=stream.plant.episode.light_scale,
        )
        world.task.begin_episode(episode)
        world._eyes[0].open(0, SEED)

        def advance(force):
            start = world.now_ns
            rendered.append(binner.bin(world.advance(np.array([force])).events[0], start, 5))

        drive(world.task.observe, world.task.true_state, advance, 100)
        np.testing.assert_allclose(world.truth, stream.plant.true_state(), atol=1e-12)

    def histogram(trains):
        return np.bincount(np.concatenate([t.ids for t in trains]), minlength=binner.n_axons)

    a, b = histogram(from_table), histogram(rendered)
    assert b.sum() > 500
    assert abs(a.sum() / b.sum() - 1) < 0.1  # interpolated pictures change more smoothly than rendered ones
    assert np.corrcoef(a, b)[0, 1] > 0.95


def test_a_stream_begins_anew_with_its_next_seed(table):
    stream = PencilStream(table, CAMERA, [TASK], SpikeBinner(64, 64, 4, 1_000_000), SEED, 10)
    for _ in range(400):
        if stream.over:
            break
        stream.advance(0.0, 5)
    assert stream.plant.fallen
    stream.reset()
    assert stream.seed == SEED + 10 and not stream.over


def test_bands_lie_along_the_pole():
    weights = oriented_bands((0.325, 0.26), 33, 64, 64, 4, 6.0, 0.1, 0.3, seed=0).reshape(2, 16, 64, 33)
    upright = np.argwhere(weights[..., 16] != 0)
    assert upright[:, 2].min() >= 25 and upright[:, 2].max() <= 38  # about the middle column
    leaning = np.argwhere(weights[..., 32] != 0)
    top, bottom = leaning[leaning[:, 1] == 0][:, 2].mean(), leaning[leaning[:, 1] == 15][:, 2].mean()
    assert top > bottom + 14  # to the right at the top
