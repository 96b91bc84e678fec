# SPDX-License-Identifier: Apache-2.0
"""The tutorials, run as they are written: files, shell commands and Python, in their order; and as notebooks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sources import ROOT

sys.path.insert(0, str(ROOT / "docs"))
from tutorial_blocks import DOCS, PAGES, READ, blocks

#: Trains for minutes, or starts the graph's processes.
MARKS = {
    "train_perception": [pytest.mark.slow], "your_network": [pytest.mark.slow], "liquid_controller": [pytest.mark.slow],
    "ros": [pytest.mark.slow, pytest.mark.real_time], "record_replay": [pytest.mark.slow, pytest.mark.lockstep],
}  # fmt: skip
LONGEST_S = 900


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
            assert block.language in READ
    if python:
        run([sys.executable, "-c", python], folder, environment)
    assert ran


def notebooks():
    """What makes them, where nbformat is there."""
    pytest.importorskip("nbformat", reason="pip install nbformat")
    import notebooks

    return notebooks


#: Quick enough for the ordinary tests; the others are run as pages there, and as notebooks with the long tests.
QUICK = ("your_robot",)


@pytest.mark.timeout(LONGEST_S + 60)
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=page.stem, marks=() if page.stem in QUICK else [pytest.mark.slow, *MARKS.get(page.stem, ())])
     for page in PAGES],
)  # fmt: skip
def test_its_notebook_runs(page, shell, tmp_path, ros_domain):
    pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
    made = notebooks().notebook(page)
    environment = shell | {"ROS_DOMAIN_ID": str(ros_domain), "IPYTHONDIR": str(tmp_path / "ipython")}
    notebooks().execute(made, tmp_path, environment)
    ran = [cell for cell in made.cells if cell.cell_type == "code"]
    assert ran and all(cell.execution_count for cell in ran)
    printed = [out for cell in ran for out in cell.outputs if out.output_type == "stream"]
    assert printed and not [out for cell in ran for out in cell.outputs if out.output_type == "error"]


def test_a_notebook_has_all_of_its_page(tmp_path):
    made = notebooks()
    for page, path in zip(PAGES, made.write(tmp_path), strict=True):
        cells = json.loads(path.read_text())["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        wanted = [block for block in blocks(page) if block.file or block.language not in READ]
        assert [c.partition("\n")[2] + "\n" if c.startswith("%%") else c + "\n"
                for c in code if not c.startswith("%mkdir")] == [block.text for block in wanted]  # fmt: skip
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        assert text.startswith("# ") and "](../" not in text and text.count("\n## ") == page.read_text().count("\n## ")
        assert path.read_text() == made.nbformat.writes(made.notebook(page)) + "\n", "the same each time"


def test_a_block_that_is_not_understood_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A\n\n```python\nx = 1\n")
    with pytest.raises(ValueError, match="not understood"):
        blocks(page)
    page.write_text("# A\n\n```rust\nlet x = 1;\n```\n")
    with pytest.raises(ValueError, match="blocks of rust"):
        blocks(page)


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
