# SPDX-License-Identifier: Apache-2.0
"""Run by the interpreter that has Brian2Loihi: plastic synapses between given spikes; JSON on stdin and on stdout."""

import json
import sys
import time

import numpy as np


def main() -> None:
    case = json.load(sys.stdin)
    import brian2
    import brian2_loihi as b

    brian2.prefs.codegen.target = "numpy"
    np.random.seed(case.get("seed", 0))
    pre, post = (np.array(case[name], bool) for name in ("pre", "post"))
    n_steps = len(pre)

    def relay(spikes):
        """Neurons that spike as given, whatever else reaches them."""
        steps, ids = np.nonzero(spikes)
        axons = b.LoihiSpikeGeneratorGroup(spikes.shape[1], ids, steps)
        neurons = b.LoihiNeuronGroup(
            spikes.shape[1], refractory=1, threshold_v_mant=16000, decay_v=4096, decay_I=4096
        )
        synapses = b.LoihiSynapses(axons, neurons, w_exp=7, sign_mode=2)
        synapses.connect(j="i")
        synapses.w = np.full(spikes.shape[1], 255)
        return axons, neurons, synapses

    sources, targets = relay(pre), relay(post)
    signs = {"mixed": 1, "excitatory": 2, "inhibitory": 3}
    plastic = b.LoihiSynapses(sources[1], targets[1], dw=case["dw"], sign_mode=signs[case["sign"]], **case["traces"])
    weights = np.array(case["weights"])
    if case["diagonal"]:
        plastic.connect(j="i")
        plastic.w = np.diag(weights)
    else:
        plastic.connect()
        plastic.w = weights[np.array(plastic.j), np.array(plastic.i)]
    network = b.LoihiNetwork(*sources, *targets, plastic)
    history = []
    if case["every"]:
        def see() -> None:
            history.append(np.array(plastic.get_states(["w"])["w"]))

        network.add(brian2.NetworkOperation(see, when="end"))
    network.run(1)  # builds it
    start = time.perf_counter()
    network.run(n_steps)
    seconds = time.perf_counter() - start
    place = (np.array(plastic.j).tolist(), np.array(plastic.i).tolist())
    final = np.array(plastic.get_states(["w"])["w"]).tolist()
    answer = {"place": place, "w": final, "history": np.array(history).tolist(), "seconds": seconds}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
