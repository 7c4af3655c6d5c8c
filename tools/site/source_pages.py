"""Pages with the source files to which the reference and the guides link.

The pages do not use the theme, whose side bar would make them large and slow to build.
"""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
LEXERS = {".def": "x.cpp", ".in": "x.pyi"}
TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="icon" href="{root}/_static/flame.svg">
<link rel="stylesheet" href="{root}/_static/pygments.css"><link rel="stylesheet" href="{root}/_static/source.css">
</head><body><header><a href="{root}/index.html">flambeau</a></header><main><h1>{title}</h1>{body}</main></body></html>
"""


def linked_files(app: Sphinx) -> set[str]:
    """Return the files and folders to which pages link, and the files in these folders."""
    linked = set((Path(app.srcdir) / "linked_files.txt").read_text(encoding="utf-8").split())
    for metadata in app.env.metadata.values():
        linked |= metadata.get("api_sources", set())
    folders = {name for name in linked if (ROOT / name).is_dir()}
    files = [path for name in folders for path in children(ROOT / name) if path.is_file()]
    return linked | {path.relative_to(ROOT).as_posix() for path in files}


def children(folder: Path) -> list[Path]:
    """Return the files and folders in a folder, without hidden files and caches."""
    return [path for path in sorted(folder.iterdir()) if not path.name.startswith((".", "__pycache__"))]


def write_pages(app: Sphinx, exception: Exception | None) -> None:
    """Write the pages whose files changed since they were written."""
    if exception is not None:
        return
    for name in sorted(linked_files(app)):
        path, written = ROOT / name, Path(app.outdir) / "source" / f"{name}.html"
        if not path.exists() or (written.exists() and written.stat().st_mtime > path.stat().st_mtime):
            continue
        written.parent.mkdir(parents=True, exist_ok=True)
        root = os.path.relpath(app.outdir, written.parent)
        body = listing(path) if path.is_dir() else code(path)
        written.write_text(TEMPLATE.format(title=html.escape(name), root=root, body=body), encoding="utf-8")


def listing(folder: Path) -> str:
    """Return the contents of a folder: links to its files, and the names of its folders."""
    items = []
    for path in children(folder):
        name = html.escape(path.name)
        shown = f"{name}/" if path.is_dir() else f'<a href="{folder.name}/{name}.html">{name}</a>'
        items.append(f"<li>{shown}</li>")
    return f"<ul>{''.join(items)}</ul>"


def code(path: Path) -> str:
    """Return the HTML of a file, with numbered and highlighted lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "<p>A binary file.</p>"
    try:
        lexer = get_lexer_for_filename(LEXERS.get(path.suffix, path.name))
    except ClassNotFound:
        lexer = TextLexer()
    lines = highlight(text, lexer, HtmlFormatter(nowrap=True)).splitlines()
    rows = (f'<span id="L{i}" class="line" data-line="{i}">{line}</span>' for i, line in enumerate(lines, 1))
    return '<div class="highlight"><pre tabindex="0">' + "\n".join(rows) + "</pre></div>"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the function that writes the pages after a build."""
    app.connect("build-finished", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
