# SPDX-License-Identifier: Apache-2.0
"""The tutorials as Jupyter notebooks: ``make notebooks``, and for download from the site. The pages are the source.

Python blocks become code cells, shell blocks ``%%bash`` cells, and files that are named above their blocks
``%%writefile`` cells; what lies between stays text.
"""

import re
import sys
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


def write(folder: Path) -> list[Path]:
    """Write the notebook of each tutorial into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in PAGES:
        path = folder / f"{page.stem}.ipynb"
        nbformat.write(notebook(page), path)
        written.append(path)
    return written


if __name__ == "__main__":
    for path in write(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "_build/notebooks"):
        print(path)
