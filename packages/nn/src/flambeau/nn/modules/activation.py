"""Pointwise activations, and softmaxes over a dimension."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from flambeau import Tensor, empty, sigmoid, tanh

from .. import functional as F, init
from ..parameter import Parameter
from ._attention import MultiheadAttention as MultiheadAttention
from ._inputs import check_no_input
from .module import Module
from .utils import options_of


class _Activation(Module):
    """Base class of activations without parameters. ``shown`` lists the options that ``repr`` prints."""

    shown: ClassVar[tuple[str, ...]] = ()

    def extra_repr(self) -> str:
        return options_of(self, *self.shown)


class _Inplace(_Activation):
    """Base class of activations that can overwrite their input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        check_no_input(self, inplace=inplace)
        self.inplace = inplace

    def extra_repr(self) -> str:
        return options_of(self, *self.shown, *(("inplace",) if self.inplace else ()))


# Rectifiers


class ReLU(_Inplace):
    """``max(x, 0)``.

    >>> nn.ReLU()(fb.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, self.inplace)


class LeakyReLU(_Inplace):
    """``x`` where positive, ``negative_slope * x`` elsewhere.

    >>> nn.LeakyReLU(0.1)(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.1000,  0.0000,  2.0000])
    """

    shown: ClassVar[tuple[str, ...]] = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        check_no_input(self, negative_slope=negative_slope)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class PReLU(Module):
    """``x`` where positive, ``weight * x`` elsewhere, with a learned slope.

    Args:
        num_parameters: 1 for a single slope, or the number of channels (dimension 1 of the input) for one slope per
            channel.
        init: initial slope.
        device, dtype: device and dtype of the slope.
    Source: He et al. 2015, arXiv:1502.01852.

    >>> nn.PReLU()(fb.tensor([-4.0, 2.0])).detach()
    tensor([-1.,  2.])
    """

    weight: Parameter

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        check_no_input(self, num_parameters=num_parameters)
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the slope to its initial value."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return options_of(self, "num_parameters")


class RReLU(_Inplace):
    """Leaky ReLU with random slopes.

    In training mode, the slope of each element is drawn from ``[lower, upper]``. In evaluation mode, the slope is the
    mean of ``lower`` and ``upper``.

    Source: Xu et al. 2015, arXiv:1505.00853.

    >>> nn.RReLU(0.25, 0.25)(fb.tensor([-1.0, 2.0]))
    tensor([-0.2500,  2.0000])
    """

    shown: ClassVar[tuple[str, ...]] = ("lower", "upper")

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        check_no_input(self, lower=lower, upper=upper)
        self.lower = lower
        self.upper = upper

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class Hardtanh(_Inplace):
    """``x`` limited to ``[min_val, max_val]``. Raises: ValueError unless ``min_val < max_val``.

    ``min_value`` and ``max_value`` are deprecated names of these arguments.

    >>> nn.Hardtanh()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """

    shown: ClassVar[tuple[str, ...]] = ("min_val", "max_val")

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__(inplace)
        for old, new, value in (("min_value", "min_val", min_value), ("max_value", "max_val", max_value)):
            if value is not None:
                message = f"keyword argument `{old}` is deprecated and renamed to `{new}`"
                warnings.warn(message, FutureWarning, stacklevel=2)
        min_val, max_val = min_val if min_value is None else min_value, max_val if max_value is None else max_value
        check_no_input(self, min_val=min_val, max_val=max_val)
        if max_val <= min_val:
            raise ValueError(f"max_val must be larger than min_val, got {max_val} and {min_val}")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class ReLU6(Hardtanh):
    """``min(max(x, 0), 6)``.

    >>> nn.ReLU6()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    shown: ClassVar[tuple[str, ...]] = ()

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class Threshold(_Inplace):
    """``x`` where it is above ``threshold``, ``value`` elsewhere.

    >>> nn.Threshold(0.5, 9.0)(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([9., 9., 2.])
    """

    shown: ClassVar[tuple[str, ...]] = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        check_no_input(self, threshold=threshold, value=value)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)


# Exponential


class ELU(_Inplace):
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere. Source: Clevert et al. 2015, arXiv:1511.07289.

    >>> nn.ELU()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])
    """

    shown: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        check_no_input(self, alpha=alpha)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class CELU(ELU):
    """``x`` where positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere. Source: Barron 2017, arXiv:1704.07483.

    >>> nn.CELU(alpha=0.5)(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.4323,  0.0000,  2.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)


class SELU(_Inplace):
    """``scale * elu(x, alpha)``, with constants that preserve mean 0 and variance 1.

    Source: Klambauer et al. 2017, arXiv:1706.02515.

    >>> nn.SELU()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.1113,  0.0000,  2.1014])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class SiLU(_Inplace):
    """``x * sigmoid(x)``, also known as swish. Source: Hendrycks, Gimpel 2016, arXiv:1606.08415.

    >>> nn.SiLU()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2689,  0.0000,  1.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace)


class Mish(_Inplace):
    """``x * tanh(softplus(x))``. Source: Misra 2019, arXiv:1908.08681.

    >>> nn.Mish()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3034,  0.0000,  1.9440])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, self.inplace)


class GELU(_Activation):
    """``x * Phi(x)`` with the normal distribution's ``Phi``, or its tanh approximation (``approximate="tanh"``).

    Source: Hendrycks, Gimpel 2016, arXiv:1606.08415.

    >>> nn.GELU()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.1587,  0.0000,  1.9545])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        check_no_input(self, approximate=approximate)
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Softplus(_Activation):
    """``log(1 + exp(beta * x)) / beta``, a smooth ReLU; ``x`` itself where ``beta * x > threshold``.

    >>> nn.Softplus()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3133, 0.6931, 2.1269])
    """

    shown: ClassVar[tuple[str, ...]] = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        check_no_input(self, beta=beta, threshold=threshold)
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)


# Squashing


class Sigmoid(_Activation):
    """``1 / (1 + exp(-x))``.

    >>> nn.Sigmoid()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([0.2689, 0.5000, 0.8808])
    """

    def forward(self, input: Tensor) -> Tensor:
        return sigmoid(input)


class LogSigmoid(_Activation):
    """``log(1 / (1 + exp(-x)))``.

    >>> nn.LogSigmoid()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.3133, -0.6931, -0.1269])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Tanh(_Activation):
    """The hyperbolic tangent.

    >>> nn.Tanh()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.7616,  0.0000,  0.9640])
    """

    def forward(self, input: Tensor) -> Tensor:
        return tanh(input)


class Tanhshrink(_Activation):
    """``x - tanh(x)``.

    >>> nn.Tanhshrink()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2384,  0.0000,  1.0360])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class Softsign(_Activation):
    """``x / (1 + |x|)``.

    >>> nn.Softsign()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  0.6667])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class Hardsigmoid(_Inplace):
    """``relu6(x + 3) / 6``.

    >>> nn.Hardsigmoid()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3333, 0.5000, 0.8333])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(_Inplace):
    """``x * relu6(x + 3) / 6``. Source: Howard et al. 2019, arXiv:1905.02244.

    >>> nn.Hardswish()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3333,  0.0000,  1.6667])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class _Shrink(_Activation):
    """Base class of functions that are 0 on ``[-lambd, lambd]``."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        check_no_input(self, lambd=lambd)
        self.lambd = lambd

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """``x`` outside ``[-lambd, lambd]``, 0 inside.

    >>> nn.Hardshrink()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.,  0.,  2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """``x`` moved towards 0 by ``lambd``, 0 inside ``[-lambd, lambd]``.

    >>> nn.Softshrink()(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)


# Over a dimension


class _AlongDim(_Activation):
    """Base class of functions over ``dim``. If ``dim`` is None, a warning is issued and the dimension is guessed."""

    shown: ClassVar[tuple[str, ...]] = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        check_no_input(self, dim=dim)
        self.dim = dim


class Softmax(_AlongDim):
    """``exp(x) / sum(exp(x))`` over ``dim``.

    >>> nn.Softmax(dim=1)(fb.zeros(1, 4))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim, _stacklevel=5)


class Softmin(_AlongDim):
    """``softmax(-x)`` over ``dim``.

    >>> nn.Softmin(dim=0)(fb.tensor([0.0, 1.0]))
    tensor([0.7311, 0.2689])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim, _stacklevel=5)


class LogSoftmax(_AlongDim):
    """``x - log(sum(exp(x)))`` over ``dim``.

    >>> nn.LogSoftmax(dim=0)(fb.tensor([0.0, 1.0]))
    tensor([-1.3133, -0.3133])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim, _stacklevel=5)


class Softmax2d(_Activation):
    """The softmax over the channels of ``(N, C, H, W)`` or ``(C, H, W)``.

    >>> nn.Softmax2d()(fb.zeros(1, 2, 3, 3)).sum(1).shape
    flambeau.Size([1, 3, 3])
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3)


class GLU(_Activation):
    """``a * sigmoid(b)``, where ``a`` and ``b`` are the two halves of the input along ``dim``.

    Source: Dauphin et al. 2016, arXiv:1612.08083.

    >>> nn.GLU()(fb.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """

    shown: ClassVar[tuple[str, ...]] = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        check_no_input(self, dim=dim)
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)
