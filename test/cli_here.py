# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike`` in this process: what it prints, without the seconds in which Python starts and imports."""

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

import pytest

from liquid_spike_control.cli import main


def cli(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    """Run a command to its end, with standard output and error as text."""
    command = ["liquid-spike", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", command), mock.patch.dict("os.environ", environment),
        redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left,
    ):  # fmt: skip
        main()
    return subprocess.CompletedProcess(command, int(left.value.code or 0), out.getvalue(), err.getvalue())
