# SPDX-License-Identifier: Apache-2.0
"""A report as Markdown; its pictures are files beside it."""

from __future__ import annotations

from collections.abc import Sequence

from .report import Code, Picture, Section
from .tables import Table


def write(sections: Sequence[Section], folder: str) -> str:
    """The text of the report; pictures are looked for in ``folder``, relative to it."""
    blocks = []
    for section in sections:
        blocks.append(f"{'#' * section.level} {section.heading}")
        blocks += [_block(part, folder) for part in section.parts]
    return "\n\n".join(blocks) + "\n"


def _block(part: str | Table | Picture | Code, folder: str) -> str:
    if isinstance(part, Code):
        return f"```\n{part.text}\n```"
    if isinstance(part, Picture):
        return f"![{part.caption}]({folder}/{part.name}.svg)"
    if isinstance(part, Table):
        rows = [part.header, ["---", *["---:"] * (len(part.header) - 1)]]
        rows += [[entry.text for entry in row] for row in part.rows]
        return "\n".join(f"| {' | '.join(text.replace('|', '/') for text in row)} |" for row in rows)
    return part
