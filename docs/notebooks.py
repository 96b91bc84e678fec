# SPDX-License-Identifier: Apache-2.0
"""The tutorials as Jupyter notebooks. The pages are their source.

Python blocks become code cells, shell blocks ``%%bash`` cells, and files that are named above their blocks
``%%writefile`` cells; what lies between stays text. ``make notebooks`` runs each in an empty folder and keeps what it
prints; for download from the site they are written without outputs.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from tutorial_blocks import DOCS, PAGES, READ, blocks

#: A link to another page or picture of the documentation, which lies not beside a notebook.
_LINK = re.compile(r"!?\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def notebook(page: Path) -> nbformat.NotebookNode:
    """The notebook of a page.

    Raises:
        ValueError: a block of the page is not understood.
    """
    text, cells, at = page.read_text(), [], 0
    folders = {"."}
    for block in blocks(page):
        if not block.file and block.language in READ:
            continue
        if before := text[at : block.start].strip():
            cells.append(new_markdown_cell(_unlinked(page, before)))
        folder = Path(block.file).parent.as_posix()
        if folder not in folders:
            folders.add(folder)
            cells.append(new_code_cell(f"%mkdir -p {folder}"))
        first = f"%%writefile {block.file}\n" if block.file else "%%bash -eu\n" if block.language == "sh" else ""
        cells.append(new_code_cell(first + block.text.rstrip("\n")))
        at = block.end
    if rest := text[at:].strip():
        cells.append(new_markdown_cell(_unlinked(page, rest)))
    for number, cell in enumerate(cells):
        cell.id = f"{cell.cell_type}-{number}"  # the same page gives the same file
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    nbformat.validate(made)
    return made


def _unlinked(page: Path, text: str) -> str:
    """A text whose links to other pages say where these are in the repository."""

    def named(link: re.Match) -> str:
        target, _, _ = link[2].partition("#")
        path = (page.parent / target).resolve()
        return f"{link[1]} (`{path.relative_to(DOCS.parent)}`)" if target else link[1]

    return _LINK.sub(named, text)


def execute(made: nbformat.NotebookNode, folder: Path, environment: dict[str, str]) -> None:
    """Run all cells of a notebook, which then holds their outputs.

    Args:
        made: the notebook.
        folder: where it runs.
        environment: of its kernel, e.g. with ``liquid-spike`` on the ``PATH``.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed, or a shell command in it.
        nbclient.exceptions.CellTimeoutError: a cell took more than 15 minutes.
    """
    from nbclient import NotebookClient  # which the site does without

    client = NotebookClient(
        made, timeout=900, kernel_name="python3", record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment)


def write_executed(folder: Path) -> None:
    """Run the notebook of each tutorial, and write it into a folder as soon as it is done."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for page in PAGES:
        made, begin = notebook(page), time.monotonic()
        with tempfile.TemporaryDirectory() as empty:
            execute(made, Path(empty), environment)
        path = folder / f"{page.stem}.ipynb"
        nbformat.write(made, path)
        print(f"{path}: {time.monotonic() - begin:.0f} s", flush=True)


def write(folder: Path) -> list[Path]:
    """Write the notebook of each tutorial into a folder, without outputs."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in PAGES:
        path = folder / f"{page.stem}.ipynb"
        nbformat.write(notebook(page), path)
        written.append(path)
    return written


if __name__ == "__main__":
    write_executed(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "_build/notebooks")
