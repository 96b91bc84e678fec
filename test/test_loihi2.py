# SPDX-License-Identifier: Apache-2.0
"""The general emulator against payloads, spikes and states that Intel's Lava recorded, and against the fast one."""

from pathlib import Path

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.emulator import emulate
from liquid_spike_control.neuromorphic.loihi import LoihiEmulator
from liquid_spike_control.neuromorphic.loihi2 import GradedTrain, Loihi2Emulator
from liquid_spike_control.neuromorphic.network import LoihiNetwork
from liquid_spike_control.neuromorphic.neurons import (
    Population,
    ResonateAndFire,
    SigmaDelta,
)
from liquid_spike_control.neuromorphic.synapses import Conv, Dense, Sparse
from liquid_spike_control.types import SpikeTrain

DATA = Path(__file__).parent / "data"
FIRST = np.load(DATA / "loihi_conv_delay_sdn_rf.npz")


@pytest.mark.parametrize("case", [f"sdn{k:02d}" for k in range(8)])
def test_sigma_delta_matches_lava(case):
    w, expected = FIRST[f"{case}_W"], FIRST[f"{case}_s"]
    names = ("vth", "spike_exp", "state_exp")
    population = SigmaDelta(
        len(w), bias=FIRST[f"{case}_bias"], **{name: int(FIRST[f"{case}_{name}"]) for name in names}
    )
    network = LoihiNetwork(w.shape[1], {"sdn": population}, [Dense("input", "sdn", w)])
    output = Loihi2Emulator(network).run_graded(GradedTrain.from_dense(FIRST[f"{case}_in"].T))
    np.testing.assert_array_equal(output.to_dense(len(w)), expected.T)
    assert expected.any()


@pytest.mark.parametrize("case", [f"rf{k:02d}" for k in range(8)])
def test_resonate_and_fire_matches_lava(case):
    w, expected = FIRST[f"{case}_W"], FIRST[f"{case}_s"]
    period, alpha, vth = (FIRST[f"{case}_{name}"].item() for name in ("period", "alpha", "vth"))
    network = LoihiNetwork(
        w.shape[1], {"rf": ResonateAndFire.of_period(len(w), period, alpha, vth)}, [Dense("input", "rf", w)]
    )
    output = Loihi2Emulator(network).run(SpikeTrain.from_dense(FIRST[f"{case}_in"].T))
    np.testing.assert_array_equal(output.to_dense(len(w)), expected.T)
    assert expected.any()


def random_network(rng):
    """CUBA-LIF populations joined by connections of every kind."""
    n_inputs = 2 * 6 * 6

    def population(n):
        def each(low, high):
            return rng.integers(low, high, n) if rng.random() < 0.5 else int(rng.integers(low, high))

        return Population(
            n,
            du=each(0, 4096),
            dv=each(0, 4096),
            vth=each(50, 600),
            bias_mant=each(-20, 60),
            bias_exp=each(0, 7),
            refractory=each(0, 5),
            start=each(0, 4),
        )

    populations = {"image": population(3 * 3 * 4), "dense": population(20), "sparse": population(17)}
    pairs = rng.choice(17 * 20, 80, replace=False)
    connections = [
        Conv(
            "input",
            "image",
            rng.integers(-60, 90, (4, 3, 3, 2)),
            (6, 6, 2),
            stride=2,
            padding=1,
            weight_exp=int(rng.integers(0, 3)),
            channels_first=bool(rng.random() < 0.5),
            delay=int(rng.integers(0, 5)),
        ),
        Dense("image", "dense", rng.integers(-128, 128, (20, 36)), weight_exp=int(rng.integers(-2, 3))),
        Dense(
            "dense", "dense", rng.integers(-128, 20, (20, 20)), num_weight_bits=5, delays=rng.integers(0, 7, (20, 20))
        ),
        Sparse(
            "dense",
            "sparse",
            (17, 20),
            pairs // 20,
            pairs % 20,
            rng.integers(-100, 200, 80),
            weight_exp=int(rng.integers(0, 3)),
            delays=rng.integers(0, 30, 80),
            rounding="brian2loihi" if rng.random() < 0.5 else "lava",
        ),
    ]
    return LoihiNetwork(n_inputs, populations, connections, outputs=("sparse", "image"))


@pytest.mark.parametrize("seed", range(12))
def test_cuba_neurons_are_those_of_the_fast_emulator(seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    train = SpikeTrain.from_dense(rng.random((150, network.n_inputs)) < rng.choice([0.01, 0.1, 0.4]))
    fast, general = LoihiEmulator(network), Loihi2Emulator(network)
    ours, theirs = general.probe(train), fast.probe(train)
    for name in network.populations:
        np.testing.assert_array_equal(ours[name].states["u"], theirs[name].u)
        np.testing.assert_array_equal(ours[name].states["v"], theirs[name].v)
        np.testing.assert_array_equal(ours[name].payloads, theirs[name].spikes)
        assert theirs[name].spikes.any()
    assert general.stats() == fast.stats()
    general.reset(), fast.reset()
    np.testing.assert_array_equal(general.run(train).ids, fast.run(train).ids)


def test_emulate_chooses_the_engine_and_the_fast_one_refuses_what_it_cannot_run():
    lif = LoihiNetwork(2, {"a": Population(2, du=9, dv=9, vth=9)}, [Dense("input", "a", np.eye(2, dtype=int))])
    other = LoihiNetwork(2, {"a": SigmaDelta(2, vth=9)}, [Dense("input", "a", np.eye(2, dtype=int))])
    assert isinstance(emulate(lif), LoihiEmulator)
    assert isinstance(emulate(other), Loihi2Emulator)
    with pytest.raises(ModelError, match=r"a is SigmaDelta; .* emulate\(network\)"):
        LoihiEmulator(other)
