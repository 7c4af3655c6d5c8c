"""Tests that packages import only packages below them, and that errors name the distribution of a missing package."""

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
from flambeau._distributions import DISTRIBUTIONS, REGISTERED_BY

# These modules list public names, some of which are defined in other packages.
NAMES_ON_FIRST_USE = "packages/tensor-core/python/flambeau/_on_first_use.py"
FACADES = (NAMES_ON_FIRST_USE, "packages/nn/src/flambeau/nn/parallel/distributed.py")

# Distributions that are imported under another name.
IMPORTED_AS = {"pillow": "PIL"}


def python_files(root: Path, package: str) -> list[Path]:
    return [*(root / "packages" / package).glob("src/**/*.py"), *(root / "packages" / package).glob("python/**/*.py")]


def modules_of(root: Path, package: str) -> list[tuple[Path, str]]:
    """Return the files of a package, each with the name that it is imported by."""
    return [
        (path, ".".join(("flambeau", *path.relative_to(top).with_suffix("").parts)).removesuffix(".__init__"))
        for top in (
            root / "packages" / package / "src" / "flambeau",
            root / "packages" / package / "python" / "flambeau",
        )
        for path in sorted(top.glob("**/*.py"))
    ]


@pytest.fixture(scope="module")
def owners(root: Path, projects: dict[str, Any]) -> dict[str, str]:
    """Return the package of each module."""
    return {module: package for package in projects for _, module in modules_of(root, package)}


def owner_of(name: str, owners: dict[str, str]) -> str | None:
    """Return the package that contains a module or an attribute of it, or None if it does not belong to flambeau."""
    parts = name.split(".")
    if parts[0] != "flambeau":
        return None
    known = (".".join(parts[:length]) for length in range(len(parts), 1, -1))
    return next((owners[module] for module in known if module in owners), "tensor-core")


def with_dependencies(package: str, projects: dict[str, Any]) -> set[str]:
    """Return a package and the packages of this repository that it requires, directly or indirectly."""
    required = own(projects[package]["project"].get("dependencies", []), projects)
    return {package}.union(*(with_dependencies(each, projects) for each in required))


def own(names: list[str], projects: dict[str, Any]) -> list[str]:
    """Return the folders of the required packages that are in this repository."""
    folders = {project["project"]["name"]: folder for folder, project in projects.items()}
    return [folders[name.partition("==")[0]] for name in names if name.partition("==")[0] in folders]


def requirements(project: dict[str, Any]) -> list[str]:
    """Return the requirements of a project, including its extras."""
    return sum(project.get("optional-dependencies", {}).values(), project.get("dependencies", []))


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the full name of every module that the imports of a file may load."""
    parts = path.with_suffix("").parts
    package = parts[len(parts) - parts[::-1].index("flambeau") - 1 : -1]
    for node in ast.walk(ast.parse(path.read_text())):
        yield from names_of(node, package)


def is_for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def names_of(node: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """Yield the names that an import statement in a module of ``package`` imports, or nothing for other statements."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else ()
        origin = ".".join((*base, *([node.module] if node.module else [])))
        yield from (f"{origin}.{alias.name}" for alias in node.names)


def mentioned_modules(path: Path) -> Iterator[str]:
    """Yield the module names in the strings and attributes of a Python file, or in the strings of a C++ file."""
    if path.suffix != ".py":
        yield from re.findall(r'"(flambeau(?:\.\w+)+)"', path.read_text())
        return
    for node in ast.walk(ast.parse(path.read_text())):
        text = (
            node.value
            if isinstance(node, ast.Constant)
            else ast.unparse(node)
            if isinstance(node, ast.Attribute)
            else ""
        )
        if isinstance(text, str) and re.fullmatch(r"flambeau(\.\w+)+", text):
            yield text


def edges(root: Path, package: str, owners: dict[str, str], allowed: set[str]) -> set[str]:
    """Return "file: module" for each mention of a package that is not in ``allowed``."""
    folder = root / "packages" / package
    sources = [
        path
        for path in (*folder.glob("**/*.cpp"), *folder.glob("**/*.h"))
        if not {"build", "tests"} & set(path.relative_to(folder).parts)
    ]
    python = [path for path, _ in modules_of(root, package) if str(path.relative_to(root)) not in FACADES]
    return {
        f"{path.relative_to(root / 'packages')}: {name}"
        for path in (*python, *sources)
        for name in (*(imported_modules(path) if path.suffix == ".py" else ()), *mentioned_modules(path))
        if (owner := owner_of(name, owners)) and owner not in allowed
    }


def test_packages_import_only_their_declared_dependencies(
    root: Path, projects: dict[str, Any], owners: dict[str, str], package: str
) -> None:
    extras = own(requirements(projects[package]["project"]), projects)
    found = edges(root, package, owners, {*with_dependencies(package, projects), *extras})
    assert found == set()


def test_third_party_packages_are_declared(root: Path, projects: dict[str, Any], package: str) -> None:
    project = projects[package]["project"]
    names = [re.split(r"[<>=!~\[; ]", name)[0] for name in requirements(project)]
    declared = {IMPORTED_AS.get(name, name) for name in names}
    imported = {
        name.partition(".")[0]: path.name
        for path in python_files(root, package)
        for node in ast.parse(path.read_text()).body  # what a function imports may be optional
        for name in names_of(node, ("flambeau",) * 5)
    }
    undeclared = set(imported) - declared - sys.stdlib_module_names - {"flambeau"}
    assert {name: imported[name] for name in undeclared} == {}


def test_imports_between_packages_are_detected(tmp_path: Path) -> None:
    folder = tmp_path / "packages" / "data" / "src" / "flambeau" / "data"
    folder.mkdir(parents=True)
    imports = "import flambeau.nn\nfrom flambeau import optim\nfrom .. import vision\nfrom . import loader\n"
    (folder / "module.py").write_text(f"{imports}f('flambeau.func._vmap')\nflambeau.func.vmap\n'flambeau.no module'\n")
    (folder / "module.cpp").write_text('PyImport_ImportModule("flambeau.optim.adam");\n')
    owners = {"flambeau.data": "data", **{f"flambeau.{name}": name for name in ("nn", "optim", "vision", "func")}}
    found = {edge.partition(": ")[2] for edge in edges(tmp_path, "data", owners, {"data", "nn"})}
    assert found == {
        "flambeau.optim",
        "flambeau.vision",
        "flambeau.func",
        "flambeau.func.vmap",
        "flambeau.func._vmap",
        "flambeau.optim.adam",
    }


def test_type_checkers_know_every_tensor_type(root: Path) -> None:
    path = root / "packages" / "tensor-core" / "python" / "flambeau" / "__init__.py"
    block = next(node for node in ast.parse(path.read_text()).body if is_for_type_checkers(node))
    annotated = {node.target.id for node in ast.walk(block) if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
    assert annotated == set(flambeau._TENSOR_TYPES)


def test_only_tensor_core_defines_names_at_the_top_of_the_namespace(root: Path) -> None:
    found = [path.relative_to(root).parts[1] for path in root.glob("packages/*/*/flambeau/__init__.py")]
    assert found == ["tensor-core"]


@pytest.fixture(scope="module")
def only_tensor_core(tmp_path_factory: pytest.TempPathFactory, root: Path) -> dict[str, str]:
    """Return the environment of a Python with tensor-core as the only package of this project."""
    if not (root / "dist").exists():
        pytest.skip("needs the wheels of nox -s wheels")
    folder = tmp_path_factory.mktemp("site")
    (wheel,) = (root / "dist").glob("flambeau_tensor_core-*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith("flambeau") and path.suffix != ".pth":
            (folder / path.name).symlink_to(path)
    return {**os.environ, "PYTHONPATH": str(folder)}


def is_public(module: str) -> bool:
    """Return True if no part of the name is private. Names such as ``__future__`` are public."""
    return not any(part.startswith("_") and not part.startswith("__") for part in module.split("."))


def test_each_module_of_another_package_has_its_distribution(projects: dict[str, Any], owners: dict[str, str]) -> None:
    """Test that the table has exactly the packages' public modules and the modules that register a function."""
    names = {package: project["project"]["name"] for package, project in projects.items()}
    brought = {
        module.removeprefix("flambeau."): names[owner]
        for module, owner in owners.items()
        if owner != "tensor-core" and owners.get(module.rpartition(".")[0], "tensor-core") == "tensor-core"
    }
    registering = set(REGISTERED_BY.values())
    public = {module: name for module, name in brought.items() if is_public(module) or module in registering}
    assert public == DISTRIBUTIONS


@pytest.mark.parametrize(
    "statement", ["import flambeau; flambeau.{0}", "import flambeau.{0}", "from flambeau import {0}"]
)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_errors_name_the_distribution_of_a_missing_package(
    only_tensor_core: dict[str, str], name: str, statement: str
) -> None:
    above, _, last = name.rpartition(".")
    code = (
        statement.format(name)
        if not above
        else statement.format(name).replace(f"flambeau import {name}", f"flambeau.{above} import {last}")
    )
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, env=only_tensor_core, capture_output=True, text=True, check=False)
    last_line = done.stderr.strip().splitlines()[-1] if done.stderr else done.stdout
    assert done.returncode == 1
    assert last_line.startswith("ModuleNotFoundError")
    assert last_line.endswith(f"pip install {DISTRIBUTIONS[name]}")


def test_an_unknown_name_raises_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        flambeau.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_package_is_installed(name: str) -> None:
    assert importlib.util.find_spec(f"flambeau.{name}") is not None
