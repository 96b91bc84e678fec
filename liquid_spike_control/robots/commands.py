# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike robots`` and ``liquid-spike new``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from ..errors import LiquidSpikeError, RobotError
from ..outputs import written_folder
from ..terminal import Console
from .catalogue import descriptions, robot_named

if TYPE_CHECKING:
    from ..options import NewOptions

_TEMPLATE = Path(__file__).resolve().parent / "template"


def robots_command() -> int:
    """Print a table of all robots; one whose description is wrong is listed with what is wrong."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), caption="run NAME: run one; new FOLDER: write one")
    for title in ("robot", "ms", "sees", "takes", "what it is"):
        table.add_column(title, justify="right" if title in ("ms", "takes") else "left", no_wrap=title == "robot")
    for name in descriptions():
        try:
            robot = robot_named(name)
        except LiquidSpikeError as error:
            table.add_row(name, "", "", "", Text(str(error), "red"))
            continue
        seen = [(robot.readings, "reading"), (robot.setpoints, "setpoint"), (robot.cameras, "camera")]
        words = ", ".join(f"{len(some)} {word}{'s'[: len(some) > 1]}" for some, word in seen if some)
        description = Text(robot.description + ("" if robot.controller else "; no controller ships"))
        table.add_row(name, f"{1e3 * robot.period_s:g}", words, str(len(robot.commands)), description)
    Console().print(table)
    return 0


def new_command(options: NewOptions) -> int:
    """Write a folder with a robot that runs, for its owner to change.

    Raises:
        RobotError: the folder exists, or its name is not one of a Python package.
        OutputError: it cannot be written; nothing is left of it.
    """
    folder = options.folder
    name = folder.resolve().name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise RobotError(f"{folder}: '{name}' cannot be a Python package; give lower-case letters, digits and _")
    if os.path.lexists(folder):
        raise RobotError(f"{folder}: exists; give another folder")
    values = {"name": name, "title": "".join(part.capitalize() for part in name.split("_"))}
    with written_folder(folder) as whole:
        for source in sorted(_TEMPLATE.rglob("*.txt")):
            target = whole / str(source.relative_to(_TEMPLATE)).removesuffix(".txt").replace("NAME", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(Template(source.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
        (whole / "resource").mkdir(exist_ok=True)
        (whole / "resource" / name).touch()
    inner = folder / name
    Console(highlight=False).print(
        f"{folder} is a package with a robot that runs. Next:\n"
        f"  liquid-spike train controller {inner} --out {inner}/controller.safetensors --controller cfc --rounds 3\n"
        f"  liquid-spike run {inner} --in-process\n"
        f"  liquid-spike run {inner}\n"
        f"  python -m pytest {folder}", soft_wrap=True,
    )  # fmt: skip
    return 0
