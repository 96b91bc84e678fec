# SPDX-License-Identifier: Apache-2.0
"""A page of all commands, from their help texts."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import tyro

from liquid_spike_control import cli

INTRODUCTION = """
`liquid-spike` alone shows what to try; `liquid-spike COMMAND --help` shows these texts. Exit status 2 means that
something given is wrong; one line on standard error names it and the remedy."""


def commands(app: tyro.extras.SubcommandApp, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Words of each command, groups left out."""
    for name, command in app._subcommands.items():
        if isinstance(command.target, tyro.extras.SubcommandApp):
            yield from commands(command.target, (*before, name))
        else:
            yield (*before, name)


def help_of(words: tuple[str, ...]) -> str:
    """The help text of a command, in 88 columns without colours."""
    shown, given, columns = io.StringIO(), sys.argv, os.environ.get("COLUMNS")
    sys.argv, os.environ["COLUMNS"] = ["liquid-spike", *words, "--help"], "88"
    try:
        with redirect_stdout(shown):
            status = cli._command()
    finally:
        sys.argv = given
        os.environ.pop("COLUMNS") if columns is None else os.environ.update(COLUMNS=columns)
    if status:
        raise RuntimeError(f"liquid-spike {' '.join(words)} --help ended with status {status}")
    return shown.getvalue().strip()


def write(path: Path) -> None:
    """Write the page, if it is another one than before."""
    parts = ["# Commands", INTRODUCTION, ""]
    for words in commands(cli.app):
        parts += [f"## {' '.join(words)}", "", "```text", help_of(words), "```", ""]
    text = "\n".join(parts)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
