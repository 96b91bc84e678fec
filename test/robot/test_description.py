# SPDX-License-Identifier: Apache-2.0
"""The description of a robot's graph: its yaml files, and the launch file that starts the same."""


import numpy as np
import pytest

from liquid_spike_control.errors import GraphError
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.controller import ControllerNode
from liquid_spike_control.nodes.gate import GateNode
from liquid_spike_control.nodes.neuromorphic import NeuromorphicNode
from liquid_spike_control.nodes.perception import PerceptionNode
from liquid_spike_control.nodes.recorder import RecorderNode
from liquid_spike_control.nodes.robot import RobotOptions, describe, read_parameters
from liquid_spike_control.resources import share, zoo
from liquid_spike_control.robots.catalogue import robot_named

CART, DRONE = share("config/robot_cart.yaml"), share("config/robot_drone.yaml")
NODES = (ControllerNode, GateNode, NeuromorphicNode, PerceptionNode, RecorderNode)


def test_the_cart_takes_the_shipped_models_and_listeners_come_first():
    specs = {spec.name: spec.parameters for spec in describe(RobotOptions(CART))}
    assert list(specs) == ["gate", "controller", "neuromorphic", "perception"]
    assert specs["perception"]["perception_model"] == str(zoo("pencil_perception.nir").resolve())
    assert specs["gate"]["controller_model"] == str(zoo("pencil_controller.safetensors").resolve())
    assert {parameters["mode"] for parameters in specs.values()} == {"realtime"}


def test_a_recorder_is_the_first_up_and_the_last_down(tmp_path):
    specs = describe(RobotOptions(CART, record=tmp_path / "o.mcap"))
    assert [spec.name for spec in specs][:2] == ["recorder", "gate"]


def test_the_drone_has_no_models_and_says_so(tmp_path):
    with pytest.raises(GraphError, match="perception_model: it is not set"):
        describe(RobotOptions(DRONE))
    models = [tmp_path / name for name in ("p.nir", "c.safetensors")]
    for model in models:
        model.touch()
    specs = describe(RobotOptions(DRONE, *models))
    assert [spec.name for spec in specs] == ["gate", "controller", "perception"]  # its network is in the perception


@pytest.mark.parametrize("path", [CART, DRONE], ids=lambda path: path.stem)
@pytest.mark.parametrize("kind", NODES)
def test_every_key_of_the_yaml_files_is_a_parameter(ros_domain, path, kind):
    """A key that is misspelt would be passed over by ROS without a word."""
    import rclpy

    rclpy.init(args=["test", "--ros-args", "--params-file", str(path)])
    node = kind()
    try:
        name = node.get_name()
        own = read_parameters(path).get(name, {}).keys() - {"qos_overrides"}
        assert all(node.has_parameter(key) for key in own), own
        if name == "gate" and path == DRONE:
            node.configure()  # its limits and messages fit each other; there is no model to contradict
    finally:
        node.destroy_node()
        rclpy.shutdown()


@pytest.mark.parametrize("path", [CART, DRONE], ids=lambda path: path.stem)
def test_every_common_key_is_a_parameter_of_some_node(ros_domain, path):
    import rclpy

    rclpy.init()
    nodes = [kind() for kind in NODES]
    try:
        for key in read_parameters(path)["/**"]:
            assert any(node.has_parameter(key) for node in nodes), key
    finally:
        for node in nodes:
            node.destroy_node()
        rclpy.shutdown()


def test_the_gate_of_the_graph_has_the_limits_of_the_loop_in_one_process():
    (gate,) = (spec.parameters for spec in graph.describe(graph.GraphOptions()) if spec.name == "gate")
    limits = robot_named("pencil").gate_limits(np.array([np.inf]))
    for field in ("lower", "upper", "rate", "safe"):
        assert gate[field] == getattr(limits, field).tolist(), field
    assert round(gate["max_age_s"] * 1e9) == limits.max_age_ns


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not yaml"),
        ("- gate", "it holds no nodes"),
        ("gate:\n  lower: [1.0]", "gate: no ros__parameters"),
        ("!!python/object/apply:os.getcwd []", "not yaml"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, says):
    path = tmp_path / "robot.yaml"
    path.write_text(text)
    with pytest.raises(GraphError, match=says):
        RobotOptions(path)
    with pytest.raises(GraphError, match="No such file"):
        RobotOptions(tmp_path / "none.yaml")
