# SPDX-License-Identifier: Apache-2.0
"""Linear nodes against torch, alone and in chains."""

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.spiking import linear_maps
from liquid_spike_control.spiking.linear_maps import Map
from liquid_spike_control.spiking.nir_file import Node
from liquid_spike_control.spiking.shapes import output_shape

torch = pytest.importorskip("torch")
functional = torch.nn.functional


def conv(kind, weight, stride=1, padding=0, dilation=1, groups=1):
    values = {"weight": weight, "bias": np.zeros(len(weight)), "padding": padding}
    values |= {"stride": np.array(stride), "dilation": np.array(dilation), "groups": np.array(groups)}
    return Node(kind, values, {})


def pool(kind, kernel, stride, padding=0):
    values = {"kernel_size": np.array(kernel), "stride": np.array(stride), "padding": np.array(padding)}
    return Node(kind, values, {})


def composed(nodes, shape):
    found = Map(shape, shape)
    for i, node in enumerate(nodes):
        found = found.then(str(i), node, output_shape(str(i), node, found.shape_out))
    return found


def apply(nodes, x):
    found = composed(nodes, x.shape)
    return (found.as_matrix() @ x.ravel()).reshape(found.shape_out)


@pytest.mark.parametrize("stride", [1, 2, (2, 1)])
@pytest.mark.parametrize("padding", [0, 2, (1, 0), "valid"])
@pytest.mark.parametrize("dilation", [1, (2, 1)])
@pytest.mark.parametrize("groups", [1, 2])
def test_conv2d(stride, padding, dilation, groups):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(4, 9, 8)), rng.normal(size=(6, 4 // groups, 3, 2))
    node = conv("Conv2d", weight, stride, padding if isinstance(padding, str) else np.array(padding), dilation, groups)
    theirs = functional.conv2d(
        torch.tensor(x)[None], torch.tensor(weight), None, stride, padding, dilation, groups
    )[0].numpy()  # fmt: skip
    np.testing.assert_allclose(apply([node], x), theirs, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 2)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_conv2d_with_same_padding(kernel, dilation):
    rng = np.random.default_rng(1)
    x, weight = rng.normal(size=(2, 9, 8)), rng.normal(size=(3, 2, *kernel))
    theirs = functional.conv2d(torch.tensor(x)[None], torch.tensor(weight), None, 1, "same", dilation)[0].numpy()
    np.testing.assert_allclose(apply([conv("Conv2d", weight, 1, "same", dilation)], x), theirs, atol=1e-12)


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), [(1, 0, 1, 1), (2, 2, 2, 3), (3, 1, 1, 1)])
def test_conv1d(stride, padding, dilation, groups):
    rng = np.random.default_rng(2)
    x, weight = rng.normal(size=(3, 17)), rng.normal(size=(6, 3 // groups, 4))
    theirs = functional.conv1d(
        torch.tensor(x)[None], torch.tensor(weight), None, stride, padding, dilation, groups
    )[0].numpy()  # fmt: skip
    node = conv("Conv1d", weight, stride, np.array(padding), dilation, groups)
    np.testing.assert_allclose(apply([node], x), theirs, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), ((3, 2), (1, 2), (1, 1)), (3, 3, 1)])
def test_pools(kernel, stride, padding):
    x = np.random.default_rng(3).normal(size=(3, 10, 9))
    theirs = functional.avg_pool2d(torch.tensor(x)[None], kernel, stride, padding)[0].numpy()
    np.testing.assert_allclose(apply([pool("AvgPool2d", kernel, stride, padding)], x), theirs, atol=1e-12)
    area = np.prod(np.broadcast_to(kernel, 2))
    np.testing.assert_allclose(apply([pool("SumPool2d", kernel, stride, padding)], x), area * theirs, atol=1e-12)


def test_a_chain_is_the_product_of_its_parts():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, 12, 12))
    first, second = rng.normal(size=(4, 2, 3, 3)), rng.normal(size=(5, 4, 2, 2))
    scale, dense = rng.normal(size=(5, 2, 2)), rng.normal(size=(7, 20))
    nodes = [
        conv("Conv2d", first, 1, np.array(0)),
        pool("SumPool2d", 2, 2),
        conv("Conv2d", second, (3, 3), "valid"),
        Node("Scale", {"scale": scale}, {}),
        Node("Linear", {"weight": dense}, {}),
    ]
    y = functional.conv2d(torch.tensor(x)[None], torch.tensor(first))
    y = functional.conv2d(functional.avg_pool2d(y, 2) * 4, torch.tensor(second), None, 3)[0].numpy()
    np.testing.assert_allclose(apply(nodes, x), dense @ (scale * y).ravel(), atol=1e-10)


def test_a_convolution_scaled_by_channels_remains_one():
    weight = np.random.default_rng(5).normal(size=(3, 2, 3, 3))
    scale = Node("Scale", {"scale": np.array([1.0, 2.0, -3.0])[:, None, None]}, {})
    found = composed([conv("Conv2d", weight, 1, np.array(1)), scale], (2, 6, 6))
    np.testing.assert_array_equal(found.convolution.weight, weight * np.array([1, 2, -3])[:, None, None, None])
    uneven = Node("Scale", {"scale": np.arange(108.0).reshape(3, 6, 6)}, {})
    scattered = composed([conv("Conv2d", weight, 1, np.array(1)), uneven], (2, 6, 6))
    assert scattered.convolution is None


@pytest.mark.parametrize("size", [12, 13])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("kernel", [(2, 2, 0), (3, 2, 0), (3, 2, 1), (2, 3, 0)])
@pytest.mark.parametrize("pool_first", [True, False])
def test_a_pool_beside_a_convolution_is_part_of_it_where_the_borders_allow(size, stride, padding, kernel, pool_first):
    rng = np.random.default_rng(6)
    x, weight = rng.normal(size=(2, size, size)), rng.normal(size=(3, 2, 3, 3))
    convolved, pooled = conv("Conv2d", weight, stride, np.array(padding)), pool("AvgPool2d", *kernel)

    def convolve(y):
        return functional.conv2d(y, torch.tensor(weight), None, stride, padding)

    y = torch.tensor(x)[None]
    y = convolve(functional.avg_pool2d(y, *kernel)) if pool_first else functional.avg_pool2d(convolve(y), *kernel)
    nodes = [pooled, convolved] if pool_first else [convolved, pooled]
    np.testing.assert_allclose(apply(nodes, x), y[0].numpy(), atol=1e-12)
    if size == 12 and kernel == (2, 2, 0) and (pool_first or stride == 1):
        assert composed(nodes, x.shape).convolution is not None


def test_two_pools_are_one():
    x = np.random.default_rng(7).normal(size=(2, 12, 12))
    nodes = [pool("SumPool2d", 2, 2), pool("AvgPool2d", 3, 3)]
    theirs = 4 * functional.avg_pool2d(functional.avg_pool2d(torch.tensor(x)[None], 2), 3)[0].numpy()
    np.testing.assert_allclose(apply(nodes, x), theirs, atol=1e-12)
    assert composed(nodes, x.shape).convolution.depthwise


def test_more_synapses_than_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr(linear_maps, "MOST_SYNAPSES", 1000)
    small = conv("Conv2d", np.ones((2, 2, 3, 3)), 1, np.array(1), groups=1)
    with pytest.raises(ModelError, match=r"^node 1: .* synapses, more than 1,000"):
        composed([small, small], (2, 16, 16))
    composed([small], (2, 16, 16))  # as a convolution it needs none
