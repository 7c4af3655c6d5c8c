"""Classes of ``torch._C._functions``: classes of graph nodes by name, and operations for tests of the graph."""

import re
from typing import Any

from flambeau import Tensor
from flambeau.autograd import Function, _engine

__all__ = ["AccumulateGrad", "DelayedError", "UndefinedGrad"]

AccumulateGrad = _engine.node_class("AccumulateGrad")


class _Error(Function):
    """Identity whose backward pass raises an error."""

    @staticmethod
    def forward(ctx: Any, message: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.message = message
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise RuntimeError(ctx.message)


class _Undefined(Function):
    """Identity whose backward pass returns no gradient."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[None, ...]:
        return (None,) * len(gradients)


def _one_or_all(results: tuple[Tensor, ...]) -> Any:
    return results[0] if len(results) == 1 else results


class DelayedError:
    """Identity on tensors. Its backward pass raises RuntimeError with a given message."""

    def __init__(self, message: str, num_inputs: int) -> None:
        self.message = message

    def __call__(self, *tensors: Tensor) -> Any:
        return _one_or_all(_Error.apply(self.message, *tensors))


class UndefinedGrad:
    """Identity on tensors. Its backward pass returns no gradients."""

    def __call__(self, *tensors: Tensor) -> Any:
        return _one_or_all(_Undefined.apply(*tensors))


def __getattr__(name: str) -> Any:
    """Return the class of an operator's nodes, such as ``MulBackward0``."""
    if re.search(r"Backward\d$", name):
        return _engine.node_class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
