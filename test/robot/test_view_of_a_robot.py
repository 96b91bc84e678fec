# SPDX-License-Identifier: Apache-2.0
"""`run --real --view` on the stand-in: a driver's packets, commands without stamps, the e-stop from the page."""

import re
import threading

import numpy as np
import pytest
from processes import wait_for
from robots import PATIENT, configured, graph, robot
from sensor_msgs.msg import JointState
from test_view_over_ros import Page


@pytest.mark.real_time
@pytest.mark.timeout(240)
@pytest.mark.slow
def test_a_real_robot_s_graph_is_shown_and_stopped(probe, tmp_path):
    joints = probe.hear(JointState, "/joint_states")
    estimates = probe.hear(JointState, "/perception/state")
    config = configured(PATIENT, tmp_path)
    with robot(probe, tmp_path, "--seed", "3") as standin, graph(tmp_path, config, "--view") as _:
        log = tmp_path / "graph.log"
        link = wait_for(lambda: re.search(r"view: (http\S+)", log.read_text()), 90, "the link")[1]
        page, ticks, spikes, seen = Page(link), [], 0, 0

        def enough(state) -> bool:
            nonlocal spikes, seen
            ticks.extend(tick for tick in state["ticks"] if tick[2] and tick[3])
            spikes += sum(map(len, state["spikes"].values()))
            seen += state["n_events"]
            return len(ticks) > 200 and spikes > 100 and seen > 100 and state["work"].get("power") is not None

        listening = threading.Event()

        def listen() -> None:
            while not listening.is_set():
                probe.executor.spin_once(timeout_sec=0.02)

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            page.until(enough, 60)
        finally:
            listening.set()
            listener.join(10)
        # ticks are the perception's, with its numbers, and a reading is one that the robot sent
        sent = {(m.header.stamp.sec + m.header.stamp.nanosec * 1e-9): list(m.position) for m in estimates}
        shared = [tick for tick in ticks if tick[0] in sent]
        assert len(shared) > 10 and all(tick[2] == sent[tick[0]] for tick in shared)
        places = np.array([m.position[m.name.index("cart_slide")] for m in joints])
        # the test misses some of them where the machine is busy
        assert np.isin([tick[1][0] for tick in shared], places).mean() > 0.5
        assert all(len(tick[3]) == 1 and abs(tick[3][0]) <= 10 for tick in ticks)
        page.order(do="stop")
        page.until(lambda state: state["facts"]["stopped"])
        assert standin.until(lambda state: state["last_command"] == 0.0, 5, "the safe command")
