# SPDX-License-Identifier: Apache-2.0
"""The whole chain in one process, with the shipped models and true rendering."""

import subprocess
import sys
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from liquid_spike_control.assembly import new_backend, new_loop
from liquid_spike_control.bench.episodes import run_episode, summarise, wilson_interval
from liquid_spike_control.control.gate import Verdict
from liquid_spike_control.errors import ModelError
from liquid_spike_control.liquid.controller import LiquidController
from liquid_spike_control.loop import Loop, SpikingEstimator, observation_for
from liquid_spike_control.perception import Perception
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.robots.catalogue import robot_named, task_named
from liquid_spike_control.robots.pencil.expert import PencilLqr
from liquid_spike_control.robots.pencil.frames import FrameEstimator
from liquid_spike_control.sim.world import World
from liquid_spike_control.spiking.nir_io import read_perception_model
from liquid_spike_control.types import Quantities


def shipped_loop(world, kind="loihi"):
    model = read_perception_model(shipped_model("pencil/perception.nir"))
    controller = LiquidController.from_file(shipped_model("pencil/controller.safetensors"))
    estimator = SpikingEstimator(Perception(model), new_backend(model, kind))
    return Loop(world, estimator, controller, world.robot.gate_limits(controller.command_limits))


@pytest.fixture
def world():
    with World(task_named("pencil", duration_s=3.0)) as world:
        yield world


def test_the_same_seed_gives_the_same_bytes(world):
    loop = shipped_loop(world)

    def commands(seed):
        loop.reset(seed)
        return np.concatenate([loop.tick().decision.output for _ in range(200)]).tobytes()

    assert commands(11) == commands(11)
    assert commands(11) != commands(12)


@pytest.mark.parametrize("kind", ["loihi", "float"])
def test_the_pencil_is_balanced_from_events(world, kind):
    figures = run_episode(shipped_loop(world, kind), seed=4321)
    assert figures.success and figures.lasted_s == pytest.approx(3.0)
    assert figures.n_events > 500 and figures.stats.synaptic_operations > 10_000
    summary = summarise([figures], ("pole_angle", "pole_rate"))
    assert summary["estimate_rmse"]["pole_angle"] < 0.0175 and summary["success_rate"] == 1.0


def test_without_events_the_pencil_falls(world):
    """The loop stands on its eyes: the same controller, told that the pole stands upright and still."""

    class Blind:
        def reset(self, stamp_ns):
            pass

        def estimate(self, sensing):
            return Quantities(sensing.stamp_ns, ("pole_angle", "pole_rate"), np.zeros(2))

    loop = shipped_loop(world)
    loop.estimator = Blind()
    assert not run_episode(loop, seed=4321).success


def test_commands_carry_the_stamp_and_pass_the_gate(world):
    loop = shipped_loop(world)
    loop.reset(1, start_ns=5_000_000_000)
    for k in range(20):
        record = loop.tick()
        assert record.decision.estimate.stamp_ns == record.sensing.stamp_ns == 5_000_000_000 + k * 5_000_000
        assert record.decision.verdict in (Verdict.ACCEPTED, Verdict.CLIPPED_RATE, Verdict.CLIPPED_RANGE)
        assert abs(record.decision.output[0]) <= 10.0


def test_every_number_of_a_command_passes_the_gate_and_reaches_the_robot():
    """A command of four: each alone changes what the rotors get."""
    loop = new_loop(robot_named("hover"), truth=True)
    with loop.world:
        thrusts = []
        for changed in (None, 0, 1, 2, 3):
            loop.reset(seed=0)
            decision = loop.decide(loop.sensing)
            assert decision.command.shape == decision.output.shape == (4,) and decision.verdict is Verdict.ACCEPTED
            output = decision.output.copy()
            if changed is not None:
                output[changed] += 0.05
            loop.advance(replace(decision, output=output))
            thrusts.append(tuple(loop.world.task.data.ctrl))
        assert len(set(thrusts)) == 5


def test_frames_show_the_angle_at_their_times(world):
    world.reset(3)
    estimator = FrameEstimator(world)
    for angle in np.radians([-12.0, -3.0, 0.0, 1.0, 8.0]):
        world.task.data.qpos[1] = angle
        mujoco.mj_kinematics(world.task.model, world.task.data)
        assert np.degrees(estimator._fit(world.picture()) - angle) == pytest.approx(0.0, abs=0.25)


def test_lqr_on_frames_holds_an_estimate_between_them(world):
    loop = Loop(world, FrameEstimator(world), PencilLqr(world.task), world.robot.gate_limits())
    loop.reset(5)
    estimates = [tuple(loop.tick().decision.estimate.values) for _ in range(20)]
    assert 3 <= len(set(estimates)) <= 4  # 0.1 s at 30 Hz


def test_a_missing_observation_is_refused_by_name():
    with pytest.raises(ModelError, match="knee_angle.*the robot has cart_position"):
        observation_for(("knee_angle",), Quantities(0, ("cart_position",), np.zeros(1)))


def test_wilson_interval_holds_the_rate():
    low, high = wilson_interval(199, 200)
    assert 0.97 < low < 0.995 < high <= 1.0


def test_the_loop_runs_without_torch_and_ros():
    program = """
import sys
for name in ("torch", "ncps", "rclpy", "sensor_msgs", "event_camera_msgs"):
    sys.modules[name] = None
from liquid_spike_control.bench.robot import RobotBenchmark
benchmark = RobotBenchmark("pencil", range(7, 8), ("cfc_loihi",), duration_s=0.5, jobs=1)
name, figures = next(benchmark.episodes())
assert figures.success, figures
print("ran", len(figures.latencies_us))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "ran 100" in done.stdout
