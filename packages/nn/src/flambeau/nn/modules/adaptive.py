"""An efficient softmax over many classes, most of which are rare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from flambeau import Tensor, cat, zeros_like

from .. import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module


class _ASMoutput(NamedTuple):
    """The log-probability of each target (``output``), and the negative mean of the log-probabilities (``loss``)."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Adaptive softmax: each cluster of rare classes has one logit, and a smaller layer for its classes.

    Args:
        in_features: size of the input's last dimension.
        n_classes: number of classes, which must be sorted by decreasing frequency.
        cutoffs: first class of each cluster of rare classes, in increasing order.
        div_value: the hidden size of cluster i, counted from 1, is ``in_features / div_value**i``.
        head_bias: if True, the layer of the frequent classes has a bias.
        device, dtype: device and dtype of the parameters.
    Shapes: input ``(N, in_features)`` or ``(in_features,)`` and target ``(N,)`` or ``()``. The result is a pair:
        ``output`` ``(N,)`` or ``()``, and ``loss`` ``()``.
    Raises: ValueError for cutoffs that are not increasing positive integers below ``n_classes``; RuntimeError for a
        class index out of range.
    Source: Grave et al. 2016, arXiv:1609.04309.

    >>> layer = nn.AdaptiveLogSoftmaxWithLoss(4, n_classes=10, cutoffs=[2, 6])
    >>> tuple(layer.log_prob(fb.zeros(3, 4)).shape)
    (3, 10)
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        _check_cutoffs(cutoffs, n_classes)
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        options = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, head_bias, **options)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            width = int(in_features // div_value ** (i + 1))
            count = self.cutoffs[i + 1] - self.cutoffs[i]
            down, up = Linear(in_features, width, False, **options), Linear(width, count, False, **options)
            self.tail.append(Sequential(down, up))

    def reset_parameters(self) -> None:
        """Initialise the parameters again, with new random values."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        alone = target_.ndim == 0
        if target_.ndim > 1:
            raise RuntimeError(f"0D or 1D target tensor expected, multi-target not supported, got {target_.ndim}D")
        if input_.ndim != target_.ndim + 1:
            raise RuntimeError(f"{target_.ndim}D target tensor expects {target_.ndim + 1}D input, got {input_.ndim}D")
        if not alone and len(input_) != len(target_):
            raise RuntimeError(
                "Input and target should have the same size in the batch dimension, "
                f"got {len(input_)} and {len(target_)}"
            )
        rows, classes = (input_.unsqueeze(0), target_.unsqueeze(0)) if alone else (input_, target_)
        self._check_classes(classes)
        output = self._of_targets(rows, classes)
        return _ASMoutput(output.squeeze(0) if alone else output, -output.mean())

    def _check_classes(self, target: Tensor) -> None:
        if target.numel() and not (target.min().item() >= 0 and target.max().item() < self.n_classes):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found."
            )

    def _of_targets(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the log-probability of the target of each row of ``input``."""
        head = F.log_softmax(self.head(input), 1)
        in_head = target.clone()
        within = zeros_like(head[:, 0])
        for i, (low, high) in enumerate(zip(self.cutoffs, self.cutoffs[1:], strict=False)):
            members = ((target >= low) & (target < high)).nonzero().squeeze(1)
            if members.numel() == 0:
                continue
            in_head[members] = self.shortlist_size + i
            local = F.log_softmax(self.tail[i](input.index_select(0, members)), 1)
            index = (target.index_select(0, members) - low).unsqueeze(1)
            within = within.index_copy(0, members, local.gather(1, index).squeeze(1))
        return within + head.gather(1, in_head.unsqueeze(1)).squeeze(1)

    def log_prob(self, input: Tensor) -> Tensor:
        """Return the log-probabilities of all classes, ``(N, n_classes)``, for an input ``(N, in_features)``."""
        head = F.log_softmax(self.head(input), 1)
        short = self.shortlist_size
        clusters = [
            F.log_softmax(layers(input), 1) + head[:, short + i : short + i + 1] for i, layers in enumerate(self.tail)
        ]
        return cat([head[:, :short], *clusters], 1)

    def predict(self, input: Tensor) -> Tensor:
        """Return the most probable class of each row. Clusters are evaluated only for rows that may need them."""
        best: Tensor = self.head(input).argmax(1)
        rare = (best >= self.shortlist_size).nonzero().squeeze(1)
        if rare.numel():
            best[rare] = self.log_prob(input.index_select(0, rare)).argmax(1)
        return best


def _check_cutoffs(cutoffs: list[int], n_classes: int) -> None:
    rising = cutoffs == sorted(set(cutoffs)) and all(int(cutoff) == cutoff for cutoff in cutoffs)
    if not cutoffs or not rising or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1:
        raise ValueError(
            "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value "
            f"is between 1 and n_classes-1, got {cutoffs} for {n_classes} classes"
        )
