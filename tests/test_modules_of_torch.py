"""Tests of modules of PyTorch and torchvision that flambeau has under other names, imported through the alias torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flambeau import optim

OPTIMIZERS = {
    name: kind.__module__.rpartition(".")[2]
    for name in optim.__all__
    if isinstance(kind := getattr(optim, name), type) and issubclass(kind, optim.Optimizer)
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_modules_have_the_names_of_pytorch(name: str) -> None:
    assert OPTIMIZERS[name].replace("_", "") == name.lower()


def test_optimizer_modules_contain_their_classes() -> None:
    lines = (f"from torch.optim.{module} import {name} as _{name}" for name, module in OPTIMIZERS.items())
    same = (f"assert _{name} is torch.optim.{name}" for name in OPTIMIZERS)
    program = "\n".join(["import torch", "from torch.optim.lr_scheduler import StepLR", *lines, *same])
    subprocess.run([sys.executable, "-m", "flambeau.torch", "-c", program], check=True)


def test_importing_torchvision_submodules_keeps_functions_of_the_same_name() -> None:
    code = (
        "import flambeau.torch; flambeau.torch.install()\n"
        "from torchvision.ops.roi_align import RoIAlign\n"
        "from torchvision.ops.stochastic_depth import StochasticDepth\n"
        "import torchvision.ops\n"
        "assert torchvision.ops.RoIAlign is RoIAlign\n"
        "print(torchvision.ops.roi_align.__name__, torchvision.ops.stochastic_depth.__name__)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["roi_align", "stochastic_depth"]


def test_vars_of_modules_list_optimizers_and_schedulers() -> None:
    """Test ``vars()`` of the modules, which Pyro reads, although flambeau loads these classes on first use."""
    code = (
        "import torch\n"
        "assert {'Adam', 'SGD', 'LBFGS', 'Optimizer'} <= vars(torch.optim).keys()\n"
        "assert {'StepLR', 'ReduceLROnPlateau', 'LRScheduler'} <= vars(torch.optim.lr_scheduler).keys()\n"
    )
    subprocess.run([sys.executable, "-m", "flambeau.torch", "-c", code], check=True)
