"""Tests of the distributions: equal versions, exact pins, and complete wheels and sdists without foreign files."""

from __future__ import annotations

import email
import importlib.metadata
import tarfile
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from flambeau._distributions import DISTRIBUTIONS

Projects = dict[str, dict[str, Any]]
IGNORED = {"build", "__pycache__"}
# Files that packages other than tensor-core install in addition to their public modules: private modules, native
# libraries and headers.
PRIVATE_FILES = {
    "autograd": (
        "flambeau/_dispatch/",
        "flambeau/_subclasses/",
        "flambeau/include/flambeau/autograd_engine.h",
        "flambeau/lib/cmake/flambeau-autograd/",
        "flambeau/lib/libflambeau-autograd.so",
        "flambeau/utils/_mode_utils.py",
    ),
    "export": ("flambeau/_compile/", "flambeau/_tracing/"),
}


def distribution_file(root: Path, project: dict[str, Any], suffix: str) -> Path:
    if not (root / "dist").exists():
        pytest.skip("needs the wheels of nox -s wheels")
    name = project["project"]["name"].replace("-", "_")
    (found,) = (root / "dist").glob(f"{name}-{project['project']['version']}*{suffix}")
    return found


@pytest.fixture
def wheel(root: Path, projects: Projects, package: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(distribution_file(root, projects[package], ".whl"))


@pytest.fixture
def sdist(root: Path, projects: Projects, package: str) -> set[str]:
    """Return the names in the sdist without its top folder."""
    with tarfile.open(distribution_file(root, projects[package], ".tar.gz")) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def source_files(folder: Path) -> set[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if not IGNORED & set(path.parts) and not path.name.endswith(".pyc")}


def test_all_packages_have_the_same_version(projects: Projects) -> None:
    assert len({project["project"]["version"] for project in projects.values()}) == 1


def test_the_installed_version_is_that_of_the_sources(projects: Projects, package: str) -> None:
    project = projects[package]["project"]
    assert importlib.metadata.version(project["name"]) == project["version"]


def test_packages_pin_each_other_to_their_version(projects: Projects, package: str) -> None:
    project = projects[package]
    required = [*project["project"].get("dependencies", []), *project["build-system"]["requires"]]
    own = [requirement for requirement in required if requirement.startswith("flambeau")]
    names = {other["project"]["name"] for other in projects.values()}
    assert {requirement.partition("==")[0] for requirement in own} <= names
    assert all(requirement.endswith(f"=={project['project']['version']}") for requirement in own)


def test_the_metapackage_requires_all_others(projects: Projects) -> None:
    required = {requirement.partition("==")[0] for requirement in projects["flambeau"]["project"]["dependencies"]}
    assert required == {project["project"]["name"] for project in projects.values()} - {"flambeau"}


def test_packages_have_complete_metadata(wheel: zipfile.ZipFile) -> None:
    fields = metadata(wheel)
    assert fields["License-Expression"] == "BSD-3-Clause"
    assert fields["Requires-Python"] == ">=3.11"
    assert fields["Description-Content-Type"] == "text/markdown"
    assert not any(field.startswith("License ::") for field in fields.get_all("Classifier", []))


def test_wheels_and_sdists_contain_the_licence(root: Path, wheel: zipfile.ZipFile, sdist: set[str]) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
    assert wheel.read(name) == (root / "LICENSE").read_bytes()
    assert "LICENSE" in sdist


def test_a_wheel_contains_only_files_of_its_own_package(
    projects: Projects, package: str, wheel: zipfile.ZipFile
) -> None:
    files = [name for name in wheel.namelist() if ".dist-info/" not in name]
    others = tuple(f"flambeau/{other}/" for other in projects if other != package)
    if package == "flambeau":
        assert files == []
    elif package == "tensor-core":
        assert all(name.startswith(("flambeau/", "flambeau_tensor_core.libs/")) for name in files)
        assert [name for name in files if name.startswith(others)] == []
        assert {"flambeau/__init__.py", "flambeau/py.typed"} <= set(files)
    else:
        own_name = projects[package]["project"]["name"]
        modules = [module for module, distribution in DISTRIBUTIONS.items() if distribution == own_name]
        own = tuple(f"flambeau/{module.replace('.', '/')}{end}" for module in modules for end in ("/", ".py"))
        own += PRIVATE_FILES.get(package, ())
        assert [name for name in files if not name.startswith(own)] == []
        assert {f"flambeau/{package}/__init__.py", f"flambeau/{package}/py.typed"} <= set(files)


def test_a_wheel_contains_every_python_source_file(root: Path, package: str, wheel: zipfile.ZipFile) -> None:
    folder = root / "packages" / package
    sources = set[str]().union(*(source_files(folder / top) for top in ("src", "python")))
    python = {name for name in sources if name.startswith("flambeau/")}
    assert python <= set(wheel.namelist())
    assert not [name for name in wheel.namelist() if "test" in Path(name).parts or name.endswith(".pyc")]


def test_an_sdist_contains_every_file_of_the_package(root: Path, package: str, sdist: set[str]) -> None:
    assert source_files(root / "packages" / package) <= sdist


@pytest.mark.parametrize(("native", "name"), [("tensor-core", "flambeau"), ("autograd", "flambeau-autograd")])
def test_the_native_library_is_found_where_dependants_look(
    root: Path, projects: Projects, native: str, name: str
) -> None:
    with zipfile.ZipFile(distribution_file(root, projects[native], ".whl")) as wheel:
        names = set(wheel.namelist())
    assert {f"flambeau/lib/cmake/{name}/{name}-config.cmake", f"flambeau/lib/lib{name}.so"} <= names
    assert any(name.startswith("flambeau/include/flambeau/") for name in names)
    (entry,) = importlib.metadata.entry_points(group="cmake.root", name=name)
    assert entry.value == "flambeau"


def test_the_installed_size_of_all_packages_is_limited(projects: Projects) -> None:
    def installed(name: str) -> int:
        # pip compiles the modules, to files whose size depends on the version of Python.
        paths = [path.locate() for path in importlib.metadata.files(name) or [] if path.suffix != ".pyc"]
        return sum(path.stat().st_size for path in paths if path.exists())  # type: ignore[attr-defined]

    assert sum(installed(project["project"]["name"]) for project in projects.values()) < 22.8e6
