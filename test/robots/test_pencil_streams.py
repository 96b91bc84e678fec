# SPDX-License-Identifier: Apache-2.0
"""Training streams: pictures from a table give the events of true rendering."""

from dataclasses import replace

import numpy as np
import pytest

from liquid_spike_control.control.lqr import pencil_lqr
from liquid_spike_control.events.binning import SpikeBinner
from liquid_spike_control.robots.pencil.episodes import PencilTask
from liquid_spike_control.robots.pencil.streams import PERCEPTION_SEEDS, PencilStream, PictureTable
from liquid_spike_control.sim.world import PENCIL_CAMERA, PencilSimulation
from liquid_spike_control.training.receptive_fields import oriented_bands

TASK = PencilTask(push=0.04)
SEED = PERCEPTION_SEEDS[0] + 3


@pytest.fixture(scope="module")
def table():
    return PictureTable(TASK, PENCIL_CAMERA, n_variants=2, seed=1)


def drive(observe, truth, advance, n_ticks):
    lqr = pencil_lqr(TASK)
    for _ in range(n_ticks):
        advance(float(lqr.step(np.concatenate([observe(), truth()]))[0]))


def test_events_from_the_table_are_those_of_rendering(table):
    binner = SpikeBinner(64, 64, 4, 1_000_000)
    stream = PencilStream(table, PENCIL_CAMERA, [TASK], binner, SEED, 1)
    from_table = []
    drive(stream.plant.observe, lambda: stream.plant.truth, lambda f: from_table.append(stream.advance(f, 5)[0]), 100)

    rendered = []
    with PencilSimulation(TASK) as simulation:
        simulation.reset(SEED)
        episode = replace(
            TASK.draw(SEED),
            length_scale=stream.plant.episode.length_scale,
            light_scale=stream.plant.episode.light_scale,
        )
        simulation.plant.begin(episode)
        simulation._camera.reset(simulation.picture(), 0, SEED)

        def advance(force):
            start = simulation.plant.now_ns
            rendered.append(binner.bin(simulation.advance(force).events, start, 5))

        drive(simulation.plant.observe, lambda: simulation.plant.truth, advance, 100)
        np.testing.assert_allclose(simulation.plant.truth, stream.plant.truth, atol=1e-12)

    def histogram(trains):
        return np.bincount(np.concatenate([t.ids for t in trains]), minlength=binner.n_axons)

    a, b = histogram(from_table), histogram(rendered)
    assert b.sum() > 500
    assert abs(a.sum() / b.sum() - 1) < 0.1  # interpolated pictures change more smoothly than rendered ones
    assert np.corrcoef(a, b)[0, 1] > 0.95


def test_a_stream_begins_anew_with_its_next_seed(table):
    stream = PencilStream(table, PENCIL_CAMERA, [TASK], SpikeBinner(64, 64, 4, 1_000_000), SEED, 10)
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
