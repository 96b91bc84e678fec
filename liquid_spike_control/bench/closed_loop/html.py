# SPDX-License-Identifier: Apache-2.0
"""A report as one HTML file that needs nothing else: style and pictures are in it, nothing is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .report import Code, Picture, Section
from .tables import Entry, Table

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Helvetica Neue", Arial, sans-serif; color: #222; max-width: 1340px;
       margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin-bottom: .3rem; }
h2 { font-size: 1.2rem; margin-top: 2.4rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem; }
p { max-width: 56rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .45rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #eee; }
table.words td { white-space: normal; text-align: left; vertical-align: top; min-width: 5rem; }
table.words th { text-align: left; vertical-align: bottom; }
th { font-weight: 600; border-bottom: 1px solid #999; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
td[title] { cursor: help; }
figure { margin: 1.2rem 0; }
figure svg { max-width: 100%; height: auto; }
figcaption { font-size: 13px; color: #555; }
pre { background: #f6f6f6; padding: .7rem .9rem; overflow-x: auto; font-size: 12.5px; line-height: 1.4; }
"""


def write(sections: Sequence[Section]) -> str:
    """The page."""
    body = []
    for section in sections:
        body.append(f"<h{section.level}>{escape(section.heading)}</h{section.level}>")
        body += [_block(part) for part in section.parts]
    head = f"<meta charset='utf-8'><title>{escape(sections[0].heading)}</title><style>{_STYLE}</style>"
    view = "<meta name='viewport' content='width=device-width, initial-scale=1'>"
    return (
        f"<!doctype html>\n<html lang='en'><head>{head}{view}</head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _block(part: str | Table | Picture | Code) -> str:
    if isinstance(part, Code):
        return f"<pre>{escape(part.text)}</pre>"
    if isinstance(part, Picture):
        return f"<figure>{part.svg}<figcaption>{escape(part.caption)}</figcaption></figure>"
    if isinstance(part, Table):
        return _table(part)
    return f"<p>{escape(part)}</p>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in table.header)
    rows = "\n".join(f"<tr>{''.join(map(_entry, row))}</tr>" for row in table.rows)
    kind = " class='words'" if table.words else ""
    return f"<div class='wide'><table{kind}><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>"


def _entry(entry: Entry) -> str:
    colour = "" if entry.share is None else f" style='background: {shade(entry.share)}'"
    more = f" title='{escape(entry.more)}'" if entry.more else ""
    return f"<td{colour}{more}>{escape(entry.text)}</td>"


def shade(share: float) -> str:
    """A background from red at 0 over yellow to green at 1, light enough for black text."""
    hue = 8 + 122 * min(max(share, 0.0), 1.0)
    return f"hsl({hue:.0f} 65% 86%)"
