# SPDX-License-Identifier: Apache-2.0
"""The perception, with the shipped model."""

import numpy as np
import pytest

from liquid_spike_control.assembly import new_backend
from liquid_spike_control.errors import ModelError
from liquid_spike_control.perception import Perception
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.spiking.nir_io import read_perception_model
from liquid_spike_control.types import EVENT


@pytest.fixture
def model():
    return read_perception_model(shipped_model("pencil/perception.nir"))


def random_events(seed, n=400, until_ns=50_000_000):
    rng = np.random.default_rng(seed)
    events = np.zeros(n, EVENT)
    events["t"] = np.sort(rng.integers(1, until_ns, n))
    events["x"], events["y"], events["p"] = rng.integers(24, 40, n), rng.integers(0, 64, n), rng.integers(0, 2, n)
    return events


def test_two_perceptions_of_one_model_share_no_state(model):
    alone, backend = Perception(model), new_backend(model)
    expected = alone.step(random_events(0), 50_000_000, backend).values
    first, second = Perception(model), Perception(model)
    backends = new_backend(model), new_backend(model)
    second.step(random_events(1), 50_000_000, backends[1])
    np.testing.assert_array_equal(first.step(random_events(0), 50_000_000, backends[0]).values, expected)


def test_windows_of_any_length_give_the_same_estimate(model):
    """Cutting time into packets changes nothing, as long as each packet holds whole steps."""
    events = random_events(2)
    estimates = []
    for cuts in ([50], [5] * 10, [1, 7, 12, 30]):
        perception, backend, until = Perception(model), new_backend(model), 0
        for length in cuts:
            until += length * 1_000_000
            window = events[(events["t"] > until - length * 1_000_000) & (events["t"] <= until)]
            estimate = perception.step(window, until, backend)
        estimates.append(estimate.values)
    np.testing.assert_array_equal(estimates[0], estimates[1])
    np.testing.assert_array_equal(estimates[0], estimates[2])


def test_reset_forgets(model):
    perception, backend = Perception(model), new_backend(model)
    first = perception.step(random_events(3), 50_000_000, backend).values
    perception.reset(0)
    backend.reset()
    np.testing.assert_array_equal(perception.step(random_events(3), 50_000_000, backend).values, first)


@pytest.mark.parametrize("spoil", [{"input_encoding": None}, {"dt": "soon"}, {"feature_names": None}])
def test_metadata_that_lack_something_are_refused_with_the_file(model, spoil):
    model.metadata.update(spoil)
    with pytest.raises(ModelError, match="pencil/perception.nir"):
        Perception(model)
