# SPDX-License-Identifier: Apache-2.0
"""The graph for a robot of one's own, described by a yaml file of ROS parameters such as config/robot_cart.yaml.

From this one description the launch file, ``liquid-spike run robot`` and the tests start the same nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import GraphError
from ..resources import zoo
from .graph import BACKENDS, NodeSpec, check_namespace, check_wait
from .parameter_file import EVERY, check_nodes, read_parameters

#: The nodes that a robot's graph may have.
NODES = ("recorder", "gate", "controller", "neuromorphic", "perception")
#: Parameters that name model files, and the nodes that read them.
MODELS = {"perception_model": ("perception", "neuromorphic"), "controller_model": ("controller", "gate")}


@dataclass(frozen=True)
class RobotOptions:
    """What a user may choose about a robot's graph.

    Attributes:
        config: yaml file with the parameters of the nodes.
        perception_model, controller_model: files that take the place of the configured ones.
        record: an .mcap file to write.
        namespace: that the nodes are in.
        wait_s: how long activation waits for the robot [s].

    Raises:
        GraphError: a file is missing, or not what it should be; names the field.
    """

    config: Path
    perception_model: Path | None = None
    controller_model: Path | None = None
    record: Path | None = None
    namespace: str = ""
    wait_s: float = 60.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "namespace", check_namespace(self.namespace))
        check_wait(self.wait_s)
        if self.record is not None and Path(self.record).exists():
            raise GraphError(f"{self.record} exists; give --record another name")
        read_parameters(self.config)


def describe(options: RobotOptions) -> tuple[NodeSpec, ...]:
    """The nodes in the order in which they are activated: whoever listens comes before whoever speaks.

    Raises:
        GraphError: a model is not named or not there, or the backend is unknown.
    """
    parameters = read_parameters(options.config)
    every = parameters.get(EVERY, {})
    check_nodes(options.config, NODES)
    backend = parameters.get("perception", {}).get("backend", "offload")
    if backend not in BACKENDS:
        raise GraphError(f"{options.config}: perception: backend: '{backend}'; give {' or '.join(BACKENDS)}")
    names = ["gate", "controller", "neuromorphic", "perception"]
    if backend == "in_process":
        names.remove("neuromorphic")
    given: dict[str, dict[str, object]] = {name: {} for name in names}
    for field, nodes in MODELS.items():
        file = str(_model(options, field, every.get(field) or parameters.get(nodes[0], {}).get(field)))
        for name in nodes:
            if name in given:
                given[name][field] = file
    if options.record is not None:
        models: dict[str, object] = {field: given[nodes[0]][field] for field, nodes in MODELS.items()}
        given = {"recorder": models | {"output": str(Path(options.record).resolve())}} | given
    return tuple(NodeSpec(name, {"mode": "realtime"} | own, options.namespace) for name, own in given.items())


def _model(options: RobotOptions, field: str, configured: Any) -> Path:
    chosen = getattr(options, field) or configured
    if chosen and not isinstance(chosen, str | Path):
        raise GraphError(f"{options.config}: {field}: '{chosen}' is no path; give a path, or the name of a shipped one")
    if not chosen:
        raise GraphError(f"{options.config}: {field}: it is not set; give a model's path, or the name of a shipped one")
    path = Path(chosen)
    if len(path.parts) == 1 and not path.is_file():
        path = zoo(path.name)
    if not path.is_file():
        raise GraphError(f"{chosen}: no such file; mend {field} in {options.config}")
    return path.resolve()


def options_of(arguments: dict[str, str]) -> RobotOptions:
    """The options that launch arguments, which are texts, ask for; those of simulated robots say nothing here.

    Raises:
        GraphError: an argument is not what it should be.
    """
    if not arguments.get("config"):
        raise GraphError("config: it is not set; give the robot's yaml file, e.g. config:=robot_cart.yaml")
    paths = ("config", "perception_model", "controller_model", "record")
    values: dict[str, Any] = {name: Path(arguments[name]) for name in paths if arguments.get(name)}
    try:
        wait_s = float(arguments.get("wait") or RobotOptions.wait_s)
    except ValueError:
        raise GraphError(f"wait:={arguments['wait']}; give a number of seconds") from None
    return RobotOptions(**values, namespace=arguments.get("namespace", ""), wait_s=wait_s)


def bringup_arguments(options: RobotOptions) -> list[str]:
    """Arguments of the lifecycle manager's program, for whoever starts the nodes without the supervisor."""
    return ["--stay", "--wait", f"{options.wait_s:g}", *(spec.name for spec in describe(options))]
