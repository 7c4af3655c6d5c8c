"""Tests that examples with ``--device cuda`` reach the results of the CPU."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
RHYME = "Humpty Dumpty sat on a wall,\nHumpty Dumpty had a great fall.\n" * 100


def figure(name, *arguments, folder):
    """Run an example and return the last number that it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1 if done.stdout.split()[-1] != "%" else -2])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("lenet", ("--epochs", 2)),
        (
            "gpt",
            ("TEXT", "--steps", 20, "--every", 10, "--width", 16, "--layers", 1, "--length", 16, "--batch-size", 4),
        ),
    ],
)
def test_example_programs_give_the_same_results_on_cpu_and_gpu(name, arguments, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(RHYME)
    arguments = [text if a == "TEXT" else a for a in arguments]
    figures = [
        figure(name, *arguments, "--device", device, "--output", tmp_path / device, folder=tmp_path)
        for device in ("cpu", "cuda")
    ]
    assert figures[1] == pytest.approx(figures[0], rel=0.02)
