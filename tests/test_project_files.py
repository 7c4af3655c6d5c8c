"""Tests that the files about the project agree with the packages and with the configuration of the tools."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any


def test_pre_commit_uses_the_tool_versions_of_the_lint_session(root: Path) -> None:
    groups = tomllib.loads((root / "pyproject.toml").read_text())["dependency-groups"]
    pinned = {each for name in ("format", "lint") for each in groups[name] if isinstance(each, str)}
    used = re.findall(r'additional_dependencies: \["(.*?)"\]', (root / ".pre-commit-config.yaml").read_text())
    assert used and set(used) <= pinned


def test_the_citation_has_the_version_of_the_packages(root: Path, projects: dict[str, dict[str, Any]]) -> None:
    citation = dict(re.findall(r"^(version|license): (.+)$", (root / "CITATION.cff").read_text(), re.MULTILINE))
    project = projects["flambeau"]["project"]
    assert citation == {"version": project["version"], "license": project["license"]}


def test_the_changelog_begins_with_the_version_of_the_packages(root: Path, projects: dict[str, dict[str, Any]]) -> None:
    versions = re.findall(r"^## \[?([\d.]+)", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == projects["flambeau"]["project"]["version"]


def test_the_metapackage_requires_every_package(projects: dict[str, dict[str, Any]]) -> None:
    metapackage = projects["flambeau"]["project"]
    required = {requirement.partition("==")[0] for requirement in metapackage["dependencies"]}
    names = {project["project"]["name"] for project in projects.values()}
    assert required == names - {metapackage["name"]}
