# SPDX-License-Identifier: Apache-2.0
"""What the tutorials have a reader run, write and read: the code blocks of their pages, for tests and notebooks."""

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).resolve().parent
PAGES = [DOCS / "first_ten_minutes.md", *sorted((DOCS / "tutorials").glob("[!i]*.md"))]
#: A block, with the file that the line above it names.
BLOCK = re.compile(r"(?:^`([\w./]+)`:\n+)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Languages of blocks that are only read.
READ = {"text", "toctree", ""}


class Block(NamedTuple):
    """What a page has a reader run, write or read.

    Attributes:
        file: that the text is to be written to, or empty.
        language: of the text.
        text: without the fences.
        start, end: where it is in the page.
    """

    file: str
    language: str
    text: str
    start: int
    end: int


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order.

    Raises:
        ValueError: a block is not understood.
    """
    text = page.read_text()
    found = [Block(*match.groups(""), match.start(), match.end()) for match in BLOCK.finditer(text)]
    if text.count("\n```") != 2 * len(found):
        raise ValueError(f"{page}: a block that is not understood; close each with ``` at the beginning of a line")
    unknown = {b.language for b in found if not b.file} - READ - {"python", "sh"}
    if unknown:
        raise ValueError(f"{page}: blocks of {', '.join(unknown)}; name their files above them, or give python or sh")
    return found
