# SPDX-License-Identifier: Apache-2.0
"""Run by the interpreter that has Lava: a LearningDense between recorded spikes; JSON on stdin, JSON on stdout."""

import json
import sys
import time

import numpy as np


def main() -> None:
    case = json.load(sys.stdin)
    from lava.magma.core.learning.learning_rule import Loihi2FLearningRule
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.dense.process import LearningDense
    from lava.proc.io.source import RingBuffer
    from lava.utils.weightutils import SignMode

    pre, post = (np.array(case[name], int).T for name in ("pre", "post"))
    rule = Loihi2FLearningRule(**case["rule"])
    dense = LearningDense(
        weights=np.array(case["weights"]), learning_rule=rule, sign_mode=SignMode[case["sign"].upper()]
    )
    source, teacher = RingBuffer(data=pre), RingBuffer(data=post)
    source.s_out.connect(dense.s_in)
    teacher.s_out.connect(dense.s_in_bap)
    config = Loihi2SimCfg(select_tag="fixed_pt")
    names = case["record"]
    answer: dict = {name: [] for name in names}
    piece, start = case["piece"], time.perf_counter()
    for k in range(0, pre.shape[1], piece):
        dense.run(condition=RunSteps(num_steps=piece), run_cfg=config)
        if k == 0:
            start = time.perf_counter()  # the first piece builds the processes
        for name in names:
            answer[name].append(getattr(dense, name).get().tolist())
    answer["seconds"] = time.perf_counter() - start
    dense.stop()
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
