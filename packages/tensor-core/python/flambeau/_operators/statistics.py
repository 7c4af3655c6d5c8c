"""Statistics that combine reductions."""

import warnings

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator(method=True)
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """Return the covariance matrix of variables in rows and observations in columns.

    Args:
        input: tensor of shape (variables, observations), or a vector for one variable; any dtype except bool.
        correction: number that is subtracted from the number of observations in the divisor.
        fweights: integer frequencies of the observations.
        aweights: floating-point weights of the observations.
    Raises: RuntimeError for other shapes or dtypes, negative weights or weights with the sum 0. Gradient: defined for
        input, to any order.

    >>> import flambeau
    >>> flambeau.cov(flambeau.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.dim() > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.dim()} dimensions"
        )
    if input.dtype is _core.bool:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    rows = input if input.dim() == 2 else input.reshape(1, -1)
    count = rows.size(1)
    if fweights is not None:
        _check_weights("fweights", fweights, count, not fweights.dtype.is_floating_point, "integral")
    if aweights is not None:
        _check_weights("aweights", aweights, count, aweights.dtype.is_floating_point, "floating point")
    weights = fweights if aweights is None else aweights if fweights is None else fweights * aweights
    if weights is None:
        centred = weighted = rows - rows.sum(1, keepdim=True) / count
        divisor = _core.full((), count - correction)
    else:
        total = weights.sum()
        if total.item() == 0:
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        centred = rows - (rows * weights).sum(1, keepdim=True) / total
        weighted = centred * weights
        divisor = total - correction * (1 if aweights is None else (weights * aweights).sum() / total)
    if divisor.item() <= 0:
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.",
            stacklevel=2,
        )
    return ((centred @ weighted.mT.conj()) / divisor.clamp(min=0)).squeeze()


def _check_weights(name: str, weights: Tensor, count: int, fits: bool, kind: str) -> None:
    if weights.dim() > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with {weights.dim()} dimensions"
        )
    if not fits:
        raise RuntimeError(f"cov(): expected {name} to have {kind} dtype but got {name} with {weights.dtype} dtype")
    if weights.numel() != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input but got "
            f"{weights.numel()} != {count}"
        )
    if count and (weights < 0).any():
        raise RuntimeError(f"cov(): {name} cannot be negative")


@operator(method=True)
def corrcoef(input: Tensor) -> Tensor:
    """Return the correlation coefficients, within [-1, 1], of variables in rows and observations in columns.

    See ``cov``. Gradient: defined for input, to any order.

    >>> fb.corrcoef(fb.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.dim() > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.dim()} dimensions"
        )
    matrix = input.cov()
    if matrix.dim() == 0:
        return matrix / matrix
    deviations = (matrix.real if matrix.dtype.is_complex else matrix).diagonal().sqrt()
    result = matrix / deviations.unsqueeze(1) / deviations
    if result.dtype.is_complex:
        return _core.complex(result.real.clamp(-1, 1), result.imag.clamp(-1, 1))
    return result.clamp(-1, 1)
