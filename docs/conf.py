"""Settings of the documentation site. ``make docs`` builds it: warnings are errors, and nothing is fetched."""

import sys
from pathlib import Path

from ornament_lit.utils.versions import VERSION

sys.path.append(str(Path(__file__).parent / "_ext"))

project = "ornament_lit"
author = "the authors of ornament_lit"
project_copyright = "the authors of ornament_lit, Apache-2.0"
release = version = VERSION

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    # of our own, in _ext: each says in its head what it does
    "command_reference",
    "family_reference",
    "option_defaults",
    "repository_links",
    "short_names",
]

# Markdown: links to headings as a code host has them.
myst_heading_anchors = 3

# Docstrings: Google style with roles of reST. Types stand beside the options, not in the signature.
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
default_role = "literal"

# Text: `--option` keeps its two dashes; a block of code without a language has no colours.
smartquotes = False
highlight_language = "none"
copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = "ornament_lit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
