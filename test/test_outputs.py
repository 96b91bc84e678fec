# SPDX-License-Identifier: Apache-2.0
"""Files that a command writes: checked before the work, whole or not at all, and special files written to."""

import json
import os
import resource
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from cli_here import cli

from liquid_spike_control.errors import LiquidSpikeError, OutputError, TaskError
from liquid_spike_control.outputs import (
    FIGURES,
    check_outputs,
    opened,
    plain,
    save_figure,
    write_file,
    write_json,
    written,
)
from liquid_spike_control.resources import shipped_model

CONTROLLER = str(shipped_model("pencil/controller.safetensors"))


def run(*arguments: str, most: int | None = None, **how) -> subprocess.CompletedProcess:
    """The command line; no file may grow beyond ``most`` bytes, as on a disk that is full there."""

    def limit() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    return subprocess.run(
        [sys.executable, "-m", "liquid_spike_control", *arguments],
        text=True, stdout=how.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, timeout=100, preexec_fn=limit,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, **how,
    )  # fmt: skip


def refused(path: Path, option: str = "json") -> str:
    with pytest.raises(TaskError) as error:
        check_outputs({"plot": FIGURES, "record": (".mcap",)}, **{option: path})
    assert str(error.value).startswith(f"--{option} {path}") and "\n" not in str(error.value)
    return str(error.value)


def test_what_could_not_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    assert "make it first" in refused(tmp_path / "nowhere/a.json")
    assert "is a folder" in refused(tmp_path)
    assert "File name too long" in refused(tmp_path / ("n" * 300))
    assert "cannot be written" in refused(Path("/proc/a.json"))
    assert ".png" in refused(tmp_path / "a.xyz", "plot")
    assert ".png" in refused(tmp_path / "a", "plot")
    assert ".mcap" in refused(tmp_path / "a.bag", "record")
    os.symlink("nowhere/a.json", tmp_path / "dangling")
    assert "there is no folder" in refused(tmp_path / "dangling")
    (tmp_path / "file").write_text("")
    assert "there is no folder" in refused(tmp_path / "file/a.json")
    with pytest.raises(TaskError, match="the same file as --json"):
        check_outputs(json=tmp_path / "a.png", plot=tmp_path / "../" / tmp_path.name / "a.png")
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file"]  # a check leaves nothing behind


def test_what_can_be_written_is_not_refused(tmp_path):
    longest = tmp_path / ("n" * 255)
    check_outputs(json=longest, plot=Path("/dev/null"), out=None)
    check_outputs(json=Path("/dev/stdout"), out=Path("/dev/stdout"))
    write_file(longest, "all of it")
    assert longest.read_text() == "all of it"


def test_permissions_follow_the_umask_and_those_of_the_file_that_is_replaced(tmp_path):
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(mask)
        try:
            write_file(tmp_path / f"{mask:o}", b"new")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{mask:o}").stat().st_mode) == mode
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_file(path, b"new")
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_device_and_a_fifo_are_written_to_and_stay(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_text()))
    reader.start()
    write_json(fifo, {"a": 1})
    reader.join(10)
    assert json.loads(got[0]) == {"a": 1} and stat.S_ISFIFO(fifo.stat().st_mode)
    null = os.stat("/dev/null")
    write_file("/dev/null", b"nothing")
    with written("/dev/null") as path:
        path.write_bytes(b"nothing")
    assert os.stat("/dev/null").st_rdev == null.st_rdev and os.stat("/dev/null").st_ino == null.st_ino
    with pytest.raises(OutputError, match="No space left"):
        write_file("/dev/full", b"nothing")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_link_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    os.symlink("there/file", tmp_path / "link")
    write_file(tmp_path / "link", b"through it")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there/file").read_bytes() == b"through it"


@pytest.mark.parametrize("writer", [opened, written])
def test_what_ends_in_an_error_leaves_the_old_file(tmp_path, writer):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), writer(path) as target:
        if isinstance(target, Path):
            target.write_bytes(b"half")
        else:
            target.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_json_is_of_the_standard(tmp_path):
    values = {"nan": float("nan"), "array": np.array([1.5, np.inf]), "n": np.int64(3), "path": Path("a"), "t": (True,)}
    write_json(tmp_path / "a.json", values)
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "nan": None, "array": [1.5, None], "n": 3, "path": "a", "t": [True]
    }  # fmt: skip
    assert plain(None) is None
    write_json(None, values)


def test_a_picture_has_the_format_of_its_name(tmp_path):
    from matplotlib.figure import Figure

    for suffix, magic in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".PNG", b"\x89PNG")):
        save_figure(Figure(), tmp_path / f"a{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes().startswith(magic)
    with pytest.raises(TaskError, match="suffix"):
        save_figure(Figure(), tmp_path / "a.xyz")
    with pytest.raises(OutputError):
        save_figure(Figure(), Path("/dev/full"))


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["controller", "inspect", CONTROLLER], ["--json", "o.json"]),
        (["controller", "inspect", str(shipped_model("hover/ncp.safetensors"))], ["--plot", "o.png"]),
        (["neuromorphic", "run", str(shipped_model("pencil/perception.nir")), "--steps", "50"], ["--out", "o.nir"]),
        (["neuromorphic", "run", str(shipped_model("pencil/perception.nir")), "--steps", "50"], ["--out", "o.npz"]),
        (["neuromorphic", "compile", str(shipped_model("pencil/perception.nir"))], ["--out", "o.safetensors"]),
        (["security", "policy"], ["--out", "o.xml"]),
        (["security", "keystore"], ["o"]),
        (["new"], ["my_robot"]),
    ],
)
def test_a_full_disk_is_one_line_and_status_1(tmp_path, arguments, out):
    if "keystore" in arguments:
        pytest.importorskip("cryptography")
    if "run" in arguments:
        assert run(*arguments).returncode == 0  # compiles the kernels; their cache is of files too
    done = run(*arguments, *out, most=100, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(f"liquid-spike: {out[-1]}: "), done.stderr
    assert "File too large" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["neuromorphic", "run", str(shipped_model("pencil/perception.nir")), "--out", "a.xyz"],
        ["neuromorphic", "run", str(shipped_model("pencil/perception.nir")), "--out", "/dev/full"],
        ["bench", "closed-loop", "--cache", "/dev/null"],
        ["bench", "sequence", "xor", "--cache", "/proc/cache"],
        ["train", "reward", "lane_car", "--out", "a.yaml"],
        ["train", "reservoir", "--out", "a.xyz"],
    ],
)
def test_what_options_alone_do_not_show_is_refused_before_the_work_too(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.safetensors").mkdir()  # beside the yaml file of a reward's controller
    done = cli(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_what_replaces_no_file_writes_into_a_fifo_or_refuses_it_as_such(tmp_path):
    (tmp_path / "a.csv").write_text("t,x,y,p\n1000,3,2,1\n2000,4,2,0\n")
    fifo, got = tmp_path / "b.csv", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: got.append(fifo.read_text()))
    reader.start()
    done = cli("events", "convert", tmp_path / "a.csv", fifo, "--size", "8", "8")
    reader.join(10)
    assert done.returncode == 0 and got[0].splitlines()[1:] == ["1000,3,2,1", "2000,4,2,0"]
    os.mkfifo(tmp_path / "c.mcap")
    for name, says in (("c.mcap", "is no regular file"), ("a.csv", "exists; give another name")):
        done = cli("events", "convert", tmp_path / "a.csv", tmp_path / name, "--size", "8", "8")
        assert done.returncode == 2 and says in done.stderr


def test_an_export_into_a_fifo_is_compared_without_reading_it_back(tmp_path):
    pytest.importorskip("onnxruntime")
    fifo, got = tmp_path / "c.onnx", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    done = cli("controller", "export", shipped_model("hover/ncp.safetensors"), fifo)
    reader.join(10)
    assert done.returncode == 0 and "agrees" in done.stdout and len(got[0]) > 1000


def test_standard_output_on_a_full_disk_is_one_line_and_status_1():
    for arguments in (["--help"], ["--version"], ["controller", "inspect", CONTROLLER], ["security", "policy"]):
        with open("/dev/full", "w") as full:
            done = run(*arguments, stdout=full)
        assert done.returncode == 1, done.stderr
        assert done.stderr.splitlines() == [
            "liquid-spike: standard output: No space left on device; make room, or send it elsewhere"
        ]


def test_json_into_standard_output(tmp_path):
    done = run("controller", "inspect", CONTROLLER, "--json", "/dev/stdout")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout[done.stdout.index("{") :])["kind"] == "controller"
    with open(tmp_path / "o", "w") as file:  # and what was printed before is not cut off
        run("controller", "inspect", CONTROLLER, "--json", "/dev/stdout", stdout=file)
    assert (tmp_path / "o").read_text() == done.stdout


def test_closed_standard_streams():
    done = subprocess.run(
        f"exec {sys.executable} -m liquid_spike_control controller inspect {CONTROLLER} <&- >&- 2>&-",
        shell=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0


def test_a_stream_without_the_characters():
    done = run("controller", "inspect", CONTROLLER, stdout=subprocess.PIPE)
    assert done.returncode == 0
    done = subprocess.run(
        [sys.executable, "-m", "liquid_spike_control", "run", "b\u00e9\u2603", "--help"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=60,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "liquid_spike_control", "controller", "inspect", "b\u2603.safetensors"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith(b"liquid-spike: b\\u2603.safetensors")


def test_errors_of_files_are_errors_a_user_can_correct():
    assert issubclass(OutputError, LiquidSpikeError) and OutputError.status == 1 and LiquidSpikeError.status == 2
