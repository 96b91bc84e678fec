# SPDX-License-Identifier: Apache-2.0
"""A controller that learns while it runs, over ROS: turned off and on by service, accounted for, replayed."""

import json
import subprocess

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from processes import CONFIGURE, command, controller_model, run, started
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from liquid_spike_control.control.files import controller_of, read_controller_file
from liquid_spike_control.neuromorphic.files.compiled import read_network
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.diagnostics import read_status
from liquid_spike_control.records.replay import replay
from liquid_spike_control.records.setup import Topics

ARM = ("arm", "--mode", "lockstep", "--seed", "1003")


@pytest.mark.lockstep
def test_learning_is_turned_off_and_on_and_replayed(probe, tmp_path):
    bag, params, learnt = (tmp_path / name for name in ("out.mcap", "params.yaml", "learnt.safetensors"))
    params.write_text(f"controller: {{ros__parameters: {{learnt_file: {learnt}}}}}")
    commands = probe.hear(JointState, graph.COMMAND)
    reports = probe.hear(DiagnosticArray, graph.DIAGNOSTICS)

    def accounts():
        found = [read_status(message).get("controller", {}) for message in reports]
        return [account for account in found if account.get("learning_changes") is not None]

    given = command(*ARM, "--duration", "6", "--params", str(params), "--record", str(bag))
    with subprocess.Popen(given, stdout=subprocess.DEVNULL) as process:
        try:
            for n, on in ((40, False), (120, True)):
                probe.spin_until(lambda n=n: len(commands) >= n, 60, f"{n} commands")
                answer = probe.call(SetBool, "/controller/set_learning", SetBool.Request(data=on))
                assert answer.success and ("on" if on else "off") in answer.message
            answer = probe.call(Trigger, "/controller/save_learnt", Trigger.Request())
            assert answer.success and read_network(learnt).hash[:16] in answer.message
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


LANE_CAR = ("lane_car", "--controller-model", "lane_car/rstdp.yaml", "--seed", "3", "--duration", "0.6", "--rewards")


@pytest.mark.lockstep
def test_learning_by_reward_is_the_same_in_one_process_over_ros_and_in_a_replay(ros_domain, tmp_path):
    bag, reports = tmp_path / "out.mcap", []
    for where, options in (("here", ["--in-process"]), ("ros", ["--mode", "lockstep", "--record", str(bag)])):
        kept, json_file = tmp_path / f"{where}.safetensors", tmp_path / f"{where}.json"
        done = run(*LANE_CAR, *options, "--learnt", str(kept), "--json", str(json_file), timeout=150)
        assert done.returncode == 0, done.stderr
        reports.append(json.loads(json_file.read_text()))
        assert reports[-1]["learning"].pop("learnt_file") == str(kept)
        assert read_network(kept).hash[:16] == reports[-1]["learning"]["learnt_hash"]
    here, ros = reports
    assert here["learning"] == ros["learning"] and here["commands_sha256"] == ros["commands_sha256"]
    before = controller_of(read_controller_file("lane_car/rstdp.yaml"), rewards=True)
    assert here["learning"]["learnt_sha256"] != before.account()["learnt_sha256"]
    outcome = replay(bag, None, None, Topics())
    assert outcome.identical and outcome.contents.rewards.keys() == outcome.commands.keys()
    rewards = np.array([*outcome.contents.rewards.values()])
    assert len(np.unique(rewards[:, 0])) > 10 and np.isnan(rewards[:, 1]).all()  # the speed is not judged


@pytest.mark.lockstep
@pytest.mark.slow
def test_a_parameter_lets_it_begin_without_learning(ros_domain, tmp_path):
    params, bag = tmp_path / "params.yaml", tmp_path / "out.mcap"
    params.write_text("controller: {ros__parameters: {learning: false}}")
    done = run(*ARM, "--duration", "1", "--params", str(params), "--record", str(bag), timeout=100)
    assert done.returncode == 1, done.stderr  # the load is not held without it
    assert replay(bag, None, None, Topics()).identical


@pytest.mark.lockstep
def test_a_controller_that_cannot_learn_answers_so(probe):
    with started("controller", controller_model=controller_model()):
        assert probe.change("controller", CONFIGURE, timeout=90)  # kernels may have to be compiled
        asked = ((SetBool, "set_learning", SetBool.Request(data=True)), (Trigger, "save_learnt", Trigger.Request()))
        answers = [probe.call(kind, f"/controller/{name}", request) for kind, name, request in asked]
    assert not any(answer.success for answer in answers)
    assert all("nothing in this controller learns" in answer.message for answer in answers)
