"""No input from Python crashes the process: every operator is called with invalid arguments, with fixed seeds.

Each call must return a result, or raise an ordinary exception and leave the operands unchanged. hostile.py makes the
calls in separate processes, which must not crash.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import flambeau as fb

HOSTILE = Path(__file__).with_name("hostile.py")
PARTS = 4


def survive(options, tmp_path):
    journal = tmp_path / "journal"
    journal.touch()
    options = [*options, "--journal", journal]
    # glibc overwrites freed memory, so that reads of freed memory give other values.
    environment = {**os.environ, "MALLOC_PERTURB_": "165", "MALLOC_CHECK_": "3", "PYTHONFAULTHANDLER": "1"}
    command = [sys.executable, HOSTILE, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"calls in progress: {journal.read_text()}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("part", range(PARTS))
def test_random_arguments_do_not_crash_the_process(part, tmp_path):
    survive(["--calls", "12", "--part", str(part), "--parts", str(PARTS)], tmp_path)


@pytest.mark.parametrize("way", ["vmap", "grad"])
def test_random_calls_under_transforms_do_not_crash_the_process(way, tmp_path):
    pytest.importorskip("flambeau.func")
    survive(["--calls", "3", "--way", way], tmp_path)


def test_random_calls_in_threads_that_share_tensors_do_not_crash(tmp_path):
    survive(["--calls", "2", "--way", "threads"], tmp_path)


def test_the_random_calls_reach_every_operator():
    """Test that the calls include all operators of the registry, without a separate list."""
    listed = json.loads(
        subprocess.run(
            [sys.executable, "-c", "import json, hostile; print(json.dumps(sorted(hostile.targets())))"],
            cwd=HOSTILE.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    names = {entry["name"] for entry in fb._core.signatures() if entry["function"]}
    assert names - set(listed) <= {"save", "load", "set_printoptions"}
    assert "Tensor.add_" in listed and "exp" in listed
