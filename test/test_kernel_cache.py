# SPDX-License-Identifier: Apache-2.0
"""Compiled kernels where the package and the home directory cannot be written, as in a hardened container."""

import importlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.registry import CPUDispatcher

from liquid_spike_control.kernel_cache import VARIABLE, explain, is_temporary
from liquid_spike_control.kernel_sources import digest

ROOT = Path(__file__).resolve().parents[1]
NAME = f"liquid_spike_control_kernels_{os.getuid()}"
PROGRAM = """
import sys; sys.path.insert(0, sys.argv[1])
import numpy as np
from liquid_spike_control.events.binning import SpikeBinner
from liquid_spike_control.types import EVENT
events = np.zeros(3, EVENT)
print(SpikeBinner(8, 8, 1, 1_000_000).bin(events, 0, 1).n_steps)
from liquid_spike_control.events import binning
from numba.core.registry import CPUDispatcher
print(next(k.stats.cache_path for k in vars(binning).values() if isinstance(k, CPUDispatcher) and k.signatures))
"""


@pytest.fixture
def site(tmp_path):
    """The folder of a copy of the package in which nothing can be written, not by root either: a file is where each
    ``__pycache__`` would be.
    """
    package = tmp_path / "site/liquid_spike_control"
    needless = shutil.ignore_patterns("__pycache__", "*.nir", "*.safetensors")
    shutil.copytree(ROOT / "liquid_spike_control", package, ignore=needless)
    for folder in (package, *(path for path in package.rglob("*") if path.is_dir())):
        (folder / "__pycache__").touch()
    return package.parent


def bin_events(site: Path, **environment: str) -> str:
    """Bin an event with the kernels of the copy, by default without a home; where numba kept a kernel."""
    keep = {k: v for k, v in os.environ.items() if k not in (VARIABLE, "PYTHONPATH", "XDG_CACHE_HOME")}
    environment = keep | {"HOME": "/dev/null/home", "PYTHONDONTWRITEBYTECODE": "1"} | environment
    command = [sys.executable, "-c", PROGRAM, str(site)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=environment, cwd="/")
    assert done.returncode == 0, done.stderr
    steps, folder = done.stdout.splitlines()
    assert steps == "1" and list(Path(folder).glob("*.nbc"))
    return folder


def test_kernels_go_to_a_private_folder_among_the_temporary_files(tmp_path, site):
    (tmp_path / "temporary").mkdir()
    folder = tmp_path / "temporary" / NAME
    assert bin_events(site, TMPDIR=str(tmp_path / "temporary")).startswith(f"{folder}/")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.slow
def test_a_folder_of_that_name_that_others_can_write_is_not_used(tmp_path, site):
    planted = tmp_path / "temporary" / NAME
    planted.mkdir(parents=True)
    planted.chmod(0o777)
    found = bin_events(site, TMPDIR=str(planted.parent))
    assert not found.startswith(str(planted)) and NAME in found and not list(planted.iterdir())


@pytest.mark.slow
def test_a_users_own_setting_and_a_writable_home_win(tmp_path, site):
    assert bin_events(site, **{VARIABLE: str(tmp_path / "own")}).startswith(f"{tmp_path}/own/")
    assert bin_events(site, HOME=str(tmp_path / "home")).startswith(f"{tmp_path}/home/.cache/numba/")


def test_a_setting_that_cannot_be_written_is_named_in_one_line(tmp_path):
    """By the command, which compiles nothing then."""
    variables = {VARIABLE: "/proc/kernels", "PYTHONPATH": str(ROOT)}
    # numba goes on to its other folders where it cannot write the one of the setting: those are taken away
    program = (
        "import numba.core.caching as c\n"
        "c.CacheImpl._locator_classes = c.CacheImpl._locator_classes[:1]\n"
        "from liquid_spike_control.__main__ import main\n"
        "main()"
    )
    command = [sys.executable, "-c", program]
    command += ["neuromorphic", "run", str(ROOT / "liquid_spike_control/robots/pencil/perception.nir")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | variables)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"liquid-spike: {VARIABLE}=/proc/kernels: ")


def test_only_numbas_refusal_is_explained():
    assert explain(RuntimeError("another matter")) is None
    assert VARIABLE in str(explain(RuntimeError("cannot cache function 'f': no locator available for file 'x'")))


def test_temporary_folders_are_known_as_such(tmp_path):
    assert is_temporary(tmp_path / f"liquid_spike_control_kernels_{os.getuid()}" / "events_0")
    assert not is_temporary(tmp_path)


def run_total(folder: Path) -> str:
    """Import a robot's module in a new process, and what its kernel computes."""
    program = "import liquid_spike_control; from mine.task import total; print(total(1))"
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE}
    environment |= {"PYTHONPATH": f"{folder}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=110, env=environment, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_a_kernel_is_compiled_anew_when_another_file_of_it_changes(tmp_path):
    """Three files: the kernel, one that it calls, and a constant of that. Of what was compiled before nothing is left.

    Then a process is killed: numba writes a kernel's index before its code, so that the code is that of before.
    """
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "task.py").write_text(
        "import numba\nfrom liquid_spike_control.events.words import count_until\nfrom . import shares as s\n"
        "@numba.njit(cache=True)\ndef total(n):\n    return s.share(n) * 10\n"
    )
    (folder / "shares.py").write_text(
        "import numba\nfrom liquid_spike_control.types import EVENT\n"
        "from .sizes import (  # of the robot\n    SIZE,\n)\n"
        "@numba.njit(cache=True)\ndef share(n):\n    return n + SIZE\n"
    )
    kept = {}
    for size in (1, 5):
        (folder / "sizes.py").write_text(f"SIZE = {size}\n")
        os.utime(folder / "sizes.py", (0, 0))  # as in wheels that are built reproducibly: neither size nor time changes
        assert run_total(tmp_path) == str((1 + size) * 10)
        kept[size] = {path.name: path.read_bytes() for path in (folder / "__pycache__").iterdir()}
        assert sorted(name.rpartition(".")[2] for name in kept[size]) == ["nbc", "nbc", "nbi", "nbi"]
    assert not kept[1].keys() & kept[5].keys()
    for name, code in kept[1].items():
        if name.endswith(".nbc"):
            (folder / "__pycache__" / name).write_bytes(code)
    for path in (folder / "__pycache__").iterdir():
        if path.suffix == ".nbc" and path.name in kept[5]:
            path.unlink()
    assert run_total(tmp_path) == "60"


def test_every_kernel_of_a_room_is_kept_by_its_sources():
    seen = 0
    for path in sorted((ROOT / "liquid_spike_control/events").glob("*.py")):
        module = importlib.import_module(f"liquid_spike_control.events.{path.stem}")
        for kernel in vars(module).values():
            if isinstance(kernel, CPUDispatcher) and kernel.py_func.__module__ == module.__name__:
                assert f"-{digest(path)}." in kernel._cache._impl.filename_base
                seen += 1
    assert seen > 15
