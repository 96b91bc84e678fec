# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import numpy as np
import pytest

from liquid_spike_control.checkpoint import ControllerFile, write_controller
from liquid_spike_control.liquid.architecture import named, tensor_shapes
from liquid_spike_control.liquid.controller import LiquidController

PERIOD = 0.005


def controller_file(units=8):
    rng = np.random.default_rng(0)
    architecture = named("cfc_mm", units=units, backbone_units=16)
    shapes = tensor_shapes(architecture, 2, 1)
    return ControllerFile(
        observation_names=("cart_position", "pole_angle"),
        observation_units=("m", "rad"),
        observation_scales=(1.0, 0.1),
        command_names=("cart_slide",),
        command_units=("N",),
        command_limits=(10.0,),
        nominal_period_s=PERIOD,
        task="pencil",
        architecture=architecture,
        training_command="none",
        training_seeds=(0, 9),
        tensors={k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()},
    )


@pytest.fixture
def controller():
    return LiquidController(controller_file())


GOOD = np.array([0.3, 0.05])


def test_carries_the_description_of_the_file(controller, tmp_path):
    write_controller(tmp_path / "c.safetensors", controller_file())
    read = LiquidController.from_file(tmp_path / "c.safetensors")
    assert read.observation_names == ("cart_position", "pole_angle")
    assert read.command_names == ("cart_slide",)
    assert (read.nominal_period_s, read.command_limits) == (PERIOD, [10.0])
    assert read.step(GOOD, PERIOD).tobytes() == controller.step(GOOD, PERIOD).tobytes()


def test_reset_and_restore(controller):
    first = controller.step(GOOD, PERIOD)
    saved = controller.state
    second = controller.step(GOOD, PERIOD)
    assert first != second
    controller.state = saved
    assert controller.step(GOOD, PERIOD) == second
    controller.reset()
    assert controller.step(GOOD, PERIOD) == first


def test_the_state_is_a_copy(controller):
    controller.step(GOOD, PERIOD)
    controller.state[:] = 0
    assert controller.state.any()
    with pytest.raises(ValueError, match="shape"):
        controller.state = np.zeros(3)


def test_warming_changes_nothing(controller):
    controller.step(GOOD, PERIOD)
    before = controller.state
    controller.warm()
    assert (controller.state == before).all()


@pytest.mark.parametrize(
    "dt, as_if", [(0.0, 0.1), (-1.0, 0.1), (10.0, 10), (np.inf, 10), (-np.inf, 0.1), (np.nan, 1)]
)
def test_a_clock_jump_is_clamped_and_counted(controller, dt, as_if):
    controller.step(GOOD, PERIOD)
    saved = controller.state
    command = controller.step(GOOD, dt)
    assert controller.clamped == 1
    controller.state = saved
    np.testing.assert_allclose(command, controller.step(GOOD, as_if * PERIOD), rtol=1e-6)
    assert controller.clamped == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_a_number_that_is_not_finite_resets_and_is_reported(controller, bad):
    first = controller.step(GOOD, PERIOD)
    assert np.isnan(controller.step([bad, 0.0], PERIOD)).all()
    assert controller.poisoned == 1
    assert not controller.state.any()
    assert controller.step(GOOD, PERIOD) == first


def test_a_poisoned_state_recovers_in_one_step(controller):
    first = controller.step(GOOD, PERIOD)
    for k in range(2):
        state = controller.state
        state[k, 3] = np.nan
        controller.state = state
        assert np.isnan(controller.step(GOOD, PERIOD)).all()
        assert controller.step(GOOD, PERIOD) == first
    assert controller.poisoned == 2


def test_commands_stay_within_their_limits(controller):
    rng = np.random.default_rng(0)
    for scale in (1, 1e6, 1e30):
        assert all(np.abs(controller.step(scale * rng.normal(size=2), PERIOD)) <= 10 for _ in range(50))


def test_a_wrong_shape_is_an_error(controller):
    with pytest.raises(ValueError, match="shape"):
        controller.step(np.zeros(3), PERIOD)


@pytest.mark.slow
def test_runs_without_torch():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['ncps'] = sys.modules['onnx'] = None\n"
        "import liquid_spike_control.control.gate\n"
        "from liquid_spike_control.liquid import commands, controller, onnx_export, wiring_figure"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("observation", [GOOD[:1], GOOD[:, None], GOOD[None], 0.3, np.zeros((2, 2)), []])
def test_an_observation_of_another_shape_is_refused_by_name(controller, observation):
    with pytest.raises(ValueError, match=r"an observation has shape \(2,\), not \("):
        controller.step(observation, PERIOD)
