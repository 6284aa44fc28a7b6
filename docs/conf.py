"""How Sphinx makes the manual from the pages in this folder: ``make docs``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tdxexplore._version import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "tdxexplore"
release = version = __version__
extensions = ["myst_parser"]
html_theme = "pydata_sphinx_theme"
html_title = f"tdxexplore {version}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_sidebars = {"index": [], "tutorial": []}
html_copy_source = False
html_show_copyright = False
html_theme_options = {
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["sphinx-version"],
    "footer_end": [],
    "show_prev_next": False,
}
myst_heading_anchors = 3
# DuckDB's braces are no standard SQL; the block is shown as it is.
suppress_warnings = ["misc.highlighting_failure"]

# A link to a page outside this folder, which is no page of the manual.
_OUTSIDE = re.compile(r"\]\((\.\./(?:benches|tools)/[^)]*\.md)\)")


def _offer_as_download(app: Sphinx, name: str, source: list[str]) -> None:  # noqa: ARG001 -- Sphinx calls it
    source[0] = _OUTSIDE.sub(r"](path:\1)", source[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx: pages link to files as a repository does, and the manual offers those files."""
    app.connect("source-read", _offer_as_download)
