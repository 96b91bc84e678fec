# SPDX-License-Identifier: Apache-2.0
"""Every reader on mutated files: no traceback, no abort, at most 1 GB. 300 of each if ``slow``, or else a few."""

import pytest
from fuzz_readers import TARGETS, fuzz

#: What extra each target needs.
NEEDS = {"checkpoint": "torch", "events, dat": "faery", "events, aedat4": "faery", "events, es": "faery"}
#: In the ordinary tests: one of each kind of container.
FEW = ("controller, cfc", "nir, norse", "netx, cuba", "spikes, npz", "events, dsec", "bag, mcap", "yaml, robot")
#: A damaged bag is read up to the damage, and hardly ever refused.
READ_IN_PART = ("bag, mcap",)


def held(name: str, n: int, seed: int) -> None:
    pytest.importorskip(NEEDS.get(name, "numpy"))
    counts, failures = fuzz(name, n, seed)
    assert failures == []
    assert counts["read"] + counts["refused"] == n
    assert counts["refused"] > 0 or (name in READ_IN_PART and n < 100)


@pytest.mark.parametrize("name", TARGETS)
def test_a_whole_file_is_read_by_its_reader(name, tmp_path):
    pytest.importorskip(NEEDS.get(name, "numpy"))
    suffix, make, read = TARGETS[name]
    make(tmp_path / f"whole{suffix}")
    read(tmp_path / f"whole{suffix}")


@pytest.mark.parametrize("name", FEW)
def test_a_few_mutated_files(name):
    held(name, 25, 1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", TARGETS)
def test_many_mutated_files(name):
    held(name, 300, 0)


def test_there_are_thirty_targets_and_what_fails_is_seen(monkeypatch):
    assert len(TARGETS) >= 30
    counts, failures = fuzz("no such target", 1)
    assert failures and "KeyError" in failures[0] and counts["read"] == 0
