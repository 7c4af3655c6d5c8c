"""Invalid arguments do not crash the engine: run hostile_engine.py in a separate process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = Path(__file__).with_name("hostile_engine.py")


@pytest.mark.parametrize("seed", [0, 1])
def test_random_engine_calls_do_not_crash_the_process(seed):
    environment = {**os.environ, "MALLOC_PERTURB_": "165", "MALLOC_CHECK_": "3", "PYTHONFAULTHANDLER": "1"}
    command = [sys.executable, HOSTILE, str(seed), "60"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
