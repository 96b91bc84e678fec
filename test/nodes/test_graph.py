# SPDX-License-Identifier: Apache-2.0
"""The description of the graph, and what is made of it: the launch file and the nodes' parameters."""

import gc
import re
from pathlib import Path

import pytest
import rclpy
from rclpy.parameter import Parameter

from liquid_spike_control.errors import GraphError, RobotError, TaskError
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.controller import ControllerNode
from liquid_spike_control.nodes.gate import GateNode
from liquid_spike_control.nodes.graph import GraphOptions, describe
from liquid_spike_control.nodes.launching import (
    FILE,
    LAUNCH_ARGUMENTS,
    as_launch_arguments,
    bringup_arguments,
    check_known,
    options_of,
)
from liquid_spike_control.nodes.neuromorphic import NeuromorphicNode
from liquid_spike_control.nodes.parameter_file import KNOWN, ROS_OWN
from liquid_spike_control.nodes.perception import PerceptionNode
from liquid_spike_control.nodes.recorder import RecorderNode
from liquid_spike_control.nodes.scheduling import default_priority
from liquid_spike_control.nodes.simulator import SimulatorNode
from liquid_spike_control.resources import share, shipped_model
from liquid_spike_control.spiking.nir_io import read_perception_model

NODES = {
    "controller": ControllerNode, "gate": GateNode, "neuromorphic": NeuromorphicNode,
    "perception": PerceptionNode, "recorder": RecorderNode, "simulator": SimulatorNode,
}  # fmt: skip


@pytest.fixture
def files(tmp_path):
    paths = {name: tmp_path / name for name in ("perception_model", "controller_model")}
    for path in paths.values():
        path.touch()
    return paths


def test_listeners_are_activated_before_speakers(files, tmp_path):
    names = [spec.name for spec in describe(GraphOptions(record=tmp_path / "o.mcap", **files))]
    assert names == ["recorder", "gate", "controller", "neuromorphic", "perception", "simulator"]


def test_shipped_models_have_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"perception": "lane_car/perception.nir", "controller": "lane_car/rstdp.yaml"}
    options = GraphOptions("lane_car", **{f"{which}_model": Path(name) for which, name in names.items()})
    for which, name in names.items():
        assert options.model(which) == shipped_model(name)
    assert read_perception_model(names["perception"]).source == str(shipped_model(names["perception"]))


def test_rewards_are_there_where_they_are_asked_for():
    for options in ({}, {"simulated": False, "mode": "realtime"}):
        robot = "lane_car" if not options else str(share("config/robot_cart.yaml"))
        without, rewarded = (GraphOptions(robot, rewards=rewards, **options) for rewards in (False, True))
        extra = graph.topics(rewarded).items() - graph.topics(without).items()
        assert dict(extra) == dict.fromkeys(("/reward", "/controller/reward"), "sensor_msgs/msg/JointState")
        for one, two in zip(describe(without), describe(rewarded), strict=True):
            learns = one.name in ("controller", "simulator")
            assert two.parameters == one.parameters | ({"rewards": True} if learns else {})


def test_in_process_there_is_no_offload_node(files):
    options = GraphOptions(backend="in_process", **files)
    assert "neuromorphic" not in [spec.name for spec in describe(options)]
    assert graph.SPIKES_IN not in graph.topics(options)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"robot": "crayon"}, RobotError, "unknown robot 'crayon'; known: "),
        ({"duration_s": -1.0}, TaskError, "--duration -1.0"),
        ({"duration_s": float("nan")}, TaskError, "--duration nan"),
        ({"simulated": False}, GraphError, "--mode lockstep; a real robot runs in real time"),
        ({"seed": -1}, TaskError, "--seed -1"),
        ({"mode": "warp"}, GraphError, "--mode warp; known: lockstep, realtime"),
        ({"backend": "abacus"}, GraphError, "--backend abacus"),
        ({"simulator": "abacus"}, GraphError, "--simulator abacus; known: loihi, float, lava"),
        ({"simulator": "lava", "backend": "in_process"}, GraphError, "--simulator lava is for the offload node"),
        ({"priority": 99}, GraphError, "--priority 99"),
        ({"perception_model": Path("none.nir")}, GraphError, "none.nir: no such file"),
        ({"record": Path(__file__)}, TaskError, "exists; give another name"),
    ],
)
def test_options_out_of_range_are_refused_by_name(files, changes, error, says):
    with pytest.raises(error, match=re.escape(says)):
        GraphOptions(**files | changes)


@pytest.mark.parametrize("text", ["", "x", "-1", "233"])
def test_an_impossible_domain_is_refused(text):
    with pytest.raises(GraphError, match="give a number from 0 to 232"):
        graph.domain_id({"ROS_DOMAIN_ID": text})


@pytest.fixture
def ros(ros_domain):
    rclpy.init()
    yield
    rclpy.shutdown()
    gc.collect()  # a node that is left over would be a stranger on the domain of the next test


@pytest.mark.parametrize("name", NODES)
def test_every_parameter_is_described_bounded_and_known(name, files, tmp_path, ros):
    """Also: whatever the description or the yaml file sets, the node declares."""
    node = NODES[name]()
    own = set(node._parameters) - {"use_sim_time", "start_type_description_service"}
    for parameter in own:
        descriptor = node.describe_parameter(parameter)
        assert descriptor.description, parameter
        assert descriptor.read_only or descriptor.description.endswith("; read at configure"), parameter
        if descriptor.type == 3:
            assert descriptor.floating_point_range, parameter
        if descriptor.type == 2:
            assert descriptor.integer_range, parameter
    options = GraphOptions(settings={"push": 0.1}, record=tmp_path / "o.mcap", **files)
    spec = {s.name: s for s in describe(options)}[name]
    assert set(spec.parameters) <= own | {"use_sim_time"}
    node.destroy_node()


@pytest.mark.parametrize("name", ["gate", "controller", "perception", "neuromorphic"])
def test_cleanup_leaves_nothing_of_configure(name, ros_domain):
    shipped = ("perception_model", "pencil/perception.nir"), ("controller_model", "pencil/controller.safetensors")
    models = [a for key, file in shipped for a in ("-p", f"{key}:={shipped_model(file)}")]
    (derived,) = (spec for spec in describe(GraphOptions(mode="realtime")) if spec.name == name)
    rclpy.init(args=["test", *derived.arguments(), *models])
    node = NODES[name]()

    def held() -> tuple[int, ...]:
        each = (node.publishers, node.subscriptions, node.timers, node.services, node._managed_entities)
        return tuple(len(list(entities)) for entities in each)

    try:
        bare = held()
        for _ in range(2):
            assert node.trigger_configure().name == "SUCCESS"
            assert held() > bare
            assert node.trigger_cleanup().name == "SUCCESS"
            assert held() == bare
    finally:
        node.destroy_node()
        rclpy.shutdown()
        gc.collect()


def test_every_parameter_of_a_node_is_known_and_no_other(tmp_path, ros):
    """What a parameter file may hold."""
    declared: set[str] = set()
    for kind in NODES.values():
        node = kind()
        declared |= set(node._parameters) - ROS_OWN
        node.destroy_node()
    assert declared == KNOWN


def test_a_parameter_that_no_node_has_is_refused_by_name(ros_domain):
    rclpy.init(args=["test", "--ros-args", "-p", "tolerence_s:=0.01"])
    node = ControllerNode()
    try:
        with pytest.raises(GraphError, match="tolerence_s: no node has such a parameter; did you mean tolerance_s?"):
            node.refuse_unknown()
        assert node.trigger_configure().name == "FAILURE"
    finally:
        node.destroy_node()
        rclpy.shutdown()
        gc.collect()


def test_choices_hold_for_what_is_set_later_too(ros):
    node = NeuromorphicNode()
    (refused,) = node.set_parameters([Parameter("backend", value="nonsense")])
    assert not refused.successful and "give one of loihi, float" in refused.reason
    (taken,) = node.set_parameters([Parameter("backend", value="float")])
    assert taken.successful
    node.destroy_node()


def test_a_node_is_started_in_its_namespace_with_what_the_file_sets_for_it(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(
        "/**: {ros__parameters: {max_age_s: 0.03, lower: [-1.0], qos_overrides: {/a: {publisher: {depth: 3}}}}}\n"
        "gate: {ros__parameters: {lower: [-2.0]}}\n"
        "robot1: {gate: {ros__parameters: {upper: [5.0]}}}\n"
    )
    gates = {
        namespace: next(
            " ".join(spec.arguments())
            for spec in describe(GraphOptions(namespace=namespace, params=file))
            if spec.name == "gate"
        )
        for namespace in ("robot1", "robot2")
    }
    assert "-r __ns:=/robot1 -r /clock:=clock" in gates["robot1"]
    for given in (
        "-p max_age_s:=0.03", "-p lower:=[-2.0]", "-p upper:=[5.0]", "-p qos_overrides./a.publisher.depth:=3",
        '-p command_units:=["N"]',
    ):  # fmt: skip
        assert given in gates["robot1"]
    assert "-p upper:=[10.0]" in gates["robot2"] and "-p lower:=[-2.0]" in gates["robot2"]


@pytest.mark.parametrize("name", ["1st", "a-b", "a//b", "ä"])
def test_a_namespace_that_ros_does_not_have_is_refused(files, name):
    with pytest.raises(GraphError, match="--namespace"):
        GraphOptions(namespace=name, **files)


def test_launch_arguments_give_the_options_of_the_command_line(files):
    """The launch files themselves are run in test_launch.py."""
    texts = {name: default for name, (default, *_) in LAUNCH_ARGUMENTS.items()}
    texts |= {name: str(path) for name, path in files.items()}
    texts |= {"seed": "7", "duration": "3", "namespace": "robot1"}
    options = options_of(texts)
    priority = default_priority("realtime")
    assert options == GraphOptions(
        seed=7, duration_s=3.0, mode="realtime", namespace="robot1", priority=priority, **files
    )
    assert bringup_arguments(options) == [spec.name for spec in describe(options)]
    with pytest.raises(GraphError, match="seed:=x; give a whole number"):
        options_of(texts | {"seed": "x"})
    assert as_launch_arguments("--mode warp; give --perception-model") == "mode:=warp; give perception_model:="


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("sed:=5", "did you mean seed:=?"), ("params_file:=a.yaml", "did you mean params:=?"),
        ("name_space:=robot1", "did you mean namespace:=?"), ("world:=moon", f"{FILE} lists all"),
    ],
)  # fmt: skip
def test_launch_arguments_that_there_are_not_are_refused_by_name(argument, says):
    with pytest.raises(GraphError) as error:
        check_known(["seed:=1", argument])
    assert str(error.value).startswith(f"{argument}: no such argument; ") and says in str(error.value)
    check_known(["seed:=1", "namespace:=robot1", "launch-prefix:=gdb"])
    assert (Path(__file__).parents[2] / "launch" / FILE).is_file()
