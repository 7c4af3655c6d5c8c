"""Programs written for PyTorch, in tests/programs, run unchanged: ``python -m flambeau.torch program.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_programs_written_for_pytorch_run(program: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "flambeau.torch", "--report", str(program)]
    done = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_programs_do_not_mention_flambeau(program: Path) -> None:
    text = program.read_text()
    assert "flambeau" not in text and "import torch" in text and "assert" in text


def test_torch_is_flambeau_in_programs(tmp_path: Path) -> None:
    program = """
import pickle
import flambeau, flambeau.data, flambeau.nn, flambeau.optim, flambeau.vision
import torch, torch.nn as nn, torch.nn.functional as F
import torchvision.transforms as transforms
from torch.optim.lr_scheduler import StepLR
from torch.optim.adam import Adam
from torch.utils.data.dataloader import DataLoader, default_collate
from torch.utils.data.sampler import RandomSampler
assert nn is torch.nn is flambeau.nn and F is flambeau.nn.functional and torch.optim is flambeau.optim
assert torch.utils.data is flambeau.data and DataLoader is flambeau.data.DataLoader
assert transforms is flambeau.vision.transforms and Adam is flambeau.optim.Adam
assert isinstance(nn.Linear(1, 1), flambeau.nn.Module) and torch.autograd.Variable is not None
assert "flambeau" in torch.__config__.show() and "threads" in torch.__config__.parallel_info()
again = pickle.loads(pickle.dumps(nn.Linear(2, 2)))
assert type(again) is flambeau.nn.Linear and flambeau.nn.__spec__.name == "flambeau.nn"
try:
    nn.Linaer
except AttributeError as error:
    assert "torch.nn.Linear" in str(error)
else:
    raise AssertionError
"""
    path = tmp_path / "program.py"
    path.write_text(program)
    subprocess.run([sys.executable, "-W", "error", "-m", "flambeau.torch", str(path)], check=True, timeout=600)
