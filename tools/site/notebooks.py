"""Tutorials: notebooks for download, the cache of their outputs, and formulas as MathML.

A tutorial is a notebook as text, with the front matter of jupytext. MyST-NB executes it and shows the outputs.
"""

from __future__ import annotations

import hashlib
import os
import re
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import jupytext
from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

FRONT_MATTER = "---\njupytext:"
DOWNLOADS = "downloads"  # folder of the notebooks in the sources of the site
RELATIVE_LINK = re.compile(r"(?<!\!)\[([^\]]*)\]\((?!https?:|mailto:)[^)\s]+\)")


def is_notebook(text: str) -> bool:
    """Return True if a page is a notebook."""
    return text.startswith(FRONT_MATTER)


def notebook(text: str) -> str:
    """Return a page as the JSON of a notebook without outputs. Links to other pages become text."""
    converted = jupytext.reads(text, fmt="md:myst")
    for number, cell in enumerate(converted.cells):
        cell.id = f"cell-{number}"  # jupytext would choose random ids
        if cell.cell_type == "markdown":
            cell.source = RELATIVE_LINK.sub(r"\1", cell.source)
    written: str = jupytext.writes(converted, fmt="ipynb")
    return written


def with_download(page: str, text: str) -> str:
    """Return a page with a link to its notebook below the title."""
    file = f"{os.path.relpath(DOWNLOADS, os.path.dirname(page))}/{os.path.basename(page)}.ipynb"
    return re.sub(
        r"^# .*$", rf"\g<0>\n\n{{download}}`Download as a Jupyter notebook <{file}>`", text, count=1, flags=re.M
    )


def outputs_folder(parent: Path) -> str:
    """Return the folder that caches the outputs. It differs for each version of the installed packages."""
    installed = [each for each in distributions() if (each.name or "").startswith("flambeau")]
    records = sorted(each.read_text("RECORD") or "" for each in installed)
    return str(parent / f"outputs-{hashlib.sha256(''.join(records).encode()).hexdigest()[:16]}")


def visit_math(writer: Any, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML, which browsers show without a script."""
    block = isinstance(node, nodes.math_block)
    try:
        formula = latex2mathml.tex2mathml(node.astext(), as_block=block)
    except MathError as error:
        logging.getLogger(__name__).warning("%s", error, location=node)
        raise nodes.SkipNode from error
    writer.body.append(f'<div class="math">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer of formulas."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
