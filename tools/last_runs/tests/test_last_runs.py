"""Tests that the file of last runs keeps its heading and the entries of other sessions."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tools.last_runs.__main__ import run_environment, write


def test_an_entry_replaces_only_its_own_session(tmp_path: Path) -> None:
    path = tmp_path / "checks.toml"
    path.write_text("# A heading.\n")
    write(path, "parity", {"result": "failed", "date": "2026-01-01"})
    write(path, "ecosystem", {"result": "passed", "date": "2026-01-02"})
    write(path, "parity", {"result": "passed", "date": "2026-01-03"})
    assert tomllib.loads(path.read_text()) == {
        "parity": {"result": "passed", "date": "2026-01-03"},
        "ecosystem": {"result": "passed", "date": "2026-01-02"},
    }
    assert path.read_text().startswith("# A heading.\n\n[parity]\n")


def test_recorded_versions_are_those_installed() -> None:
    versions = run_environment(["pytest>=8", "no-such-package==1.0", "NumPy"])["versions"].split()
    assert [version.partition("==")[0] for version in versions] == ["numpy", "pytest"]
