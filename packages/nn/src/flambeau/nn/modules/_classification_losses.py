"""Losses for classification."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from flambeau import Tensor

from .. import functional as F
from ._loss import _Loss, _WeightedLoss
from .linear import Linear
from .utils import options_of


class CrossEntropyLoss(_WeightedLoss):
    """Cross-entropy of logits ``x``: ``-log softmax(x)[target]``.

    Args:
        weight: ``(C,)``, a factor for each class.
        size_average, reduce: older spellings of ``reduction``.
        ignore_index: targets with this value do not contribute to the loss.
        reduction: ``"mean"`` (weighted), ``"sum"`` or ``"none"``.
        label_smoothing: fraction of the target, in [0, 1], that is spread evenly over the classes.
    Shapes: logits ``(C,)`` or ``(N, C, ...)``; targets as class indices of the shape without C, or as probabilities of
        the shape of the logits.
    Raises: IndexError for a class index out of range.

    >>> nn.CrossEntropyLoss()(fb.zeros(1, 4), fb.tensor([2]))
    tensor(1.3863)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_WeightedLoss):
    """Negative log-likelihood ``-x[target]`` of log-probabilities ``x``, for example the output of `LogSoftmax`.

    The arguments are described in `CrossEntropyLoss`.

    >>> nn.NLLLoss()(fb.tensor([[-0.1, -2.0], [-1.5, -0.3]]), fb.tensor([0, 1]))
    tensor(0.2000)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class NLLLoss2d(NLLLoss):
    """Deprecated name of `NLLLoss`, which was meant for images.

    >>> nn.NLLLoss2d()(fb.zeros(1, 3, 2, 2), fb.zeros(1, 2, 2, dtype=fb.int64))
    tensor(0.)
    """


class LinearCrossEntropyOptions(NamedTuple):
    """Options of PyTorch for the memory use of `LinearCrossEntropyLoss`. They are accepted and have no effect.

    >>> options = nn.LinearCrossEntropyOptions(batch_chunk_size=2)
    >>> loss = nn.LinearCrossEntropyLoss(3, 5, options=options)
    >>> loss(fb.zeros(4, 3), fb.tensor([0, 1, 2, 3]))
    tensor(1.6094, grad_fn=<NllLossBackward0>)
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None


class LinearCrossEntropyLoss(_WeightedLoss):
    """Linear layer followed by `CrossEntropyLoss`. The module holds the parameters of the layer.

    Args:
        in_features: size of the last dimension of the input.
        num_classes: number of classes C.
        out_features: sizes of further dimensions of the target; each position has separate logits.
        bias: if True, the layer has a bias.
        device, dtype: device and dtype of the parameters.
        reduction, weight, ignore_index, label_smoothing: as in `CrossEntropyLoss`.
        options: options without effect, see `LinearCrossEntropyOptions`.
    Shapes: ``(N, in_features)`` or ``(in_features,)``; targets as class indices or probabilities.
    Raises: RuntimeError for a weight that is not ``(C,)`` or a smoothing outside [0, 1].

    >>> loss = nn.LinearCrossEntropyLoss(3, 5)
    >>> loss(fb.zeros(2, 3), fb.tensor([0, 4])).shape
    flambeau.Size([])
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
    ) -> None:
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise RuntimeError(f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}")
        if not 0 <= label_smoothing <= 1:
            raise RuntimeError(f"expected label_smoothing to be in range [0, 1], got {label_smoothing}")
        super().__init__(weight, reduction=reduction)
        self.num_classes = num_classes
        self.out_features = out_features
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.linear = Linear(in_features, prod(out_features, start=num_classes), bias, device, dtype)
        self.options = options

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        output_shape = (self.num_classes, *self.out_features)
        return F.linear_cross_entropy(
            input,
            self.linear.weight.reshape(*output_shape, self.linear.in_features),
            target,
            linear_bias=None if self.linear.bias is None else self.linear.bias.reshape(output_shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        own = options_of(self, "num_classes", "out_features")
        rest = options_of(self, "reduction", "ignore_index", "label_smoothing", "options")
        return f"in_features={self.linear.in_features}, {own}, bias={self.linear.bias is not None}, {rest}"


class MultiMarginLoss(_WeightedLoss):
    """Multi-class hinge loss: ``sum over classes c != y of max(0, margin - x[y] + x[c])**p / C``.

    >>> nn.MultiMarginLoss()(fb.tensor([[0.1, 0.2, 0.8]]), fb.tensor([2]))
    tensor(0.2333)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError(f"only p == 1 and p == 2 supported, got {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"weight must be None or have 1 dimension, got shape {list(weight.shape)}")
        self.p = p
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        options: dict[str, Any] = {
            "p": self.p,
            "margin": self.margin,
            "weight": self.weight,
            "reduction": self.reduction,
        }
        return F.multi_margin_loss(input, target, **options)


class MultiLabelMarginLoss(_Loss):
    """Multi-label hinge loss: ``sum over labels y and other classes c of max(0, 1 - (x[y] - x[c])) / C``.

    Each row of the targets lists the labels; -1 marks their end.

    >>> nn.MultiLabelMarginLoss()(fb.tensor([[0.1, 0.2, 0.8]]), fb.tensor([[2, -1, 0]]))
    tensor(0.2333)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The mean over classes of the binary cross-entropy of ``sigmoid(x)``; targets are 0 or 1 for each class.

    >>> nn.MultiLabelSoftMarginLoss()(fb.tensor([[2.0, -1.0]]), fb.tensor([[1.0, 0.0]]))
    tensor(0.2201)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class CTCLoss(_Loss):
    """Negative log-likelihood of a target sequence, summed over all its alignments with the input.

    Args:
        blank: class index of the blank label.
        reduction: ``"mean"`` (each loss is first divided by its target's length), ``"sum"`` or ``"none"``.
        zero_infinity: if True, the loss of a target without a possible alignment is 0 instead of infinity.
    Shapes: log-probabilities ``(T, N, C)`` or ``(T, C)``; targets ``(N, S)``, or concatenated in
        one dimension; lengths of inputs and of targets ``(N,)``.
    Source: Graves et al. 2006, doi:10.1145/1143844.1143891.

    >>> log_probs = fb.full((4, 1, 3), 1 / 3).log()
    >>> nn.CTCLoss()(log_probs, fb.tensor([[1, 2]]), fb.tensor([4]), fb.tensor([2]))
    tensor(0.8432)
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        lengths = (input_lengths, target_lengths)
        return F.ctc_loss(log_probs, targets, *lengths, self.blank, self.reduction, self.zero_infinity)


class SoftMarginLoss(_Loss):
    """Logistic loss ``log(1 + exp(-y * x))`` of inputs ``x`` and targets ``y``, which are 1 or -1.

    >>> nn.SoftMarginLoss()(fb.tensor([2.0, -1.0]), fb.tensor([1.0, -1.0]))
    tensor(0.2201)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)
