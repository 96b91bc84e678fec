# SPDX-License-Identifier: Apache-2.0
"""Plans: what is published, what can be chosen, what is refused."""

from types import SimpleNamespace

import pytest

from liquid_spike_control.bench.closed_loop import running
from liquid_spike_control.bench.closed_loop.candidates import CANDIDATES, PUBLISHED
from liquid_spike_control.bench.closed_loop.plan import changed, plan_named
from liquid_spike_control.bench.closed_loop.procedure import training_command
from liquid_spike_control.errors import LiquidSpikeError, TaskError
from liquid_spike_control.robots.catalogue import TASKS
from liquid_spike_control.tasks.perturbations import DRIFTS
from liquid_spike_control.training.seeds import CONTROLLER_SEEDS


def test_the_published_plan_has_everything():
    cells = plan_named("published").cells()
    assert len(set(cells)) == len(cells)
    assert {cell.task for cell in cells} == {"pencil-hard", *TASKS}
    for task in ("pencil-hard", *TASKS):
        mine = [cell for cell in cells if cell.task == task]
        learners = {cell.controller for cell in mine} - {"expert", "model_based"}
        claimed = task in ("swing-up", "hover")
        everyone = {name for name in PUBLISHED if CANDIDATES[name].learns}
        assert learners == (everyone if claimed else {"mlp", "gru", "cfc_mm", "spiking_loihi"})
        seeds, episodes = (5, 100) if claimed else (1 if task == "pencil-hard" else 2, 50)
        assert {len([c for c in mine if c.controller == name]) for name in learners} == {seeds}
        assert {cell.episodes for cell in mine} == {episodes}
        if task == "pencil-hard":
            assert {cell.perturbations for cell in mine} == {("clean",)}
            continue
        assert {"clean", "noise", "drop30", "jitter40", "latency1"} <= set(mine[0].perturbations)
        assert ("length" in mine[0].perturbations) == (task == "swing-up")  # a quadrotor has no length to vary
        assert ("latency2" in mine[0].perturbations) == claimed


def test_what_is_cut_short_still_shows_every_contender():
    seeds = [cell.training_seed for cell in plan_named("published").cells()]
    assert seeds == sorted(seeds) and seeds[0] == 0


def test_no_episode_is_a_training_episode():
    for cell in plan_named("published").cells():
        assert cell.episode_seeds.stop < CONTROLLER_SEEDS.start // 2


def test_a_choice_replaces_a_part():
    plan = changed(plan_named("published"), ("gru", "cfc"), ("hover",), ("clean",), range(3, 5), 7, 2)
    assert [(c.controller, c.training_seed) for c in plan.cells()] == [("gru", 3), ("cfc", 3), ("gru", 4), ("cfc", 4)]
    assert {(c.task, c.perturbations, c.episodes, c.rounds) for c in plan.cells()} == {("hover", ("clean",), 7, 2)}
    assert "changed" in plan.name and changed(plan_named("published")).name == "published"


def test_a_learner_that_is_chosen_gets_a_training_seed():
    cells = changed(plan_named("smoke"), ("expert", "mlp"), ("swing-up",)).cells()
    assert [(c.controller, c.training_seed) for c in cells] == [("expert", 0), ("mlp", 1)]


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"controllers": ("pid",)}, "unknown controller 'pid'; known controllers: expert, model_based, mlp"),
        ({"tasks": ("juggling",)}, "unknown robot 'juggling'; known: arm, double-pendulum"),
        ({"perturbations": ("fog",)}, "unknown perturbation 'fog'; known perturbations: clean"),
        ({"tasks": ("hover",), "perturbations": ("length",)}, "perturbation 'length' cannot apply: task 'hover'"),
        ({"tasks": ("hopper",), "controllers": ("model_based",)}, "no law for task 'hopper'"),
        ({"tasks": ("pencil-hard",), "perturbations": ("noise",)}, "perturbation 'noise' cannot apply"),
        ({"tasks": ("pencil-hard",), "perturbations": ("period_drift",)}, "give clean, steady or threshold_drift"),
        ({"tasks": ("swing-up",), "perturbations": ("threshold_drift",)}, "task 'swing-up': has no event cameras"),
        ({"training_seeds": range(0, 2)}, "--training-seeds 0:2"),
        ({"episodes": 0}, "--episodes 0"),
        ({"rounds": 0}, "--rounds 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(choice, says):
    with pytest.raises(LiquidSpikeError) as error:
        changed(plan_named("smoke"), **choice)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_plan_lists_the_known_ones():
    with pytest.raises(TaskError, match="known plans: smoke, published"):
        plan_named("everything")


def test_what_drifts_is_met_by_networks_of_one_training_that_adapt_and_that_do_not():
    plans = {name: plan_named(name).cells() for name in ("drift", "horizon")}
    for cells in plans.values():
        assert {cell.task for cell in cells} - {"pencil-hard"} == {"swing-up", "hover"}
        learners = {c.controller for c in cells if c.training_seed}
        assert {f"{n}_adapting" for n in ("mlp_stacked", "gru", "s5", "ltc", "cfc_mm")} == {
            n for n in learners if CANDIDATES[n].adapts}  # fmt: skip
        assert {CANDIDATES[n].learner for n in learners if CANDIDATES[n].adapts} <= learners
        assert {c.training_seed for c in cells} == {0, 1, 2, 3}
    networks = [{running.network_name(cell) for cell in cells} - {None} for cells in plans.values()]
    assert len(networks[0] - networks[1]) == 5 and len(networks[1]) == 2 * 5 * 3 and networks[1] < networks[0]
    met = {p for cells in plans.values() for cell in cells for p in cell.perturbations}
    assert met == set(DRIFTS)
    for cell in plans["drift"]:  # one task has a camera, and brings faults of its own
        assert ("threshold_drift" in cell.perturbations) == (cell.task == "pencil-hard")
        assert cell.task != "pencil-hard" or (cell.training_seed <= 1 and len(cell.perturbations) == 2)
    gru, adapting = (next(c for c in plans["drift"] if c.controller == n) for n in ("gru", "gru_adapting"))
    assert running.provenance(gru)["training"] == running.provenance(adapting)["training"]
    config = SimpleNamespace(seed=1, n_rounds=5)
    commands = {training_command("hover", CANDIDATES[c.controller], config) for c in (gru, adapting)}
    assert len(commands) == 1 and "--controllers gru " in commands.pop()  # so that it is the same file
    assert "adaptation" not in running.provenance(gru) and running.provenance(adapting)["adaptation"] == 1
