# SPDX-License-Identifier: Apache-2.0
"""What the yaml files of controllers have in common.

A file may extend another one of its folder, whose fields it takes the place of::

    extends: pd.yaml
    integral: [300.0, 500.0, 200.0]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from ..errors import ModelError
from ..inputs import read_yaml


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry of the file; unknown fields are refused."""


class Observation(Entry, frozen=True):
    """What the controller sees, and what is a large deviation of it."""

    name: str
    unit: str
    scale: float


class Input(Entry, frozen=True):
    """An observation that a learning network has as an input."""

    of: str
    centre: float = 0.0
    scale: float = 1.0


F = TypeVar("F", bound=Entry)


def observed(observations: list[Observation]) -> dict[str, Any]:
    """Their fields of a :class:`~..controller_description.ControllerDescription`."""
    fields = Observation.__struct_fields__
    return {f"observation_{field}s": tuple(getattr(o, field) for o in observations) for field in fields}


def read_fields(path: Path) -> dict[str, Any]:
    """The fields of a file, those of the one that it extends included.

    Raises:
        ModelError: it is missing or no yaml of fields.
    """
    values = _read(path)
    if (other := values.pop("extends", None)) is not None:
        if not isinstance(other, str) or Path(other).name != other or other == path.name:
            refuse(path, "extends", repr(other), "give the name of another file in the same folder")
        base = _read(path.parent / other)
        if "extends" in base:
            refuse(path, "extends", f"{other} extends a file itself", "extend that one")
        values = base | values
    return values


def converted(path: Path, values: dict[str, Any], kind: type[F]) -> F:
    """The fields as an entry.

    Raises:
        ModelError: the first field that is wrong, missing or unknown.
    """
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at ")
        refuse(path, where.strip("`").removeprefix("$.") or "file", text, "correct that field")


def _read(path: Path) -> dict[str, Any]:
    try:
        values = read_yaml(path)
    except OSError as error:
        refuse(path, "file", error.strerror, "check the path")
    except ValueError as error:
        refuse(path, "file", error, "correct the yaml")
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        refuse(path, "file", "no fields with values", "give a controller")
    return values


def place(path: Path, where: str, name: str, names: list[str]) -> int:
    """Of a name among the observations.

    Raises:
        ModelError: there is none of that name.
    """
    if name not in names:
        refuse(path, where, f"'{name}'", f"name one of the observations: {', '.join(names)}")
    return names.index(name)


def refuse(path: Path, field: str, found: object, remedy: str) -> NoReturn:
    """Refuse a file for one of its fields, in one line.

    Raises:
        ModelError: always.
    """
    raise ModelError(f"{path}: {field}: {' '.join(str(found).split())[:300]}; {remedy}")
