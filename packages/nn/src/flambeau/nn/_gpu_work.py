"""Typical GPU work with layers. `python -m flambeau.cuda warm` runs it to fill the kernel cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import flambeau
from flambeau import Tensor, nn
from flambeau.nn import functional

ACTIVATIONS = ("relu", "gelu", "silu", "elu", "leaky_relu", "softplus", "mish")


def everything(dtype: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield, for each layer and loss, its name and a function that runs its forward and backward pass in ``dtype``."""
    target = flambeau.zeros(8, dtype=flambeau.int64, device="cuda")

    def trained(layer: Any, *shape: int) -> None:
        layer = layer.to("cuda", dtype)
        x = flambeau.ones(*shape, device="cuda").to(dtype).requires_grad_()
        layer(x).float().square().mean().backward()

    def differentiated(function: Callable[[Tensor], Tensor]) -> None:
        x = flambeau.ones(8, 12, device="cuda").to(dtype).requires_grad_()
        function(x).float().sum().backward()

    def through(layer: Any, x: Tensor) -> Any:
        return layer(12, 4).to(x)(x)[0]

    yield "linear", lambda: trained(nn.Linear(12, 12), 8, 12)
    yield "convolution", lambda: trained(nn.Conv2d(3, 4, 3, padding=1), 2, 3, 8, 8)
    yield "batch norm", lambda: trained(nn.BatchNorm2d(3), 2, 3, 8, 8)
    yield "layer norm", lambda: trained(nn.LayerNorm(12), 8, 12)
    yield "max pool", lambda: trained(nn.MaxPool2d(2), 2, 3, 8, 8)
    yield "average pool", lambda: trained(nn.AdaptiveAvgPool2d(1), 2, 3, 8, 8)
    for layer in (nn.RNN, nn.LSTM, nn.GRU):
        yield layer.__name__, partial(differentiated, partial(through, layer))
    yield "dropout", lambda: differentiated(functional.dropout)
    for name in ACTIVATIONS:
        yield name, partial(differentiated, getattr(functional, name))
    yield (
        "attention",
        lambda: differentiated(lambda x: functional.scaled_dot_product_attention(*(x.view(1, 2, 4, 12),) * 3)),
    )
    yield "embedding", lambda: nn.Embedding(5, 12).to("cuda", dtype)(target).float().sum().backward()
    yield "cross entropy", lambda: differentiated(lambda x: functional.cross_entropy(x, target))
    yield "mean squared error", lambda: differentiated(lambda x: functional.mse_loss(x, x.detach()))
