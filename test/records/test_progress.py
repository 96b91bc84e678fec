# SPDX-License-Identifier: Apache-2.0
"""The bar of long work."""

import io
import time

import pytest

from liquid_spike_control.records import progress
from liquid_spike_control.records.progress import ProgressBar
from liquid_spike_control.terminal import Console


@pytest.fixture
def screen(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(progress, "AFTER_S", 0.05)
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=file, force_terminal=True, width=80))
    return file


def test_it_is_there_before_anything_is_counted(screen):
    with ProgressBar("replaying", "packets"):
        time.sleep(0.3)
        assert "replaying" in screen.getvalue() and "packets" in screen.getvalue()


def test_short_work_shows_none(screen):
    with ProgressBar("replaying", "packets") as bar:
        bar.show(1, 1)
    time.sleep(0.1)
    assert screen.getvalue() == ""


def test_counts_are_shown(screen):
    with ProgressBar("replaying", "packets") as bar:
        time.sleep(0.3)
        bar.show(3, 7)
        assert "3/7" in screen.getvalue()
