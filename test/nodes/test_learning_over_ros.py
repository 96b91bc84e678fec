# SPDX-License-Identifier: Apache-2.0
"""A controller that learns while it runs, over ROS: turned off and on by service, accounted for, replayed."""

import subprocess

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from processes import CONFIGURE, command, controller_model, run, started
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.diagnostics import read_status
from liquid_spike_control.records.replay import replay
from liquid_spike_control.records.setup import Topics

ARM = ("arm", "--mode", "lockstep", "--seed", "1003")


@pytest.mark.real_time
def test_learning_is_turned_off_and_on_and_replayed(probe, tmp_path):
    bag = tmp_path / "out.mcap"
    commands = probe.hear(JointState, graph.COMMAND)
    reports = probe.hear(DiagnosticArray, graph.DIAGNOSTICS)

    def accounts():
        found = [read_status(message).get("controller", {}) for message in reports]
        return [account for account in found if account.get("learning_changes") is not None]

    with subprocess.Popen(command(*ARM, "--duration", "6", "--record", str(bag)), stdout=subprocess.DEVNULL) as process:
        try:
            for n, on in ((40, False), (120, True)):
                probe.spin_until(lambda n=n: len(commands) >= n, 60, f"{n} commands")
                answer = probe.call(SetBool, "/controller/set_learning", SetBool.Request(data=on))
                assert answer.success and ("on" if on else "off") in answer.message
            probe.spin_until(lambda: process.poll() is not None, 90, "end of the run")
            assert process.returncode == 0
        finally:
            process.kill()
    last = accounts()[-1]
    changes = [change.partition(":")[2] for change in last["learning_changes"].split()]
    assert changes == ["off", "on"] and last["learning"] == "on"
    assert float(last["learning_rate"]) == 1 / 64 and float(last["learnt_norm"]) > 0
    assert len(last["learnt_sha256"]) == 16
    outcome = replay(bag, None, None, Topics())
    assert outcome.identical and list(outcome.contents.learning.values()) == [False, True]


@pytest.mark.real_time
def test_a_parameter_lets_it_begin_without_learning(ros_domain, tmp_path):
    params, bag = tmp_path / "params.yaml", tmp_path / "out.mcap"
    params.write_text("controller: {ros__parameters: {learning: false}}")
    done = run(*ARM, "--duration", "1", "--params", str(params), "--record", str(bag), timeout=100)
    assert done.returncode == 1, done.stderr  # the load is not held without it
    assert replay(bag, None, None, Topics()).identical


@pytest.mark.real_time
def test_a_controller_that_cannot_learn_answers_so(probe):
    with started("controller", controller_model=controller_model()):
        assert probe.change("controller", CONFIGURE, timeout=90)  # kernels may have to be compiled
        answer = probe.call(SetBool, "/controller/set_learning", SetBool.Request(data=True))
    assert not answer.success and "nothing in this controller learns" in answer.message
