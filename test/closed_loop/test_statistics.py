# SPDX-License-Identifier: Apache-2.0
"""Intervals: that they cover what they promise, and say more when more is known."""

import numpy as np
import pytest

from liquid_spike_control.bench.closed_loop.statistics import bootstrap, bootstrap_difference


def test_intervals_cover_the_truth_of_crossed_samples():
    """Training seeds and episodes vary; an interval that took episodes for independent would cover half as often."""
    rng, covered = np.random.default_rng(1), 0
    for _ in range(200):
        figures = 3 + rng.normal(size=(8, 1)) + rng.normal(size=(1, 30)) + rng.normal(size=(8, 30))
        interval = bootstrap(figures)
        covered += interval.low <= 3 <= interval.high
    assert 175 <= covered  # of 200; resampling 8 seeds is a little too sure of itself, by 1 - 1/8 of the variance


def test_the_spread_of_trainings_counts():
    episodes = np.random.default_rng(2).normal(size=(1, 100))
    alike, unlike = np.repeat(episodes, 5, 0), np.repeat(episodes, 5, 0) + np.arange(-2, 3)[:, None]
    narrow, wide = bootstrap(alike), bootstrap(unlike)
    assert narrow.mean == pytest.approx(wide.mean)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_what_an_episode_does_to_both_cancels():
    rng = np.random.default_rng(3)
    hard = 10 * rng.normal(size=(1, 50))
    ours, theirs = hard + 1 + 0.1 * rng.normal(size=(5, 50)), hard + 0.1 * rng.normal(size=(3, 50))
    lead = bootstrap_difference(ours, theirs)
    assert 0.9 < lead.low < lead.mean < lead.high < 1.1
    assert bootstrap(ours).high - bootstrap(ours).low > 3  # neither is known so well alone


def test_the_same_figures_give_the_same_interval():
    figures = np.random.default_rng(4).random((5, 100))
    assert bootstrap(figures) == bootstrap(figures.copy())
    assert bootstrap(figures) != bootstrap(figures, seed=1)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_no_figure_is_refused(shape):
    with pytest.raises(ValueError, match="no figure"):
        bootstrap(np.zeros(shape))


def test_different_episodes_are_no_pair():
    with pytest.raises(ValueError, match="episodes"):
        bootstrap_difference(np.zeros((5, 10)), np.zeros((5, 11)))
