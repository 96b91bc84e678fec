# SPDX-License-Identifier: Apache-2.0
"""Records: what is written is found again, and nothing else is."""

import json
from dataclasses import replace

import pytest

from liquid_spike_control.bench.closed_loop.record import (
    Cache,
    Evaluation,
    Record,
    Training,
    content_hash,
    joined,
)

CLEAN = {"name": "clean", "noise": 0.0}


def evaluation(**changes):
    return replace(
        Evaluation(
            CLEAN,
            1000,
            (True, False, True),
            (1.5, -2.25, 1e-3),
            30,
            0,
            0.6,
            0.01,
            1.5,
            9.75,
            environment={"processor": "one"},
        ),
        **changes,
    )


def record(**changes):
    made = Record(
        "gru", "swing-up", 3, {"code": "abc", "sizes": (1, 2)},
        Training(12.5, 100, 90, "gru 5", "f00", "liquid-spike ...", environment={"processor": "one"}),
        {"clean": evaluation()},
    )  # fmt: skip
    return replace(made, **changes)


def test_a_record_survives_its_file(tmp_path):
    cache, before = Cache(tmp_path), record(provenance={"code": "abc"})
    cache.store("cell", before)
    assert cache.find("cell", {"code": "abc"}) == before
    assert [path.name for path in tmp_path.iterdir()] == [f"cell-{before.key}.json"]


def test_tuples_in_what_decides_a_record_do_not_hide_it(tmp_path):
    cache = Cache(tmp_path)
    cache.store("cell", record())
    found = cache.find("cell", record().provenance)
    assert found is not None and found.evaluations == record().evaluations


@pytest.mark.parametrize("other", [{"code": "abd", "sizes": (1, 2)}, {"code": "abc", "sizes": (1, 3)}, {"code": "abc"}])
def test_what_was_made_otherwise_is_not_found(tmp_path, other):
    cache = Cache(tmp_path)
    cache.store("cell", record())
    assert cache.find("cell", other) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"code": "abc"', '"code": "abe"'),
        lambda text: text.replace('"form": 2', '"form": 1'),
        lambda text: text.replace('"reward"', '"rewards"'),
        lambda text: "[1, 2]",
        lambda text: "",
    ],
)
def test_a_damaged_file_counts_as_none(tmp_path, damage):
    cache = Cache(tmp_path)
    cache.store("cell", record())
    path = next(tmp_path.iterdir())
    assert damage(path.read_text()) != path.read_text()
    path.write_text(damage(path.read_text()))
    assert cache.find("cell", record().provenance) is None


def test_the_fuller_of_two_folders_is_taken(tmp_path):
    ours, published = tmp_path / "ours", tmp_path / "published"
    Cache(ours).store("cell", record())
    both = record(evaluations={"clean": evaluation(), "noise": evaluation()})
    Cache(published).store("cell", both)
    assert set(Cache(ours, (published,)).find("cell", both.provenance).evaluations) == {"clean", "noise"}
    Cache(ours, (published,)).store("cell", record())
    assert len(list(published.iterdir())) == 1  # read, never written


def test_new_evaluations_join_the_old_ones():
    old = record(evaluations={"clean": evaluation(), "noise": evaluation(steps=1)})
    new = joined(old, record(evaluations={"noise": evaluation(steps=2)}))
    assert {name: e.steps for name, e in new.evaluations.items()} == {"clean": 30, "noise": 2}
    assert joined(None, old) == old


def test_an_evaluation_covers_its_own_episodes_only():
    assert evaluation().covers(CLEAN, range(1000, 1003))
    assert not evaluation().covers(CLEAN, range(1000, 1004))
    assert not evaluation().covers(CLEAN, range(1001, 1004))
    assert not evaluation().covers(CLEAN | {"noise": 0.1}, range(1000, 1003))


def test_a_network_is_kept_with_its_training(tmp_path):
    cache, training = Cache(tmp_path), replace(record().training, model=content_hash(b"weights"))
    cache.store_network("swing-up-gru-3", "0123", training, b"weights")
    assert cache.find_network("swing-up-gru-3", "0123") == (training, b"weights")
    assert cache.find_network("swing-up-gru-3", "0124") is None
    next(tmp_path.glob("*.model")).write_bytes(b"weightS")
    assert cache.find_network("swing-up-gru-3", "0123") is None


def test_a_record_is_json_of_one_line_a_perturbation():
    text = record().to_json()
    assert json.loads(text)["evaluations"]["clean"]["success"] == "101"
    assert sum('"perturbation"' in line for line in text.splitlines()) == 1
