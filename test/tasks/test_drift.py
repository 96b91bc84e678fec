# SPDX-License-Identifier: Apache-2.0
"""Perturbations that begin or grow within an episode, and episodes of another duration."""

import numpy as np
import pytest

from liquid_spike_control.errors import TaskError
from liquid_spike_control.robots.catalogue import sensed_task_named, task_named
from liquid_spike_control.tasks.episode import ExpertController, run_episode
from liquid_spike_control.tasks.perturbations import DRIFTS, PERTURBATIONS, Perturbation, perturbation_named
from liquid_spike_control.tasks.perturbed import PerturbedTask
from liquid_spike_control.tasks.variation import Variation

VARIED = ("body_mass", "body_inertia", "body_ipos", "geom_pos", "geom_size", "geom_friction", "dof_damping",
          "dof_frictionloss", "actuator_gainprm", "actuator_biasprm", "body_invweight0")  # fmt: skip


def test_it_grows_from_its_onset_over_its_ramp():
    p = Perturbation("p", mass=2.0, noise=0.1, period=3.0, onset_s=4.0, ramp_s=2.0)
    assert [p.strength(t) for t in (0, 3.99, 5.0, 6.0, 99.0)] == [0, 0, 0.5, 1, 1]
    steps = [p.strength(t) for t in np.linspace(4, 6, 500)]
    assert steps == sorted(steps) and len(set(steps)) == 21
    half = p.in_part(0.5)
    assert (half.mass, half.noise, half.period, half.gain, half.changes) == (1.5, 0.05, 2.0, 1.0, False)
    assert Perturbation("p", mass=2.0, onset_s=4.0).strength(4.0) == 1


def test_what_was_kept_before_there_were_drifts_is_of_the_same_perturbations():
    known = {"name", "noise", "drop", "jitter", "latency_steps", "mass", "length", "friction", "actuator"}
    assert all(set(p.described()) == known for p in PERTURBATIONS.values())
    assert set(DRIFTS["mass_drift"].described()) == known | {"onset_s", "ramp_s", "duration_s"}
    assert len({str(p.described()) for p in (PERTURBATIONS | DRIFTS).values()}) == len(PERTURBATIONS | DRIFTS)


@pytest.mark.parametrize("name", ["swing-up", "hover", "pencil", "quadrotor"])
def test_a_plant_that_varies_within_an_episode_is_that_of_an_episode_that_began_so(name):
    factors = {"mass": 1.4, "length": 1.2, "friction": 2.0, "actuator": 0.7}
    changed, begun = task_named(name), task_named(name)
    to = Variation(**{k: v for k, v in factors.items() if k in changed.variable})
    changed.reset(7, Variation(mass=1.1))
    for _ in range(20):
        changed.advance(0.1 * changed.command_limits, changed.period_s)
    data = changed.data
    before = [a.tobytes() for a in (data.qpos, data.qvel, data.qacc_warmstart, data.act)], changed.elapsed_s
    changed.vary(to)
    assert ([a.tobytes() for a in (data.qpos, data.qvel, data.qacc_warmstart, data.act)], changed.elapsed_s) == before
    assert changed.variation == to
    begun.reset(7, to)
    for array in VARIED:
        ours, theirs = getattr(changed.model, array), getattr(begun.model, array)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=array)
    with pytest.raises(TaskError, match="cannot be varied"):
        task_named("hover").vary(Variation(length=1.1))


def drifting(perturbation, seconds, name="swing-up"):
    loop = PerturbedTask(task_named(name), perturbation, seed=5)
    seen = []
    while loop.task.elapsed_s < seconds:
        seen.append((loop.task.elapsed_s, loop.elapsed_s, loop.observation, loop.task.truth(), loop.task.variation))
        loop.decide(np.array([0.3]))
        loop.advance()
    return list(zip(*seen, strict=True))


@pytest.mark.parametrize("faults", [{"mass": 1.5, "actuator": 0.5}, {"noise": 0.1}, {"gain": 1.3}, {"period": 2.0}])
def test_nothing_is_disturbed_before_the_onset_and_all_of_it_after_the_ramp(faults):
    calm = drifting(Perturbation("calm"), 4.0)
    times, elapsed, seen, truth, variations = drifting(Perturbation("p", onset_s=1.0, ramp_s=1.0, **faults), 4.0)
    n = sum(t < 1.0 for t in times)
    assert n == 50
    for k, (ours, theirs) in enumerate(zip((times, elapsed, seen, truth), calm, strict=False)):
        np.testing.assert_array_equal(ours[:n], theirs[:n], err_msg=str(k))
    after = np.array(times) > 2.1
    if "period" in faults:
        np.testing.assert_allclose(np.array(elapsed)[after], 0.04, rtol=1e-9)
        return
    positions = np.array(truth)[after, 0]
    off = np.array(seen)[after, 0] - positions
    if "noise" in faults:
        assert off.std() == pytest.approx(0.1 * task_named("swing-up").observation_scales[0], rel=0.25)
    if "gain" in faults:
        np.testing.assert_allclose(off, 0.3 * positions, atol=1e-9)
    if "mass" in faults:
        assert variations[0] == Variation() and variations[-1] == Variation(mass=1.5, actuator=0.5)
        masses = [v.mass for v in variations]
        assert masses == sorted(masses) and len(set(masses)) == 21
        assert not np.array_equal(truth[-1], calm[3][-1])


def test_thresholds_of_a_camera_drift_within_an_episode_and_are_drawn_anew_in_the_next():
    loop = PerturbedTask(sensed_task_named("pencil"), Perturbation("p", threshold=3.0, onset_s=0.05, ramp_s=0.05), 3)
    camera = loop.task.world._eyes[0]._model
    begun, dark = camera.thresholds  # of both polarities
    ratios = []
    for _ in range(24):
        loop.advance()
        ratios.append(float(np.median(camera.thresholds[0] / begun)))
    assert ratios[:9] == [1.0] * 9 and ratios == sorted(ratios)
    np.testing.assert_allclose(camera.thresholds[0], 3 * begun, rtol=1e-5)
    np.testing.assert_allclose(camera.thresholds[1], 3 * dark, rtol=1e-5)
    loop.reset(3)
    np.testing.assert_array_equal(camera.thresholds[0], begun)
    loop.reset(3, Perturbation("whole", threshold=0.5))
    np.testing.assert_allclose(camera.thresholds[0], np.maximum(0.5 * begun, 0.01), rtol=1e-6)
    with pytest.raises(TaskError, match="cannot apply: task 'swing-up': has no event cameras"):
        PerturbedTask(task_named("swing-up"), perturbation_named("threshold_drift"))


def test_a_camera_that_needs_more_contrast_sends_fewer_events_of_both_polarities_from_then_on():
    seen = {}
    for name, factor in (("calm", 1.0), ("dull", 2.5)):
        task = sensed_task_named("pencil")
        drift = Perturbation(name, threshold=factor, onset_s=0.3, duration_s=0.8)
        loop, expert = PerturbedTask(task, drift, 4), task.expert()
        expert.reset()
        pieces, look = [], task._estimator.estimate
        task._estimator.estimate = lambda sensing, look=look, pieces=pieces: (pieces.append(sensing), look(sensing))[1]
        while not task.over:
            loop.decide(expert.act(task))
            loop.advance()
        seen[name] = np.concatenate([piece.events[0] for piece in pieces])
    calm, dull = seen["calm"], seen["dull"]
    np.testing.assert_array_equal(calm[calm["t"] < 300_000_000], dull[dull["t"] < 300_000_000])
    for polarity in (0, 1):
        late = [np.sum((events["t"] > 400_000_000) & (events["p"] == polarity)) for events in (calm, dull)]
        assert 0 < late[1] < 0.6 * late[0]


def test_whoever_looks_through_no_camera_does_not_meet_its_thresholds():
    task = sensed_task_named("pencil-hard?truth")
    whole, calm = (run_episode(task, Lapse(task, 0, 0), p, 5000) for p in (
        Perturbation("t", threshold=3.0, onset_s=1.0, duration_s=2.0), Perturbation("c", duration_s=2.0)))  # fmt: skip
    assert whole.success and whole.total_reward == calm.total_reward and whole.elapsed_s == calm.elapsed_s


class Lapse:
    """The expert, who holds a wrong command for a while."""

    def __init__(self, task, from_s, to_s):
        self._task, self._between = task, (from_s, to_s)
        self._expert = ExpertController(task.expert(), task)

    def reset(self):
        self._expert.reset()

    def step(self, observation, dt):
        lapses = self._between[0] <= self._task.elapsed_s < self._between[1]
        return 0.4 * self._task.command_limits if lapses else self._expert.step(observation, dt)


@pytest.mark.parametrize("name, lapse", [("swing-up", (9.0, 9.4)), ("hover", (9.0, 9.5))])
def test_a_longer_episode_is_a_success_only_if_the_aim_was_never_lost(name, lapse):
    task, steady = task_named(name), perturbation_named("steady")
    good = run_episode(task, Lapse(task, 0.0, 0.0), steady, 5)
    assert good.success and good.elapsed_s == pytest.approx(20.0) and task.duration_s == 10.0
    assert run_episode(task, Lapse(task, 0.0, 0.0), perturbation_named("clean"), 5).elapsed_s == pytest.approx(10.0)
    task.set_duration(20.0)
    recovered = run_episode(task, Lapse(task, *lapse), perturbation_named("clean"), 5)
    assert recovered.success  # by the end of an episode as long as it is told to be
    task.set_duration(10.0)
    assert not run_episode(task, Lapse(task, *lapse), steady, 5).success


@pytest.mark.parametrize(
    "numbers, message",
    [
        ({"gain": 0.0}, "gain = 0"), ({"period": np.nan}, "period = nan"), ({"onset_s": -1.0}, "onset_s = -1"),
        ({"ramp_s": np.inf}, "ramp_s = inf"), ({"duration_s": -1.0}, "duration_s = -1"),
        ({"latency_steps": 1, "onset_s": 1.0}, "latency_steps = 1 with an onset"),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused(numbers, message):
    with pytest.raises(TaskError, match=f"perturbation 'p': .*{message}"):
        Perturbation("p", **numbers)
