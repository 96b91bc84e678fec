# SPDX-License-Identifier: Apache-2.0
"""Collects what the tests measure, and prints it as the table of faults at the end."""

import pytest
from rich.console import Console

from liquid_spike_control.nodes.faults.measurement import Measurement
from liquid_spike_control.nodes.faults.table import print_table

FOUND = pytest.StashKey[dict[str, list[Measurement]]]()


def pytest_configure(config):
    config.stash[FOUND] = {}


@pytest.fixture
def table(request) -> dict[str, list[Measurement]]:
    """Where a test writes its measurements."""
    return request.config.stash[FOUND]


def pytest_terminal_summary(terminalreporter, config):
    if config.stash[FOUND]:
        terminalreporter.ensure_newline()
        print_table(config.stash[FOUND], Console(width=140))
