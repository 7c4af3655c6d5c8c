"""Short runs of the examples in docs/examples that have an option --device."""

from __future__ import annotations

from pathlib import Path

from ..machine import without_gpu
from ..setting import ROOT, Setting
from ..steps import Stage, Step

EXAMPLES = ROOT / "docs" / "examples"
TEXT = ROOT / "README.md"
CIFAR = ROOT.parent / "shared" / "data"
SETTINGS = {
    "character_lstm": (str(TEXT), "--epochs", "1"),
    "cifar_resnet": ("--root", str(CIFAR), "--epochs", "1"),
    "dcgan": ("--epochs", "1"),
    "gpt": (str(TEXT), "--steps", "60", "--every", "30"),
    "lenet": ("--epochs", "3", "--require-accuracy", "85"),
    "vae": ("--epochs", "3"),
}


def with_device() -> list[Path]:
    """Return the examples that can compute on a GPU."""
    return [path for path in sorted(EXAMPLES.glob("*.py")) if '"--device"' in path.read_text(encoding="utf-8")]


def steps(setting: Setting) -> list[Step]:
    commands = []
    for path in with_device():
        folder = setting.work / "examples" / path.stem
        command = [setting.python, str(path), *SETTINGS.get(path.stem, ()), "--device", "cuda", "--output", str(folder)]
        if path.stem == "cifar_resnet" and not (CIFAR / "cifar-10-batches-py").exists():
            command = [setting.python, "-c", "print('the files of CIFAR-10 are not here'); raise SystemExit(77)"]
        commands.append(Step(path.stem, command, 300))
    return commands


STAGE = Stage("examples", "Examples on the GPU", steps, missing=without_gpu, jobs=3)
