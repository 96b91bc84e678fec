# SPDX-License-Identifier: Apache-2.0
"""The graph for a robot of one's own, described by a yaml file of ROS parameters such as config/robot_cart.yaml.

From this one description the launch file, ``liquid-spike run robot`` and the tests start the same nodes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import GraphError
from ..resources import PACKAGE, zoo
from .graph import BACKENDS, NodeSpec

#: Parameters that name model files, and the nodes that read them.
MODELS = {"perception_model": ("perception", "neuromorphic"), "controller_model": ("controller", "gate")}


@dataclass(frozen=True)
class RobotOptions:
    """What a user may choose about a robot's graph.

    Attributes:
        config: yaml file with the parameters of the nodes.
        perception_model, controller_model: files that take the place of the configured ones.
        record: an .mcap file to write.

    Raises:
        GraphError: a file is missing, or not what it should be; names the field.
    """

    config: Path
    perception_model: Path | None = None
    controller_model: Path | None = None
    record: Path | None = None

    def __post_init__(self) -> None:
        if self.record is not None and Path(self.record).exists():
            raise GraphError(f"{self.record} exists; give --record another name")
        read_parameters(self.config)


def read_parameters(path: Path) -> dict[str, dict[str, Any]]:
    """The parameters of each node in a yaml file; those of ``/**`` under that name.

    Raises:
        GraphError: it cannot be read as such a file.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise GraphError(f"{path}: {error.strerror}; give --config a yaml file, e.g. config/robot_cart.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GraphError(f"{path}: not yaml: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(content, dict):
        raise GraphError(f"{path}: it holds no nodes; see config/robot_cart.yaml")
    parameters = {}
    for node, block in content.items():
        held = block.get("ros__parameters") if isinstance(block, dict) else None
        if not isinstance(held, dict):
            raise GraphError(f"{path}: {node}: no ros__parameters; see config/robot_cart.yaml")
        parameters[str(node).strip("/") or "/"] = held
    return {"/**" if node == "**" else node: held for node, held in parameters.items()}


def describe(options: RobotOptions) -> tuple[NodeSpec, ...]:
    """The nodes in the order in which they are activated: whoever listens comes before whoever speaks.

    Raises:
        GraphError: a model is not named or not there, or the backend is unknown.
    """
    parameters = read_parameters(options.config)
    every = parameters.get("/**", {})
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
    return tuple(NodeSpec(name, {"mode": "realtime"} | own) for name, own in given.items())


def _model(options: RobotOptions, field: str, configured: Any) -> Path:
    chosen = getattr(options, field) or configured
    if not chosen:
        raise GraphError(f"{options.config}: {field}: it is not set; give a model's path, or the name of a shipped one")
    path = Path(chosen)
    if len(path.parts) == 1 and not path.is_file():
        path = zoo(path.name)
    if not path.is_file():
        raise GraphError(f"{chosen}: no such file; mend {field} in {options.config}")
    return path.resolve()


#: Arguments of launch/robot.launch.py: name to (default, description). An empty text leaves it to the yaml file.
LAUNCH_ARGUMENTS = {
    "config": ("", "yaml file with the parameters of the nodes; e.g. config/robot_cart.yaml"),
    "perception_model": ("", "path of a .nir file, instead of the configured one"),
    "controller_model": ("", "path of a .safetensors file, instead of the configured one"),
    "record": ("", "path of an .mcap file to write"),
}


def options_of(arguments: dict[str, str]) -> RobotOptions:
    """The options that launch arguments, which are texts, ask for."""
    if not arguments.get("config"):
        raise GraphError("config: it is not set; give the robot's yaml file, e.g. config:=robot_cart.yaml")
    return RobotOptions(**{name: Path(text) for name, text in arguments.items() if text})


def bringup_command(options: RobotOptions) -> list[str]:
    """Command line of the lifecycle manager, for whoever starts the nodes without the supervisor."""
    return [sys.executable, "-m", f"{PACKAGE}.nodes.bringup", "--stay", *(spec.name for spec in describe(options))]
