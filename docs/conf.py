# SPDX-License-Identifier: Apache-2.0
"""Sphinx: ``make docs``. Pages are the Markdown files of this folder; what is generated goes to ``_generated``."""

import re
import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

sys.path.insert(0, str(Path(__file__).parent))
import command_reference
import notebooks
import public_names

import liquid_spike_control

project = "liquid_spike_control"
author = "liquid_spike_control maintainers"
release = version = liquid_spike_control.__version__
copyright = "liquid_spike_control maintainers; Apache-2.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
python_maximum_signature_line_length = 90
napoleon_google_docstring = True
napoleon_use_ivar = True
add_module_names = False

html_theme = "furo"
html_title = "Liquid Spike Control"
html_math_renderer = "mathml"  # which browsers draw themselves, without a network
html_static_path = []
copybutton_prompt_text = "$ "

linkcheck_timeout = 20
linkcheck_retries = 3
#: Publishers refuse programs; whether a DOI exists is known to its registry.
DOI, DOI_REGISTRY = "https://doi.org/", "https://doi.org/api/handles/"


#: Names that share a description in a docstring: ``    width, height: columns and rows [pixels].``
SHARED = re.compile(r"^(\s+)(\w+(?:, \w+)+): ")


def one_name_a_line(app, what, name, found, options, lines: list[str]) -> None:
    """Give each of several names of a docstring's list its description; napoleon takes the first ones for a type."""
    for start in range(len(lines) - 1, -1, -1):
        if (match := SHARED.match(lines[start])) is None:
            continue
        indent = match[1]
        end = start + 1
        while end < len(lines) and lines[end].startswith(f"{indent} "):
            end += 1
        text = [lines[start][match.end() :], *lines[start + 1 : end]]
        lines[start:end] = [
            line for name in match[2].split(", ") for line in (f"{indent}{name}: {text[0]}", *text[1:])
        ]


def offer_notebook(app, docname: str, source: list[str]) -> None:
    """Begin each tutorial's page with a link to its notebook."""
    page = Path(app.srcdir) / f"{docname}.md"
    if page in notebooks.PAGES:
        up = "../" * docname.count("/")
        title, _, rest = source[0].partition("\n")
        offer = f"{{download}}`This page as a Jupyter notebook <{up}_generated/notebooks/{page.stem}.ipynb>`"
        source[0] = f"{title}\n\n{offer}\n{rest}"


def ask_the_registry(app, uri: str) -> str | None:
    """The address that ``make links`` asks about a DOI; None for any other link."""
    return DOI_REGISTRY + uri.removeprefix(DOI) if uri.startswith(DOI) else None


def inline_equation(self, node) -> None:
    """Write an equation in a line."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def equation(self, node) -> None:
    """Write an equation of its own."""
    self.body.append(convert(node.astext(), display="block"))
    raise nodes.SkipNode


def setup(app):
    """Generate pages before they are read."""
    app.connect("autodoc-process-docstring", one_name_a_line, priority=400)  # before napoleon
    app.connect("source-read", offer_notebook)
    app.connect("linkcheck-process-uri", ask_the_registry)
    app.add_html_math_renderer("mathml", (inline_equation, None), (equation, None))
    folder = Path(__file__).parent / "_generated"
    folder.mkdir(exist_ok=True)
    command_reference.write(folder / "commands.md")
    public_names.write(folder / "api.md")
    notebooks.write(folder / "notebooks")
