# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike`` in this process: what a wrong option prints, without the seconds in which Python starts."""

import sys
from unittest import mock

import pytest

from liquid_spike_control.cli import main


def command_line(capfd: pytest.CaptureFixture, *arguments: object) -> tuple[int, str]:
    """Exit status, and what went to standard error."""
    capfd.readouterr()
    with mock.patch.object(sys, "argv", ["liquid-spike", *map(str, arguments)]), pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0), capfd.readouterr().err
