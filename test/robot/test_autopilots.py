# SPDX-License-Identifier: Apache-2.0
"""The quadrotor's models over the messages of flight controllers: MAVROS's, and PX4's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from message_packages import build, environment_of
from processes import Probe
from robots import Robot, graph, process

from liquid_spike_control.resources import share

SETPOINTS = {"mavros": "mavros_msgs.msg.AttitudeTarget", "px4": "px4_msgs.msg.VehicleAttitudeSetpoint"}
#: Where the packages are known: what the graph writes is what the stand-in reads, and the other way round.
ROUND_TRIP = """
import importlib, sys
import numpy as np
from autopilot import VEHICLES
from rclpy.serialization import deserialize_message, serialize_message
from liquid_spike_control.nodes.interfaces import Interfaces
from liquid_spike_control.robot_file import read_robot

robot = read_robot(sys.argv[1])
places = robot.command_places()
written = Interfaces(
    places[0].type, [c.name for c in robot.commands], [p.field for p in places], "command",
    [p.told_constants() for p in places],
)
package, _, name = places[0].type.split("/")
kind = getattr(importlib.import_module(package + ".msg"), name)
data = serialize_message(written.write(5_000_000_123_456, np.array([2.0, 0.1, -0.2])))
message = deserialize_message(bytes(data), kind)
print(message)
vehicle = VEHICLES[sys.argv[2]]()
assert np.allclose(written.read(message).values, [2.0, 0.1, -0.2], atol=1e-6)
assert np.allclose(vehicle.command(message), [2.0, 0.1, -0.2], atol=1e-5), vehicle.command(message)
said = vehicle.messages(5_000_000_123_000, np.array([0.1, -0.2, 0.0]), np.array([0.3, -0.4, 0.5]))
for reading, value in zip(robot.readings, [0.1, -0.2, 0.3, -0.4, 0.5], strict=True):
    place = reading.ros
    read = Interfaces(place.type, [reading.name], [place.field], "joint").read(said[place.topic])
    assert abs(read.values[0] - value) < 1e-6 and read.stamp_ns == 5_000_000_123_000, (reading.name, read)
"""

#: Body rates and thrust in the messages that take them; prints these.
RATES = """
import numpy as np
from liquid_spike_control.nodes.interfaces import Interfaces

names, values = ("thrust", "roll_rate", "pitch_rate", "yaw_rate"), np.array([2.0, 0.1, -0.2, 0.3])
for package, thrust, rates, constants in (
    ("mavros_msgs/msg/AttitudeTarget", "thrust * 0.0425 + 0.25", ("body_rate.x", "body_rate.y", "body_rate.z"),
     "type_mask=128"),
    ("px4_msgs/msg/VehicleRatesSetpoint", "thrust_body.2 * -0.0425 - 0.25", ("roll", "pitch * -1", "yaw * -1"), ""),
):
    both = Interfaces(package, names, (thrust, *rates), "command", (constants,) * 4)
    message = both.write(5_000_000_123_456, values)
    assert np.allclose(both.read(message).values, values, atol=1e-5)
    print(message)
of_thrust = Interfaces("px4_msgs/msg/VehicleThrustSetpoint", ("thrust",), ("xyz.2 * -1",), "command")
print(of_thrust.write(0, np.array([0.5])))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Both packages, and the environment in which they are known."""
    folder = tmp_path_factory.mktemp("messages")
    for package in ("mavros_msgs", "px4_msgs"):
        prefix = build(package, folder)
    return environment_of(prefix)


@pytest.fixture
def probe(ros_domain, packages, monkeypatch):
    for name, value in packages.items():
        monkeypatch.setenv(name, value)
    probe = Probe()
    yield probe
    probe.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["mavros", "px4"])
def test_commands_are_the_flight_controller_s_messages(kind, packages):
    description = share(f"config/robot_quadrotor_{kind}.yaml")
    done = subprocess.run(
        [sys.executable, "-c", ROUND_TRIP, str(description), kind], env=os.environ | packages, capture_output=True,
        text=True, timeout=60, cwd=Path(__file__).parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{SETPOINTS[kind]}(")
    if kind == "mavros":
        assert "type_mask=7" in done.stdout and "thrust=0.335" in done.stdout and "sec=5000" in done.stdout
    else:  # nose up is negative to us and positive to PX4, whose thrust points up by being negative
        assert "timestamp=5000000123" in done.stdout and "-0.335" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rates_and_thrust_are_written_too(packages):
    done = subprocess.run(
        [sys.executable, "-c", RATES], env=os.environ | packages, capture_output=True, text=True, timeout=60
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    mavros, rates, thrust = done.stdout.splitlines()
    assert "type_mask=128" in mavros and "Vector3(x=0.1, y=-0.2, z=0.3)" in mavros
    assert "roll=0.1" in rates and "pitch=0.2" in rates and "yaw=-0.3" in rates and "-0.335" in rates
    assert "VehicleThrustSetpoint(timestamp=0" in thrust and "-0.5" in thrust


@pytest.mark.slow
@pytest.mark.real_time
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["mavros", "px4"])
def test_the_quadrotor_descends_over_a_flight_controller_s_messages(kind, probe, tmp_path):
    """Three seconds of a descent by events; then the graph ends, and the last message is the safe command."""
    program = str(Path(__file__).with_name("autopilot.py"))
    with process([sys.executable, program, kind, "--seed", "3"], tmp_path / "robot.log") as child:
        standin = Robot(probe)
        probe.spin_until(lambda: standin._heard or child.poll() is not None, 90, "the robot")
        assert child.poll() is None, (tmp_path / "robot.log").read_text()
        with graph(tmp_path, share(f"config/robot_quadrotor_{kind}.yaml")) as running:
            log = tmp_path / "graph.log"
            state = standin.until(
                lambda state: state["driven_s"] >= 3.0 or running.poll() is not None, 120, "commands"
            )  # fmt: skip
            assert running.poll() is None, log.read_text()
        assert state["refused"] == 0 and state["commands"] > 20
        assert state["greatest"][0] <= 3.0 + 1e-3 and max(state["greatest"][1:]) <= 0.35 + 1e-6
        assert state["most_lean"] < 0.6 and state["height"] < 2.8
        state = standin.until(lambda state: state["last"] and abs(state["last"][0] + 0.8) < 1e-3, 5, "the safe command")
        assert state["last"][1:] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert "Traceback" not in log.read_text()
