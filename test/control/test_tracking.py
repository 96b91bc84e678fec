# SPDX-License-Identifier: Apache-2.0
"""Tracking controllers: gains out of a file, the term that is learnt, and what happens when learning goes wrong."""

import re

import numpy as np
import pytest
import yaml

from liquid_spike_control.control.files import controller_of, read_controller_file
from liquid_spike_control.control.learnt_weights import save_learnt
from liquid_spike_control.control.tracking import TrackingController
from liquid_spike_control.errors import LearningRuleError, ModelError, TaskError

DT = 0.01
FILE = {
    "kind": "tracking", "task": "slide", "period_s": DT, "tuned_by": "by hand", "tuned_seeds": [0, 0],
    "observations": [
        {"name": name, "unit": unit, "scale": 1.0}
        for name, unit in (("x", "m"), ("v", "m/s"), ("target", "m"), ("target_rate", "m/s"))
    ],
    "axes": [{
        "command": "force", "unit": "N", "limit": 20.0, "position": "x", "rate": "v", "target": "target",
        "target_rate": "target_rate", "stiffness": 30.0, "damping": 8.0,
    }],
}  # fmt: skip
LEARNS = {"adaptation": {"inputs": [{"of": "x"}], "limits": [10.0], "errors": [2.0], "neurons": 100}}


def written(tmp_path, changes=None, name="c.yaml"):
    path = tmp_path / name
    path.write_text(yaml.safe_dump(FILE | (changes or {})))
    return path


def controller(tmp_path, changes=None) -> TrackingController:
    found = controller_of(read_controller_file(written(tmp_path, changes)))
    assert isinstance(found, TrackingController)
    return found


def adaptive(tmp_path, **changes) -> TrackingController:
    return controller(tmp_path, {"adaptation": LEARNS["adaptation"] | changes})


def follow(c, load=-6.0, n=1500, x=0.0):
    """A mass of 1 kg with an unknown load; the distances from the target."""
    v, apart = 0.0, []
    for k in range(n):
        t = k * DT
        target, rate = 0.3 * np.sin(t), 0.3 * np.cos(t)
        force = c.step(np.array([x, v, target, rate]), DT)[0]
        v += (force + load) * DT
        x += v * DT
        apart.append(target - x)
    return np.array(apart)


def test_pd_and_pid_are_their_equations(tmp_path):
    c = controller(tmp_path, {"integral": [5.0]})
    observation = np.array([0.1, 0.2, 0.5, -0.1])
    feedback = 30 * 0.4 + 8 * -0.3
    np.testing.assert_allclose(c.step(observation, DT), [feedback])
    np.testing.assert_allclose(c.step(observation, DT), [feedback + 5 * 0.4 * DT])
    c.reset()
    np.testing.assert_allclose(c.step(observation, DT), [feedback])


def test_the_integral_does_not_wind_up(tmp_path):
    c = controller(tmp_path, {"integral": [5.0]})
    far = np.array([0.0, 0.0, 10.0, 0.0])
    for _ in range(100):
        assert c.step(far, DT) == [20.0]
    assert c.step(np.zeros(4), DT) == [0.0]


def test_the_rate_teaches_with_its_weight(tmp_path):
    """With only the rate wrong, twice its weight is as half of the greatest error, and no weight teaches nothing."""

    def learnt(observation, **changes):
        c = adaptive(tmp_path, **changes)
        for _ in range(100):
            c.step(np.array(observation), DT)
        return c.adaptation.weights

    by_rate, by_place = [0.3, 0.0, 0.3, 0.1], [0.3, 0.0, 0.32, 0.0]
    plain, twice = learnt(by_rate), learnt(by_rate, rate_weight=2.0)
    assert plain.any() and (twice != plain).any()
    assert (twice == learnt(by_rate, errors=[1.0])).all()
    assert not learnt(by_rate, rate_weight=0.0).any()
    assert (learnt(by_place, rate_weight=2.0) == learnt(by_place)).all()


@pytest.mark.slow
def test_the_learnt_term_takes_the_load_over(tmp_path):
    settled = slice(-500, None)
    without = follow(controller(tmp_path))[settled]
    learns = adaptive(tmp_path)
    learns.reset()
    with_it = follow(learns)[settled]
    assert np.abs(without).mean() > 0.15
    assert np.abs(with_it).mean() < 0.02
    assert learns.account()["learning"] == "on" and learns.account()["learnt_norm"] > 0


def test_the_same_bytes_again_and_from_a_state(tmp_path):
    c = adaptive(tmp_path)
    runs = []
    for _ in range(2):
        c.reset()
        runs.append(follow(c, n=200))
    assert runs[0].tobytes() == runs[1].tobytes()
    state = c.state
    after = follow(c, n=100)
    hashed = c.account()["learnt_sha256"]
    c.state = state
    assert c.account()["learnt_sha256"] != hashed
    assert follow(c, n=100).tobytes() == after.tobytes()
    assert c.account()["learnt_sha256"] == hashed
    other = adaptive(tmp_path)
    other.state = state
    assert follow(other, n=100).tobytes() == after.tobytes()


def test_warming_changes_nothing(tmp_path):
    cold, warm = adaptive(tmp_path), adaptive(tmp_path)
    warm.warm()
    assert follow(cold, n=50).tobytes() == follow(warm, n=50).tobytes()


def test_learning_is_turned_off_and_on(tmp_path):
    c = adaptive(tmp_path)
    follow(c, n=200)
    c.learning = False
    before = c.adaptation.weights
    follow(c, n=100)
    assert (c.adaptation.weights == before).all() and c.account()["learning"] == "off"
    c.reset()
    assert not c.learning  # an episode does not turn it on
    c.learning = True
    follow(c, n=50)
    assert c.adaptation.weights.any()


def test_a_controller_that_learns_nothing_says_so(tmp_path):
    c = controller(tmp_path)
    assert not c.learning and c.account() == {}
    with pytest.raises(TaskError, match="adaptation: none, so nothing learns"):
        c.learning = True


def test_a_term_at_its_limit_freezes_learning(tmp_path):
    """A load beyond what may be learnt: the weights go back, the command stays within its limit."""
    c = adaptive(tmp_path, limits=[1.0], errors=[200.0])
    follow(c, load=-15.0, n=100)
    assert c.learning
    follow(c, load=-15.0, n=1100)
    assert c.account()["learning"] == "frozen: the learnt term was at its limit for 2 s"
    frozen = c.adaptation.weights
    apart = follow(c, load=-15.0, n=100)
    assert (c.adaptation.weights == frozen).all() and np.isfinite(apart).all()
    c.learning = True
    assert c.account()["learning"] == "on"
    c.reset()
    assert c.learning and not c.adaptation.weights.any()


def test_weights_that_run_to_their_bound_freeze_learning(tmp_path):
    c = adaptive(tmp_path, limits=[19.0], errors=[0.01])
    x = np.array([0.0, 0.0, 1.0, 0.0])
    for _ in range(400):
        assert np.abs(c.step(x, DT)).max() <= 20.0
    assert c.account()["learning"] == "frozen: more than 5 % of the weights ran to their bound"
    assert c.account()["learnt_saturated"] <= 0.05  # those of the last check


def test_a_reading_that_is_not_finite_teaches_nothing(tmp_path):
    c = adaptive(tmp_path)
    follow(c, n=200)
    before = c.adaptation.weights
    for bad in (np.nan, np.inf):
        assert np.isnan(c.step(np.array([bad, 0.0, 0.0, 0.0]), DT)).all()
    assert c.poisoned == 2 and (c.adaptation.weights == before).all()
    assert np.isfinite(c.step(np.zeros(4), DT)).all()


def test_learnt_weights_are_saved_and_go_on(tmp_path):
    c = adaptive(tmp_path)
    follow(c, n=500)
    path = tmp_path / "learnt.safetensors"
    saved = {"weights": path.name, "weights_hash": save_learnt(path, c.adaptation)}
    again = adaptive(tmp_path, **saved)
    assert again.account()["learnt_sha256"] == c.account()["learnt_sha256"]
    assert (again.adaptation.weights == c.adaptation.weights).all()
    settled = [np.abs(follow(controller, n=100)).mean() for controller in (again, adaptive(tmp_path))]
    assert settled[0] < settled[1]
    follow(again, n=10)
    again.reset()
    assert (again.adaptation.weights == c.adaptation.weights).all()  # an episode begins with what the file has
    for changes in ({"seed": 1}, {"neurons": 120}, {"rate": 1 / 8}):
        with pytest.raises(ModelError, match=r"learnt\.safetensors: weights: they were learnt by another network"):
            adaptive(tmp_path, **saved | changes)
    with pytest.raises(ModelError, match=r"nowhere\.safetensors"):
        adaptive(tmp_path, **saved | {"weights": "nowhere.safetensors"})
    follow(c, n=10)
    save_learnt(path, c.adaptation)
    with pytest.raises(ModelError, match=r"c\.yaml: adaptation\.weights_hash: '\w{16}'; .*learnt\.safetensors has \w"):
        adaptive(tmp_path, **saved)


def test_another_backend_cannot_learn(tmp_path):
    file = read_controller_file(written(tmp_path, LEARNS))
    with pytest.raises(TaskError, match=r"c\.yaml: adaptation: backend 'float' cannot learn; give loihi"):
        controller_of(file, "float")
    controller_of(read_controller_file(written(tmp_path)), "float")  # gains alone need none


def changed(**changes):
    return {"adaptation": LEARNS["adaptation"] | changes}


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"kind": "lqr"}, "kind: 'lqr'; give tracking or reward"),
        ({"speed": 1}, "unknown field `speed`"),
        ({"period_s": "soon"}, "period_s: "),
        ({"integral": [-1.0]}, r"integral: \[-1.0\]; give 1 finite numbers of at least 0"),
        ({"integral": [1.0, 2.0]}, r"integral: \[1.0, 2.0\]; give 1 finite"),
        ({"axes": [FILE["axes"][0] | {"rate": "w"}]}, r"axes\[0\].rate: 'w'; name one of the observations: x, v"),
        ({"axes": [FILE["axes"][0] | {"limit": float("inf")}]}, "command_limits: expected finite numbers above 0"),
        ({"extends": "../c.yaml"}, "extends: '../c.yaml'; give the name of another file"),
        (changed(limits=[1.0, 2.0]), r"adaptation.limits: \[1.0, 2.0\]; give 1 numbers, one for each axis"),
        (changed(errors=[0.0]), "adaptation.errors: 0.0; give finite numbers above 0"),
        (changed(rate_weight=-1.0), "adaptation.rate_weight: -1.0; give 0 to 100"),
        (changed(rate_weight=float("nan")), "adaptation.rate_weight: nan; give 0 to 100"),
        (changed(errors=[float("nan")]), "adaptation.errors: nan; give finite numbers above 0"),
        (changed(inputs=[]), "adaptation.inputs: none; name at least one observation"),
        (changed(inputs=[{"of": "y"}]), r"adaptation.inputs\[0\].of: 'y'; name one of"),
        (changed(neurons=10**9), "adaptation.neurons: 1000000000; give 10 to 4000"),
        (changed(decimation=10), "adaptation.decimation: 10; give 0 to 9"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, changes, says):
    with pytest.raises(ModelError, match=says) as refused:
        read_controller_file(written(tmp_path, changes))
    assert "c.yaml" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("rate", [1e6, 0.0, float("nan"), 1e-9])
def test_a_rate_that_the_chip_has_not_is_refused(tmp_path, rate):
    with pytest.raises(LearningRuleError, match=re.escape(f"pes: a rate of {rate:g}")):
        read_controller_file(written(tmp_path, changed(rate=rate)))


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "1: 2"])
def test_what_is_no_description_is_refused(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"c\.yaml: file: "):
        read_controller_file(path)
