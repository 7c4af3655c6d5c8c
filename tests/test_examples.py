"""Tests of the programs in docs/examples with small settings: accuracy, output files, and resuming."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau.vision import datasets, models

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
TIMEOUT = 1800  # in seconds: eight other busy processes make an example about ten times slower
SHAKESPEARE, CIFAR = DATA / "text" / "tinyshakespeare.txt", DATA / "cifar-10-batches-py"
needs_cifar = pytest.mark.skipif(not CIFAR.exists(), reason="needs files of CIFAR-10 in ../shared/data")


def command(name: str, *arguments: object) -> list[str]:
    program = ROOT / "docs" / "examples" / f"{name}.py"
    return [sys.executable, "-W", "error", str(program), *map(str, arguments)]


@pytest.fixture
def run(tmp_path: Path):
    """Return a function that runs an example with an output folder and arguments, and returns what it prints."""

    def run(name: str, *arguments: object) -> str:
        done = subprocess.run(
            command(name, "--output", tmp_path / name, *arguments),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
EXTRA = tomllib.loads((ROOT / "packages/flambeau/pyproject.toml").read_text())["project"]["optional-dependencies"]
OPTIONAL = {re.split("[<>=]", requirement)[0] for requirement in EXTRA["examples"]}


def imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in named}


def test_the_examples_extra_lists_the_packages_that_examples_import() -> None:
    assert set().union(*map(imports, EXAMPLES)) >= OPTIONAL
    of_vision = {"flambeau", "numpy", "PIL", "tqdm"}
    undeclared = {path.name: imports(path) - sys.stdlib_module_names - of_vision - OPTIONAL for path in EXAMPLES}
    assert {name: packages for name, packages in undeclared.items() if packages} == {}


# Runs a program as if a package were not installed.
WITHOUT = """
import runpy, sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name == {needed!r}:
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Absent)
runpy.run_path({path!r}, run_name="__main__")
"""
NEEDED = [(path, needed) for path in EXAMPLES for needed in sorted(imports(path) & OPTIONAL)]


@pytest.mark.parametrize(("path", "needed"), NEEDED, ids=[f"{path.stem}-{needed}" for path, needed in NEEDED])
def test_an_example_names_the_package_it_needs(path: Path, needed: str) -> None:
    code = WITHOUT.format(needed=needed, path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f'{path.name} needs the package {needed}: pip install "flambeau[examples]"\n'


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Write Shakespeare's text if it is available, otherwise a repeated rhyme."""
    path = tmp_path / "text.txt"
    rhyme = "Humpty Dumpty sat on a wall,\nHumpty Dumpty had a great fall.\n" * 600
    path.write_text(SHAKESPEARE.read_text()[:40_000] if SHAKESPEARE.exists() else rhyme)
    return path


def number(printed: str, before: str) -> float:
    """Return the last number that follows ``before`` in the output."""
    return float(re.findall(re.escape(before) + r"\s*(-?[\d.]+\d)", printed)[-1])


def is_picture(path: Path) -> bool:
    with Image.open(path) as image:
        return np.asarray(image.convert("L")).std() > 0


def test_the_character_lstm_example_learns_the_text(run, text: Path, tmp_path: Path) -> None:
    options = ["--epochs", 3, "--hidden", 64, "--layers", 1, "--batch-size", 16, "--length", 32, "--lr", 0.01]
    printed = run("character_lstm", text, *options)
    assert number(printed, "Test:") < 0.75 * number(printed, "without a model:")
    folder = tmp_path / "character_lstm"
    sample = (folder / "sample.txt").read_text()
    assert len(sample) == 501 and set(sample) <= set(text.read_text())
    assert is_picture(folder / "learning.png")


def test_the_gpt_example_learns_the_text(run, text: Path, tmp_path: Path) -> None:
    printed = run(
        "gpt", text, "--steps", 300, "--every", 150, "--width", 48, "--layers", 2, "--length", 32, "--lr", 0.005
    )
    untrained = np.log(len(set(text.read_text())))
    assert number(printed, "Test loss:") < 0.7 * untrained
    assert len((tmp_path / "gpt" / "sample.txt").read_text()) == 501
    assert is_picture(tmp_path / "gpt" / "learning.png")


def test_the_pendulum_example_finds_length_and_friction(run, tmp_path: Path) -> None:
    printed = run("pendulum")
    assert abs(number(printed, "Length:") - 0.7) < 0.01 and abs(number(printed, "friction:") - 0.15) < 0.03
    assert is_picture(tmp_path / "pendulum" / "pendulum.png")


def test_pendulum_reads_measurements(run, tmp_path: Path) -> None:
    times = np.linspace(0, 2, 40)
    angles = 0.05 * np.cos(np.sqrt(9.81 / 1.2) * times)  # a small swing without friction, in closed form
    np.savetxt(tmp_path / "angles.csv", np.stack([times, angles], 1), delimiter=",")
    printed = run("pendulum", "--measurements", tmp_path / "angles.csv")
    assert abs(number(printed, "Length:") - 1.2) < 0.05


def test_the_matrix_factorisation_example_predicts_ratings(run, tmp_path: Path) -> None:
    printed = run("matrix_factorisation", "--epochs", 12)
    assert number(printed, "Test error:") < 0.45 * number(printed, "guessing the mean:")
    assert is_picture(tmp_path / "matrix_factorisation" / "ratings.png")


def test_the_vae_example_lowers_the_test_loss(run, tmp_path: Path) -> None:
    printed = run("vae", "--epochs", 12)
    first, last = re.findall(r"test ([\d.]+)", printed)[0], number(printed, "Test loss:")
    assert last < 26.5 and last < float(first) - 1
    assert all(is_picture(tmp_path / "vae" / f"{name}.png") for name in ("reconstructions", "samples", "between"))


def test_the_dcgan_example_draws_digits(run, tmp_path: Path) -> None:
    run("lenet", "--epochs", 3)
    judge = tmp_path / "lenet" / "checkpoint.safetensors"
    printed = run("dcgan", "--epochs", 4, "--features", 16, "--judge", judge)
    assert "Epoch 4/4" in printed and 0.1 < number(printed, "Mean confidence of LeNet:") < 1
    folder = tmp_path / "dcgan"
    assert all(is_picture(folder / f"epoch-00{epoch}.png") for epoch in range(1, 5))
    with Image.open(folder / "training.gif") as animation:
        assert animation.n_frames == 4
    drawn, digits = (folder / "epoch-004.png"), datasets.Digits(train=True).data
    with Image.open(drawn) as image:
        brightness = np.asarray(image.convert("L")).mean()
    assert abs(brightness / 255 - digits.float().mean().item() / digits.max().item()) < 0.15


def test_the_reinforce_example_balances_the_pole(run, tmp_path: Path) -> None:
    pytest.importorskip("gymnasium")
    printed = run("reinforce", "--episodes", 160, "--every", 40)
    assert number(printed, "greedy episodes:") > 150
    folder = tmp_path / "reinforce"
    with Image.open(folder / "episode.gif") as animation:
        assert animation.n_frames > 50
    assert is_picture(folder / "returns.png")


def test_the_dqn_example_balances_the_pole(run, tmp_path: Path) -> None:
    pytest.importorskip("gymnasium")
    printed = run("dqn", "--steps", 6000, "--every", 1000)
    assert number(printed, "best network:") > 100
    assert is_picture(tmp_path / "dqn" / "rewards.png")


@needs_cifar
def test_the_cifar_resnet_example_learns(run, tmp_path: Path) -> None:
    printed = run("cifar_resnet", "--root", DATA, "--epochs", 3, "--width", 8, "--blocks", 1)
    assert number(printed, "Test accuracy:") > 25  # a tenth by chance
    assert is_picture(tmp_path / "cifar_resnet" / "cifar.png")


def test_the_fine_tuning_example_raises_the_accuracy(run, tmp_path: Path) -> None:
    fb.manual_seed(0)
    given = models.resnet18(num_classes=7).state_dict()
    fb.save(given, tmp_path / "resnet18.pth")
    printed = run("fine_tune", "--weights", tmp_path / "resnet18.pth", "--head-epochs", 1, "--epochs", 3)
    assert "120 of 122 tensors" in printed and "random: fc.weight, fc.bias" in printed
    accuracies = [float(found) for found in re.findall(r"accuracy ([\d.]+) %", printed)]
    assert accuracies[0] > 30 and accuracies[-1] > 60 and accuracies[-1] > accuracies[0]
    result = fb.load(tmp_path / "fine_tune" / "model.pth")
    assert list(result) == list(given) and result["fc.weight"].shape == (10, 512)
    assert is_picture(tmp_path / "fine_tune" / "predictions.png")


def test_fine_tuning_another_network_is_rejected(tmp_path: Path) -> None:
    fb.save(models.LeNet().state_dict(), tmp_path / "lenet.pth")
    done = subprocess.run(
        command("fine_tune", "--weights", tmp_path / "lenet.pth"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "lenet.pth is not a resnet18" in done.stderr


RESUMED = {
    "character_lstm": ["TEXT", "--epochs", 3, "--hidden", 32, "--layers", 2, "--batch-size", 16, "--letters", 20_000],
    "gpt": ["TEXT", "--steps", 30, "--every", 10, "--width", 32, "--layers", 1, "--dropout", 0.1, "--letters", 20_000],
    "pendulum": ["--steps", 75],
    "matrix_factorisation": ["--epochs", 3],
    "vae": ["--epochs", 3, "--hidden", 64],
    "reinforce": ["--episodes", 24, "--every", 8],
    "dqn": ["--steps", 1800, "--every", 600],
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_killed_example_resumes_and_reaches_the_same_result(name: str, text: Path, tmp_path: Path) -> None:
    if name in ("reinforce", "dqn"):
        pytest.importorskip("gymnasium")
    options = [text if option == "TEXT" else option for option in RESUMED[name]]
    quiet = {"cwd": tmp_path, "stdout": subprocess.DEVNULL}
    subprocess.run(command(name, "--output", "whole", *options), check=True, timeout=TIMEOUT, **quiet)

    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    process = subprocess.Popen(command(name, "--output", "killed", *options), **quiet)
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert checkpoint.exists()
    subprocess.run(command(name, "--output", "killed", *options, "--resume"), check=True, timeout=TIMEOUT, **quiet)
    assert checkpoint.read_bytes() == (tmp_path / "whole" / "checkpoint.safetensors").read_bytes()
