# SPDX-License-Identifier: Apache-2.0
"""What ``liquid-spike`` is like to use: by itself, with completion, in colours, on a narrow terminal."""

import ast
import os
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

import numpy as np
import pytest
from cli_here import cli
from matplotlib import rc_context, style
from PIL import Image
from rich.table import Table
from sources import ROOT, modules

from liquid_spike_control import __version__, completion
from liquid_spike_control import cli as entry
from liquid_spike_control.bench import sweep
from liquid_spike_control.checkpoint import read_controller
from liquid_spike_control.cli import app
from liquid_spike_control.liquid import wiring_figure
from liquid_spike_control.neuromorphic import quantise, read_model
from liquid_spike_control.neuromorphic.chip import floorplan
from liquid_spike_control.neuromorphic.chip.chips import LOIHI1
from liquid_spike_control.neuromorphic.chip.mapping import place
from liquid_spike_control.outputs import save_figure
from liquid_spike_control.resources import shipped_model
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


class Bash:
    """An interactive shell on a terminal, with the completion of ``liquid-spike`` as its help says."""

    def __init__(self, folder: Path) -> None:
        program = folder / "liquid-spike"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
        program.chmod(0o755)
        path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        paths = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
        (folder / "inputrc").write_text("set bell-style none\n")
        environment = {"PATH": path, "TERM": "dumb", "PS1": "> ", "INPUTRC": str(folder / "inputrc")}
        self._terminal, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave, stderr=slave, cwd=folder,
            env=os.environ | environment | {"PYTHONPATH": paths}, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self._told("source <(liquid-spike completion bash); echo rea''dy\n", "ready\r\n> ")

    def _told(self, keys: str, until: str) -> str:
        os.write(self._terminal, keys.encode())
        told, end = "", time.monotonic() + 60
        while until not in told:
            assert select.select([self._terminal], [], [], end - time.monotonic())[0], told
            told += os.read(self._terminal, 65536).decode()
        return told

    def offers(self, typed: str) -> set[str]:
        """Words below a line after two TABs, of which the second one is pressed to have them all shown."""
        self._told(f"{typed}\t", typed)
        told = self._told("\t", f"> {typed}")
        self._told("\x15echo rea''dy\n", "ready\r\n> ")
        return set(told.partition(f"> {typed}")[0].split())

    def completes(self, typed: str) -> str:
        """The line that a TAB makes of a line."""
        told = self._told(f"{typed}\t\x01echo \x05 rea''dy\n", "ready\r\n> ")
        return re.search(r"^(.*) ready\r$", told, re.MULTILINE)[1].strip()

    def close(self) -> None:
        os.close(self._terminal)  # which hangs the shell up
        self._process.wait(20)


def test_bash_completes(tmp_path):
    (tmp_path / "a recorded run.mcap").touch()
    bash = Bash(tmp_path)
    try:
        assert bash.offers("liquid-spike neuromorphic comp") == {"compile", "compare"}
        assert bash.offers("liquid-spike run ") >= {"pencil", "hover", "swing-up"}
        assert bash.completes("liquid-spike run doub") == "liquid-spike run double-pendulum"
        assert bash.completes("liquid-spike view --robot lane") == "liquid-spike view --robot lane_car"
        assert bash.completes("liquid-spike run hover --in-p") == "liquid-spike run hover --in-process"
        assert bash.completes("liquid-spike replay a") == "liquid-spike replay a recorded run.mcap"
        assert bash.completes("liquid-spike run no-robot") == "liquid-spike run no-robot"
        assert {word for word in bash.offers("liquid-spike bench robot -") if not word.startswith("-")} == set()
    finally:
        bash.close()


@pytest.mark.slow
def test_completion_knows_what_the_first_argument_of_each_command_is():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from command_reference import commands, help_of
    finally:
        sys.path.pop(0)
    robots, others = set(), set()
    for words in commands(app):
        _, positional, after = help_of(words).partition("positional arguments")
        if positional:
            about = re.split(r"^ options", after, maxsplit=1, flags=re.MULTILINE)[0]
            (robots if "STR" in about and re.search("[Rr]obot", about) else others).add(" ".join(words))
    assert robots == set(completion.OF_A_ROBOT)
    assert others == {*completion.OF_A_FILE, *completion.OF_A_WORD}


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


def swept(path: Path) -> None:
    results = {"expert": {"success_rates": [1.0, 0.5]}}
    sweep.plot({"results": results, "values": [0.1, 0.2], "setting": "push [N s]", "title": "a"}, path)


def wired(path: Path) -> None:
    save_figure(wiring_figure.figure(read_controller(shipped_model("hover/ncp.safetensors"))), path)


def placed(path: Path) -> None:
    placement = place(quantise(read_model(shipped_model("pencil/perception.nir")).graph), LOIHI1)
    save_figure(floorplan.figure(placement), path)


@pytest.mark.parametrize("draw", [swept, wired, pytest.param(placed, marks=pytest.mark.slow)])
def test_pictures_are_black_on_white_whatever_matplotlib_is_configured_to(tmp_path, draw):
    draw(tmp_path / "usual.png")
    with style.context("dark_background"), rc_context({"savefig.transparent": True, "font.size": 20}):
        draw(tmp_path / "dark.png")
    assert (tmp_path / "usual.png").read_bytes() == (tmp_path / "dark.png").read_bytes()
    with Image.open(tmp_path / "dark.png") as picture:
        pixels = np.asarray(picture.convert("RGBA"))
    assert pixels[0, 0].tolist() == [255] * 4 and (pixels[..., 3] == 255).all()
    assert (pixels[..., :3].max(axis=-1) < 60).sum() > 500, "its text and axes are dark"


def test_whatever_draws_a_figure_draws_it_for_print():
    """Its decorator, or a context within: the colours of a figure are those of its making, of its ticks when saved."""
    drawing = 0
    for name, path in modules():
        tree = ast.parse((ROOT / path).read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and any(map(makes_a_figure, ast.walk(function))):
                assert "in_print()" in ast.unparse(function), f"{name}.{function.name}"
                drawing += 1
        saving = sum(isinstance(node, ast.Attribute) and node.attr == "savefig" for node in ast.walk(tree))
        assert not saving or name.endswith((".outputs", ".bench.closed_loop.figures")), f"{name}: save_figure it"
    assert drawing > 12


def makes_a_figure(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return called.value.id in ("pyplot", "plt") and called.attr in ("figure", "subplots", "subplot_mosaic")
    return isinstance(called, ast.Name) and called.id == "Figure"


def test_ctrl_c_while_numba_compiles_has_the_same_status(tmp_path):
    """CPython ends ``python -m`` by SIGINT if the interrupt left an ``exec()`` of a string, as of generated code."""
    (tmp_path / "compiling.py").write_text(
        'from liquid_spike_control import cli\ncli._command = lambda: exec("raise KeyboardInterrupt")\ncli.main()\n'
    )
    done = subprocess.run([sys.executable, "-m", "compiling"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "liquid-spike: interrupted\n")


def test_an_interrupt_that_python_drops_comes_again(tmp_path):
    """As one that comes while a weak reference's callback runs, of which there are thousands while numba compiles."""
    (tmp_path / "dropping.py").write_text(
        "import os, signal, time\n"
        "from liquid_spike_control import cli\n"
        "class Dropping:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(20)\n"
        "def command():\n"
        "    Dropping()\n"
        "    time.sleep(20)\n"
        "cli._command = command\n"
        "cli.main()\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "dropping.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "liquid-spike: interrupted\n")
    assert time.monotonic() - began < 20


def test_other_exceptions_that_python_drops_are_printed(tmp_path):
    (tmp_path / "dropping.py").write_text(
        "from liquid_spike_control import cli\n"
        "class Dropping:\n"
        "    def __del__(self):\n"
        "        raise ValueError('lost')\n"
        "cli._command = lambda: Dropping() and None\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "dropping.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Exception ignored in" in done.stderr and "ValueError: lost" in done.stderr


@pytest.mark.parametrize("error", [ImportError("initialization failed"), TypeError("argument 1: KeyboardInterrupt"),
                                   RuntimeError("in a library")])  # fmt: skip
def test_an_interrupt_that_a_library_reports_as_another_error_is_one(monkeypatch, capsys, error):
    """As MuJoCo's extensions and PyOpenGL do while they are imported."""

    def command():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            raise error from None

    def failing():
        raise error

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # main replaces it
    try:
        monkeypatch.setattr(entry, "_command", command)
        with pytest.raises(SystemExit) as end:
            entry.main()
        assert end.value.code == 130 and capsys.readouterr().err == "liquid-spike: interrupted\n"
        monkeypatch.setattr(entry, "_command", failing)
        with pytest.raises(type(error)):
            entry.main()
    finally:
        signal.signal(signal.SIGINT, before)
