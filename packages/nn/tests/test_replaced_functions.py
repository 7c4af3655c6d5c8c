"""Test that layers call functions of nn.functional that a program has replaced, for example to count operations.

The expected names are those that PyTorch's layers call.
"""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

CLASS = fb.tensor([0])
CALLS: list[tuple[str, nn.Module, tuple[Any, ...]]] = [
    ("linear", nn.Linear(2, 3), (fb.ones(1, 2),)),
    ("bilinear", nn.Bilinear(2, 2, 3), (fb.ones(1, 2), fb.ones(1, 2))),
    ("conv1d", nn.Conv1d(2, 3, 2), (fb.ones(1, 2, 4),)),
    ("conv2d", nn.Conv2d(2, 3, 2, padding=1, padding_mode="circular"), (fb.ones(1, 2, 4, 4),)),
    ("pad", nn.Conv2d(2, 3, 2, padding=1, padding_mode="circular"), (fb.ones(1, 2, 4, 4),)),
    ("conv_transpose2d", nn.ConvTranspose2d(2, 3, 2), (fb.ones(1, 2, 4, 4),)),
    ("max_pool2d", nn.MaxPool2d(2), (fb.ones(1, 2, 4, 4),)),
    ("avg_pool1d", nn.AvgPool1d(2), (fb.ones(1, 2, 4),)),
    ("adaptive_avg_pool2d", nn.AdaptiveAvgPool2d(2), (fb.ones(1, 2, 4, 4),)),
    ("dropout", nn.Dropout(0.5), (fb.ones(3),)),
    ("relu", nn.ReLU(), (fb.ones(3),)),
    ("gelu", nn.GELU(), (fb.ones(3),)),
    ("softplus", nn.Softplus(), (fb.ones(3),)),
    ("layer_norm", nn.LayerNorm(3), (fb.ones(2, 3),)),
    ("batch_norm", nn.BatchNorm1d(3), (fb.ones(2, 3),)),
    ("cross_entropy", nn.CrossEntropyLoss(), (fb.ones(1, 3), CLASS)),
    ("nll_loss", nn.NLLLoss(), (fb.ones(1, 3), CLASS)),
    ("mse_loss", nn.MSELoss(), (fb.ones(3), fb.ones(3))),
]


@pytest.mark.parametrize(("name", "layer", "inputs"), CALLS, ids=[name for name, *_ in CALLS])
def test_layers_call_replaced_functions(
    name: str, layer: nn.Module, inputs: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = getattr(F, name), []

    def count(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    monkeypatch.setattr(F, name, count)
    layer(*inputs)
    assert calls == [name]
