# SPDX-License-Identifier: Apache-2.0
"""Sphinx: ``make docs``. Pages are the Markdown files of this folder; what is generated goes to ``_generated``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import command_reference
import public_names

import liquid_spike_control

project = "liquid_spike_control"
author = "liquid_spike_control maintainers"
release = version = liquid_spike_control.__version__
copyright = "liquid_spike_control maintainers; Apache-2.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon", "sphinx_copybutton"]
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
html_title = "liquid_spike_control"
html_static_path = []
copybutton_prompt_text = "$ "


def setup(app):
    """Generate pages before they are read."""
    folder = Path(__file__).parent / "_generated"
    folder.mkdir(exist_ok=True)
    command_reference.write(folder / "commands.md")
    public_names.write(folder / "api.md")
