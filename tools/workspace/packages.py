"""The packages of this repository, in order of dependency, and their requirements, sources and wheels."""

from __future__ import annotations

import graphlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
PROJECTS = {path.parent.name: nox.project.load_toml(path) for path in sorted(ROOT.glob("packages/*/pyproject.toml"))}


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group of the top-level pyproject.toml."""
    return list(nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), name))


def extra(name: str) -> list[str]:
    """Return the requirements of an extra of the metapackage."""
    return list(PROJECTS["flambeau"]["project"]["optional-dependencies"][name])


def packages_in(requirements: Sequence[str]) -> list[str]:
    """Return the folders of this repository's packages that the requirements name."""
    folder_of = {project["project"]["name"]: folder for folder, project in PROJECTS.items()}
    names = (requirement.partition("==")[0] for requirement in requirements)
    return [folder_of[name] for name in names if name in folder_of]


def dependencies(package: str) -> list[str]:
    """Return the folders of the declared dependencies of a package in this repository."""
    return packages_in(PROJECTS[package]["project"].get("dependencies", ()))


PACKAGES = tuple(graphlib.TopologicalSorter({name: dependencies(name) for name in PROJECTS}).static_order())
NATIVE = [name for name in PACKAGES if PROJECTS[name]["build-system"]["build-backend"] == "scikit_build_core.build"]


def with_dependencies(*packages: str) -> list[str]:
    """Return packages with their dependencies in this repository, in order of dependency."""
    needed = set(packages)
    for package in reversed(PACKAGES):
        if package in needed:
            needed.update(dependencies(package))
    return [package for package in PACKAGES if package in needed]


def sources(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder, except build outputs and caches."""
    for path in sorted(folder.iterdir()):
        if path.name not in ("build", "__pycache__") and not path.name.startswith("."):
            yield from sources(path) if path.is_dir() else [path]


def files_of(package: str, pattern: str = "*") -> list[Path]:
    """Return the wheel and the sdist of a package in dist/, relative to the repository."""
    name = PROJECTS[package]["project"]["name"].replace("-", "_")
    return sorted(path.relative_to(ROOT) for path in DIST.glob(f"{name}-{pattern}"))


def install_alone(session: nox.Session, *packages: str) -> list[str]:
    """Install packages from their wheels in dist/ by path, so that no package index is asked for their names.

    Return these paths. Only dependencies in this repository are installed.
    """
    paths = [str(path) for package in with_dependencies(*packages) for path in files_of(package, "*.whl")]
    session.install("--quiet", "--no-deps", "--force-reinstall", *paths)
    return paths


def install(session: nox.Session, *packages: str, requirements: Sequence[str] = ()) -> None:
    """Install packages from their wheels in dist/ with all dependencies, and further requirements."""
    session.install(*install_alone(session, *packages), *requirements)
