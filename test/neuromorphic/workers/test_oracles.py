# SPDX-License-Identifier: Apache-2.0
"""Which simulators are installed, and what each can run."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from networks import network

from liquid_spike_control.errors import ModelError, WorkerError
from liquid_spike_control.neuromorphic.emulator.loihi import Conv, Dense, LoihiNetwork, Population
from liquid_spike_control.neuromorphic.integers.random_network import SCOPES, random_case
from liquid_spike_control.neuromorphic.workers.backend import new_worker
from liquid_spike_control.neuromorphic.workers.oracles import FOLDER, KINDS, check_network, find_oracle


def test_a_missing_oracle_names_the_searched_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    for kind in KINDS:
        with pytest.raises(WorkerError, match=f"{kind} is not installed.*{tmp_path}.*make oracles"):
            find_oracle(kind)
    with pytest.raises(WorkerError, match="nest is not a known simulator.*lava"):
        find_oracle("nest")


def test_an_interpreter_without_the_simulator_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    (tmp_path / "nengo_loihi/bin").mkdir(parents=True)
    # Not a link: Python would take the link's folder for its own, and find no NumPy.
    wrapper = tmp_path / "nengo_loihi/bin/python"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    with pytest.raises(WorkerError, match="nengo_loihi has failed: PackageNotFoundError.*nengo-loihi"):
        new_worker("nengo_loihi", network())


def dense(**changes) -> Dense:
    return replace(Dense("input", "a", np.array([[9, -4, 3], [0, 2, 254]])), **changes)


CONV = Conv("input", "a", np.ones((2, 1, 3, 1), int), (1, 3, 1))


@pytest.mark.parametrize(
    ("kind", "refused", "why"),
    [
        ("lava", network(refractory=3), "population a: a refractory period"),
        ("lava", network(start=3), "population a: a late start"),
        ("lava", network(du=np.array([1, 2])), "population a: du of each neuron"),
        ("lava", network(replace(CONV, weight_exp=1)), "Conv input -> a: weight_exp 1"),
        ("lava", network(replace(CONV, delay=1)), "Conv input -> a: a delay"),
        ("lava", network(dense(rounding="brian2loihi")), "Dense input -> a: weights rounded as brian2loihi"),
        (
            "lava",
            LoihiNetwork(3, {"a": Population(2, 1, 1, 1), "b": Population(1, 1, 1, 1)}, [dense()]),
            "population b: nothing joins it",
        ),
        ("nengo_loihi", network(CONV), "Conv input -> a: a convolution"),
        ("nengo_loihi", network(dense(delays=1)), "Dense input -> a: delays"),
        ("nengo_loihi", network(dense(weight_exp=-1)), "Dense input -> a: weight_exp -1"),
        ("brian2_loihi", network(CONV), "Conv input -> a: a convolution"),
        ("brian2_loihi", network(dense()), "Dense input -> a: weights rounded as lava"),
        ("brian2_loihi", network(dense(rounding="brian2loihi"), bias_mant=1), "population a: a bias"),
        ("brian2_loihi", network(dense(rounding="brian2loihi"), start=1), "population a: a late start"),
        ("brian2_loihi", network(dense(rounding="brian2loihi", delays=63)), "Dense input -> a: a delay above 62"),
        (
            "brian2_loihi",
            network(dense(rounding="brian2loihi", weights=np.array([[-1, 255, 0], [0, 0, 0]]))),
            "Dense input -> a: a weight of 255",
        ),
        (
            "brian2_loihi",
            network(dense(rounding="brian2loihi", weight_exp=7, weights=np.array([[-256, 2, 0], [0, 0, 0]]))),
            "Dense input -> a: a weight of -256 at exponent 7",
        ),
    ],
)
def test_what_a_simulator_lacks_is_refused_by_name(kind, refused, why):
    with pytest.raises(ModelError, match=f"{kind} cannot run {why}"):
        check_network(kind, refused)


@pytest.mark.parametrize("kind", KINDS)
def test_random_networks_stay_within_what_a_simulator_has(kind):
    for seed in range(40):
        check_network(kind, random_case(SCOPES[kind], seed)[0])
