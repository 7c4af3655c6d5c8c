"""Running Python modules in the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, **environment: str) -> None:
    """Run a Python module with arguments in the repository.

    Args:
        environment: additional environment variables.
    """
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env={**os.environ, **environment}, check=True)
