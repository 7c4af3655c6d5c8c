"""The configuration of Sphinx."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import flambeau
from tools.site.notebooks import DOWNLOADS

project = "flambeau"
release = version = flambeau.__version__
project_copyright = "the flambeau developers"

extensions = ["myst_nb", "sphinx_copybutton", "tools.site.api", "tools.site.notebooks", "tools.site.source_pages"]
templates_path = ["templates"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
myst_url_schemes = {"http": None, "https": None, "mailto": None, "path": "{{path}}"}
# Do not warn of pages that skip a heading level.
suppress_warnings = ["myst.header"]
highlight_language = "text"
exclude_patterns = [DOWNLOADS]

os.environ["MATPLOTLIBRC"] = str(Path(__file__).with_name("matplotlibrc"))  # for the processes that execute tutorials
nb_execution_mode = "cache"
nb_execution_timeout = 1200  # seconds for a cell: compiling C++ takes minutes on a busy machine
nb_execution_raise_on_error = True
html_math_renderer = "mathml"

html_theme = "furo"
html_title = f"flambeau {release}"
html_static_path = ["static"]
html_favicon = "static/flame.svg"
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
