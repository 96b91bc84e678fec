# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.spiking.readout import Readout
from liquid_spike_control.types import SpikeTrain


def test_readout_is_the_documented_leaky_sum():
    rng = np.random.default_rng(0)
    weight, decay, mix, offset = (
        rng.normal(size=(6, 9)),
        rng.random(6),
        rng.normal(size=(2, 6)),
        rng.normal(size=2),
    )
    readout = Readout(weight, decay, mix, offset)
    spikes = rng.random((40, 9)) < 0.3
    x = np.zeros(6)
    for k in range(0, 40, 5):
        for s in spikes[k : k + 5]:
            x = (1 - decay) * x + weight @ s
        got = readout.step(SpikeTrain.from_dense(spikes[k : k + 5]))
        np.testing.assert_allclose(got, mix @ x + offset, rtol=1e-12)
    readout.reset()
    np.testing.assert_array_equal(readout.step(SpikeTrain.from_dense(np.zeros((1, 9)))), offset)


def test_neurons_out_of_range_change_nothing():
    readout = Readout(np.ones((1, 3)), 0.5, np.ones((1, 1)))
    with pytest.raises(ValueError, match="0 .. 2"):
        readout.step(SpikeTrain.from_steps([np.array([0, 3])]))
    assert readout.step(SpikeTrain.from_steps([np.array([], int)])) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((np.ones((2, 3)), 0.5, np.ones((1, 3))), "do not meet"),
        ((np.full((2, 3), np.nan), 0.5, np.ones((1, 2))), "not finite"),
        ((np.ones((2, 3)), 1.5, np.ones((1, 2))), "0 .. 1"),
    ],
)
def test_what_cannot_be_is_refused(arguments, words):
    with pytest.raises(ModelError, match=words):
        Readout(*arguments)
