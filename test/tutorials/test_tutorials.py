# SPDX-License-Identifier: Apache-2.0
"""The tutorials, run as they are written: files, shell commands and Python, in their order."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from sources import ROOT

DOCS = ROOT / "docs"
PAGES = [DOCS / "first_ten_minutes.md", *sorted((DOCS / "tutorials").glob("[!i]*.md"))]
#: Trains for minutes, or starts the graph's processes.
MARKS = {
    "train_perception": [pytest.mark.slow], "liquid_controller": [pytest.mark.slow],
    "ros": [pytest.mark.slow, pytest.mark.real_time], "record_replay": [pytest.mark.real_time],
}  # fmt: skip
#: A block, with the file that the line above it names.
BLOCK = re.compile(r"(?:^`([\w./]+)`:\n+)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Languages of blocks that are only read.
READ = {"text", "toctree", ""}
LONGEST_S = 900


class Block(NamedTuple):
    file: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = [Block(*match.groups("")) for match in BLOCK.finditer(page.read_text())]
    assert page.read_text().count("\n```") == 2 * len(found), f"{page}: a block that is not understood"
    return found


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which `liquid-spike` and `python` are those of this interpreter and tree."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, arguments in (("liquid-spike", "-m liquid_spike_control"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": path}


@pytest.mark.timeout(LONGEST_S + 60)
@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.stem, marks=MARKS.get(page.stem, ())) for page in PAGES]
)
def test_it_runs_as_it_is_written(page, shell, tmp_path, ros_domain):
    folder = tmp_path / "reader"
    folder.mkdir()
    environment = shell | {"ROS_DOMAIN_ID": str(ros_domain)}
    python, ran = "", 0
    for block in blocks(page):
        if python and (block.file or block.language == "sh"):  # which may need what the Python before it wrote
            run([sys.executable, "-c", python], folder, environment)
            python = ""
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text)
        elif block.language == "sh":
            run(["bash", "-euc", block.text], folder, environment)
            ran += 1
        elif block.language == "python":
            python += block.text
            ran += 1
        else:
            assert block.language in READ, f"{page}: {block}"
    if python:
        run([sys.executable, "-c", python], folder, environment)
    assert ran


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, timeout=LONGEST_S, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-3000:]}"
    print(done.stdout)


def test_each_is_listed():
    listed = (DOCS / "tutorials/index.md").read_text()
    assert all(f"\n{page.stem}\n" in listed for page in PAGES[1:])
