# SPDX-License-Identifier: Apache-2.0
"""Reads and writes the yaml file of a controller that has learnt by reward; its weights lie in a file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from ..outputs import write_file
from .learnt_weights import learnt_weights, save_learnt
from .reward import REWARD_UNIT, RewardController, RewardFile, RewardNetwork
from .yaml_file import Entry, Input, Observation, converted, observed, place, refuse


class _Command(Entry, frozen=True):
    """A command; learnt, or the value of an observation."""

    command: str
    unit: str
    limit: float
    of: str | None = None


class _Learning(Entry, frozen=True):
    inputs: list[Input]
    fields: int = 8
    pairs: int = 4
    steps: int = 10
    rate: float = 1 / 64
    smoothing_s: float = 0.02
    full_rate: float = 0.15
    tag_decay: float = 1 / 32
    seed: int = 0
    reward: float = 2.0
    weights: str | None = None
    weights_hash: str = ""


class _File(Entry, frozen=True):
    kind: str
    task: str
    period_s: float
    trained_by: str
    training_seeds: tuple[int, int]
    observations: list[Observation]
    commands: list[_Command]
    learning: _Learning


def reward_of(path: Path, values: dict[str, Any]) -> RewardFile:
    """Make a controller of the fields of its file.

    Raises:
        ModelError: a field is wrong, or the weights do not fit; names the file, the field and the remedy.
    """
    file = converted(path, values, _File)
    names = [observation.name for observation in file.observations]
    learnt = [k for k, command in enumerate(file.commands) if command.of is None]
    if not file.learning.inputs:
        refuse(path, "learning.inputs", "none", "name at least one observation")
    if not learnt:
        refuse(path, "commands", "none is learnt", "give at least one command without `of`")
    inputs = [place(path, f"learning.inputs[{i}].of", entry.of, names) for i, entry in enumerate(file.learning.inputs)]
    options = msgspec.structs.asdict(file.learning)
    for field in ("inputs", "reward", "weights", "weights_hash"):
        del options[field]
    network = RewardNetwork(
        centres=tuple(entry.centre for entry in file.learning.inputs),
        scales=tuple(entry.scale for entry in file.learning.inputs),
        limits=tuple(file.commands[k].limit for k in learnt), errors=(REWARD_UNIT,) * len(learnt),
        period_s=file.period_s, source=str(path), **options,
    )  # fmt: skip
    given = file.learning.weights
    return RewardFile(
        **observed(file.observations),
        command_names=tuple(command.command for command in file.commands),
        command_units=tuple(command.unit for command in file.commands),
        command_limits=tuple(command.limit for command in file.commands),
        nominal_period_s=file.period_s, task=file.task, training_command=file.trained_by,
        training_seeds=file.training_seeds, source=str(path), learnt=tuple(learnt),
        passed=tuple((k, place(path, f"commands[{k}].of", command.of, names))
                     for k, command in enumerate(file.commands) if command.of is not None),
        network=network, inputs=tuple(inputs), reward=file.learning.reward,
        weights=None if given is None else learnt_weights(path.parent / given, network, file.learning.weights_hash),
    )  # fmt: skip


def write_reward(path: Path, file: RewardFile, controller: RewardController) -> None:
    """Write a controller with what it has learnt: the yaml file, and the weights beside it (``.safetensors``).

    Args:
        path: of the yaml file.
        file: its description.
        controller: that has learnt.

    Raises:
        OutputError: a file cannot be written.
    """
    weights, network = path.with_suffix(".safetensors"), file.network
    passed = dict(file.passed)
    entry = _File(
        kind="reward", task=file.task, period_s=file.nominal_period_s, trained_by=file.training_command,
        training_seeds=file.training_seeds,
        observations=[
            Observation(name=name, unit=unit, scale=scale)
            for name, unit, scale in zip(
                file.observation_names, file.observation_units, file.observation_scales, strict=True)
        ],
        commands=[
            _Command(
                command=name, unit=unit, limit=limit, of=file.observation_names[passed[k]] if k in passed else None)
            for k, (name, unit, limit) in enumerate(
                zip(file.command_names, file.command_units, file.command_limits, strict=True))
        ],
        learning=_Learning(
            inputs=[Input(of=file.observation_names[k], centre=centre, scale=scale)
                    for k, centre, scale in zip(file.inputs, network.centres, network.scales, strict=True)],
            **{field: getattr(network, field) for field in (
                "fields", "pairs", "steps", "rate", "smoothing_s", "full_rate", "tag_decay", "seed")},
            reward=file.reward, weights=weights.name, weights_hash=save_learnt(weights, controller.outputs),
        ),
    )  # fmt: skip
    head = "# SPDX-License-Identifier: Apache-2.0\n"
    write_file(path, head + yaml.safe_dump(_without_none(msgspec.to_builtins(entry)), sort_keys=False, width=118))


def _without_none(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _without_none(value) for name, value in values.items() if value is not None}
    return [_without_none(value) for value in values] if isinstance(values, list | tuple) else values
