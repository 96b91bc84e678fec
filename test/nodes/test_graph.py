# SPDX-License-Identifier: Apache-2.0
"""The description of the graph, and what is made of it: the launch file and the nodes' parameters."""

import gc
import importlib.util
import re
import sys
import types
from pathlib import Path

import pytest
import rclpy

from liquid_spike_control.errors import GraphError, RobotError, TaskError
from liquid_spike_control.nodes import graph
from liquid_spike_control.nodes.controller import ControllerNode
from liquid_spike_control.nodes.gate import GateNode
from liquid_spike_control.nodes.graph import GraphOptions, describe
from liquid_spike_control.nodes.neuromorphic import NeuromorphicNode
from liquid_spike_control.nodes.perception import PerceptionNode
from liquid_spike_control.nodes.recorder import RecorderNode
from liquid_spike_control.nodes.simulator import SimulatorNode
from liquid_spike_control.resources import share, zoo

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
        ({"record": Path(__file__)}, GraphError, "exists; give --record another name"),
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
    shipped = ("perception_model", "pencil_perception.nir"), ("controller_model", "pencil_controller.safetensors")
    models = [a for key, file in shipped for a in ("-p", f"{key}:={zoo(file)}")]
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


class Recorded:
    """Stands in for what a launch file makes; ``launch`` is not on PyPI, so this is all that can be run
    here.
    """

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    def perform(self, context):
        return context[self.args[0]]


def test_the_launch_file_starts_what_the_supervisor_starts(monkeypatch, files):
    """With stand-ins for the launch package: its syntax, its arguments, and that both start the same
    nodes.
    """
    for name, kinds in {
        "launch": ["LaunchDescription"],
        "launch.actions": [
            "DeclareLaunchArgument", "ExecuteProcess", "OpaqueFunction", "SetEnvironmentVariable",
        ],
        "launch.substitutions": ["LaunchConfiguration"],
        "launch_ros": [],
        "launch_ros.actions": ["LifecycleNode"],
    }.items():  # fmt: skip
        module = types.ModuleType(name)
        for kind in kinds:
            setattr(module, kind, type(kind, (Recorded,), {}))
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("pencil_launch", share("launch/pencil.launch.py"))
    launch_file = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launch_file)
    made = launch_file.generate_launch_description().args[0]
    declared = [a for a in made if type(a).__name__ == "DeclareLaunchArgument"]
    context = {a.args[0]: a.kwargs["default_value"] for a in declared}
    assert set(context) >= {
        "backend", "mode", "seed", "record", "perception_model", "controller_model", "duration",
    }  # fmt: skip
    context |= {name: str(path) for name, path in files.items()} | {"seed": "7", "duration": "3"}
    (function,) = (a.kwargs["function"] for a in made if type(a).__name__ == "OpaqueFunction")
    *nodes, bringup = function(context)
    specs = describe(GraphOptions(seed=7, duration_s=3.0, mode="realtime", **files))
    assert [n.kwargs["executable"] for n in nodes] == [s.name for s in specs]
    assert [n.kwargs["parameters"][0] for n in nodes] == [s.parameters for s in specs]
    assert bringup.kwargs["cmd"][2:] == ["liquid_spike_control.nodes.bringup", *(s.name for s in specs)]
