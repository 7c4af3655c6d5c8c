"""Activations, with an ``inplace`` argument where PyTorch has one."""

from __future__ import annotations

import math
import warnings
from typing import Any

import flambeau
from flambeau import Tensor, _core


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Apply ``max(x, 0)`` to each element ``x``.

    >>> nn.functional.relu(fb.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return input.relu_() if inplace else flambeau.relu(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Apply ``x * sigmoid(x)``, also known as swish, to each element ``x``.

    >>> nn.functional.silu(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2689,  0.0000,  1.7616])
    """
    return flambeau.silu_(input) if inplace else flambeau.silu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Multiply negative elements by ``negative_slope``.

    >>> nn.functional.leaky_relu(fb.tensor([-1.0, 0.0, 2.0]), 0.1)
    tensor([-0.1000,  0.0000,  2.0000])
    """
    return flambeau.leaky_relu_(input, negative_slope) if inplace else flambeau.leaky_relu(input, negative_slope)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """Apply `leaky_relu` in place.

    >>> x = fb.tensor([-1.0, 0.0, 2.0])
    >>> nn.functional.leaky_relu_(x, 0.1) is x
    True
    >>> x
    tensor([-0.1000,  0.0000,  2.0000])
    """
    return leaky_relu(input, negative_slope, True)


def relu_(input: Tensor) -> Tensor:
    """Apply `relu` in place.

    >>> x = fb.tensor([-1.0, 0.0, 2.0])
    >>> nn.functional.relu_(x) is x
    True
    >>> x
    tensor([0., 0., 2.])
    """
    return input.relu_()


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """Apply ``min(max(x, 0), 6)`` to each element ``x``.

    >>> nn.functional.relu6(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    return flambeau.relu6_(input) if inplace else flambeau.relu6(input)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Apply ``alpha * (exp(x) - 1)`` to negative elements ``x``. Source: Clevert et al. 2015, arXiv:1511.07289.

    >>> nn.functional.elu(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])
    """
    return flambeau.elu_(input, alpha) if inplace else flambeau.elu(input, alpha)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """Apply `elu` in place.

    >>> x = fb.tensor([-1.0, 0.0, 2.0])
    >>> nn.functional.elu_(x) is x
    True
    >>> x
    tensor([-0.6321,  0.0000,  2.0000])
    """
    return elu(input, alpha, True)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Apply ``alpha * (exp(x / alpha) - 1)`` to negative elements ``x``. Source: Barron 2017, arXiv:1704.07483.

    >>> nn.functional.celu(fb.tensor([-1.0, 0.0, 2.0]), 0.5)
    tensor([-0.4323,  0.0000,  2.0000])
    """
    return flambeau.celu_(input, alpha) if inplace else flambeau.celu(input, alpha)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """Apply `celu` in place.

    >>> x = fb.tensor([-1.0, 0.0, 2.0])
    >>> nn.functional.celu_(x, 0.5) is x
    True
    >>> x
    tensor([-0.4323,  0.0000,  2.0000])
    """
    return celu(input, alpha, True)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Apply ``scale * elu(x, alpha)``, with constants that preserve mean 0 and variance 1.

    Source: Klambauer et al. 2017, arXiv:1706.02515.

    >>> nn.functional.selu(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.1113,  0.0000,  2.1014])
    """
    return flambeau.selu_(input) if inplace else flambeau.selu(input)


def selu_(input: Tensor) -> Tensor:
    """Apply `selu` in place.

    >>> x = fb.tensor([-1.0, 0.0, 2.0])
    >>> nn.functional.selu_(x) is x
    True
    >>> x
    tensor([-1.1113,  0.0000,  2.1014])
    """
    return selu(input, True)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Clamp each element to ``[min_val, max_val]``.

    Raises: ValueError if ``min_val`` is greater than ``max_val``; RuntimeError for unsigned dtypes.

    >>> nn.functional.hardtanh(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, got {min_val} and {max_val}")
    if input.dtype is flambeau.uint8 and (min_val < 0 or max_val < 0):
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return flambeau.hardtanh_(input, min_val, max_val) if inplace else flambeau.hardtanh(input, min_val, max_val)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Apply `hardtanh` in place.

    >>> x = fb.tensor([-1.0, 0.0, 2.0])
    >>> nn.functional.hardtanh_(x) is x
    True
    >>> x
    tensor([-1.,  0.,  1.])
    """
    return hardtanh(input, min_val, max_val, True)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """Apply ``x * relu6(x + 3) / 6`` to each element ``x``. Source: Howard et al. 2019, arXiv:1905.02244.

    >>> nn.functional.hardswish(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3333,  0.0000,  1.6667])
    """
    return flambeau.hardswish_(input) if inplace else flambeau.hardswish(input)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """Apply ``relu6(x + 3) / 6`` to each element ``x``.

    >>> nn.functional.hardsigmoid(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3333, 0.5000, 0.8333])
    """
    return flambeau.hardsigmoid_(input) if inplace else flambeau.hardsigmoid(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """Apply ``x * tanh(softplus(x))`` to each element ``x``. Source: Misra 2019, arXiv:1908.08681.

    >>> nn.functional.mish(fb.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3034,  0.0000,  1.9440])
    """
    return flambeau.mish_(input) if inplace else flambeau.mish(input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Replace each element that is not greater than ``threshold`` with ``value``.

    >>> nn.functional.threshold(fb.tensor([-1.0, 0.0, 2.0]), 0.5, 9.0)
    tensor([9., 9., 2.])
    """
    return flambeau.threshold_(input, threshold, value) if inplace else flambeau.threshold(input, threshold, value)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """Apply `threshold` in place.

    >>> x = fb.tensor([-1.0, 0.0, 2.0])
    >>> nn.functional.threshold_(x, 0.5, 9.0) is x
    True
    >>> x
    tensor([9., 9., 2.])
    """
    return flambeau.threshold_(input, threshold, value)


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """Apply `leaky_relu` with random slopes.

    In training, the slope of each element is drawn from ``[lower, upper]``. Otherwise, the slope is the mean of
    ``lower`` and ``upper``.

    Raises: RuntimeError if a limit is not finite or ``lower`` is greater than ``upper``.
    Source: Xu et al. 2015, arXiv:1505.00853.

    >>> nn.functional.rrelu(fb.tensor([-1.0, 2.0]), 0.25, 0.25)
    tensor([-0.2500,  2.0000])
    """
    if not -math.inf < lower <= upper < math.inf:
        if lower > upper:
            raise RuntimeError(f"Lower bound should be less than or equal to the upper bound, got {lower} and {upper}")
        raise RuntimeError(f"rrelu: lower and upper bounds must be finite, got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    result = _core._rrelu(input, lower, upper)
    return input.copy_(result) if inplace else result


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """Apply `rrelu` in place.

    >>> x = fb.tensor([-1.0, 0.0, 2.0])
    >>> nn.functional.rrelu_(x, 0.25, 0.25) is x
    True
    >>> x
    tensor([-0.2500,  0.0000,  2.0000])
    """
    return rrelu(input, lower, upper, training, True)


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Compute ``exp(x) / sum(exp(x))`` over ``dim``, without overflow.

    >>> nn.functional.softmax(fb.zeros(2), dim=0)
    tensor([0.5000, 0.5000])
    """
    if dim is None:
        dim = _get_softmax_dim("softmax", input.ndim, _stacklevel)
    return flambeau.softmax(input, dim, dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Compute ``x - log(sum(exp(x)))`` over ``dim``, without overflow.

    >>> nn.functional.log_softmax(fb.tensor([0.0, 1.0]), dim=0)
    tensor([-1.3133, -0.3133])
    """
    if dim is None:
        dim = _get_softmax_dim("log_softmax", input.ndim, _stacklevel)
    return flambeau.log_softmax(input, dim, dtype=dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Compute ``softmax(-x)``.

    >>> nn.functional.softmin(fb.tensor([0.0, 1.0]), dim=0)
    tensor([0.7311, 0.2689])
    """
    if dim is None:
        dim = _get_softmax_dim("softmin", input.ndim, _stacklevel)
    return flambeau.softmax(-input, dim, dtype=dtype)


def _get_softmax_dim(name: str, ndim: int, stacklevel: int) -> int:
    """Return the dimension that softmax uses if ``dim`` is not given, and warn that this is deprecated."""
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """Sample from the Gumbel-softmax distribution: compute a softmax of ``(logits + noise) / tau``.

    Args:
        hard: if True, return one-hot vectors, with the gradient of the soft sample.
        eps: deprecated, without effect; a value other than the default warns.
    Source: Jang, Gu, Poole 2017, arXiv:1611.01144; Maddison, Mnih, Teh 2017, arXiv:1611.00712.

    >>> nn.functional.gumbel_softmax(fb.zeros(4, 3), hard=True).sum(-1)
    tensor([1., 1., 1., 1.])
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    exponential = flambeau.empty_like(logits.detach(), memory_format=flambeau.contiguous_format).exponential_()
    soft = ((logits - exponential.log()) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.argmax(dim, keepdim=True)
    one = flambeau.zeros_like(logits).detach().scatter_add(dim, index, flambeau.ones_like(soft).detach())
    return one - soft.detach() + soft
