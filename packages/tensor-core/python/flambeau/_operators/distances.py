"""Distances between vectors."""

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator, recorded

_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


@operator(method=True)
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of ``input - other``, over all elements. Gradient: both, any order."""
    return (input - other).norm(p)


@operator()
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norms of ``x1 - x2 + eps`` along the last dimension. Gradient: both, any order."""
    return (x1 - x2 + eps).norm(p, dim=-1, keepdim=keepdim)


@operator()
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``x1 . x2 / (max(|x1|, eps) max(|x2|, eps))`` along a dimension. Gradient: both, any order.

    Raises RuntimeError for integers or shapes that do not broadcast.

    >>> import flambeau
    >>> flambeau.cosine_similarity(flambeau.tensor([[3.0, 4.0]]), flambeau.tensor([[4.0, 3.0]]))
    tensor([0.9600])
    """
    dtype = _core.promote_types(x1.dtype, x2.dtype)
    if not dtype.is_floating_point:
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {dtype}")
    x1, x2 = _core.broadcast_tensors(x1.to(dtype), x2.to(dtype))
    lengths = (x.norm(2, dim=dim, keepdim=True).clamp(min=eps) for x in (x1, x2))
    return ((x1 / next(lengths)) * (x2 / next(lengths))).sum(dim)


@operator()
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distances between every two rows of a matrix (n, m), as a vector of n (n - 1) / 2.

    Raises RuntimeError for other dimensions, dtypes or a negative p. Gradient: input, any order.
    """
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"pdist only supports floating-point dtypes, got {input.dtype}")
    if p < 0:
        raise RuntimeError(f"pdist only supports non-negative p values, got {p}")
    n = input.size(0)
    first, second = _core.ones((n, n), dtype=_core.bool).triu(1).nonzero(as_tuple=True)
    return (input.index_select(0, first) - input.index_select(0, second)).norm(p, dim=1)


@operator()
def cdist(
    x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary"
) -> Tensor:
    """The p-norm distances between the rows of x1 (..., n, m) and those of x2 (..., k, m): (..., n, k).

    Args:
        x1, x2: floating, of one dtype; leading dimensions are broadcast.
        p: 0 (how many coordinates differ) to inf.
        compute_mode: whether Euclidean distances come from a matrix product, which is quicker and less exact:
            use_mm_for_euclid_dist_if_necessary (beyond 25 rows), use_mm_for_euclid_dist, donot_use_mm_for_euclid_dist.
    Raises: RuntimeError for other dimensions, dtypes or a negative p; ValueError for another mode.
    Gradient: both, any order; 0 where the distance is 0.

    >>> import flambeau
    >>> flambeau.cdist(flambeau.tensor([[0.0, 0.0]]), flambeau.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    _check_rows(x1, x2, p)
    mode = _MODES[0] if compute_mode is None else compute_mode
    if mode not in _MODES:
        raise ValueError(f"{mode} is not a valid value for compute_mode; expected one of {', '.join(_MODES)}")
    if p != 2:
        return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).norm(p, dim=-1)
    product = mode == _MODES[1] or (mode == _MODES[0] and max(x1.size(-2), x2.size(-2)) > 25)
    a, b = x1.detach(), x2.detach()
    result = _euclidean_by_product(a, b) if product else (a.unsqueeze(-2) - b.unsqueeze(-3)).norm(2, dim=-1)
    return recorded("Cdist", result, inputs=(x1, x2), saved=(x1, x2, result), derivative=_euclidean_derivative)


def _check_rows(x1: Tensor, x2: Tensor, p: float) -> None:
    for name, x in (("X1", x1), ("X2", x2)):
        if x.dim() < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.dim()}D")
        if not x.dtype.is_floating_point:
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {x.dtype}")
    if x1.size(-1) != x2.size(-1):
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1.size(-1)} X2: {x2.size(-1)}")
    if x1.dtype is not x2.dtype:
        raise RuntimeError(f"cdist expects one dtype, got {x1.dtype} and {x2.dtype}")
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")


def _euclidean_by_product(a: Tensor, b: Tensor) -> Tensor:
    squares = (a * a).sum(-1, keepdim=True) + (b * b).sum(-1, keepdim=True).mT
    return (squares - 2 * (a @ b.mT)).clamp(min=0).sqrt()


def _euclidean_derivative(
    grads: tuple[Tensor, ...], saved: tuple[Tensor, ...], needs: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """From d distance[i, j] / d x1[i] = (x1[i] - x2[j]) / distance[i, j]."""
    x1, x2, distance = saved
    zero = distance == 0
    share = _core.where(zero, 0.0, grads[0] / _core.where(zero, 1.0, distance))

    def gradient(x: Tensor, others: Tensor, share: Tensor) -> Tensor:
        return (x * share.sum(-1, keepdim=True) - share @ others).sum_to_size(x.shape)

    return (
        gradient(x1, x2, share) if needs[0] else None,
        gradient(x2, x1, share.mT) if needs[1] else None,
    )
