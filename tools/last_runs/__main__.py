"""Record in docs/checks.toml that a session ran: ``python -m tools.last_runs SESSION RESULT REQUIREMENT...``.

The entry contains the date, the commit, the result, and the installed versions of the requirements.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

CHECKS = Path(__file__).resolve().parents[2] / "docs" / "checks.toml"


def run_environment(requirements: list[str]) -> dict[str, str]:
    """Return the date, the commit, and the installed versions of some requirements."""
    described = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(described, cwd=CHECKS.parent, capture_output=True, text=True, check=False).stdout.strip()
    installed = {d.name.lower(): d.version for d in importlib.metadata.distributions()}
    names = sorted({re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements})
    versions = " ".join(f"{name}=={installed[name]}" for name in names if name in installed)
    return {"date": f"{datetime.date.today()}", "commit": commit, "versions": versions}


def write(path: Path, session: str, entry: dict[str, str]) -> None:
    """Set the entry of a session in the file ``path``, which contains one entry per session."""
    text = path.read_text()
    entries = {**tomllib.loads(text), session: entry}
    head = text.partition("\n[")[0].rstrip()
    tables = [
        "\n".join([f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in e.items())]) for name, e in entries.items()
    ]
    path.write_text("\n\n".join([head, *tables]) + "\n")


if __name__ == "__main__":
    session, result, *requirements = sys.argv[1:]
    write(CHECKS, session, {"result": result, **run_environment(requirements)})
