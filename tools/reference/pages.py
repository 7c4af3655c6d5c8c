"""The pages of the reference as Markdown, with an ``{api}`` block for each entry.

The blocks are directives of MyST, the Markdown of Sphinx: ``tools/site`` shows them with links, an index and search.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tools.reference import docstrings
from tools.reference.entries import Entry, entries
from tools.reference.modules import Namespace, namespaces

# A module with more entries than this is divided into pages, one for each family.
ENTRIES_OF_A_PAGE = 60


@dataclass
class Page:
    """Page with its path without suffix, its title, an introduction, its entries and the pages below it."""

    path: str
    title: str
    introduction: str
    entries: list[Entry]
    below: list[Page] = field(default_factory=list)


def pages() -> list[Page]:
    """Return the pages of all public modules, and of the tensor's attributes and methods."""
    result = []
    for namespace in namespaces():
        listed = list(entries(namespace))
        tensor = next((each for each in listed if each.name == "flambeau.Tensor"), None)
        if tensor is not None:
            listed.remove(tensor)
        result.append(module_page(namespace.name, introduction(namespace), listed))
        if tensor is not None:
            alone = Entry("class", tensor.name, tensor.signature, tensor.text, tensor.source)
            page = module_page(tensor.name, "", tensor.members)
            page.entries.insert(0, alone)
            result.append(page)
    return result


def introduction(namespace: Namespace) -> str:
    """Return the documentation of a module."""
    return docstrings.markdown(namespace.module, namespace.name)


def module_page(name: str, text: str, listed: list[Entry]) -> Page:
    """Return the page of a module or class, divided by families if it has many entries."""
    if len(listed) <= ENTRIES_OF_A_PAGE:
        return Page(name, name, text, listed)
    families: dict[str, list[Entry]] = defaultdict(list)
    for each in listed:
        families["constants" if each.kind in ("data", "attribute") else each.family].append(each)
    small = {family for family, group in families.items() if len(group) < 3}
    if sum(len(families[family]) for family in small) > ENTRIES_OF_A_PAGE / 2:  # a file for each class
        small = set()
    rest = [each for family in small for each in families.pop(family)]
    families["other"] = sorted(families.pop("other", []) + rest, key=lambda each: each.name)
    below = [
        Page(f"{name}/{family}", f"{name}: {family.replace('_', ' ')}", "", group)
        for family, group in sorted(families.items(), key=lambda item: (item[0] == "other", item[0]))
        if group
    ]
    return Page(name, name, text, [], below)


def texts() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each page, the index first."""
    all_pages = pages()
    index = ["# API reference", "Every public module, class, function and constant, by module."]
    yield "index", "\n\n".join([*index, contents([page.path for page in all_pages])]) + "\n"
    for page in all_pages:
        yield page.path, text(page)
        for below in page.below:
            yield below.path, text(below)


def text(page: Page) -> str:
    """Return the text of a page."""
    parts = [f"# {page.title}", page.introduction]
    if page.below:
        name = page.path.rpartition("/")[2]
        parts.append(contents([f"{name}/{below.path.rpartition('/')[2]}" for below in page.below]))
    if len(page.entries) > 1:
        parts.append(overview(page.entries))
    for entry in page.entries:
        parts += [block(entry), *map(block, entry.members)]
    return "\n\n".join(filter(None, parts)) + "\n"


def contents(paths: list[str]) -> str:
    """Return a table of contents of other pages."""
    return "\n".join(["```{toctree}", ":maxdepth: 1", "", *paths, "```"])


def overview(listed: list[Entry]) -> str:
    """Return the names of a page's entries, each with its summary."""
    lines = [f"{entry.name} {docstrings.summary(entry.text)}" for entry in listed]
    return "\n".join(["````{api-overview}", *lines, "````"])


def block(entry: Entry) -> str:
    """Return the block of an entry."""
    lines = [f"````{{api}} {entry.kind}", f":name: {entry.name}"]
    lines += [f":signature: {entry.signature}"] if entry.signature else []
    lines += [f":source: {entry.source}"] if entry.source else []
    return "\n".join([*lines, "", entry.text, "````"])
