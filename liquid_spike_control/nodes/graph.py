# SPDX-License-Identifier: Apache-2.0
"""The one description of the ROS graph, from which the launch file and the supervisor start it.

Imports nothing but the standard library, so that a launch file and ``--help`` stay quick.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import GraphError, TaskError
from ..resources import PACKAGE, share, zoo
from .transport import profile_variables

MODES = ("lockstep", "realtime")
BACKENDS = ("offload", "in_process")
#: What the offload node can run a network on.
SIMULATORS = ("loihi", "float", "lava", "nengo_loihi", "brian2_loihi")

CLOCK = "/clock"
EVENTS = "/event_camera/events"
JOINT_STATES = "/joint_states"
SPIKES_IN = "/neuromorphic/input"
SPIKES_OUT = "/neuromorphic/output"
ESTIMATE = "/perception/state"
COMMAND = "/controller/command"
GATED_COMMAND = "/robot_joint_command"
GROUND_TRUTH = "/ground_truth"
DIAGNOSTICS = "/diagnostics"
E_STOP = "/e_stop"

#: Every topic of the graph and its type.
TOPICS = {
    CLOCK: "rosgraph_msgs/msg/Clock",
    EVENTS: "event_camera_msgs/msg/EventPacket",
    JOINT_STATES: "sensor_msgs/msg/JointState",
    SPIKES_IN: "event_camera_msgs/msg/EventPacket",
    SPIKES_OUT: "event_camera_msgs/msg/EventPacket",
    ESTIMATE: "sensor_msgs/msg/JointState",
    COMMAND: "sensor_msgs/msg/JointState",
    GATED_COMMAND: "sensor_msgs/msg/JointState",
    GROUND_TRUTH: "sensor_msgs/msg/JointState",
    DIAGNOSTICS: "diagnostic_msgs/msg/DiagnosticArray",
    E_STOP: "std_msgs/msg/Bool",
}

#: Who must hear a topic's first message: in lock-step one that is lost halts the graph.
LISTENERS = {
    EVENTS: ("perception",),
    JOINT_STATES: ("controller",),
    SPIKES_IN: ("neuromorphic",),
    SPIKES_OUT: ("perception",),
    ESTIMATE: ("controller",),
    COMMAND: ("gate",),
    GATED_COMMAND: ("simulator",),
}

#: The recorder's second node, which hears the topics.
CAPTURE = "recorder_capture"

#: What every node's process is started with; the user's own settings win.
ENVIRONMENT = {
    "ROS_DOMAIN_ID": "42",
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    "RCUTILS_COLORIZED_OUTPUT": "0",
    "RCUTILS_CONSOLE_OUTPUT_FORMAT": "[{severity}] {message}",
    "PYTHONUNBUFFERED": "1",
    # one thread a process: five processes share the cores, and the kernels are small
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class GraphOptions:
    """What a user may choose about a graph.

    Raises:
        TaskError: the task or a number is unknown or out of range.
        GraphError: a model file is missing.
    """

    task: str = "pencil"
    seed: int = 0
    duration_s: float = 20.0
    mode: str = "lockstep"
    backend: str = "offload"
    simulator: str = "loihi"
    push: float | None = None
    perception_model: Path = field(default_factory=lambda: zoo("pencil_perception.nir"))
    controller_model: Path = field(default_factory=lambda: zoo("pencil_controller.safetensors"))
    record: Path | None = None
    priority: int = 0

    def __post_init__(self) -> None:
        if self.task != "pencil":
            raise TaskError(f"unknown task '{self.task}'; known tasks: pencil")
        if not 0 < self.duration_s < 1e6:
            raise TaskError(f"--duration {self.duration_s}; give simulated seconds, more than 0")
        if self.push is not None and not 0 <= self.push < 1e3:
            raise TaskError(f"--push {self.push}; give an impulse of at least 0 [N s]")
        if not 0 <= self.seed < 2**31:
            raise TaskError(f"--seed {self.seed}; give a whole number from 0 to 2147483647")
        for name, value, known in (
            ("mode", self.mode, MODES),
            ("backend", self.backend, BACKENDS),
            ("simulator", self.simulator, SIMULATORS),
        ):
            if value not in known:
                raise GraphError(f"--{name} {value}; known: {', '.join(known)}")
        if self.simulator != "loihi" and self.backend != "offload":
            raise GraphError(f"--simulator {self.simulator} is for the offload node; leave --backend out")
        if not 0 <= self.priority <= 98:
            raise GraphError(f"--priority {self.priority}; give 0 (ordinary) to 98")
        for option, path in (("perception", self.perception_model), ("controller", self.controller_model)):
            if not Path(path).is_file():
                raise GraphError(f"{path}: no such file; give --{option}-model, or train one")
        if self.record is not None and Path(self.record).exists():
            raise GraphError(f"{self.record} exists; give --record another name")


#: Arguments of the process that brings the nodes up, for its keys where ROS_SECURITY_ENABLE is set; nodes have theirs.
ENCLAVE = ("--ros-args", "--enclave", "/liquid_spike_supervisor")


@dataclass(frozen=True)
class NodeSpec:
    """One node of the graph: its name, the module that is its program, and the parameters it is started
    with.
    """

    name: str
    parameters: dict[str, object]

    @property
    def module(self) -> str:
        """What ``python -m`` runs."""
        return f"{PACKAGE}.nodes.{self.name}"

    def arguments(self, params_file: Path) -> list[str]:
        """Command line after ``python -m <module>``."""
        arguments = ["--ros-args", "--enclave", f"/{self.name}", "--params-file", str(params_file)]
        for key, value in self.parameters.items():
            arguments += ["-p", f"{self.name}:{key}:={json.dumps(value)}"]
        return arguments


def params_file(options: GraphOptions) -> Path:
    """The yaml file with the parameters that the command line does not set."""
    return share(f"config/{options.task}.yaml")


def topics(options: GraphOptions) -> tuple[str, ...]:
    """The topics that a graph with these options has."""
    absent = () if options.backend == "offload" else (SPIKES_IN, SPIKES_OUT)
    return tuple(topic for topic in TOPICS if topic not in absent)


def describe(options: GraphOptions) -> tuple[NodeSpec, ...]:
    """The nodes in the order in which they are activated: whoever listens comes before whoever speaks."""
    mode: dict[str, object] = {"mode": options.mode, "priority": options.priority}
    perception = {"perception_model": str(Path(options.perception_model).resolve())}
    controller = {"controller_model": str(Path(options.controller_model).resolve())}
    simulator: dict[str, object] = {
        "task": options.task,
        "seed": options.seed,
        "duration_s": options.duration_s,
    }
    if options.push is not None:
        simulator["push"] = options.push
    nodes = [NodeSpec("gate", mode | controller), NodeSpec("controller", mode | controller)]
    nodes.append(NodeSpec("perception", mode | perception | {"backend": options.backend}))
    if options.backend == "offload":
        nodes.insert(2, NodeSpec("neuromorphic", mode | perception | {"backend": options.simulator}))
    if options.record is not None:
        recorder = {"output": str(Path(options.record).resolve()), "topics": list(topics(options))}
        ordinary = {"priority": 0}  # writing a chunk takes milliseconds, which the others need more
        nodes.insert(0, NodeSpec("recorder", mode | perception | controller | recorder | ordinary))
    nodes.append(NodeSpec("simulator", mode | simulator))
    if options.mode == "lockstep":
        peers = {"peers": [node.name for node in nodes]}
        nodes = [NodeSpec(node.name, node.parameters | peers) for node in nodes]
    return tuple(nodes)


def environment() -> dict[str, str]:
    """The environment of every process of the graph."""
    return ENVIRONMENT | dict(os.environ) | profile_variables(os.environ)


def domain_id(environment: dict[str, str]) -> int:
    """The ROS domain.

    Raises:
        GraphError: ROS_DOMAIN_ID is not a number from 0 to 232.
    """
    text = environment["ROS_DOMAIN_ID"]
    if not text.isdecimal() or int(text) > 232:
        raise GraphError(f"ROS_DOMAIN_ID={text}; give a number from 0 to 232")
    return int(text)


#: Arguments of launch/pencil.launch.py: name to (default, description). An empty text leaves the graph's own
#: default.
LAUNCH_ARGUMENTS = {
    "seed": ("0", "of the episode"),
    "duration": ("20.0", "simulated seconds"),
    "mode": ("realtime", "lockstep or realtime"),
    "backend": ("offload", "offload or in_process: where the spiking network runs"),
    "simulator": ("loihi", "loihi, float, lava, nengo_loihi or brian2_loihi: what runs it on its own node"),
    "push": ("", "impulse of a push [N s]"),
    "perception_model": ("", "path of a .nir file"),
    "controller_model": ("", "path of a .safetensors file"),
    "record": ("", "path of an .mcap file to write"),
}


def options_of(arguments: dict[str, str]) -> GraphOptions:
    """The options that launch arguments, which are texts, ask for."""
    given = {name: text for name, text in arguments.items() if text}
    kinds = {"seed": int, "push": float, "perception_model": Path, "controller_model": Path, "record": Path}
    values: dict[str, Any] = {name: kinds.get(name, str)(text) for name, text in given.items()}
    values["duration_s"] = float(values.pop("duration", GraphOptions.duration_s))
    return GraphOptions(**values)


def bringup_command(options: GraphOptions) -> list[str]:
    """Command line that activates the nodes in order, for whoever starts them without the supervisor."""
    return [sys.executable, "-m", f"{PACKAGE}.nodes.bringup", *(spec.name for spec in describe(options))]
