"""The packages' order: an import goes down it, never up, and what is not installed is named by its distribution."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import flambeau

LAYER = {"tensor-core": 0, "autograd": 1, "nn": 2, "optim": 2, "data": 2, "vision": 3}

# Distributions that are imported under another name.
IMPORTED_AS = {"pillow": "PIL"}


def python_files(root: Path, package: str) -> list[Path]:
    return [*(root / "packages" / package).glob("src/**/*.py"), *(root / "packages" / package).glob("python/**/*.py")]


def imported_modules(path: Path) -> Iterator[str]:
    """Every name that the imports of a file may load as a module, in full."""
    parts = path.with_suffix("").parts
    package = parts[len(parts) - parts[::-1].index("flambeau") - 1 : -1]
    tree = ast.parse(path.read_text())
    if package == ("flambeau",):  # the facade names the other distributions to type checkers, which run nothing
        tree.body = [node for node in tree.body if not is_for_type_checkers(node)]
    for node in ast.walk(tree):
        yield from names_of(node, package)


def is_for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def names_of(node: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """What an import statement in a module of ``package`` names; nothing for any other statement."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else ()
        origin = ".".join((*base, *([node.module] if node.module else [])))
        yield from (f"{origin}.{alias.name}" for alias in node.names)


def package_of(module: str) -> str | None:
    """The package of this repository that a module belongs to."""
    top, _, rest = module.partition(".")
    if top != "flambeau":
        return None
    name = rest.partition(".")[0]
    return name if name in LAYER else "tensor-core"


def test_every_package_has_a_layer(package: str) -> None:
    assert package == "flambeau" or package in LAYER


def test_nothing_imports_upward(root: Path, package: str) -> None:
    upward = [
        f"{path.relative_to(root)}: {module}"
        for path in python_files(root, package)
        for module in imported_modules(path)
        if (target := package_of(module)) and target != package and LAYER[target] >= LAYER[package]
    ]
    assert upward == []


def test_other_peoples_packages_are_declared(root: Path, projects: dict[str, Any], package: str) -> None:
    project = projects[package]["project"]
    wanted = sum(project.get("optional-dependencies", {}).values(), project.get("dependencies", []))
    names = [re.split(r"[<>=!~\[; ]", name)[0] for name in wanted]
    declared = {IMPORTED_AS.get(name, name) for name in names}
    imported = {
        name.partition(".")[0]: path.name
        for path in python_files(root, package)
        for node in ast.parse(path.read_text()).body  # what a function imports may be optional
        for name in names_of(node, ("flambeau",) * 5)
    }
    undeclared = set(imported) - declared - sys.stdlib_module_names - {"flambeau"}
    assert {name: imported[name] for name in undeclared} == {}


def test_upward_imports_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "src" / "flambeau" / "data" / "module.py"
    path.parent.mkdir(parents=True)
    path.write_text("import flambeau.nn\nfrom flambeau import optim\nfrom .. import vision\nfrom . import loader\n")
    modules = list(imported_modules(path))
    assert modules == ["flambeau.nn", "flambeau.optim", "flambeau.vision", "flambeau.data.loader"]
    assert [package_of(module) for module in modules] == ["nn", "optim", "vision", "data"]


def test_the_facade_shows_every_name_to_type_checkers(root: Path) -> None:
    """It hides ``__getattr__`` from them, so that a name that is not written there is an error in a user's program."""
    path = root / "packages" / "tensor-core" / "python" / "flambeau" / "__init__.py"
    tree = ast.parse(path.read_text())
    block = next(node for node in tree.body if is_for_type_checkers(node))
    aliases = {alias.asname for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for alias in node.names}
    annotated = {node.target.id for node in ast.walk(block) if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
    at_run_time = {*flambeau._DISTRIBUTIONS, *flambeau._ELSEWHERE, *flambeau._MODULES, *flambeau._TENSOR_TYPES}
    assert at_run_time - {"__config__"} == (aliases | annotated) - {"_tensortype"}


def test_the_top_of_the_namespace_belongs_to_tensor_core(root: Path) -> None:
    found = [path.relative_to(root).parts[1] for path in root.glob("packages/*/*/flambeau/__init__.py")]
    assert found == ["tensor-core"]


@pytest.fixture(scope="module")
def only_tensor_core(tmp_path_factory: pytest.TempPathFactory, root: Path) -> dict[str, str]:
    """The environment variables of a Python that has tensor-core and third parties' packages, but no other of ours."""
    folder = tmp_path_factory.mktemp("site")
    (wheel,) = (root / "dist").glob("flambeau_tensor_core-*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith("flambeau") and path.suffix != ".pth":
            (folder / path.name).symlink_to(path)
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.parametrize("statement", ["import flambeau; flambeau.{0}", "from flambeau import {0}"])
@pytest.mark.parametrize("name", ["autograd", "nn", "optim", "data", "vision"])
def test_a_missing_package_is_named_by_its_distribution(
    only_tensor_core: dict[str, str], name: str, statement: str
) -> None:
    command = [sys.executable, "-S", "-c", statement.format(name)]
    done = subprocess.run(command, env=only_tensor_core, capture_output=True, text=True, check=False)
    last_line = done.stderr.strip().splitlines()[-1] if done.stderr else done.stdout
    assert done.returncode == 1
    assert last_line.startswith(("ImportError", "ModuleNotFoundError"))
    assert f"flambeau-{name}" in last_line


def test_an_unknown_name_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        flambeau.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", ["autograd", "nn", "optim", "data", "vision"])
def test_every_package_is_installed(name: str) -> None:
    assert importlib.util.find_spec(f"flambeau.{name}") is not None
