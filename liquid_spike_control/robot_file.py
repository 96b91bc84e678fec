# SPDX-License-Identifier: Apache-2.0
"""Reads ``robot.yaml``: the description of a robot as data.

A file may extend another one of the same folder, so that no number stands twice::

    extends: robot.yaml
    name: swing-up
    hide: [cart_velocity, pole_rate]     # readings that the controller does not see

Fields that it gives take the place of the other file's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from .errors import LiquidSpikeError, RobotError
from .inputs import read_yaml
from .robot import Robot

#: Fields that only code sets.
_DERIVED = ("folder", "source")
#: Types in msgspec's messages, for people.
_IN_WORDS = {
    "float": "a number", "int": "a whole number", "str": "a text", "array": "a list", "object": "fields with values",
    "bool": "true, false, a number or a text",
}  # fmt: skip


def read_robot(path: str | Path) -> Robot:
    """The robot of a description.

    Args:
        path: of the yaml file, or of the folder that holds ``robot.yaml``.

    Raises:
        RobotError: there is no such file, or a field is wrong; names the file, the field and the remedy.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "robot.yaml").is_file():
            raise RobotError(f"{path}: no robot.yaml in this folder; write one with liquid-spike new {path}")
        path = path / "robot.yaml"
    values = _fields(path)
    try:
        return msgspec.convert(values | {"folder": str(path.parent), "source": str(path)}, Robot)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, LiquidSpikeError):
            raise error.__cause__ from None
        raise RobotError(f"{path}: {_in_words(str(error), values)}") from None


def _fields(path: Path) -> dict[str, Any]:
    values = _read_yaml(path)
    for field in _DERIVED:
        if field in values:
            raise RobotError(f"{path}: {field}: unknown field; leave it out")
    other, hidden = values.pop("extends", None), values.pop("hide", [])
    if other is not None:
        if not isinstance(other, str) or Path(other).name != other or other == path.name:
            raise RobotError(f"{path}: extends: {other!r}; give the name of another file in the same folder")
        base = _read_yaml(path.parent / other)
        if "extends" in base:
            raise RobotError(f"{path}: extends: {other} extends a file itself; extend that one")
        values = base | values
    readings = values.get("readings", [])
    if not isinstance(readings, list):
        return values
    if not isinstance(hidden, list):
        raise RobotError(f"{path}: hide: {hidden!r}; give a list of readings' names")
    known = [reading.get("name") for reading in readings if isinstance(reading, dict)]
    for name in hidden:
        if name not in known:
            raise RobotError(f"{path}: hide: no reading is called {name!r}; known: {', '.join(map(str, known))}")
    if hidden:
        values["readings"] = [r for r in readings if not (isinstance(r, dict) and r.get("name") in hidden)]
    return values


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a field that stands twice, and takes 1e-3 for a number."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict:
            seen = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise RobotError(f"{path}: line {key.start_mark.line + 1}: a field has no plain name; give it one")
                if key.value in seen:
                    raise RobotError(
                        f"{path}: line {key.start_mark.line + 1}: {key.value} stands twice; leave one of them out"
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), "+-0123456789")
    try:
        content = read_yaml(path, Loader)
    except OSError as error:
        raise RobotError(f"{path}: {error.strerror}; give a robot's name, its folder or its yaml file") from None
    except ValueError as error:
        raise RobotError(f"{path}: not yaml: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise RobotError(f"{path}: not a description of a robot; give fields such as name and commands")
    return content


def _in_words(message: str, values: dict[str, Any]) -> str:
    """Msgspec's message, with the field first and a remedy last."""
    text, _, place = message.partition(" - at ")
    field = place.strip("`").removeprefix("$").lstrip(".")
    if (missing := re.search(r"missing required field `(\w+)`", text)) is not None:
        return f"{'.'.join(filter(None, (field, missing[1])))}: missing; it has no default"
    if (unknown := re.search(r"unknown field `(.*)`", text, re.DOTALL)) is not None:
        return f"{'.'.join(filter(None, (field, unknown[1])))}: unknown field; correct its name or leave it out"
    wanted = re.search(r"[Ee]xpected `(\w+)", text)
    hint = f"give {_IN_WORDS[wanted[1]]}" if wanted is not None and wanted[1] in _IN_WORDS else "correct it"
    if hint == "give a text" and "got `bool`" in text:
        hint = "put names and units in quotes: YAML reads a bare y, n, on or off as true or false"
    return f"{field or 'description'}: {text[:1].lower()}{text[1:]}; {hint}"
