# SPDX-License-Identifier: Apache-2.0
"""A run in one process, as people see it on a terminal."""

import io

from liquid_spike_control.nodes.graph import GraphOptions
from liquid_spike_control.nodes.in_process import run
from liquid_spike_control.nodes.progress import Progress
from liquid_spike_control.terminal import Console


def test_the_screen_is_not_blank_while_models_are_loaded_and_kernels_compiled():
    shown = io.StringIO()
    with Progress(Console(file=shown, force_terminal=True, width=120), 0.2) as progress:
        run(GraphOptions(robot="hover", duration_s=0.2), progress, keep=False)
    assert "loading the models (the first time kernels are compiled, a minute)" in shown.getvalue()
