"""Invalid calls with tensors on the GPU: see test_hostile_arguments.py in the parent folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = Path(__file__).parents[1] / "hostile.py"
PARTS = 8


@pytest.mark.parametrize("part", range(0, PARTS, 4))
def test_random_arguments_on_the_gpu_do_not_crash_the_process(part, tmp_path):
    journal = tmp_path / "journal"
    journal.touch()
    command = [sys.executable, HOSTILE, "--device", "cuda", "--calls", "2", "--part", str(part), "--parts", str(PARTS)]
    # Without memory protection the emulated GPU is faster. Other tests find accesses of the host to its memory.
    environment = {**os.environ, "FLAMBEAU_EMULATED_PROTECTION": "0", "PYTHONFAULTHANDLER": "1"}
    done = subprocess.run(
        [*command, "--journal", journal, "--memory", "0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{journal.read_text()}\n{done.stderr[-3000:]}"
