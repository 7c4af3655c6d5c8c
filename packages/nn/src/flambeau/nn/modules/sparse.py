"""Embedding layers."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from flambeau import Tensor, empty, no_grad

from .. import functional as F, init
from ..parameter import Parameter
from ._sizes import check_sizes
from .module import Module


class _EmbeddingBase(Module):
    """Base class of embedding layers, with a weight ``(num_embeddings, embedding_dim)`` of normal random numbers."""

    unusual: ClassVar[dict[str, Any]]  # default values of options; repr shows options with other values

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        weight: Tensor | None,
        requires_grad: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        check_sizes(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = _row(padding_idx, num_embeddings)
        shape = (num_embeddings, embedding_dim)
        if weight is not None and tuple(weight.shape) != shape:
            raise AssertionError(
                f"Shape of weight does not match num_embeddings and embedding_dim: got {list(weight.shape)}, expected "
                f"{list(shape)}"
            )
        values = empty(shape, device=device, dtype=dtype) if weight is None else weight
        self.weight = Parameter(values, requires_grad)
        if weight is None:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise the table again. The row ``padding_idx`` is set to zeros."""
        init.normal_(self.weight)
        self._fill_padding_idx_with_zero()

    def _fill_padding_idx_with_zero(self) -> None:  # subclasses with a different initialisation call this method
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].fill_(0)

    def extra_repr(self) -> str:
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        for name, usual in self.unusual.items():
            value = getattr(self, name)
            if value != usual:
                parts.append(f"{name}={value!r}" if name == "mode" else f"{name}={value}")
        return ", ".join(parts)


def _expect_sparse(weight: Tensor) -> None:
    """Prepare the weight so that its hooks receive sparse gradients."""
    if weight.requires_grad:
        from flambeau.autograd._sparse_gradients import observe

        observe(weight)


def _row(padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise AssertionError(f"padding_idx must be within num_embeddings ({rows}), got {padding_idx}")
    return padding_idx % rows


def _size_of(embeddings: Tensor) -> tuple[int, int]:
    if embeddings.ndim != 2:
        raise AssertionError(
            f"Embeddings parameter is expected to be 2-dimensional, got shape {list(embeddings.shape)}"
        )
    rows, width = embeddings.shape
    return rows, width


class Embedding(_EmbeddingBase):
    """Look up rows of a table by index.

    Args:
        num_embeddings, embedding_dim: numbers of rows and columns of the table.
        padding_idx: index of a row of zeros that is not trained; negative indices count from the end.
        max_norm: if given, rows that are looked up and have a larger norm are scaled to this norm, in place.
        norm_type: order p of this norm.
        scale_grad_by_freq: if True, divide the gradient of a row by the number of times the row is looked up.
        sparse: if True, the table gets a sparse gradient that contains only the rows that are looked up.
        device, dtype: device and dtype of the table.
    Shapes: indices ``(*)`` to ``(*, embedding_dim)``.
    Parameters: ``weight`` ``(num_embeddings, embedding_dim)``, standard normal.
    Raises: IndexError for an index out of range.

    >>> tuple(nn.Embedding(10, 3)(fb.tensor([[1, 2], [4, 9]])).shape)
    (2, 2, 3)
    """

    unusual: ClassVar = {
        "padding_idx": None,
        "max_norm": None,
        "norm_type": 2,
        "scale_grad_by_freq": False,
        "sparse": False,
    }

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, _weight, not _freeze, device, dtype)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if sparse:
            _expect_sparse(self.weight)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """Create a layer from an existing table; ``freeze`` excludes it from training.

        >>> nn.Embedding.from_pretrained(fb.eye(3))(fb.tensor([2]))
        tensor([[0., 0., 1.]])
        """
        rows, width = _size_of(embeddings)
        options = (max_norm, norm_type, scale_grad_by_freq, sparse)
        return cls(rows, width, padding_idx, *options, _weight=embeddings, _freeze=freeze)

    def forward(self, input: Tensor) -> Tensor:
        options: tuple[Any, ...] = (
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )
        return F.embedding(input, self.weight, *options)


class EmbeddingBag(_EmbeddingBase):
    """Sums, means or maxima over bags of rows of a table.

    Args:
        num_embeddings, embedding_dim, max_norm, norm_type, scale_grad_by_freq, sparse: as in `Embedding`.
        mode: ``"sum"``, ``"mean"`` or ``"max"``.
        include_last_offset: if True, the offsets have an additional last entry, the end of the last bag.
        padding_idx: index of a row that is not added to any bag.
        device, dtype: device and dtype of the table.
    Shapes: bags ``(B, N)``, or indices ``(N,)`` and the offsets ``(B,)`` at which the bags begin. The result is
        ``(B, embedding_dim)``.

    >>> nn.EmbeddingBag.from_pretrained(fb.eye(3), mode="sum")(fb.tensor([[0, 2]]))
    tensor([[1., 0., 1.]])
    """

    unusual: ClassVar = {
        "max_norm": None,
        "norm_type": 2,
        "scale_grad_by_freq": False,
        "mode": None,
        "padding_idx": None,
    }

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, _weight, True, device, dtype)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.mode = mode
        self.sparse = sparse
        if sparse:
            _expect_sparse(self.weight)
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """Create a layer from an existing table; ``freeze`` excludes it from training."""
        options: tuple[Any, ...] = (max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings)
        bag = cls(*_size_of(embeddings), *options, include_last_offset, padding_idx)  # type: ignore[call-arg]
        bag.weight.requires_grad_(not freeze)
        return bag

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        norm: tuple[Any, ...] = (self.max_norm, self.norm_type, self.scale_grad_by_freq)
        options: tuple[Any, ...] = (
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )
        return F.embedding_bag(input, self.weight, offsets, *norm, *options)
