# SPDX-License-Identifier: Apache-2.0
"""``bench closed-loop --verify``: the same figures pass, others do not, and what differs is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from liquid_spike_control.bench.closed_loop import running
from liquid_spike_control.bench.closed_loop.command import closed_loop_command
from liquid_spike_control.bench.closed_loop.plan import Cell
from liquid_spike_control.bench.closed_loop.provenance import environment
from liquid_spike_control.bench.closed_loop.record import Cache
from liquid_spike_control.bench.closed_loop.verify import ELSEWHERE, cell_named, compare
from liquid_spike_control.errors import LiquidSpikeError, TaskError
from liquid_spike_control.options import ClosedLoopOptions

PUBLISHED = Path(__file__).parents[2] / "docs" / "benchmark" / "results"
CELL = Cell("expert", "swing-up", 0, ("clean", "drop30"), 3)


@pytest.fixture(scope="module")
def made():
    return running.run(running.Job(CELL, None, None, CELL.perturbations)).record


def changed(record, name="clean", **changes):
    return replace(record, evaluations=record.evaluations | {name: replace(record.evaluations[name], **changes)})


def command(capsys, *, cache, **options):
    status = closed_loop_command(ClosedLoopOptions(verify="swing-up-expert-0", cache=cache, **options))
    return status, capsys.readouterr().out


@pytest.mark.slow
def test_a_published_cell_is_computed_again(tmp_path, capsys):
    status, said = command(capsys, cache=tmp_path, results=(PUBLISHED,), perturbations="clean,latency2", episodes=3)
    assert status == 0 and said.splitlines()[-1] == "verified"
    assert "clean: " in said and "latency2: " in said and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_same_figures_are_verified_and_others_are_not(tmp_path, capsys, made):
    Cache(tmp_path).store(CELL.name, made)
    status, said = command(capsys, cache=tmp_path)
    assert status == 0 and said.count("the same, episode by episode") == 2 and "compared exactly" in said
    rewards = list(made.evaluations["drop30"].reward)
    rewards[1] += 1e-4
    Cache(tmp_path).store(CELL.name, changed(made, "drop30", reward=tuple(rewards), steps=7))
    status, said = command(capsys, cache=tmp_path)
    assert status == 1 and said.splitlines()[-1] == "NOT verified"
    assert "drop30: 1 episode differs, the first of seed 1001;" in said and "steps 7 kept, " in said
    assert "beyond the tolerance" in said and "clean: the same" in said
    status, said = command(capsys, cache=tmp_path, tolerance=0.01)
    assert status == 0 and "within 1 %" in said and "1 episode differs" in said
    status, said = command(capsys, cache=tmp_path, perturbations="clean")
    assert status == 0 and "drop30" not in said


def test_fewer_episodes_compare_no_totals(made):
    again = running.run(running.Job(replace(CELL, episodes=2), None, None, ("clean",))).record
    assert compare(changed(made, steps=7), again, None).agrees
    assert not compare(changed(made, reward=(0.0, *made.evaluations["clean"].reward[1:])), again, None).agrees


def test_another_environment_has_a_tolerance(made):
    elsewhere = environment() | {"instructions": "riscv64"}
    kept = changed(changed(made, environment=elsewhere), "drop30", environment=elsewhere)
    rewards = tuple(r * 1.0001 for r in made.evaluations["clean"].reward)
    near = compare(changed(kept, reward=rewards), made, None)
    assert near.agrees and near.tolerance == ELSEWHERE and "another processor class" in near.lines()[0]
    assert not compare(changed(kept, reward=rewards), made, 0.0).agrees
    failed = changed(kept, success=(False, True, True))
    assert not compare(failed, made, None).agrees  # a third of the episodes
    assert compare(failed, made, 0.4).agrees
    assert not compare(changed(made, reward=rewards), made, None).agrees  # here each episode must be the same


def test_another_network_is_another_result_where_arithmetic_is_the_same(made):
    from liquid_spike_control.bench.closed_loop.record import Training

    training = Training(1.0, 1, 1, "", "aaaa", "", environment=environment())
    kept, again = replace(made, training=training), replace(made, training=replace(training, model="bbbb"))
    verdict = compare(kept, again, None)
    assert not verdict.agrees and "network: another file" in verdict.lines()
    assert compare(kept, again, 0.05).agrees and compare(kept, kept, None).same_network


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"verify": "swing-up"}, "give TASK-CONTROLLER-SEED"),
        ({"verify": "swing-up-pid-0"}, "give TASK-CONTROLLER-SEED"),
        ({"verify": "juggling-gru-1"}, "unknown robot 'juggling'"),
        ({"verify": "swing-up-gru-0"}, "its seed is at least 1"),
        ({"verify": "swing-up-expert-2"}, "its seed is 0"),
        ({"verify": "hopper-model_based-0"}, "no law for task 'hopper'"),
        ({"verify": "swing-up-gru-99"}, "no result of its present versions; give its folder by --results"),
        ({"verify": "swing-up-gru-1", "rounds": 3}, "no result of its present versions"),
        ({"perturbations": "fog"}, "--perturbations fog: the kept result has clean"),
        ({"episodes": 101}, "--episodes 101: the kept result has 100"),
        ({"episodes": 0}, "--episodes 0"),
        ({"tolerance": 1.0}, "--tolerance 1"),
        ({"tolerance": float("nan")}, "--tolerance nan"),
    ],
)
def test_bad_options_are_refused_before_anything_runs(tmp_path, options, says):
    with pytest.raises(LiquidSpikeError) as error:
        closed_loop_command(
            ClosedLoopOptions(cache=tmp_path, results=(PUBLISHED,), **({"verify": "swing-up-expert-0"} | options))
        )
    assert says in str(error.value) and "\n" not in str(error.value)


def test_perturbations_of_other_numbers_are_no_base(tmp_path, made):
    other = json.loads(json.dumps(made.evaluations["drop30"].perturbation)) | {"drop": 0.4}
    Cache(tmp_path).store(CELL.name, changed(made, "drop30", perturbation=other))
    with pytest.raises(TaskError, match="perturbation 'drop30': the kept result is of other numbers"):
        closed_loop_command(ClosedLoopOptions(verify="swing-up-expert-0", cache=tmp_path))


def test_names_of_cells_are_those_of_files():
    plain = Cell("cfc_mm", "double-pendulum-positions", 2, (), 0)
    assert cell_named("double-pendulum-positions-cfc_mm-2") == plain
    assert cell_named("results/double-pendulum-positions-cfc_mm-2-0123456789abcdef.json") == plain
