"""Functions for the implementation of custom distributions."""

import numbers
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

import flambeau as fb
from flambeau import Tensor

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

Value = TypeVar("Value")

euler_constant = 0.57721566490153286060


def broadcast_all(*values: Tensor | float) -> tuple[Tensor, ...]:
    """Broadcast tensors and numbers to tensors of one shape.

    Numbers get the dtype and device of the tensors, or the default dtype if no argument is a tensor.

    Raises: ValueError if an argument is not a tensor or a number.

    >>> broadcast_all(fb.zeros(2), 1.0)
    (tensor([0., 0.]), tensor([1., 1.]))
    """
    like: Tensor | None = None
    plain = False
    for value in values:
        if isinstance(value, Tensor):
            like = like if like is not None else value
        elif isinstance(value, (int, float, numbers.Number)):
            plain = True
        else:
            raise ValueError(
                f"Input arguments must all be instances of Number or flambeau.Tensor, got {type(value).__name__}."
            )
    if like is None:
        return tuple([fb.tensor(value, dtype=fb.get_default_dtype()) for value in values])
    tensors: Any = values
    if plain:
        dtype, device = like.dtype, like.device
        tensors = tuple([v if isinstance(v, Tensor) else fb.tensor(v, dtype=dtype, device=device) for v in values])
    shape = like.shape
    for tensor in tensors:
        if tensor.shape != shape:
            return tuple(fb.broadcast_tensors(*tensors))
    return tensors


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Return the probabilities for unnormalised log probabilities along the last dimension.

    If ``is_binary`` is true, ``logits`` are the log odds of independent events instead.

    >>> logits_to_probs(fb.tensor([0.0, 0.0]))
    tensor([0.5000, 0.5000])
    """
    return fb.sigmoid(logits) if is_binary else fb.softmax(logits, -1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Clamp ``probs`` to ``[eps, 1 - eps]`` with the ``eps`` of the dtype, so that the logarithms are finite.

    >>> bool((clamp_probs(fb.tensor([0.0, 1.0])) > 0).all())
    True
    """
    eps = fb.finfo(probs.dtype).eps
    return probs.clamp(eps, 1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Return the logarithms of ``probs``, or the log odds if ``is_binary`` is true.

    The results for 0 and 1 are finite.

    >>> probs_to_logits(fb.tensor([0.5, 0.5]))
    tensor([-0.6931, -0.6931])
    """
    probs = clamp_probs(probs)
    return probs.log() - (-probs).log1p() if is_binary else probs.log()


class lazy_property(Generic[Value]):
    """Property that is computed at the first access and then stored as an attribute of the instance.

    Autograd records the computation even if recording is disabled at the first access.

    >>> class Counter:
    ...     @lazy_property
    ...     def value(self):
    ...         print("computing")
    ...         return 3
    >>> counter = Counter()
    >>> counter.value + counter.value
    computing
    6
    """

    def __init__(self, wrapped: Callable[[Any], Value]) -> None:
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__
        self.__name__ = wrapped.__name__

    @overload
    def __get__(self, instance: None, owner: Any = None) -> "lazy_property[Value]": ...

    @overload
    def __get__(self, instance: object, owner: Any = None) -> Value: ...

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        if fb.is_grad_enabled():
            value = self.wrapped(instance)
        else:
            with fb.enable_grad():
                value = self.wrapped(instance)
        instance.__dict__[self.__name__] = value
        return value


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """Return lower triangular matrices ``(*, D, D)`` that contain the elements ``vec`` of shape ``(*, N)`` row by row.

    The elements fill diagonal ``diag`` and the diagonals below it. All other elements are 0.

    >>> vec_to_tril_matrix(fb.tensor([1.0, 2.0, 3.0]))
    tensor([[1., 0.],
            [2., 3.]])
    """
    n = int((-(1 + 2 * diag) + ((1 + 2 * diag) ** 2 + 8 * vec.shape[-1] + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2)
    rows, columns = fb.tril_indices(n, n, diag).unbind()
    if len(rows) != vec.shape[-1]:
        raise RuntimeError(
            f"shape mismatch: expected {len(rows)} elements for a triangle of shape [{n}, {n}] with diag={diag}, got "
            f"{vec.shape[-1]}"
        )
    matrix = vec.new_zeros(vec.shape[:-1] + (n * n,))
    return matrix.index_copy(-1, rows * n + columns, vec).reshape(vec.shape[:-1] + (n, n))


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """Return the elements ``(*, N)`` of matrices ``(*, D, D)`` on and below diagonal ``diag``, row by row.

    Raises: ValueError if the matrices do not have diagonal ``diag``.

    >>> tril_matrix_to_vec(fb.tensor([[1.0, 0.0], [2.0, 3.0]]))
    tensor([1., 2., 3.])
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = fb.tril_indices(n, n, diag).unbind()
    return mat[..., rows, columns]


def _standard_normal(shape: tuple[int, ...], dtype: fb.dtype, device: Any) -> Tensor:
    return fb.randn(shape, dtype=dtype, device=device)


def _sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """Return the sum of ``value`` over its last ``dim`` dimensions."""
    return value.sum(list(range(-dim, 0))) if dim else value
