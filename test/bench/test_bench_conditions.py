# SPDX-License-Identifier: Apache-2.0
"""Comparisons under several conditions and pictures of neurons: what they write, and what they refuse."""

import json

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.stats import binomtest, poisson

from liquid_spike_control.bench.conditions import poisson_interval, sign_test
from liquid_spike_control.bench.entry import conditions_in, robot_command
from liquid_spike_control.errors import LiquidSpikeError, TaskError
from liquid_spike_control.options import BenchRobotOptions

#: Two ways to drive that need no events; on seed 1000 the car has to steer within three seconds.
QUICK = {"robot": "lane_car", "seeds": "1000:1002", "variants": "expert,ncp_true", "jobs": 1}


def test_variants_under_conditions_in_one_run(tmp_path, capsys):
    out, picture = tmp_path / "out.json", tmp_path / "out.png"
    conditions = ("none", "lines=centre,contrast=0.5")
    wanted = {"conditions": conditions, "against": "ncp_true", "json": out, "plot": picture}
    assert robot_command(BenchRobotOptions(**QUICK, duration=3.0, **wanted)) == 0
    said, report = capsys.readouterr().out, json.loads(out.read_text())
    assert "left the lane, per km" in said and "sign test" in said and "expert" in said
    assert list(report["results"]) == list(conditions)
    assert report["conditions"]["lines=centre,contrast=0.5"] == {"lines": "centre", "contrast": 0.5}
    for figures in (*report["results"].values(), report["overall"]):
        for variant in figures.values():
            assert variant["failures"] == 0 and variant["failures_per_km"] == 0
            km = variant["episodes"] * 3.0 * 1.5e-3
            assert variant["distance_km"] == pytest.approx(km, rel=0.1)
            assert variant["against"] == {"better": 0, "worse": 0, "p": 1.0}
    assert report["overall"]["expert"]["episodes"] == 4
    assert imread(picture).shape[0] > 300


def test_a_car_that_leaves_the_lane_counts_and_is_compared(tmp_path):
    """Without events a controller that needs them drives on straight."""
    out = tmp_path / "out.json"
    options = QUICK | {"variants": "ncp_true,ncp", "conditions": ("blackouts=20",)}
    robot_command(BenchRobotOptions(**options, duration=6.0, json=out))
    report = json.loads(out.read_text())["results"]["blackouts=20"]
    assert report["ncp"]["failures"] == 2 and report["ncp_true"]["failures"] == 0
    assert report["ncp"]["failures_per_km"] == pytest.approx(2 / report["ncp"]["distance_km"])
    assert report["ncp"]["against"] == {"better": 0, "worse": 2, "p": 0.5}


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (1, 0), (3, 9), (9, 3), (5, 5), (40, 12)])
def test_the_sign_test_is_the_binomial_test(better, worse):
    wanted = binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert sign_test(better, worse) == pytest.approx(wanted)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_an_interval_of_counts_has_what_it_promises_in_its_tails(count):
    low, high = poisson_interval(count)
    assert poisson.cdf(count, high) == pytest.approx(0.025)
    assert low == 0 if count == 0 else poisson.sf(count - 1, low) == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conditions": ("noise",)}, "--conditions noise; give name=value"),
        ({"conditions": ("noise=nan",)}, "--conditions noise=nan; give a finite number"),
        ({"conditions": ("none", "none")}, "--conditions none: given twice"),
        ({"conditions": ("fog=1",)}, "has no setting 'fog'; known settings: texture, lines, lighting"),
        ({"conditions": ("noise=-1",)}, "noise: -1; give a finite number of at least 0"),
        ({"conditions": ("none",), "sweep": "noise=1:2:1"}, "--sweep and --conditions"),
        ({"conditions": ("none",), "against": "law"}, "--against law: not among the variants that run"),
        ({"against": "ncp_true"}, "--against belongs to --conditions"),
        ({"conditions": ("none",), "neurons": "n.png"}, "--neurons shows one episode; leave --conditions out"),
        ({"neurons": "n.png"}, "--neurons shows one variant; give --variants with one of expert, ncp_true"),
    ],
)
def test_bad_options_are_named(tmp_path, options, message):
    if "neurons" in options:
        options = options | {"neurons": tmp_path / options["neurons"]}
    with pytest.raises(LiquidSpikeError) as refusal:
        robot_command(BenchRobotOptions(**QUICK | options))
    assert message in str(refusal.value)


def test_conditions_are_read():
    assert conditions_in(("none", "a=1,b=x")) == {"none": (), "a=1,b=x": (("a", 1), ("b", "x"))}


def picture_of(tmp_path, robot, variant):
    path = tmp_path / "neurons.png"
    options = QUICK | {"robot": robot, "seeds": "1000:1001", "variants": variant}
    robot_command(BenchRobotOptions(**options, duration=1.5, neurons=path))
    return imread(path)


def test_neurons_along_the_way_and_over_time(tmp_path, capsys):
    way = picture_of(tmp_path, "lane_car", "ncp_true")
    assert way.shape[1] > 1000 and way[..., :3].std() > 0.05
    time = picture_of(tmp_path, "hover", "controller")
    assert np.abs(time[..., 0] - time[..., 2]).max() > 0.3  # coloured


def test_a_controller_without_neurons_has_no_picture(tmp_path):
    with pytest.raises(TaskError, match="--neurons: the controller of 'expert' has no neurons"):
        picture_of(tmp_path, "lane_car", "expert")
