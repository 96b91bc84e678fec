# SPDX-License-Identifier: Apache-2.0
"""Options: every number has a range, every output is checked, whichever command they are of."""

import dataclasses
import math
import subprocess
import types
from pathlib import Path
from typing import Union, get_args, get_origin, get_type_hints

import pytest
from cli_here import cli

from liquid_spike_control import __version__, options
from liquid_spike_control.errors import TaskError
from liquid_spike_control.options.fields import Folder, Options, Output, Range
from liquid_spike_control.outputs import FIGURES, VIDEOS

CLASSES = sorted({getattr(options, name) for name in options.__all__}, key=lambda kind: kind.__name__)
#: Paths that are read, and caches, which need not be written to where all is in them.
NOT_OUTPUTS = {"config", "params", "perception_model", "controller_model", "perception", "bag", "file", "model",
               "spikes", "calibration", "payloads", "models", "cache", "results", "network", "data"}  # fmt: skip
#: Suffixes of files that another program opens by them.
SUFFIXES = {"plot": FIGURES, "video": VIDEOS, "record": (".mcap",)}


def leaves(hint, metadata=()):
    """Each plain type in a hint, and all that is annotated around it."""
    if hasattr(hint, "__metadata__"):
        yield from leaves(get_args(hint)[0], (*metadata, *hint.__metadata__))
    elif get_origin(hint) in (Union, tuple, types.UnionType):
        for part in get_args(hint):
            if part not in (type(None), ...):
                yield from leaves(part, metadata)
    else:
        yield hint, metadata


@pytest.mark.parametrize("kind", CLASSES)
def test_every_number_has_a_range_and_every_output_is_one(kind):
    assert issubclass(kind, Options)
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        for plain, metadata in leaves(hints[field.name]):
            if plain in (int, float):
                found = [m for m in metadata if isinstance(m, Range)]
                assert found, f"{field.name} has no range"
                assert all(math.isfinite(r.least) and math.isfinite(r.most) for r in found)
            if plain is Path and field.name not in NOT_OUTPUTS:
                (output,) = (m for m in metadata if isinstance(m, Output | Folder))
                if field.name in SUFFIXES:
                    assert output.suffixes == SUFFIXES[field.name], f"{field.name} may have any suffix"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: options.RunOptions(seed=-1), "--seed -1; give a whole number from 0 to 2147483647"),
        (lambda: options.RunOptions(duration=1e-9), "--duration 1e-09; give a number from 0.005 to 1000000 s"),
        (lambda: options.RunOptions(duration=math.nan), "--duration nan; "),
        (lambda: options.BenchRobotOptions(duration=math.inf), "--duration inf; "),
        (lambda: options.RunOptions(priority=99), "--priority 99; "),
        (lambda: options.EventsConvertOptions(Path("a"), window=math.nan, out=Path("b")), "--window nan; "),
        (lambda: options.EventsConvertOptions(Path("a"), window=math.inf, out=Path("b")), "--window inf; "),
        (lambda: options.EventsConvertOptions(Path("a"), start=-5.0, out=Path("b")), "--start -5.0; "),
        (lambda: options.EventsConvertOptions(Path("a"), start=1e300, out=Path("b")), "--start 1e+300; "),
        (lambda: options.EventsInfoOptions(Path("a"), size=(640, 0)), "--size 0; "),
        (lambda: options.EventsPlayOptions(Path("a"), speed=math.nan), "--speed nan; "),
        (lambda: options.RecordOptions(Path("a.mcap"), duration=math.nan), "--duration nan; "),
        (lambda: options.CompileOptions(Path("a"), dt=math.nan), "--dt nan; "),
        (lambda: options.TrainPolicyOptions("hover", learning_rate=math.inf), "--learning-rate inf; "),
        (lambda: options.HopsOptions(duration=math.inf), "--duration inf; "),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_by_name(make, says):
    with pytest.raises(TaskError) as error:
        make()
    assert str(error.value).startswith(says)


@pytest.mark.parametrize("kind", CLASSES)
def test_files_and_folders_that_cannot_be_written_are_refused_by_every_command(kind, tmp_path):
    (tmp_path / "file").touch()
    fields = dataclasses.fields(kind)
    required = {f.name: Path("a.mcap") for f in fields if f.default is dataclasses.MISSING and f.name != "task"}
    required |= {"task": "pencil"} if any(f.name == "task" and f.default is dataclasses.MISSING for f in fields) else {}
    hints = get_type_hints(kind, include_extras=True)
    for name in (f.name for f in fields):
        for output in (m for _, metadata in leaves(hints[name]) for m in metadata):
            if isinstance(output, Output):
                suffix = (output.suffixes or (".json",))[0]
                with pytest.raises(TaskError, match="make it first"):
                    kind(**required | {name: tmp_path / f"nowhere/a{suffix}"})
                with pytest.raises(TaskError, match="is a folder"):
                    kind(**required | {name: tmp_path})
            if isinstance(output, Output) and output.suffixes:
                for path in (tmp_path / "a.nonsense", Path("/dev/null.nonsense"), Path("/dev/full")):
                    if path == Path("/dev/full") and output.suffixes == FIGURES:
                        continue  # PNG
                    with pytest.raises(TaskError, match=f"--{name}.* suffix"):
                        kind(**required | {name: path})
            if isinstance(output, Folder):
                for path in (tmp_path / "file", tmp_path / "file/a", Path("/proc/a/b")):
                    with pytest.raises(TaskError, match=f"--{name} .*; choose another"):
                        kind(**required | {name: path})
                kind(**required | {name: tmp_path / "a/b"})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]  # a check leaves nothing behind


def command(*arguments: str) -> subprocess.CompletedProcess:
    return cli(*arguments, COLUMNS="120")


def test_the_command_line_refuses_them_in_one_line():
    for arguments in (
        ["run", "--seed=-1"], ["run", "--duration", "nan"], ["bench", "energy", "--plot", "a.xyz"],
        ["bench", "robot", "--seeds", "0:99999999999999999999"],
    ):  # fmt: skip
        done = command(*arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert f"{arguments[-2] if '=' not in arguments[-1] else '--seed'}" in done.stderr


def test_version():
    done = command("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"liquid-spike {__version__}\n", "")


def test_help_shows_what_may_be_left_out_as_what_it_is():
    for arguments in (["run"], ["train", "policy"], ["neuromorphic", "run"], ["events", "convert"]):
        text = command(*arguments, "--help").stdout
        assert "None}" not in text and "PATH" in text
    assert "--size INT INT" in command("events", "info", "--help").stdout
