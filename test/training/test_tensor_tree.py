# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from liquid_spike_control.training.tensor_tree import from_bytes, to_bytes


def test_an_optimiser_goes_on_as_if_nothing_had_been_between():
    def steps(layer, optimiser, n):
        for k in range(n):
            optimiser.zero_grad()
            layer(torch.full((1, 3), float(k))).square().sum().backward()
            optimiser.step()

    torch.manual_seed(1)
    layer = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(layer.parameters(), betas=(0.8, 0.9))
    steps(layer, optimiser, 3)
    tree = from_bytes(to_bytes({"layer": layer.state_dict(), "optimiser": optimiser.state_dict()}))
    steps(layer, optimiser, 3)
    again = torch.nn.Linear(3, 2)
    again.load_state_dict(tree["layer"])
    other = torch.optim.Adam(again.parameters())
    other.load_state_dict(tree["optimiser"])
    steps(again, other, 3)
    assert all(torch.equal(a, b) for a, b in zip(layer.parameters(), again.parameters(), strict=True))


def test_numbers_strings_and_random_states_come_back():
    rng = np.random.default_rng(3)
    tree = {"rng": rng.bit_generator.state, "best": [1.5, None, "x", True], 7: {}, "shared": [], "nan": float("inf")}
    assert from_bytes(to_bytes(tree)) == tree
    rng.bit_generator.state = from_bytes(to_bytes(tree))["rng"]
    assert rng.integers(1 << 40) == np.random.default_rng(3).integers(1 << 40)


def test_tensors_that_share_memory_and_views():
    whole = torch.arange(6.0).reshape(2, 3)
    a, b, c = from_bytes(to_bytes([whole, whole, whole.T]))
    assert torch.equal(a, whole) and torch.equal(b, whole) and torch.equal(c, whole.T)


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(TypeError):
        to_bytes({"thing": object()})


@pytest.mark.parametrize("damage", [b"", b"x", lambda d: d[:-1], lambda d: d[:8] + b"!" + d[9:], lambda d: d[:40]])
def test_damaged_bytes_are_refused(damage):
    data = to_bytes({"a": torch.zeros(3)})
    with pytest.raises(ValueError, match="not a tree of tensors"):
        from_bytes(damage(data) if callable(damage) else damage)
