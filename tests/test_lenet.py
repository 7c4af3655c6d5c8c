"""The example that trains LeNet, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from flambeau.vision import datasets, transforms


@pytest.fixture
def train(root: Path, tmp_path: Path):
    """Return a function that runs the example with an output folder and arguments, and returns what it prints."""

    def run(output: str, *arguments: str) -> str:
        command = [sys.executable, str(root / "docs/examples/lenet.py"), "--output", output, *arguments]
        done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=600, check=False)
        return f"{done.stdout}exit status {done.returncode}"

    return run


def test_lenet_trains_and_a_resumed_run_equals_an_uninterrupted_one(train, tmp_path: Path) -> None:
    assert "exit status 0" in train("interrupted", "--epochs", "1")
    resumed = train("interrupted", "--epochs", "2", "--resume")
    whole = train("whole", "--epochs", "2")

    def last_epoch(printed: str) -> list[str]:
        return [line for line in printed.splitlines() if line.startswith(("Epoch 2/2", "Test accuracy", "exit status"))]

    assert last_epoch(resumed) == last_epoch(whole)
    assert len(last_epoch(whole)) == 3
    checkpoints = [(tmp_path / name / "checkpoint.safetensors").read_bytes() for name in ("interrupted", "whole")]
    assert checkpoints[0] == checkpoints[1]
    assert (tmp_path / "whole" / "lenet.png").read_bytes().startswith(b"\x89PNG")


def test_the_exported_lenet_runs_without_flambeau(train, tmp_path: Path) -> None:
    printed = train("exported", "--epochs", "1", "--onnx", "lenet.onnx")
    assert "ONNX: lenet.onnx" in printed
    session = onnxruntime.InferenceSession(tmp_path / "lenet.onnx", providers=["CPUExecutionProvider"])
    digits = datasets.Digits(train=False, transform=transforms.ToTensor())
    images = np.stack([(digits[i][0].numpy() - 0.305) / 0.376 for i in range(len(digits))])
    right = session.run(None, {"image": images})[0].argmax(1) == digits.targets.numpy()
    assert f"Test accuracy: {100 * right.mean():.2f} %" in printed


def test_training_fails_if_the_required_accuracy_is_not_reached(train) -> None:
    assert train("short", "--epochs", "1", "--require-accuracy", "100").endswith("exit status 1")
