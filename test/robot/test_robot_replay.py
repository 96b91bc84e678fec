# SPDX-License-Identifier: Apache-2.0
"""A run on the stand-in robot, in real time, recorded and replayed stage by stage."""

import signal
import subprocess

import pytest
from processes import command
from robots import CONFIG, process, robot

from liquid_spike_control.records.replay import replay
from liquid_spike_control.records.setup import Topics
from liquid_spike_control.resources import shipped_model

PERCEPTION, CONTROLLER = shipped_model("pencil/perception.nir"), shipped_model("pencil/controller.safetensors")


@pytest.mark.real_time
@pytest.mark.slow
def test_a_run_on_a_robot_is_replayed(probe, tmp_path):
    """Windows on the camera's clock, joint states within a tolerance, commands without a stamp."""
    bag = tmp_path / "o.mcap"
    arguments = [*command(str(CONFIG), "--real", "--record", str(bag))]
    with robot(probe, tmp_path, "--push", "0.01") as standin, process(arguments, tmp_path / "graph.log") as graph:
        standin.until(lambda state: state["driven_s"] > 5, 60, "five seconds of commands")
        graph.send_signal(signal.SIGINT)
        try:
            graph.wait(15)
        except subprocess.TimeoutExpired:
            pytest.fail((tmp_path / "graph.log").read_text())
    outcome = replay(bag, PERCEPTION, CONTROLLER, Topics())
    accounts = {comparison.topic: comparison for comparison in outcome.comparisons}
    assert not outcome.setup.lockstep and outcome.setup.window_ns == 5_000_000 and outcome.setup.tolerance_ns
    for topic in ("/neuromorphic/output", "/perception/state", "/controller/command", "/effort_controller/commands"):
        assert accounts[topic].differing == 0, accounts[topic]
        assert accounts[topic].identical > 500
    # what the perception lost on a loaded machine is not in the bag
    spikes = accounts["/neuromorphic/input"]
    assert spikes.identical > 500
    assert spikes.differing == 0 or outcome.contents.dropped
