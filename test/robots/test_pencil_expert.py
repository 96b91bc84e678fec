# SPDX-License-Identifier: Apache-2.0
import mujoco
import numpy as np
import pytest

from liquid_spike_control.control.lqr import Lqr, linearise
from liquid_spike_control.errors import TaskError
from liquid_spike_control.resources import share
from liquid_spike_control.robots.catalogue import robot_named, task_named
from liquid_spike_control.robots.pencil.expert import cart_pole_lqr

ROBOT = robot_named("pencil")
PERIOD = 0.005
STEPS = 5


@pytest.fixture(scope="module")
def model():
    return mujoco.MjModel.from_xml_path(str(share("sim/pencil.xml")))


def survives(expert, plant, seed) -> bool:
    plant.reset(seed)
    while plant.elapsed_s < plant.duration_s and not plant.fallen:
        force = expert.step(np.concatenate([plant.observe(), plant.true_state()]))[0]
        for _ in range(STEPS):
            plant.step(force)
    return not plant.fallen


@pytest.mark.parametrize("push", [0.0, 0.08, 0.11])
def test_balances_a_tilted_pole_that_is_pushed(push):
    task = task_named("pencil", duration_s=10.0, push=push)
    expert = cart_pole_lqr(ROBOT, PERIOD)
    assert all(survives(expert, task, seed) for seed in range(4))


def test_recovers_from_five_degrees_at_either_side(model):
    expert = cart_pole_lqr(ROBOT, PERIOD)
    for tilt in np.radians([-5.0, 5.0]):
        data = mujoco.MjData(model)
        data.qpos[1] = tilt
        for _ in range(800):
            data.ctrl[:] = expert.step(np.stack([data.qpos, data.qvel], 1).ravel())
            mujoco.mj_step(model, data, STEPS)
        assert np.abs(data.qpos).max() < 3e-3


def test_without_the_expert_it_falls():
    nothing = Lqr(np.zeros((1, 4)), np.array([-10.0]), np.array([10.0]))
    assert not survives(nothing, task_named("pencil", duration_s=5.0), 0)


def test_the_linear_model_predicts_the_plant(model):
    a, b = linearise(model, PERIOD)
    rng = np.random.default_rng(0)
    for _ in range(10):
        data = mujoco.MjData(model)
        state, force = 1e-4 * rng.normal(size=4), 1e-3 * rng.normal(size=1)
        data.qpos[:], data.qvel[:], data.ctrl[:] = state[:2], state[2:], force
        mujoco.mj_step(model, data, STEPS)
        np.testing.assert_allclose(np.r_[data.qpos, data.qvel], a @ state + b @ force, rtol=0, atol=1e-9)


def test_the_gain_is_optimal(model):
    """The summed cost of the linear system is least at the gain, and the loop is stable there."""
    a, b = linearise(model, PERIOD)
    weights = np.array([3.0, 2.0, 5.0, 1.0])
    lqr = Lqr.design(a, b, (0, 1, 2, 3), weights, (0.5,), (-10,), (10,))
    assert np.abs(np.linalg.eigvals(a - b @ lqr.gain)).max() < 1

    def cost(gain):
        total, loop = 0.0, np.eye(4)
        for _ in range(4000):
            total += np.sum(weights[:, None] * loop**2) + 0.5 * np.sum((gain @ loop) ** 2)
            loop = (a - b @ gain) @ loop
        return total

    best = cost(lqr.gain)
    for direction in np.vstack([np.eye(4), -np.eye(4)]):
        assert cost(lqr.gain * (1 + 0.02 * direction)) > best


def test_the_order_only_permutes_the_gain(model):
    a, b = linearise(model, PERIOD)
    plain = Lqr.design(a, b, (0, 1, 2, 3), (1, 2, 3, 4), (1,), (-1,), (1,))
    permuted = Lqr.design(a, b, (3, 0, 2, 1), (4, 1, 3, 2), (1,), (-1,), (1,))
    np.testing.assert_allclose(permuted.gain, plain.gain[:, [3, 0, 2, 1]], rtol=1e-8)


def test_the_command_is_limited_and_counts_from_the_setpoint():
    expert = cart_pole_lqr(ROBOT, PERIOD)
    assert expert.step([0, 0, 0.5, 0]) == [10.0]
    assert expert.step([0, 0, -0.5, 0]) == [-10.0]
    lqr = Lqr(np.array([[2.0]]), np.array([-9.0]), np.array([9.0]), setpoint=np.array([1.0]), feedforward=0.5)
    assert lqr.step([2.0]) == [-1.5]


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(TaskError, match="period_s"):
        linearise(model, 0.0055)
    with pytest.raises(TaskError, match="period_s"):
        linearise(model, 0.0)
    a, b = linearise(model, PERIOD)
    with pytest.raises(TaskError, match="order"):
        Lqr.design(a, b, (0, 0, 1, 2), (1,) * 4, (1,), (-1,), (1,))
    with pytest.raises(TaskError, match="weights"):
        Lqr.design(a, b, (0, 1, 2, 3), (1,) * 3, (1,), (-1,), (1,))
    with pytest.raises(TaskError, match="weights"):
        Lqr.design(a, np.zeros((4, 1)), (0, 1, 2, 3), (1,) * 4, (1,), (-1,), (1,))
