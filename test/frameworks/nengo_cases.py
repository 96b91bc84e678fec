# SPDX-License-Identifier: Apache-2.0
"""Networks of Nengo, and what it makes of them."""

from __future__ import annotations

import numpy as np
from recording import Recording, spikes


def _nengo(recurrent: bool) -> Recording:
    """Nengo's own LIF neurons; the graph by hand: LIF with r = 1, a Lowpass synapse as LI, spikes of height 1."""
    import nengo
    import nir

    dt, tau_rc, tau = 1e-3, 0.01, 0.005
    rng = np.random.default_rng(13)
    x = spikes((10,), 13)
    first = (0.3 + rng.normal(size=(12, 10))) * 4 / np.sqrt(10)
    second = (0.5 + rng.normal(size=(6, 12))) * 12 / np.sqrt(12)
    back = (rng.normal(size=(12, 12)) - 0.2) * 6 / np.sqrt(12)
    first *= 3 if recurrent else 1
    synapse = nengo.Lowpass(tau)
    lif = nengo.LIF(tau_rc, tau_ref=0, min_voltage=-np.inf, initial_state={"voltage": nengo.dists.Choice([0])})
    with nengo.Network(seed=0) as network:
        source = nengo.Node(lambda t: x[round(t / dt) - 1])
        a, b = (nengo.Ensemble(n, 1, neuron_type=lif, gain=np.ones(n), bias=np.zeros(n)) for n in (12, 6))
        # Nengo's spikes are 1 / dt high.
        nengo.Connection(source, a.neurons, transform=first, synapse=synapse if recurrent else None)
        nengo.Connection(a.neurons, b.neurons, transform=second * dt, synapse=synapse)
        if recurrent:
            nengo.Connection(a.neurons, a.neurons, transform=back * dt, synapse=synapse)
        probes = {name: nengo.Probe(e.neurons) for name, e in (("a", a), ("b", b))}
    with nengo.Simulator(network, dt=dt, progress_bar=False) as simulator:
        simulator.run_steps(len(x))
    sent = {name: simulator.data[probe] * dt > 0.5 for name, probe in probes.items()}

    def neurons(n):
        return nir.LIF(np.full(n, tau_rc), np.ones(n), np.zeros(n), np.ones(n))

    def lowpass(n):
        return nir.LI(np.full(n, tau), np.ones(n), np.zeros(n))

    nodes = {"input": nir.Input(np.array([10])), "first": nir.Linear(first), "a": neurons(12)}
    nodes |= {"second": nir.Linear(second), "lowpass": lowpass(6), "b": neurons(6), "output": nir.Output(np.array([6]))}
    edges = [("input", "first"), ("a", "second"), ("second", "lowpass"), ("lowpass", "b"), ("b", "output")]
    if recurrent:
        nodes |= {"back": nir.Linear(back), "shared": lowpass(12)}
        edges += [("first", "shared"), ("a", "back"), ("back", "shared"), ("shared", "a")]
    else:
        edges.append(("first", "a"))
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    return Recording(graph, "nengo", x, sent, {}, nengo.__version__)


def nengo_handmade_dense() -> Recording:
    return _nengo(recurrent=False)


def nengo_handmade_recurrent() -> Recording:
    return _nengo(recurrent=True)
