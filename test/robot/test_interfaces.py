# SPDX-License-Identifier: Apache-2.0
"""Robots' messages and quantities."""

import math
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

from liquid_spike_control.errors import GraphError
from liquid_spike_control.joints import NumberField, quaternion_of, stamp_of, write_quaternion
from liquid_spike_control.nodes.interfaces import JOINT_STATE, MULTI_ARRAY, Interfaces
from liquid_spike_control.robot import RosPlace

NAMES = ("lift", "lift_rate", "turn_rate")


@pytest.mark.parametrize(
    ("kind", "interfaces"),
    [
        (JOINT_STATE, ("a/position", "a/velocity", "b/velocity")),
        ("geometry_msgs/msg/TwistStamped", ("twist.linear.x", "twist.linear.z", "twist.angular.z")),
        ("nav_msgs/msg/Odometry", ("pose.pose.position.z", "twist.twist.linear.z", "twist.twist.angular.z")),
        ("sensor_msgs/msg/Imu", ("linear_acceleration.z", "angular_velocity.x", "angular_velocity.z")),
    ],
)
def test_what_is_written_is_read_bit_by_bit(kind, interfaces):
    both = Interfaces(kind, NAMES, interfaces, "command")
    values = np.random.default_rng(0).normal(size=3)
    read = both.read(both.write(1_795_000_000_123_456_789, values))
    assert (read.stamp_ns, read.names) == (1_795_000_000_123_456_789, NAMES)
    assert read.values.tobytes() == values.tobytes()


def test_angles_are_those_of_a_quaternion():
    """Against MuJoCo's."""
    turns = np.random.default_rng(1).uniform(-1.4, 1.4, (20, 3))
    fields = ("orientation.yaw", "angular_velocity.x", "orientation.roll", "orientation.pitch")
    both = Interfaces("sensor_msgs/msg/Imu", ("yaw", "rate", "roll", "pitch"), fields, "joint")
    for roll, pitch, yaw in turns:
        message = both.write(7, np.array([yaw, 0.5, roll, pitch]))
        quaternion = np.empty(4)
        mujoco.mju_euler2Quat(quaternion, np.array([yaw, pitch, roll]), "zyx")
        q = message.orientation
        assert np.allclose([q.w, q.x, q.y, q.z], quaternion, atol=1e-12) and message.angular_velocity.x == 0.5
        assert np.allclose(both.read(message).values, [yaw, 0.5, roll, pitch], atol=1e-12)
    lean = Interfaces("sensor_msgs/msg/Imu", ("pitch",), ("orientation.pitch",), "joint").write(0, np.array([0.3]))
    assert lean.orientation.y == pytest.approx(math.sin(0.15)) and lean.orientation.x == lean.orientation.z == 0


def test_an_attitude_setpoint_and_a_scaled_thrust():
    """In the form of an attitude target, in a message that is installed everywhere."""
    fields = ("pose.position.z * 0.0425 + 0.25", "pose.orientation.roll", "pose.orientation.pitch * -1")
    target = Interfaces("geometry_msgs/msg/PoseStamped", ("thrust", "roll", "pitch"), fields, "command")
    message = target.write(5_000_000_007, np.array([2.0, 0.1, -0.2]))
    assert message.pose.position.z == 2.0 * 0.0425 + 0.25 and message.header.stamp.sec == 5
    assert message.pose.orientation.y > 0.09 and message.pose.orientation.x > 0.04
    assert np.allclose(target.read(message).values, [2.0, 0.1, -0.2], atol=1e-12)
    less = Interfaces("geometry_msgs/msg/PointStamped", ("a",), ("point.x - 1.5",), "command")
    assert less.write(0, np.array([1.0])).point.x == -0.5


def test_numbers_of_an_array_and_a_quaternion_in_one():
    """As PX4 has them: w, x, y and z, in a message that is installed everywhere."""
    fields = ("orientation_covariance.2 * -0.0425 - 0.25", "angular_velocity_covariance.8")
    both = Interfaces("sensor_msgs/msg/Imu", ("thrust", "other"), fields, "command")
    message = both.write(7, np.array([2.0, 0.5]))
    assert message.orientation_covariance.tolist() == [0.0, 0.0, -0.335, *[0.0] * 6]
    assert both.read(message).values == pytest.approx([2.0, 0.5], abs=1e-12)
    turned = np.empty(4, np.float32)
    write_quaternion(turned, 0.1, -0.2, 0.3)
    assert np.allclose(turned, quaternion_of(0.1, -0.2, 0.3), atol=1e-7)
    field = NumberField("q.pitch * -1")
    assert field.read(SimpleNamespace(q=turned)) == pytest.approx(0.2, abs=1e-6)
    assert stamp_of(SimpleNamespace(timestamp=np.uint64(1_795_000_000_123_456))) == 1_795_000_000_123_456_000


def test_numbers_that_are_no_quantity_are_in_every_message():
    constants = ("radiation_type=1 max_range=5.5", "radiation_type=1")
    both = Interfaces("sensor_msgs/msg/Range", ("a", "b"), ("range", "min_range"), "command", constants)
    message = both.write(7, np.array([2.0, 0.5]))
    assert (message.radiation_type, message.max_range, message.range, message.min_range) == (1, 5.5, 2.0, 0.5)
    told = RosPlace(topic="a", type="a/msg/B", constants={"type_mask": 7, "x.y": 0.5, "on": True}).told_constants()
    assert told == "type_mask=7 x.y=0.5 on=true"
    for text in ("radiation_type", "radiation_type=x", "radiation_type=300", "kind=1", "header=1", "range.x=1"):
        with pytest.raises(GraphError, match=f"parameter command_constants: '{text}'; give numbers"):
            Interfaces("sensor_msgs/msg/Range", ("a",), ("range",), "command", (text,))
    with pytest.raises(GraphError, match="command_constants: .*; a sensor_msgs/msg/JointState has none, leave"):
        Interfaces(JOINT_STATE, ("x",), ("a/position",), "command", ("a=1",))


def test_what_a_forward_command_controller_takes():
    message = Interfaces(MULTI_ARRAY, NAMES, (), "command").write(5, np.array([1.0, 2.0, 3.0]))
    assert list(message.data) == [1.0, 2.0, 3.0]


def test_joints_of_others_are_passed_over_and_missing_ones_are_nan():
    reader = Interfaces(JOINT_STATE, NAMES, ("a/position", "a/velocity", "b/velocity"), "joint")
    writer = Interfaces(JOINT_STATE, ("grip",), ("gripper/position",), "joint")
    assert reader.read(writer.write(0, np.array([1.0]))) is None
    message = Interfaces(JOINT_STATE, ("lift",), ("a/position",), "joint").write(0, np.array([4.0]))
    values = reader.read(message).values
    assert values[0] == 4.0 and math.isnan(values[1]) and math.isnan(values[2])


def test_fields_of_a_joint_that_are_no_command_are_nan():
    message = Interfaces(JOINT_STATE, ("x", "y"), ("a/position", "b/effort"), "command").write(0, np.array([1.0, 2.0]))
    assert list(message.name) == ["a", "b"]
    assert message.position[0] == 1.0 and math.isnan(message.position[1])
    assert message.effort[1] == 2.0 and math.isnan(message.effort[0])


@pytest.mark.parametrize(
    ("kind", "names", "interfaces", "says"),
    [
        ("sensor_msgs/JointState", ("x",), ("a/position",), "joint_type: 'sensor_msgs/JointState'"),
        ("os/msg/system", ("x",), ("a/position",), "joint_type: 'os/msg/system'"),
        ("std_msgs/msg/Float64", ("x",), ("data",), "joint_type: std_msgs/msg/Float64 carries no stamp"),
        (MULTI_ARRAY, ("x",), ("data",), f"joint_type: {MULTI_ARRAY} carries no stamp"),
        (JOINT_STATE, (), (), "joint_names"),
        (JOINT_STATE, ("x", "x"), ("a/position", "b/position"), "joint_names"),
        (JOINT_STATE, ("x",), (), "joint_interfaces"),
        (JOINT_STATE, ("x",), ("position",), "joint_interfaces: 'position'"),
        (JOINT_STATE, ("x",), ("a/temperature",), "joint_interfaces: 'a/temperature'"),
        ("sensor_msgs/msg/Imu", ("x",), ("header.stamp.sec",), "joint_interfaces: 'header.stamp.sec'"),
        ("sensor_msgs/msg/Imu", ("x",), ("angular_velocity",), "joint_interfaces: 'angular_velocity'"),
        ("sensor_msgs/msg/Imu", ("x",), ("angular_velocity.w",), "joint_interfaces: 'angular_velocity.w'"),
        ("sensor_msgs/msg/Imu", ("x",), ("angular_velocity.roll",), "joint_interfaces: 'angular_velocity.roll'"),
        ("sensor_msgs/msg/Imu", ("x",), ("orientation_covariance.9",), "joint_interfaces: 'orientation_co"),
        ("sensor_msgs/msg/Imu", ("x",), ("orientation_covariance.roll",), "joint_interfaces: 'orientation_co"),
        ("sensor_msgs/msg/Imu", ("x",), ("angular_velocity.x * 0",), r"joint_interfaces: 'angular_velocity.x \* 0'"),
        ("sensor_msgs/msg/Imu", ("x",), ("angular_velocity.x*2",), r"joint_interfaces: 'angular_velocity.x\*2'"),
        ("sensor_msgs/msg/Imu", ("x", "y"), ("orientation.roll", "orientation.roll * 2"), "joint_interfaces: .*own"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(kind, names, interfaces, says):
    with pytest.raises(GraphError, match=f"parameter {says}"):
        Interfaces(kind, names, interfaces, "joint")
