# SPDX-License-Identifier: Apache-2.0
"""What ``liquid-spike`` is like to use: by itself, with completion, in colours, on a narrow terminal."""

import ast
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pytest
from cli_here import cli
from matplotlib import rc_context, style
from PIL import Image
from rich.table import Table
from sources import ROOT, modules

from liquid_spike_control import __version__
from liquid_spike_control.bench import sweep
from liquid_spike_control.robots.catalogue import robot_named
from liquid_spike_control.robots.next_steps import steps
from liquid_spike_control.terminal import Console, folded

COMMAND = [sys.executable, "-m", "liquid_spike_control"]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SPECIAL = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|4[0-7]|38|48)[;m]")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, env=os.environ | environment
    )


def on_a_terminal(*arguments: str, columns: int = 80, **environment: str) -> str:
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {"TERM": "xterm-256color"} | environment
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen([*COMMAND, *arguments], stdout=slave, stderr=slave, env=inherited | environment)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:  # the other end is closed
        pass
    os.close(master)
    assert process.wait(60) is not None
    return shown.decode()


def test_alone_it_says_what_to_try_next():
    """Each is a command of this one, with options that it has."""
    alone = cli(COLUMNS="200")
    assert alone.returncode == 0 and alone.stderr == ""
    told = steps(robot_named("pencil"), ros=True)
    helped: dict[str, str] = {}
    for command, what in told:
        assert re.search(rf"liquid-spike {re.escape(command)} +{re.escape(what)}", alone.stdout)
        if command == "--help":
            continue
        words = shlex.split(command)
        name = " ".join(words[: 2 if words[0] == "neuromorphic" else 1])
        if name not in helped:
            helped[name] = cli(*name.split(), "--help").stdout
        assert f"usage: liquid-spike {name}" in helped[name]
        assert all(f"{word} " in helped[name] for word in words if word.startswith("--"))
    narrow = cli(COLUMNS="40").stdout
    assert all(what in narrow for _, what in told), "folded, and not cut"


def test_without_ros_nothing_that_needs_it_is_suggested():
    told = [command for command, _ in steps(robot_named("pencil"), ros=False)]
    assert told and all("--in-process" in command for command in told if command.startswith("run"))


def test_a_shipped_model_is_found_by_its_name(tmp_path):
    done = subprocess.run(
        [*COMMAND, "neuromorphic", "inspect", "pencil/perception.nir"], capture_output=True, text=True, timeout=60,
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2048 inputs" in done.stdout


def test_version():
    assert run("--version").stdout == f"liquid-spike {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_every_command(shell):
    script = cli("completion", shell).stdout
    for word in ("robots", "neuromorphic", "--in-process", "closed-loop"):
        assert word in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True, timeout=60).returncode == 0


def test_bash_completes():
    program = """
source /dev/stdin
complete -p liquid-spike >/dev/null || exit 1
eval "$(complete -p liquid-spike | sed 's/.*-F \\([^ ]*\\) .*/handler=\\1/')"
COMP_WORDS=(liquid-spike neuromorphic comp); COMP_CWORD=2; COMP_LINE="liquid-spike neuromorphic comp"
COMP_POINT=${#COMP_LINE}
"$handler" liquid-spike comp neuromorphic
printf '%s\\n' "${COMPREPLY[@]}"
"""
    script = run("completion", "bash").stdout
    done = subprocess.run(["bash", "-c", program], input=script, capture_output=True, text=True, timeout=60)
    assert {word.strip() for word in done.stdout.split()} == {"compile", "compare"}, done.stderr


def test_another_shell_is_refused():
    done = run("completion", "tcsh")
    assert done.returncode == 2 and "zsh" in done.stderr


def test_colours_are_for_terminals_only():
    for arguments in ((), ("--help",), ("robots",)):
        assert "\x1b" not in cli(*arguments).stdout
    assert COLOUR.search(on_a_terminal("run", "--help"))
    assert SPECIAL.search(on_a_terminal("run", "--help"))
    for arguments in (("run", "--help"), ("robots",), ()):
        assert not SPECIAL.search(on_a_terminal(*arguments, NO_COLOR="1"))


def test_wide_tables_fold_and_nothing_is_cut_off():
    wide, narrow = (COLOUR.sub("", on_a_terminal("robots", columns=n)) for n in (80, 50))
    for shown, width in ((wide, 80), (narrow, 50)):
        assert max(len(line) for line in shown.splitlines()) <= width
        assert "…" not in shown and "double-pendulum-positions" in shown
    records = [len(re.findall(rf"^{name} ", narrow, re.MULTILINE)) for name in ("robot", "ms", "what it is")]
    assert records[0] == records[1] == records[2] > 5


@pytest.mark.parametrize("width", [40, 60, 72])
def test_no_word_is_cut_off_in_a_narrow_terminal(width):
    shown = subprocess.run(
        [*COMMAND, "robots"], env=os.environ | {"COLUMNS": str(width)}, capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0 and "\u2026" not in shown.stdout and "trajectory" in shown.stdout


def test_a_table_keeps_its_form_where_it_fits():
    table = Table("first", "second", title="title", caption="caption")
    table.add_row("one", "two-thirds-of-it")
    assert folded(table, Console(width=40)) is table
    console = Console(width=22, force_terminal=True, color_system=None)
    with console.capture() as shown:
        console.print(table)
    assert shown.get().split() == ["title", "first", "one", "second", "two-thirds-of-", "it", "caption"]


def test_pictures_are_black_on_white_whatever_matplotlib_is_configured_to(tmp_path):
    results = {"expert": {"success_rates": [1.0, 0.5]}}
    report = {"results": results, "values": [0.1, 0.2], "setting": "push [N s]", "title": "a"}
    sweep.plot(report, tmp_path / "usual.png")
    with style.context("dark_background"), rc_context({"savefig.transparent": True, "font.size": 20}):
        sweep.plot(report, tmp_path / "dark.png")
    assert (tmp_path / "usual.png").read_bytes() == (tmp_path / "dark.png").read_bytes()
    with Image.open(tmp_path / "dark.png") as picture:
        assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def test_whatever_draws_a_figure_draws_it_for_print():
    """Its decorator, or a context within: the colours of a figure are those of its making."""
    drawing = 0
    for name, path in modules():
        for function in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(function, ast.FunctionDef) and any(
                isinstance(node, ast.keyword) and node.arg == "figsize" for node in ast.walk(function)
            ):
                assert "in_print()" in ast.unparse(function), f"{name}.{function.name}"
                drawing += 1
    assert drawing > 12
