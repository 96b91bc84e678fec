# SPDX-License-Identifier: Apache-2.0
"""Lifecycle of nodes for a robot: what configure and activate refuse, and errors that nobody foresaw."""

import array
import gc
import shutil
import subprocess
import sys
import time

import pytest
import rclpy
from event_camera_msgs.msg import EventPacket
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import GetState
from processes import ACTIVATE, CONFIGURE, DEACTIVATE, children_of, wait_for
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from robots import parameters_file, process
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from liquid_spike_control.checkpoint import read_controller
from liquid_spike_control.errors import LiquidSpikeError
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes import graph_node as stage
from liquid_spike_control.nodes.controller import ControllerNode
from liquid_spike_control.nodes.convert import to_time
from liquid_spike_control.nodes.gate import GateNode
from liquid_spike_control.nodes.perception import PerceptionNode
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.spiking.policy import SpikingPolicy
from liquid_spike_control.spiking.policy_file import SpikingArchitecture, write_spiking_controller

CLEANUP = Transition.TRANSITION_CLEANUP
FILES = {
    "perception_model": shipped_model("pencil/perception.nir"),
    "controller_model": shipped_model("pencil/controller.safetensors"),
}


@pytest.fixture
def made(ros_domain, tmp_path):
    """Makes nodes in this process with the parameters of the cart's graph, some of them changed."""
    nodes = []

    def make(kind, **parameters):
        name = kind.__name__.removesuffix("Node").lower()
        changed = [a for key, value in (FILES | parameters).items() for a in ("-p", f"{name}:{key}:={value}")]
        rclpy.init(args=["test", "--ros-args", "--params-file", str(parameters_file(tmp_path)), *changed])
        nodes.append(kind())
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
    gc.collect()


def gate_arguments(folder, controller=FILES["controller_model"]) -> list[str]:
    return ["--ros-args", "--params-file", str(parameters_file(folder)), "-p", f"gate:controller_model:={controller}"]


@pytest.mark.parametrize(
    ("kind", "field"),
    [(GateNode, f) for f in ("command_names", "command_units", "lower", "upper", "rate", "safe", "max_age_s")]
    + [(GateNode, "command_interfaces")]
    + [(ControllerNode, f) for f in ("joint_units", "joint_interfaces", "estimate_units", "tolerance_s")]
    + [(ControllerNode, f) for f in ("command_names", "command_units")]
    + [(PerceptionNode, f) for f in ("camera_width", "camera_height", "estimate_names", "estimate_units")],
)
def test_nothing_has_a_default_that_could_hurt(ros_domain, tmp_path, kind, field):
    models = [a for key, value in FILES.items() for a in ("-p", f"{key}:={value}")]
    more = ("-p", "gate:command_type:=sensor_msgs/msg/JointState") if field == "command_interfaces" else ()
    rclpy.init(args=["test", "--ros-args", "--params-file", str(parameters_file(tmp_path, field)), *models, *more])
    node = kind()
    try:
        with pytest.raises(LiquidSpikeError, match=f"parameter {field}"):
            node.configure()
        assert node.trigger_configure().name == "FAILURE"
    finally:
        node.destroy_node()
        rclpy.shutdown()
        gc.collect()


@pytest.mark.parametrize("field", ["joint_names", "estimate_names"])
def test_a_controller_that_wants_more_than_the_robot_has_is_refused(ros_domain, tmp_path, field):
    """A robot may be without either; this controller is not for such a one."""
    models = [a for key, value in FILES.items() for a in ("-p", f"{key}:={value}")]
    rclpy.init(args=["test", "--ros-args", "--params-file", str(parameters_file(tmp_path, field)), *models])
    node = ControllerNode()
    try:
        with pytest.raises(LiquidSpikeError, match="observation_names: expected"):
            node.configure()
    finally:
        node.destroy_node()
        rclpy.shutdown()
        gc.collect()


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [
        (GateNode, {"lower": "[.nan]"}, "gate: lower is"),
        (GateNode, {"lower": "[10.0]"}, "gate: upper of cart_force"),
        (GateNode, {"upper": "[10.0, 3.0]"}, "gate: upper is"),
        (GateNode, {"rate": "[0.0]"}, "gate: rate of cart_force"),
        (GateNode, {"safe": "[11.0]"}, "gate: safe of cart_force"),
        (GateNode, {"command_units": '["kN"]'}, "command_units"),
        (GateNode, {"command_type": "std_msgs/msg/Nothing"}, "parameter command_type: 'std_msgs/msg/Nothing'"),
        (ControllerNode, {"period_s": "0.01"}, "nominal_period_s"),
        (ControllerNode, {"joint_names": '["cart_position", "cart_position"]'}, "parameter joint_names"),
        (ControllerNode, {"joint_units": '["mm", "m/s"]'}, "observation_units"),
        (ControllerNode, {"joint_interfaces": '["a/position", "a/speed"]'}, "parameter joint_interfaces: 'a/speed'"),
        (ControllerNode, {"joint_type": "std_msgs/msg/String"}, "parameter joint_type"),
        (PerceptionNode, {"window_s": "0.0"}, "parameter window_s"),
        (PerceptionNode, {"window_s": "0.0055"}, "parameter window_s"),
        (PerceptionNode, {"estimate_units": '["deg", "rad/s"]'}, "feature_units"),
    ],
)
def test_what_contradicts_is_refused_by_name(made, kind, parameters, says):
    node = made(kind, **parameters)
    with pytest.raises(LiquidSpikeError, match=says):
        node.configure()


@pytest.mark.parametrize("kind", [ControllerNode, GateNode])
def test_a_spiking_controller_is_taken_as_any_other(made, tmp_path, kind):
    liquid = read_controller(FILES["controller_model"])
    policy = SpikingPolicy(
        SpikingArchitecture(units=(16,)), liquid.observation_scales, liquid.command_limits, liquid.nominal_period_s, 1
    )
    write_spiking_controller(
        tmp_path / "spiking.nir",
        policy.to_file(
            observation_names=liquid.observation_names, observation_units=liquid.observation_units,
            command_names=liquid.command_names, command_units=liquid.command_units, task="pencil",
            training_command="none", training_seeds=(0, 9),
        ),
    )  # fmt: skip
    assert made(kind, controller_model=tmp_path / "spiking.nir").trigger_configure().name == "SUCCESS"


def test_a_parameter_of_the_wrong_kind_is_refused_by_name(made):
    with pytest.raises(LiquidSpikeError, match="parameter max_age_s"):
        made(GateNode, max_age_s="0.0")  # a timeout of 0 is not "off"
    rclpy.shutdown()
    with pytest.raises(LiquidSpikeError, match="parameter command_units"):
        made(GateNode, command_units="[N]")  # YAML's no


@pytest.mark.real_time
def test_activation_waits_for_messages_not_for_publishers(made, probe, monkeypatch):
    """A driver that is there but says nothing is not live."""
    monkeypatch.setattr(stage, "MATCH_TIMEOUT_S", 1.0)
    node = made(PerceptionNode, backend="in_process")
    assert node.trigger_configure().name == "SUCCESS"
    said: list[str] = []
    monkeypatch.setattr(node.get_logger(), "error", said.append)
    assert node.trigger_activate().name == "FAILURE"
    assert "/event_camera/events: no publisher" in said[-1]

    qos = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    camera = probe.node.create_publisher(EventPacket, "/event_camera/events", qos)
    wait_for(camera.get_subscription_count, 10, "match")
    assert node.trigger_activate().name == "FAILURE"
    assert "/event_camera/events: no message in 0.5 s" in said[-1]

    packet = EventPacket(encoding="evt3", width=64, height=64, events=array.array("B"))
    packet.header.stamp = to_time(time.time_ns())

    def activated() -> bool:
        camera.publish(packet)
        return node.trigger_activate().name == "SUCCESS"

    wait_for(activated, 10, "activation")
    assert node.active


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("kind", "qos", "says"),
    [
        (JointState, QoSReliabilityPolicy.BEST_EFFORT, "set qos_overrides./joint_states.subscription"),
        (Float64MultiArray, QoSReliabilityPolicy.RELIABLE, "is a std_msgs/msg/Float64MultiArray, not a JointState"),
    ],
)
def test_a_topic_that_cannot_be_matched_is_reported_with_the_reason(made, probe, monkeypatch, kind, qos, says):
    monkeypatch.setattr(stage, "MATCH_TIMEOUT_S", 1.5)
    node = made(ControllerNode)
    assert node.trigger_configure().name == "SUCCESS"
    said: list[str] = []
    monkeypatch.setattr(node.get_logger(), "error", said.append)
    probe.node.create_publisher(kind, "/joint_states", QoSProfile(depth=10, reliability=qos))
    assert node.trigger_activate().name == "FAILURE"
    assert says in said[-1]


BROKEN_GATE = """
from liquid_spike_control.nodes.gate import GateNode
from liquid_spike_control.nodes.process import run

class BrokenGate(GateNode):
    def _on_command(self, message):
        if message.header.frame_id == "broken":
            self.nothing_of_this_name
        super()._on_command(message)

run(BrokenGate)
"""


@pytest.mark.real_time
def test_an_unexpected_error_leaves_the_robot_safe_and_the_node_to_be_configured(probe, tmp_path):
    """Through ErrorProcessing to unconfigured; the safe command goes out on the way."""
    heard = probe.hear(Float64MultiArray, "/effort_controller/commands")
    commands = probe.node.create_publisher(JointState, graph.COMMAND, 10)

    def send(force: float, frame: str = "") -> None:
        message = JointState(name=["cart_force"], position=[force])
        message.header.stamp, message.header.frame_id = to_time(time.time_ns()), frame
        commands.publish(message)

    def state() -> int:
        return probe.call(GetState, "/gate/get_state", GetState.Request()).current_state.id

    arguments = [sys.executable, "-c", BROKEN_GATE, *gate_arguments(tmp_path)]
    with process(arguments, tmp_path / "log") as child:
        for _ in range(2):
            assert probe.change("gate", CONFIGURE)
            wait_for(commands.get_subscription_count, 10, "match")
            assert probe.change("gate", ACTIVATE)
            assert not probe.change("gate", CONFIGURE)  # refused, and the node goes on
            for _ in range(20):
                send(3.0)
                probe.spin_for(0.005)
            probe.spin_until(lambda: heard and heard[-1].data[0] == 3.0, 5, "a command")
            send(3.0, "broken")
            probe.spin_until(lambda: heard[-1].data[0] == 0.0, 5, "the safe command")
            probe.spin_until(lambda: state() == State.PRIMARY_STATE_UNCONFIGURED, 5, "unconfigured")
            n = len(heard)
            send(3.0)
            probe.spin_for(0.1)
            assert len(heard) == n
        assert child.poll() is None
    assert "AttributeError: 'BrokenGate' object has no attribute" in (tmp_path / "log").read_text()


@pytest.mark.real_time
def test_a_model_that_was_damaged_meanwhile_is_refused_and_a_whole_one_taken(probe, tmp_path):
    model = tmp_path / "controller.safetensors"
    shutil.copy(FILES["controller_model"], model)
    arguments = [sys.executable, "-m", "liquid_spike_control.nodes.gate", *gate_arguments(tmp_path, model)]
    with process(arguments, tmp_path / "log") as child:
        probe.hear(Float64MultiArray, "/effort_controller/commands")
        probe.node.create_publisher(JointState, graph.COMMAND, 10)
        assert probe.change("gate", CONFIGURE)
        assert probe.change("gate", ACTIVATE)
        assert probe.change("gate", DEACTIVATE)
        assert probe.change("gate", CLEANUP)
        whole = model.read_bytes()
        model.write_bytes(whole[: len(whole) // 2])
        assert not probe.change("gate", CONFIGURE)
        model.write_bytes(whole)
        assert probe.change("gate", CONFIGURE)
        assert probe.change("gate", ACTIVATE)
        assert child.poll() is None
    assert f"{model}: tensors" in (tmp_path / "log").read_text()


@pytest.mark.real_time
def test_the_lifecycle_manager_of_the_launch_file(probe, tmp_path):
    """It stays, brings up, and on SIGTERM takes down in reverse."""
    heard = probe.hear(Float64MultiArray, "/effort_controller/commands")
    probe.node.create_publisher(JointState, graph.COMMAND, 10)
    node = [sys.executable, "-m", "liquid_spike_control.nodes.gate", *gate_arguments(tmp_path)]
    manager = [sys.executable, "-m", "liquid_spike_control.nodes.bringup", "--stay", "gate"]
    with process(node, tmp_path / "log") as gate, process(manager, tmp_path / "manager") as child:
        probe.spin_until(lambda: heard, 30, "the safe command of a gate that has no controller yet")
        child.terminate()
        assert child.wait(5) == 0, (tmp_path / "manager").read_text()
        state = probe.call(GetState, "/gate/get_state", GetState.Request()).current_state.id
        assert state == State.PRIMARY_STATE_INACTIVE
        assert {message.data[0] for message in heard} == {0.0}
        assert gate.poll() is None and children_of(gate.pid) == []


def test_the_manager_gives_up_where_a_node_refuses(ros_domain, tmp_path):
    arguments = [sys.executable, "-m", "liquid_spike_control.nodes.gate", "--ros-args", "-r", "__node:=gate"]
    manager = [sys.executable, "-m", "liquid_spike_control.nodes.bringup", "--stay", "gate"]
    with process(arguments, tmp_path / "log"):
        done = subprocess.run(manager, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "gate could not configure; see that node's log for the reason" in done.stderr
    assert "parameter command_names is not set" in (tmp_path / "log").read_text()
