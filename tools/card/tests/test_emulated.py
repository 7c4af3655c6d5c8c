"""Tests of the steps on the emulated GPU."""

import shutil
import sys
import time
from pathlib import Path

import pytest

from ..running import run_step
from ..setting import Setting
from ..stages import smoke, stress

needs_emulator = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not shutil.which("g++"), reason="the emulator needs Linux and g++"
)


@needs_emulator
def test_checks_pass_on_the_emulated_gpu(tmp_path: Path) -> None:
    setting = Setting(tmp_path, emulated=True)
    steps = {step.name: step for stage in (smoke, stress) for step in stage.steps(setting)}
    assert {"add", "matmul", "LeNet training steps", "random calls", "out of memory"} <= set(steps)
    for name in ("device", "allocate", "index out of range"):
        outcome = run_step(steps[name], setting, tmp_path / "logs", time.monotonic() + 120)
        assert outcome["status"] == "passed", outcome
