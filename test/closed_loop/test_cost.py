# SPDX-License-Identifier: Apache-2.0
"""How long cells will take, by what others of their kind took."""

import pytest

from liquid_spike_control.bench.closed_loop.cost import START_S, Costs
from liquid_spike_control.bench.closed_loop.plan import Cell
from liquid_spike_control.bench.closed_loop.record import Evaluation, Record, Training


def record(task, controller, training_s, real_time_factor):
    """Of a cell that simulated 100 s."""
    clean = Evaluation({"name": "clean"}, 1000, (True,), (1.0,), 5000, 0, 100.0, 100.0 / real_time_factor, 2.0, 3.0)
    training = Training(training_s, 13_000, 12_000, f"{controller} 32", "f00", "liquid-spike ...")
    return Record(controller, task, 1, {}, training, {"clean": clean})


RECORDS = [
    record("pencil-hard", "gru", 60.0, 10.0),
    record("swing-up", "gru", 50.0, 300.0),
    record("swing-up", "ltc", 170.0, 200.0),
]


@pytest.mark.parametrize(
    "task, controller, training_s, factor",
    [
        ("swing-up", "gru", 50.0, 300.0),  # the same has run
        ("pencil-hard", "ltc", 170.0, 10.0),  # an LTC elsewhere learned, another one here was simulated
        ("hover", "gru", 55.0, 155.0),  # no task like it, so all of the architecture's
        ("swing-up", "expert", 0.0, 250.0),  # learns nothing
    ],
)
def test_a_cell_takes_what_the_nearest_took(task, controller, training_s, factor):
    cell = Cell(controller, task, 0 if controller == "expert" else 2, ("clean", "noise"), 10)
    duration_s = {"swing-up": 10.0, "pencil-hard": 20.0, "hover": 10.0}[task]
    assert Costs(RECORDS).of(cell) == pytest.approx(START_S + training_s + 20 * duration_s / factor)
