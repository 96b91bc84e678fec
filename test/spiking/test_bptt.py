# SPDX-License-Identifier: Apache-2.0
"""The compiled backpropagation against autograd on the same network."""

import numpy as np
import torch
from surrogate import Spike

from liquid_spike_control.spiking import bptt

N_STREAMS, N_STEPS, N_AXONS, N, N_OUT = 3, 12, 20, 9, 4


def random_case(rng):
    axons = rng.random((N_STREAMS, N_STEPS, N_AXONS)) < 0.2
    indptr = np.zeros((N_STREAMS, N_STEPS + 1), np.int64)
    ids = np.zeros((N_STREAMS, N_STEPS * N_AXONS), np.int32)
    for b in range(N_STREAMS):
        indptr[b, 1:] = np.cumsum(axons[b].sum(1))
        flat = np.concatenate([np.flatnonzero(row) for row in axons[b]])
        ids[b, : len(flat)] = flat
    normal = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    parameters = {
        "w_in": normal(N_AXONS, N) * 0.5,
        "w_rec": normal(N, N) * 0.4,
        "w_out": normal(N, N_OUT),
        "du": rng.uniform(0.1, 0.6, N).astype(np.float32),
        "dv": rng.uniform(0.05, 0.4, N).astype(np.float32),
        "dr": rng.uniform(0.05, 0.4, N_OUT).astype(np.float32),
        "bias": normal(N) * 0.05,
    }
    carried = normal(N_STREAMS, N), normal(N_STREAMS, N), (rng.random((N_STREAMS, N)) < 0.3).astype(np.float32)
    return axons, indptr, ids, parameters, carried, normal(N_STREAMS, N_OUT), normal(N_STREAMS, N_STEPS, N_OUT)


def test_forward_and_gradients_equal_autograd():
    axons, indptr, ids, p, (u0, v0, s0), r0, g_r = random_case(np.random.default_rng(3))
    u, v, s = (np.zeros((N_STREAMS, N_STEPS + 1, N), np.float32) for _ in range(3))
    r = np.zeros((N_STREAMS, N_STEPS + 1, N_OUT), np.float32)
    u[:, 0], v[:, 0], s[:, 0], r[:, 0] = u0, v0, s0, r0
    args = [p[k] for k in ("w_in", "w_rec", "w_out", "du", "dv", "dr", "bias")]
    bptt.forward(0, 5, indptr, ids, *args, u, v, s, r)  # in two pieces, as the trainer does
    bptt.forward(5, N_STEPS, indptr, ids, *args, u, v, s, r)
    grads = bptt.backward(
        indptr, ids, p["w_rec"], p["w_out"], p["du"], p["dv"], p["dr"], u, v, s, r, g_r, N_AXONS, 2
    )

    t = {k: torch.tensor(x, requires_grad=True) for k, x in p.items()}
    ut, vt, st, rt = (torch.tensor(x) for x in (u0, v0, s0, r0))
    vt = vt * (1 - st)
    loss, x = 0.0, torch.tensor(axons.astype(np.float32))
    for k in range(N_STEPS):
        ut = (1 - t["du"]) * ut + x[:, k] @ t["w_in"] + st @ t["w_rec"]
        before_reset = (1 - t["dv"]) * vt + ut + t["bias"]
        st = Spike.apply(before_reset)
        vt = before_reset * (1 - st.detach())
        rt = (1 - t["dr"]) * rt + st @ t["w_out"]
        loss = loss + (rt * torch.tensor(g_r[:, k])).sum()
        np.testing.assert_array_equal(s[:, k + 1], st.detach().numpy())
        np.testing.assert_allclose(r[:, k + 1], rt.detach().numpy(), atol=2e-5)
    assert s[:, 1:].mean() > 0.05, "the case must have spikes to mean anything"
    loss.backward()
    for name, grad in zip(("w_in", "w_rec", "w_out", "du", "dv", "dr", "bias"), grads, strict=True):
        np.testing.assert_allclose(grad.sum(0), t[name].grad.numpy(), rtol=2e-3, atol=2e-4, err_msg=name)
