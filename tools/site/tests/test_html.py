"""Tests of the built pages: links, alternative texts of images, no files from other servers, and valid notebooks."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tools.documentation import ROOT, cells

LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The links, anchors, loaded files and images of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.loaded: set[str] = set()
        self.without_text: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if attributes.get("id"):
            self.anchors.add(attributes["id"])
        if tag == "a" and attributes.get("href"):
            self.links.add(attributes["href"])
        if (address := attributes.get(LOADING.get(tag, ""))) and attributes.get("rel") != "canonical":
            self.loaded.add(address)
        if tag == "img" and not attributes.get("alt"):
            self.without_text.append(attributes.get("src") or "")


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_links_and_anchors_resolve(pages: dict[Path, Page]) -> None:
    broken = set()
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target not in pages:
                if not target.is_file():
                    broken.add((str(path), link))
            elif parts.fragment and unquote(parts.fragment) not in pages[target].anchors:
                broken.add((str(path), link))
    assert sorted(broken)[:20] == []


def test_pages_load_nothing_from_other_hosts(site: Path, pages: dict[Path, Page]) -> None:
    addresses = {address for page in pages.values() for address in page.loaded}
    assert {address for address in addresses if urlsplit(address).netloc} == set()
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert "url(http" not in styles.replace('"', "").replace("'", "") and "@import" not in styles


def test_the_benchmarks_page_contains_tables_of_other_pages(site: Path) -> None:
    text = (site / "docs/benchmarks.html").read_text(encoding="utf-8")
    assert "MLP 784-128-10, batch 32, Adam step" in text and "eleven pointwise operators" in text


def test_images_have_alternative_texts(pages: dict[Path, Page]) -> None:
    assert {str(path): page.without_text for path, page in pages.items() if page.without_text} == {}


def test_tutorials_link_to_their_notebooks(site: Path, pages: dict[Path, Page]) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat: nox -s docs -- test")
    for path in sorted((site / "docs" / "tutorials").glob("*.html")):
        (link,) = [link for link in pages[path].links if link.endswith(".ipynb")]
        notebook = json.loads((path.parent / link).read_text(encoding="utf-8"))
        nbformat.validate(notebook)
        written = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        source = ROOT / "docs" / "tutorials" / f"{path.stem}.md"
        assert written == [code.strip() for _, code in cells(source)]


def test_tutorials_show_outputs_and_formulas(site: Path) -> None:
    text = (site / "docs" / "tutorials" / "lenet.html").read_text(encoding="utf-8")
    assert "1437 images for training" in text and text.count("<img") == 4 and "<math" in text
