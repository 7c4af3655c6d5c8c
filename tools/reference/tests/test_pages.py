"""Tests that the reference has every public object, with a description and the place of its definition."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path

import pytest

import flambeau as fb
from tools.reference import docstrings, sources
from tools.reference.entries import Entry, entries
from tools.reference.modules import namespaces
from tools.reference.pages import block, texts


@functools.cache
def listed() -> dict[str, Entry]:
    return {each.name: each for namespace in namespaces() for each in entries(namespace)}


def test_every_operator_has_an_entry():
    operators = {each["name"] for each in fb._core.signatures() if each["function"] and each["module"] == "flambeau"}
    rows = {row["name"] for row in fb._core.pointwise_rows()}
    public = {name for name in operators | rows if not name.startswith(("_", "special_"))}
    assert {name for name in public if f"flambeau.{name}" not in listed()} == set()


@pytest.mark.parametrize("name", ["flambeau.nn", "flambeau.optim", "flambeau.distributions", "flambeau.linalg"])
def test_every_name_of_a_module_has_an_entry(name: str):
    module = fb
    for part in name.split(".")[1:]:
        module = getattr(module, part)
    modules = {each for each in module.__all__ if inspect.ismodule(getattr(module, each))}
    assert {each for each in module.__all__ if f"{name}.{each}" not in listed()} <= modules


def test_every_operator_has_a_description():
    operators = [name for name in listed() if isinstance(getattr(fb, name.rpartition(".")[2], None), type(fb.exp))]
    assert len(operators) > 600
    assert [name for name in operators if not listed()[name].text] == []


def test_an_entry_names_the_method_forms():
    entry = listed()["flambeau.exp"]
    assert "`flambeau.Tensor.exp`, `flambeau.Tensor.exp_`" in entry.text
    assert ":signature: (input, *, out=None)" in block(entry)


def test_source_definitions_of_names_are_found():
    def line(entry: Entry) -> str:
        path, number = entry.source.split("#L")
        return (sources.ROOT / path).read_text().splitlines()[int(number) - 1]

    assert '"roll(input, shifts, dims=None)"' in line(listed()["flambeau.roll"])
    assert "class Conv2d" in line(listed()["flambeau.nn.Conv2d"])
    assert line(listed()["flambeau.exp"]).startswith("UNARY(exp,")
    unknown = [name for name, entry in listed().items() if entry.source is None and entry.kind in ("function", "class")]
    assert len(unknown) < 0.05 * len(listed()), unknown


def test_annotations_in_signatures_have_no_quotes():
    assert "lr: float = 0.001" in listed()["flambeau.optim.Adam"].signature.replace("float | Any", "float")


def test_signatures_contain_no_memory_addresses():
    assert "activation: str | Activation = relu," in listed()["flambeau.nn.Transformer"].signature
    assert [name for name, entry in listed().items() if " at 0x" in entry.signature] == []


def test_docstrings_become_markdown():
    def documented():
        """Return ``a * b``.

        Args:
            a: the first, which
                continues.
        Raises: ValueError for *x.

        >>> 1
        1
        """

    expected = (
        "Return `a * b`.\n\n**Arguments:**\n\n- `a`: the first, which continues.\n\n**Raises:** ValueError for \\*x."
    )
    assert docstrings.markdown(documented, "documented") == expected + "\n\n```pycon\n>>> 1\n1\n```"


def test_each_page_has_its_own_path():
    paths = [Path(path) for path, _ in texts()]
    assert len(paths) == len(set(paths)) > 100
