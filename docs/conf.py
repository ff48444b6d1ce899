"""The documentation site: python -m sphinx -W --keep-going -b html docs docs/_build/html"""

from __future__ import annotations

import sys
from pathlib import Path

import knotwork

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Knotwork"
author = "The Knotwork authors"
version = release = knotwork.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "docstrings",
    "exports",
    "mathml",
    "theorems",
    "verdicts",
]
exclude_patterns = ["_build", "_ext"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

autodoc_member_order = "bysource"
autodoc_type_aliases = {"Array": "ndarray", "ArrayLike": "ArrayLike"}
autodoc_typehints_format = "short"
autosummary_generate = False
default_role = "code"
smartquotes = False
maximum_signature_line_length = 88
python_use_unqualified_type_names = True

# prompts and output are no part of what is copied
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = "Knotwork"
html_static_path = ["_static"]
html_css_files = ["knotwork.css"]
html_copy_source = False
html_show_sourcelink = False
# a summary is fetched, which browsers refuse to pages that are opened as files
html_show_search_summary = False
html_show_copyright = False
