"""Fixture that runs a program that imports torch."""

import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a program with ``python -m flambeau.torch`` and returns its stdout and stderr."""

    def run(program, *arguments, options=(), status=0):
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(program))
        command = [sys.executable, "-W", "error", "-m", "flambeau.torch", *options, str(path), *arguments]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    return run
