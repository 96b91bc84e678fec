# SPDX-License-Identifier: Apache-2.0
"""The graph of a real robot, as its description asks for it, and files of ROS parameters."""

import numpy as np
import pytest

from liquid_spike_control.errors import GraphError, RobotError
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.controller import ControllerNode
from liquid_spike_control.nodes.gate import GateNode
from liquid_spike_control.nodes.graph import GraphOptions, describe
from liquid_spike_control.nodes.neuromorphic import NeuromorphicNode
from liquid_spike_control.nodes.perception import PerceptionNode
from liquid_spike_control.nodes.recorder import RecorderNode
from liquid_spike_control.resources import share, shipped_model
from liquid_spike_control.robots.catalogue import robot_named

CART, DRONE = share("config/robot_cart.yaml"), share("config/robot_drone.yaml")
NODES = {
    "controller": ControllerNode, "gate": GateNode, "neuromorphic": NeuromorphicNode, "perception": PerceptionNode,
    "recorder": RecorderNode,
}  # fmt: skip


def real(robot, **options) -> dict[str, dict]:
    """Parameters of each node of a real robot's graph."""
    asked = GraphOptions(robot, simulated=False, mode="realtime", **options)
    return {spec.name: spec.parameters for spec in describe(asked)}


@pytest.fixture
def models(tmp_path):
    """Empty files in the place of the drone's models."""
    paths = {"perception_model": tmp_path / "p.nir", "controller_model": tmp_path / "c.safetensors"}
    for path in paths.values():
        path.touch()
    return paths


def test_the_cart_takes_the_shipped_models_and_listeners_come_first():
    specs = real(CART)
    assert list(specs) == ["gate", "controller", "neuromorphic", "perception"]
    assert specs["perception"]["perception_model"] == str(shipped_model("pencil/perception.nir").resolve())
    assert specs["gate"]["controller_model"] == str(shipped_model("pencil/controller.safetensors").resolve())
    assert {parameters["mode"] for parameters in specs.values()} == {"realtime"}
    assert all(parameters["live_inputs"] for parameters in specs.values())


def test_what_a_camera_driver_needs_comes_from_the_description():
    perception = real(CART)["perception"]
    assert (perception["event_clock"], perception["window_s"], perception["sheds"]) == ("sensor", 0.005, True)
    qos = "qos_overrides./event_camera/events.subscription."
    assert (perception[f"{qos}reliability"], perception[f"{qos}depth"]) == ("best_effort", 1000)
    assert real(CART)["gate"]["use_sim_time"] is False


def test_a_relative_topic_has_its_quality_of_service_in_the_namespace(tmp_path):
    path = tmp_path / "robot.yaml"
    path.write_text(CART.read_text().replace("topic: /event_camera/events", "topic: event_camera/events"))
    perception = real(path, namespace="robot1")["perception"]
    assert perception["qos_overrides./robot1/event_camera/events.subscription.depth"] == 1000


def test_a_recorder_is_the_first_up_and_the_last_down(tmp_path):
    assert list(real(CART, record=tmp_path / "o.mcap"))[:2] == ["recorder", "gate"]


def test_a_robot_without_models_names_the_remedy(models):
    with pytest.raises(RobotError, match="controller: not set; give a model file, or --controller-model"):
        real(DRONE, perception_model=models["perception_model"])
    assert list(real(DRONE, **models, backend="in_process")) == ["gate", "controller", "perception"]


def test_setpoints_have_a_default_on_the_robot_alone(models):
    controller = real(DRONE, **models)["controller"]
    assert (controller["setpoint_names"], controller["setpoint_defaults"]) == (["target_divergence"], [0.3])
    assert controller["qos_overrides./odometry.subscription.reliability"] == "best_effort"
    (simulated,) = (s.parameters for s in describe(GraphOptions(DRONE, **models)) if s.name == "controller")
    assert simulated["setpoint_names"] == ["target_divergence"]
    assert "setpoint_defaults" not in simulated  # they come with the readings


def test_numbers_that_are_no_quantity_reach_the_gate_of_the_real_robot(tmp_path):
    mavros = share("config/robot_quadrotor_mavros.yaml")
    assert real(mavros)["gate"]["command_constants"] == ["type_mask=7"] * 3
    assert "command_constants" not in real(share("config/robot_quadrotor_px4.yaml"))["gate"]
    (simulated,) = (s.parameters for s in describe(GraphOptions(mavros)) if s.name == "gate")
    assert "command_constants" not in simulated
    for text, says in (
        ("{type_mask: .nan}", "commands[0] (thrust_above_weight).ros.constants: type_mask: nan; give a path and"),
        ("{7: 1}", "constants"),
        ("{type_mask: 128}", "commands[1] (roll_setpoint).ros.constants: 'type_mask' of '/mavros/setpoint_raw/att"),
    ):
        wrong = tmp_path / "robot.yaml"
        wrong.write_text(mavros.read_text().replace("{type_mask: 7}", text, 1))
        with pytest.raises(RobotError) as refusal:
            real(wrong)
        assert says in str(refusal.value)
    roll = "field: orientation.roll,"
    wrong.write_text(mavros.read_text().replace(roll, f"{roll} constants: {{a: 1}},", 1))
    with pytest.raises(RobotError, match="constants: .*; leave them out: they are for commands"):
        real(wrong)


@pytest.mark.parametrize("path", [CART, DRONE], ids=lambda path: path.stem)
def test_every_parameter_is_one_of_its_node(ros_domain, path, models):
    """A parameter that is misspelt would be passed over by ROS without a word."""
    import rclpy

    for name, parameters in real(path, **models).items():
        arguments = ["--ros-args"]
        for spec in describe(GraphOptions(path, simulated=False, mode="realtime", **models)):
            if spec.name == name:
                arguments = spec.arguments()
        rclpy.init(args=["test", *arguments[:1], *arguments[3:]])  # without the enclave
        node = NODES[name]()
        try:
            node.refuse_unknown()
            assert all(node.has_parameter(key) for key in parameters if not key.startswith("qos_overrides")), name
            if name == "gate" and path == DRONE:
                node._file = ""  # there is no model to contradict its limits
                node.configure()
        finally:
            node.destroy_node()
            rclpy.shutdown()


def test_the_gate_of_the_graph_has_the_limits_of_the_loop_in_one_process():
    (gate,) = (spec.parameters for spec in graph.describe(GraphOptions()) if spec.name == "gate")
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
        ("gate:\n  ros__parameters: {lowest: [1.0]}", "lowest: no node has such a parameter; did you mean lower"),
        ("brake:\n  ros__parameters: {lower: [1.0]}", "brake: no such node; give"),
    ],
)
def test_a_file_of_parameters_that_is_none_is_refused(tmp_path, text, says):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(GraphError, match=says):
        real(CART, params=path)
    with pytest.raises(GraphError, match="No such file"):
        real(CART, params=tmp_path / "none.yaml")


def test_a_file_of_parameters_wins(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(
        "/**:\n  ros__parameters: {priority: 3}\n"
        "perception:\n  ros__parameters:\n    qos_overrides: {/event_camera/events: {subscription: {depth: 7}}}\n"
    )
    specs = real(CART, params=path)
    assert {parameters["priority"] for parameters in specs.values()} == {3}
    assert specs["perception"]["qos_overrides./event_camera/events.subscription.depth"] == 7
