"""No geometry crashes a layer: run all targets of hostile_layers.py in separate processes with fixed seeds.

The calls have empty batches, channels and images, kernel sizes and groups of zero, and many strides, paddings and
dilations. Forward and backward passes return or raise an ordinary exception.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = Path(__file__).with_name("hostile_layers.py")
PARTS = 3


@pytest.mark.parametrize("part", range(PARTS))
def test_layers_with_random_arguments_do_not_crash_the_process(part, tmp_path):
    journal = tmp_path / "journal"
    journal.touch()
    options = ["--calls", "20", "--part", str(part), "--parts", str(PARTS), "--journal", journal]
    # glibc fills freed memory, so that a read of it does not find the former values.
    environment = {**os.environ, "MALLOC_PERTURB_": "165", "MALLOC_CHECK_": "3", "PYTHONFAULTHANDLER": "1"}
    command = [sys.executable, HOSTILE, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        call = json.loads(journal.read_text() or "{}")
        again = " ".join(f"--{name} '{value}'" for name, value in call.items())
        pytest.fail(f"exit code {done.returncode}; python {HOSTILE.name} {again} --calls 1\n{done.stderr[-3000:]}")


def test_most_random_calls_of_layers_succeed(tmp_path):
    """Check that most calls succeed. Otherwise too many arguments are invalid, and few kernels run."""
    outcomes = tmp_path / "outcomes"
    command = [sys.executable, HOSTILE, "--calls", "25", "--outcomes", outcomes]
    subprocess.run(command, capture_output=True, check=True, timeout=300)
    found = [json.loads(line) for line in outcomes.read_text().splitlines()]
    assert sum("results" in each for each in found) > len(found) / 2
    assert {each["name"] for each in found if "results" in each} == {each["name"] for each in found}
