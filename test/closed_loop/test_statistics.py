# SPDX-License-Identifier: Apache-2.0
"""Intervals: that they cover what they promise, and say more when more is known."""

import numpy as np
import pytest

from liquid_spike_control.bench.closed_loop import statistics
from liquid_spike_control.bench.closed_loop.statistics import (
    bootstrap,
    bootstrap_difference,
    holm,
    p_of_difference,
)


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


def test_holm_s_rule_by_hand():
    """0.01 x 4, 0.02 x 3, then 0.03 x 2 and 0.04 x 1, which may not fall below the one before."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.01, 0.001, 0.5]) == pytest.approx([0.02, 0.003, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([0.04]) == [0.04] and holm([]) == []


def test_p_values_of_no_difference_are_uniform_enough(monkeypatch):
    monkeypatch.setattr(statistics, "N_TESTED", 1000)
    rng, below = np.random.default_rng(5), 0
    for _ in range(100):
        hard = rng.normal(size=(1, 40))
        ours, theirs = (hard + rng.normal(size=(8, 1)) + rng.normal(size=(8, 40)) for _ in range(2))
        below += p_of_difference(ours, theirs) < 0.05
    assert below <= 13  # 5 of 100 are due, and 8 seeds are a little too sure


def test_p_values_of_a_clear_difference_and_of_none():
    same = np.ones((3, 40))
    assert p_of_difference(same, same) == 1.0 and p_of_difference(same, np.ones((5, 40)) / 3 * 3) == 1.0
    assert p_of_difference(same, 0 * same) == pytest.approx(2e-4, rel=0.01) == p_of_difference(0 * same, same)


def test_no_false_claim_among_many(monkeypatch):
    """Of families of 20 tests without a difference, Holm leaves few with any; uncorrected, most have one."""
    monkeypatch.setattr(statistics, "N_TESTED", 2000)
    rng, wrong, uncorrected = np.random.default_rng(6), 0, 0
    for _ in range(25):
        p_values = []
        for _ in range(20):
            ours, theirs = (rng.normal(size=(20, 1)) + np.zeros((20, 3)) for _ in range(2))
            p_values.append(p_of_difference(ours, theirs))
        wrong += min(holm(p_values)) < 0.05
        uncorrected += min(p_values) < 0.05
    assert wrong <= 4 and uncorrected >= 8
