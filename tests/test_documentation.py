"""Tests of the documentation: the sessions that it names exist, its links resolve, and its programs run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.documentation import PAGES, ROOT, programs


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sessions() -> set[str]:
    """Return the names of the session functions in noxfile.py."""
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any("nox.session" in ast.unparse(d) for d in node.decorator_list)
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_documented_commands_name_existing_nox_sessions(page: Path) -> None:
    named = re.findall(r"(?:nox|noxfile\.py) -s \"?([a-z_]+)", page.read_text())
    assert set(named) <= sessions()


def test_the_readme_contains_the_two_commands_to_start() -> None:
    text = (ROOT / "README.md").read_text()
    assert "python3 noxfile.py -s train" in text
    assert "python3 noxfile.py -s tests" in text


def test_the_readme_lists_every_package() -> None:
    text = (ROOT / "README.md").read_text()
    assert [path.name for path in (ROOT / "packages").iterdir() if f"packages/{path.name}" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_in_documentation_lead_to_existing_files(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)  # code has no links
    targets = re.findall(r"(?<!\[)\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
    assert [target for target in targets if not (page.parent / target).exists()] == []


PROGRAMS = [(page, text) for page in PAGES for text in programs(page)]


@pytest.mark.parametrize(("page", "program"), PROGRAMS, ids=[name_of(page) for page, _ in PROGRAMS])
def test_programs_in_documentation_pages_run(page: Path, program: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=tmp_path, check=True, timeout=600)
