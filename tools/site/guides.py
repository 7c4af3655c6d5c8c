"""Copies of the repository's pages for Sphinx, with links that lead to pages of the site."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from tools.site.notebooks import DOWNLOADS, is_notebook, notebook, with_download

ROOT = Path(__file__).resolve().parents[2]
# The folders whose Markdown files are pages.
PATTERNS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/**/*.md",
    "packages/*/README.md",
    "packages/tensor-core/*/README.md",
    "packages/tensor-core/tests/emulator/README.md",
    "tests/**/README.md",
    "tools/**/README.md",
)
PAGES = [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
LINK = re.compile(r"(?<!\!)(\]\()(?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?(\))")
# A comment that the site replaces with a table of another page, so that numbers are kept in one file.
TABLE = re.compile(r'^<!-- table "([^"]+)" of (\S+) -->$', re.MULTILINE)
FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)


def page_of(path: Path) -> str:
    """Return the page name of a file. The README of the repository is the home page."""
    name = path.relative_to(ROOT).with_suffix("").as_posix()
    return "index" if name == "README" else name


def copy_guides(folder: Path) -> None:
    """Write the pages that changed into a folder, and delete pages that no longer exist."""
    linked: set[str] = set()
    texts = {page_of(path): page_text(path, linked) for path in PAGES}
    texts["developer"] = developer_index(texts)
    for name, text in texts.items():
        if is_notebook(text):
            write(folder / DOWNLOADS / f"{os.path.basename(name)}.ipynb", notebook(text))
            text = with_download(name, text)
        write(folder / f"{name}.md", text)
    for path in folder.rglob("*.md"):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name not in texts and not name.startswith("api/"):
            path.unlink()
    for path in ROOT.glob("docs/**/*.svg"):
        write(folder / path.relative_to(ROOT), path.read_text(encoding="utf-8"))
    write(folder / "linked_files.txt", "\n".join(sorted(linked)))


def write(path: Path, text: str) -> None:
    """Write a file unless it already has the content ``text``."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def page_text(path: Path, linked: set[str]) -> str:
    """Return the text of a page for Sphinx, and add the files to which it links to ``linked``."""
    complete = TABLE.sub(lambda match: table(path.parent / match[2], match[1]), path.read_text(encoding="utf-8"))
    parts = FENCE.split(complete)
    text = "".join(
        part if i % 2 else LINK.sub(lambda m: new_link(path, m, linked), part) for i, part in enumerate(parts)
    )
    return text + "\n" + contents() if page_of(path) == "index" else text


def table(page: Path, title: str) -> str:
    """Return the table in a page whose first column has the heading ``title``."""
    lines = page.read_text(encoding="utf-8").splitlines()
    (start,) = (i for i, line in enumerate(lines) if line.startswith(f"| {title} |"))
    return "\n".join(itertools.takewhile(lambda line: line.startswith("|"), lines[start:]))


def new_link(page: Path, match: re.Match[str], linked: set[str]) -> str:
    """Return a link of a page with its target in the site. Add a target that is not a page to ``linked``."""
    target = (page.parent / match[2]).resolve()
    here = (ROOT / f"{page_of(page)}.md").parent
    if target.suffix == ".svg":  # an image, which is copied to the site
        return match[0]
    if target.is_dir() and (target / "README.md").exists():
        target /= "README.md"
    if target in PAGES:
        return f"{match[1]}{os.path.relpath(ROOT / page_of(target), here)}.md{match[3] or ''}{match[4]}"
    name = target.relative_to(ROOT).as_posix()
    linked.add(name)
    depth = page_of(page).count("/")
    return f"{match[1]}path:{'../' * depth}source/{name}.html{match[4]}"


def contents() -> str:
    """Return the hidden table of contents of the home page, which the side bar shows."""
    guides = listed()
    of_development = ["docs/internals"]
    differences = sorted(page_of(path) for path in PAGES if path.parent == ROOT / "docs/differences")
    of_reference = ["docs/differences", *differences]
    rest = [name for name in guides if name.count("/") == 1 and name not in of_development + of_reference]
    parts = [
        ("Getting started", [name for name in guides if name.startswith("docs/start/")]),
        ("Tutorials", [name for name in guides if name.startswith("docs/tutorials/")]),
        ("User guide", [name for name in guides if name.startswith("docs/guide/")]),
        ("Topics", rest),
        ("Reference", ["api/index", *of_reference]),
        ("Development", [*of_development, "developer"]),
    ]
    return "\n".join(toctree(caption, names) for caption, names in parts if names)


def listed() -> list[str]:
    """Return the guides in the order in which docs/README.md lists them."""
    targets = re.findall(
        r"^\| \[[^\]]+\]\(([^)]+\.md)\)", (ROOT / "docs/README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    return [page_of(path) for target in targets if (path := ROOT / "docs" / target).parent.resolve() != ROOT]


def toctree(caption: str, pages: list[str]) -> str:
    """Return a hidden table of contents."""
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])


def developer_index(texts: dict[str, str]) -> str:
    """Return a page with the READMEs of the packages, tools and tests."""
    top = [name for name in ("CONTRIBUTING", "CHANGELOG", "docs/README") if name in texts]
    readmes = sorted(name for name in texts if name.endswith("README") and name not in top)
    listed = "\n".join(["```{toctree}", ":maxdepth: 1", "", *top, *readmes, "```"])
    return f"# Packages and tools\n\nThe READMEs of the repository.\n\n{listed}\n"
