# SPDX-License-Identifier: Apache-2.0
"""Kinds of options, and their check when the options are made: before any work.

Every number has a range, so that NaN, infinity and what no robot, file or machine has are refused by the option's name;
every file that is written is one that can be written.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_type_hints

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from ..errors import TaskError
from ..outputs import FIGURES, VIDEOS, check_folder, check_outputs


@dataclass(frozen=True)
class Range:
    """The least and the most that an option takes, both included."""

    least: float
    most: float
    unit: str = ""


@dataclass(frozen=True)
class Output:
    """The option names a file that is written; it ends in one of the suffixes, if there are any."""

    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Folder:
    """The option names a folder that is made, as far as it is missing, and written to."""


#: Path of an output file; None: not written.
OutputFile = Annotated[Path | None, Output()]
#: Path of a picture, and of a moving one; None: not written.
Picture = Annotated[Path | None, Output(FIGURES)]
Video = Annotated[Path | None, Output(VIDEOS)]
#: Path of a folder that is made and written to; None: a default one, or none.
OutputFolder = Annotated[Path | None, Folder()]
#: Seed of a generator of random numbers.
Seed = Annotated[int, Range(0, 2**31 - 1)]
#: A control period at the least, 11 days at the most.
Seconds = Annotated[float, Range(0.005, 1e6, "s")]
#: SCHED_RR; 0 is ordinary scheduling.
Priority = Annotated[int, Range(0, 98)]
#: Of a server on this machine; 0 is any free one.
Port = Annotated[int, Range(0, 65535)]
Jobs = Annotated[int, Range(1, 1024)]
#: Of rounds, updates, episodes, steps and the like.
Count = Annotated[int, Range(1, 10**9)]
#: Impulse; the plants weigh at most a few kilograms.
Impulse = Annotated[float, Range(0.0, 1000.0, "N s")]
#: Width or height of a picture, as large as an event's coordinates are.
Pixels = Annotated[int, Range(1, 1 << 16)]


class Options:
    """Options of a command; a dataclass derives from it.

    Raises:
        TaskError: a number is out of its range, or a file or folder could not be written; names the option.
    """

    def __post_init__(self) -> None:
        outputs, suffixes = {}, {}
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            value, option = getattr(self, name), name.replace("_", "-")
            for given, kind in _kinds(hint, value):
                if isinstance(kind, Range):
                    _check_range(f"--{option} {given}", given, kind)
                elif isinstance(kind, Output):
                    outputs[option], suffixes[option] = given, kind.suffixes
                elif isinstance(kind, Folder):
                    check_folder(given, f"--{option} {given}")
        check_outputs(suffixes, **outputs)


def _kinds(hint: Any, value: Any) -> list[tuple[Any, Any]]:
    """Return the checks of a value, and those of each part of a tuple."""
    if value is None:
        return []
    if metadata := getattr(hint, "__metadata__", ()):
        return [(value, kind) for kind in metadata] + _kinds(get_args(hint)[0], value)
    parts = get_args(hint)
    if isinstance(value, tuple) and getattr(hint, "__origin__", None) is tuple:
        each = parts[:1] * len(value) if parts[-1] is ... else parts
        return [kind for part, v in zip(each, value, strict=False) for kind in _kinds(part, v)]
    if getattr(hint, "__origin__", None) is Union or isinstance(hint, types.UnionType):
        return [kind for part in parts for kind in _kinds(part, value)]
    return []


def _check_range(subject: str, value: float, allowed: Range) -> None:
    # so that NaN is out of range
    if not allowed.least <= value <= allowed.most:
        least, most = (f"{end}" if isinstance(end, int) else f"{end:.15g}" for end in (allowed.least, allowed.most))
        what = "a whole number" if isinstance(allowed.least, int) else "a number"
        raise TaskError(f"{subject}; give {what} from {least} to {most} {allowed.unit}".rstrip())


#: Rules by which tyro reads options and prints their help.
registry = ConstructorRegistry()


@registry.primitive_rule
def optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Show an optional value by its type: PATH, not {None}|PATH."""
    parts = [part for part in get_args(info.type) if part is not type(None)]
    if info.type_origin not in (Union, types.UnionType) or len(parts) != 1 or len(get_args(info.type)) != 2:
        return None
    inner = PrimitiveTypeInfo.make(raw_annotation=parts[0], parent_markers=info.markers)
    spec = ConstructorRegistry.get_primitive_spec(inner)
    if not isinstance(spec, PrimitiveConstructorSpec):
        return None
    return replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: ["None"] if value is None else spec.str_from_instance(value),
    )
