# SPDX-License-Identifier: Apache-2.0
r"""What is printed: consoles on which text from a file is only text, and standard streams that take any text.

A table that is too wide for the terminal is printed row by row, as names and values. Colours are only for terminals,
and for none where ``NO_COLOR`` is set, as in rich.

A model's metadata, a topic's name or a node's log line may hold escape sequences, which would command the terminal, and
what looks like markup, which would be taken as colours. Each control character is shown as its escape, ``\x1b``.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterable
from typing import Any

import rich.console
from rich.console import Group, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

#: C0 without tab and line feed, DEL, C1, and the marks that turn the direction of the text around.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""A text with its control characters as escapes, ``\x1b``; tabs and line feeds stay."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Console(rich.console.Console):
    """Rich's console, without markup and emoji codes in texts, and with control characters shown as escapes.

    Colours are given by ``style`` and :class:`rich.text.Text`. Arguments are those of :class:`rich.console.Console`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"markup": False, "emoji": False} | options))

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; tables that are wider than the terminal are folded, see :func:`folded`."""
        if any(isinstance(o, Table) and (self.is_terminal or _is_cut(o, self)) for o in objects):
            objects = tuple(folded(o, self) if isinstance(o, Table) else o for o in objects)
            options["soft_wrap"] = False  # a row that is cut by the terminal cannot be read
        super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """A text of which nothing is a command; its width is what is seen."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Segments; those of :class:`rich.text.Text` did not pass through :meth:`render_str`."""
        for segment in super().render(renderable, options):
            if segment.control is None and _CONTROL.search(segment.text):
                segment = Segment(visible(segment.text), segment.style)
            yield segment


def folded(table: Table, console: rich.console.Console) -> RenderableType:
    """A table as it is where the console has room for it without breaking a word; else row by row, names and values."""
    if not table.show_header or (_least_width(table, console) <= console.width and not _is_cut(table, console)):
        return table
    parts: list[RenderableType] = [Text(str(table.title), "bold")] if table.title else []
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        record = Table.grid(padding=(0, 2))
        record.add_column(style="dim", no_wrap=True)
        record.add_column(overflow="fold")
        for column, cell in zip(table.columns, cells, strict=True):
            record.add_row(column.header, cell)
        parts += [record, ""]
    if table.caption:
        parts.append(str(table.caption))
    return Group(*parts)


def _least_width(table: Table, console: rich.console.Console) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).minimum


def _is_cut(table: Table, console: rich.console.Console) -> bool:
    """Whether a word would end in an ellipsis: rich may give a column less than its longest word beside wide ones."""
    lines = console.render_lines(table, console.options, pad=False)
    shown = sum(segment.text.count("\u2026") for line in lines for segment in line)
    return shown > sum(str(cell).count("\u2026") for column in table.columns for cell in column.cells)


def open_streams() -> None:
    """Make standard streams fit for any text, before anything is printed or opened.

    A stream that is closed gets the null device: the next file to be opened would take its number, and what is printed
    would go there. Characters that the stream's encoding does not have are written as escapes.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))
        if number:
            reconfigure = getattr(getattr(sys, name), "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")


def is_of_output(error: OSError) -> bool:
    """Whether an error without a file's name is that of a full or failed disk behind standard output."""
    return error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
