# SPDX-License-Identifier: Apache-2.0
"""The report: what it says follows from the figures, and it stands alone."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from liquid_spike_control.bench.closed_loop import claims, drifting, html, markdown
from liquid_spike_control.bench.closed_loop.candidates import CANDIDATES
from liquid_spike_control.bench.closed_loop.figures import COLOURS
from liquid_spike_control.bench.closed_loop.plan import FIRST_EPISODE, changed, plan_named
from liquid_spike_control.bench.closed_loop.record import Evaluation, Record, Training
from liquid_spike_control.bench.closed_loop.report import Picture, Section, sections
from liquid_spike_control.bench.closed_loop.statistics import Interval, holm
from liquid_spike_control.bench.closed_loop.summary import standings
from liquid_spike_control.tasks.scale import anchors_of

NAMES = ("expert", "gru", "cfc_mm", "cfc_mm_timeless", "spiking_float", "spiking_loihi")
PERTURBATIONS = ("clean", "noise", "drop30", "jitter40", "mass")
WORK = {"steps": 3000, "input_spikes": 900, "spikes": 600, "synaptic_operations": 50_000, "neuron_updates": 9000,
        "neuron_steps": 30_000}  # fmt: skip


def record(name, seed, rate, episodes=40, task="swing-up", perturbations=PERTURBATIONS):
    """Figures as a run leaves them; every ``rate``-th part of the episodes succeeds."""
    rng = np.random.default_rng(len(name) + 100 * seed)
    spiking = name.startswith("spiking")
    anchors = anchors_of("swing-up")
    evaluations = {}
    for p in perturbations:
        success = rng.permutation(episodes) < round(rate * episodes)
        reward = np.where(success, anchors.expert.reward, anchors.random.reward)
        evaluations[p] = Evaluation({"name": p}, FIRST_EPISODE, tuple(success.tolist()), tuple(reward.tolist()), 500, 0,
                                    10.0, 0.1, 10.0 if spiking else 2.0, 20.0, WORK if spiking else None)  # fmt: skip
    training = None
    if seed:
        operations = None if spiking else 12_000
        training = Training(
            100.0 + seed,
            13_000,
            operations,
            f"{name} 32",
            f"{name}{seed}"[-8:],
            "liquid-spike ...",
            recipe={"n_rounds": 8, "seed": seed},
            environment={"cores": 2, "libraries": {"torch": "2"}},
        )
    return Record(name, task, seed, {"task": task, "controller": name, "seed": seed}, training, evaluations)


RATES = {"expert": 1.0, "gru": 0.5, "cfc_mm": 0.9, "cfc_mm_timeless": 0.2, "spiking_float": 0.4, "spiking_loihi": 0.4}


def run(rates):
    plan = changed(plan_named("published"), NAMES, ("swing-up",), PERTURBATIONS, range(1, 4), 40)
    return plan, {cell: record(cell.controller, cell.training_seed, rates[cell.controller]) for cell in plan.cells()}


@pytest.fixture(scope="module")
def found():
    return sections(*run(RATES), "liquid-spike bench closed-loop")


class Page(HTMLParser):
    """Tags that are open, tables' row lengths, and whatever the page would load."""

    def __init__(self):
        super().__init__()
        self.open, self.rows, self.loads = [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "use", "path", "link", "img"):
            self.open.append(tag)
        if tag in ("table", "tr"):
            self.rows.append([] if tag == "table" else 0) if tag == "table" else self.rows[-1].append(0)
        if tag in ("td", "th"):
            self.rows[-1][-1] += 1
        if tag in ("link", "script", "img", "iframe"):
            self.loads.append(tag)
        self.loads += [v for k, v in attributes if k in ("src", "href", "xlink:href") and not v.startswith("#")]

    def handle_startendtag(self, tag, attributes):
        self.loads += [v for k, v in attributes if k in ("src", "href", "xlink:href") and not v.startswith("#")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(found):
    text = html.write(found)
    page = Page()
    page.feed(text)
    assert page.open == [] and page.loads == [] and "url(http" not in text
    assert len(page.rows) >= 5 and all(len(set(lengths)) == 1 for lengths in page.rows)
    assert text.count("<svg") == 5 and "CfC-mm" in text and "PARTIAL" not in text


def test_markdown_has_the_same_tables_and_names_its_pictures(found):
    text = markdown.write(found, "figures")
    pictures = [part.name for section in found for part in section.parts if isinstance(part, Picture)]
    assert re.findall(r"\(figures/(.*)\.svg\)", text) == pictures
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1
    assert "| CfC-mm | 3 x 40 | 90 (83–94) |" in text  # 108 of 120 episodes, by Wilson


def test_every_candidate_has_a_colour_of_its_own():
    assert COLOURS.keys() == CANDIDATES.keys()
    assert len(set(COLOURS.values())) == sum(not c.adapts for c in CANDIDATES.values())


def test_the_same_figures_give_the_same_bytes(found):
    assert html.write(found) == html.write(sections(*run(RATES), "liquid-spike bench closed-loop"))


def test_a_partial_plan_is_reported():
    plan, records = run(RATES)
    some = dict(list(records.items())[:1])
    assert f"PARTIAL: 1 of the {len(records)} cells" in html.write(sections(plan, some, "command"))


def claimed(rates):
    _, records = run(rates)
    made = claims.adjusted({"swing-up": claims.claims(standings(records.values())["swing-up"])})
    return {(c.subject, c.measured): c for c in made["swing-up"]}


def test_claims_follow_the_figures():
    found = claimed(RATES)
    assert {subject for subject, _ in found} == {
        "computation", "energy", "training time", "latency", "adaptivity", "robustness", "hardware",
    }  # fmt: skip
    timing = found["adaptivity", "success under jitter40, drop30"]
    assert timing.figures == ("90 %", "50 %", "40 %") and timing.finding.startswith(
        "liquid is ahead of spiking: +50 points"
    )
    assert "; liquid is ahead of GRU: +40 points" in timing.finding
    hidden = found["adaptivity", "success under jitter40, drop30 with elapsed time, and with it hidden"]
    assert hidden.figures[0] == "90 %, hidden 20 %" and hidden.finding.startswith("seeing the time helps")
    assert (
        found["latency", next(m for s, m in found if s == "latency")].finding
        == "liquid takes 5.0 times less time than spiking; liquid and the gated one take about as much time, "
        "on a processor"
    )
    turned = claimed(RATES | {"cfc_mm": 0.1, "spiking_loihi": 0.9, "spiking_float": 0.9})
    assert turned["adaptivity", "success under jitter40, drop30"].finding.startswith("spiking is ahead of liquid")
    said = [subject for subject, _ in found]
    assert said == sorted(said, key=said.index) and [m for s, m in found if s == "robustness"][0].endswith("noise")
    even = claimed(RATES | {"cfc_mm": 0.5, "spiking_loihi": 0.5})
    assert even["robustness", "success under mass"].finding.startswith("no difference from spiking that shows")


def test_what_a_gated_network_does_as_well_is_no_merit_of_liquid_neurons():
    found = claimed(RATES | {"gru": 0.9})["adaptivity", "success under jitter40, drop30"].finding
    spiking, gated = found.split("; liquid") if "; liquid" in found else found.split("; no")
    assert spiking.startswith("liquid is ahead of spiking: +50 points")
    assert gated.startswith(" difference from GRU that shows: +0 points")
    behind = claimed(RATES | {"gru": 1.0, "cfc_mm": 0.6})["adaptivity", "success under jitter40, drop30"].finding
    assert "GRU is ahead of liquid: -40 points" in behind and "liquid is ahead of spiking: +20 points" in behind
    only = {k: v for k, v in RATES.items() if k != "gru"}
    _, records = run(RATES)
    mine = standings([r for r in records.values() if r.controller in only])["swing-up"]
    assert all("GRU" not in row.finding and "gated" not in row.finding for row in claims.claims(mine))


def test_all_tests_of_a_report_are_one_family():
    _, records = run(RATES | {"cfc_mm": 0.55, "gru": 0.45, "spiking_loihi": 0.45})
    rows = claims.claims(standings(records.values())["swing-up"])
    plain = [c for row in rows for c in row.comparisons]
    one = [c for row in claims.adjusted({"a": rows})["a"] for c in row.comparisons]
    many = [c for made in claims.adjusted({str(k): rows for k in range(10)}).values() for row in made
            for c in row.comparisons][: len(plain)]  # fmt: skip
    assert len(plain) == 8 and all(c.adjusted == c.p for c in plain)
    assert all(a.p <= b.adjusted <= c.adjusted for a, b, c in zip(plain, one, many, strict=True))
    borderline = replace(plain[0], lead=Interval(0.1, 0.01, 0.19), p=0.03, adjusted=0.03)
    assert str(borderline).startswith("liquid is ahead of spiking: +10 points (+1 to +19; p = 0.03)")
    alone = replace(rows[0], observation="", comparisons=(borderline,))
    (again,) = claims.adjusted({"a": [alone], "b": [alone]})["a"]
    assert again.finding == "no difference from spiking that shows: +10 points (+1 to +19; p = 0.06)"


def test_a_task_that_brings_its_own_faults_is_judged_under_them():
    cells = [(name, seed) for name in NAMES for seed in ((1, 2, 3) if name != "expert" else (0,))]
    records = [record(name, seed, RATES[name], task="pencil-hard", perturbations=("clean",)) for name, seed in cells]
    mine = standings(records)["pencil-hard"]
    rows = claims.claims(mine)
    assert len([row for row in rows if row.subject == "robustness"]) == 1
    judged = [row for row in rows if "the task's own faults" in row.measured]
    assert [row.subject for row in judged] == ["adaptivity", "adaptivity", "robustness"]
    assert judged[0].figures == ("90 %", "50 %", "40 %") and judged[0].perturbations == ("clean",)
    assert judged[1].figures[0] == "90 %, hidden 20 %"
    assert not any(row.finding == "not measured" for row in rows)
    plan = changed(plan_named("published"), NAMES, ("pencil-hard",), ("clean",), range(1, 4), 40)
    by_cell = {(r.controller, r.training_seed): r for r in records}
    found = sections(plan, {c: by_cell[c.controller, c.training_seed] for c in plan.cells()}, "command")
    text = markdown.write(found, "figures")
    assert "under the task's own faults" in text


def test_a_variant_of_the_estimates_has_pictures_that_a_page_finds():
    """A URL ends at a question mark."""
    plan = changed(plan_named("published"), NAMES, ("pencil-hard?truth",), ("clean",), range(1, 4), 40)
    records = {
        c: record(c.controller, c.training_seed, RATES[c.controller], task=c.task, perturbations=("clean",))
        for c in plan.cells()
    }
    text = markdown.write(sections(plan, records, "command"), "figures")
    assert "(figures/pencil-hard-truth-success.svg)" in text and "Task pencil-hard?truth" in text
    assert not any("?" in name for name in re.findall(r"\(figures/(.*)\.svg\)", text))
    assert "under the task's own faults" in text


def test_without_a_spiking_controller_there_is_nothing_to_claim():
    _, records = run(RATES)
    mine = standings([r for r in records.values() if not r.controller.startswith("spiking")])["swing-up"]
    assert claims.claims(mine) == []


def test_standings_join_training_seeds():
    _, records = run(RATES)
    standing = standings(records.values())["swing-up"]["cfc_mm"]
    assert standing.training_seeds == (1, 2, 3) and standing.training_s == 102.0
    assert standing.success("clean").mean == pytest.approx(0.9) and standing.success_by_seed("clean") == [0.9] * 3
    assert standing.score("clean").mean == pytest.approx(90)
    assert standing.energy()["horowitz45nm:mac"] == pytest.approx(12_000 * 4.6e-12)
    spiking = standings(records.values())["swing-up"]["spiking_loihi"]
    assert spiking.operations == pytest.approx(100)  # 50,000 in 500 steps
    assert spiking.energy()["horowitz45nm:ac"] == pytest.approx(100 * 0.9e-12)


def drifting_run(rates, perturbations=("steady", "mass_drift", "noise_growth")):
    plan = changed(plan_named("drift"), tuple(rates), ("swing-up",), perturbations, range(1, 4), 40)
    return plan, {
        cell: record(cell.controller, cell.training_seed, rates[cell.controller], perturbations=perturbations)
        for cell in plan.cells()
    }


def test_what_drifts_is_compared_pair_by_pair_and_adjusted_together():
    rates = {"gru": 0.5, "s5": 0.9, "cfc_mm": 0.9, "gru_adapting": 0.8}
    plan, records = drifting_run(rates)
    pairs = drifting.pairs(standings(records.values()))
    assert [(p.first.candidate.name, p.second.candidate.name) for p in pairs] == [
        ("cfc_mm", "gru"), ("cfc_mm", "s5"), ("gru_adapting", "gru")]  # fmt: skip
    assert {p.perturbations for p in pairs} == {("mass_drift", "noise_growth")}  # not where nothing changes
    assert [p.comparison.adjusted for p in pairs] == holm([p.comparison.p for p in pairs])
    texts = [str(p.comparison) for p in pairs]
    assert texts[0].startswith("CfC-mm is ahead: +40 points") and texts[1].startswith("no difference that counts: +0")
    assert texts[2].startswith("GRU, adapting is ahead: +30")
    text = markdown.write(sections(plan, records, "liquid-spike"), "figures")
    assert "| swing-up | 2 drifts | CfC-mm | 90.0 | GRU | 50.0 | CfC-mm is ahead" in text and "these 3 tests" in text


def test_long_episodes_are_judged_apart_though_they_are_fewer():
    _, records = drifting_run({"gru": 0.5, "ltc": 0.9})
    longer = [
        replace(r, evaluations=r.evaluations | record(r.controller, r.training_seed, 1.0, 10, perturbations=[
            "ten_minutes"]).evaluations) for r in records.values()
    ]  # fmt: skip
    pairs = drifting.pairs(standings(longer))
    assert [p.perturbations for p in pairs] == [("mass_drift", "noise_growth"), ("ten_minutes",)]
    assert [p.comparison.lead.mean for p in pairs] == pytest.approx([0.4, 0.0])
    assert "| swing-up | ten_minutes | LTC | 100 (89–100) | GRU | 100 (89–100) |" in markdown.write(
        [Section(1, "", (drifting.table(pairs),))], "")  # fmt: skip


def test_a_report_of_what_does_not_drift_has_no_such_section(found):
    assert not any("changes within" in section.heading for section in found)
    assert not drifting.pairs(standings(run(RATES)[1].values()))


def test_a_reward_of_a_longer_episode_counts_as_one_of_the_scales_length():
    _, records = drifting_run({"expert": 1.0}, ("steady",))
    (whole,) = records.values()
    e = whole.evaluations["steady"]
    long = replace(e, perturbation={"duration_s": 20.0}, reward=tuple(2 * r for r in e.reward))
    standing = standings([replace(whole, evaluations={"steady": long})])["swing-up"]["expert"]
    assert standing.score("steady").mean == pytest.approx(100)
