# SPDX-License-Identifier: Apache-2.0
"""Text of files and nodes on the terminal: never markup, never a command of the terminal."""

import dataclasses
import io
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

from rich.table import Table
from rich.text import Text

from liquid_spike_control.checkpoint import read_controller, write_controller
from liquid_spike_control.nodes.processes import Processes
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.terminal import Console, visible

EVIL = "a\x1b[2J\x1b]0;owned\x07[red]b[/red]:bomb:\x9b31m\u202eend\r"
SEEN = "a\\x1b[2J\\x1b]0;owned\\x07[red]b[/red]:bomb:\\x9b31m\\u202eend\\r"


def test_every_way_to_print_shows_control_characters_and_markup_as_text():
    for made in (EVIL, _table(EVIL), Text(EVIL, "red"), Text.assemble(("x", "bold"), EVIL)):
        file = io.StringIO()
        Console(file=file, width=200, force_terminal=True, color_system=None, highlight=False).print(made)
        # rich leaves some of them out of its texts
        assert (SEEN if made is EVIL else SEEN[:20]) in file.getvalue(), made
        assert not set(file.getvalue()) & set("\x1b\x07\x9b\r\u202e")
    assert visible("tab\tand\nline") == "tab\tand\nline"


def _table(text: str) -> Table:
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    return table


def test_no_module_prints_on_another_console():
    package = Path(__file__).parents[1] / "liquid_spike_control"
    for path in package.rglob("*.py"):
        if path.name != "terminal.py":
            text = path.read_text()
            assert "from rich.console import Console" not in text and "from_markup" not in text, path


def test_a_model_file_does_not_command_the_terminal(tmp_path):
    file = read_controller(shipped_model("pencil/controller.safetensors"))
    names = ("\x1b[31mcart[/]", *file.observation_names[1:])
    file = dataclasses.replace(file, task=EVIL, training_command=EVIL, observation_names=names)
    path = tmp_path / "model.safetensors"
    write_controller(path, file)
    master, slave = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                shown.append(os.read(master, 4096))
            except OSError:
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    done = subprocess.run(
        [sys.executable, "-m", "liquid_spike_control", "controller", "inspect", str(path)],
        stdout=slave, stderr=slave, timeout=60, env=os.environ | {"TERM": "xterm", "COLUMNS": "200"},
    )  # fmt: skip
    os.close(slave)
    reader.join(5)
    text = b"".join(shown).decode()
    assert done.returncode == 0, text
    assert "\x1b[2J" not in text and "\x1b]0" not in text and "\x1b[31mcart" not in text
    assert "\\x1b[2J\\x1b]0;owned\\x07[red]b[/red]:bomb:" in text and "\\x1b[31mcart[/]" in text


def test_errors_of_nodes_are_shown_as_they_come():
    file = io.StringIO()
    processes = Processes(Console(file=file, width=200))
    early = ["[ERROR] gate: lower: not given\n", "plain\n"]
    processes._read("gate", "cyan", early)
    assert file.getvalue() == ""  # until all are up, so that a refusal is one line
    assert processes.why("gate ended with status 2") == "gate: gate: lower: not given"
    processes.release()
    late = [f"[{level}] [1.5] [recorder]: disk full\n" for level in ("WARN", "ERROR", "FATAL")]
    processes._read("recorder", "cyan", late)
    shown = file.getvalue()
    for line in early + late:
        assert line.strip() in shown
    assert processes.why("recorder ended with status 1") == "recorder: disk full"
    assert processes.why("perception ended by signal SIGKILL") == "perception ended by signal SIGKILL"
