"""Classification losses."""

from __future__ import annotations

import flambeau
from flambeau import Tensor, _core

from ._reduction import chosen, reduced


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Compute the cross-entropy ``-log softmax(x)[target]`` of logits ``x``.

    Args:
        input: logits ``(C,)`` or ``(N, C, ...)``.
        target: class indices of the shape without C, or probabilities of the input's shape.
        weight: ``(C,)``, a factor for each class.
        size_average, reduce: older spellings of ``reduction``.
        ignore_index: targets with this value do not contribute to the loss.
        reduction: ``"mean"`` (weighted), ``"sum"`` or ``"none"``.
        label_smoothing: fraction of the target, in [0, 1], that is spread evenly over the classes.
    Raises: IndexError for a class index out of range; ValueError if the batch sizes differ.
    Gradient: defined for input and a target of probabilities, to any order.

    >>> nn.functional.cross_entropy(fb.zeros(1, 4), fb.tensor([2]))
    tensor(1.3863)
    """
    if size_average is not None or reduce is not None:
        reduction = chosen(reduction, size_average, reduce)
    return flambeau.cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute ``-x[target]`` of log-probabilities ``x``. The arguments are described in `cross_entropy`.

    >>> nn.functional.nll_loss(fb.tensor([[-0.1, -2.0], [-1.5, -0.3]]), fb.tensor([0, 1]))
    tensor(0.2000)
    """
    if size_average is not None or reduce is not None:
        reduction = chosen(reduction, size_average, reduce)
    return flambeau.nll_loss(input, target, weight, ignore_index, reduction)


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: object = None,
) -> Tensor:
    """Compute ``cross_entropy(linear(input, linear_weight, linear_bias), target)``.

    Args:
        input: ``(N, in)`` or ``(in,)``.
        linear_weight: ``(C, in)``, or ``(C, *d, in)`` for logits ``(N, C, *d)`` of a batch.
        target: class indices or probabilities, as `cross_entropy` takes them for these logits.
        linear_bias: ``(C,)`` or ``(C, *d)``, or None.
        weight, reduction, label_smoothing: as in `cross_entropy`.
        ignore_index: targets with this value do not contribute, -100 by default. Not allowed with probabilities.
        options: accepted for compatibility, without effect.
    Raises: RuntimeError if the shapes do not match.

    >>> nn.functional.linear_cross_entropy(fb.zeros(2, 3), fb.zeros(5, 3), fb.tensor([0, 4]))
    tensor(1.6094)
    """
    if input.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if linear_weight.ndim < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.ndim}")
    if input.shape[-1] != linear_weight.shape[-1]:
        raise RuntimeError(
            f"expected equal input and linear_weight last dimensions (in_features), got {list(input.shape)} and "
            f"{list(linear_weight.shape)}"
        )
    outputs = linear_weight.shape[:-1]
    if linear_bias is not None and linear_bias.shape != outputs:
        raise RuntimeError(f"expected linear_bias shape {tuple(outputs)}, got {tuple(linear_bias.shape)}")
    if len(outputs) > 1 and input.ndim == 1:
        raise RuntimeError(
            f"expected a batched input [N, in_features] for linear_weight of shape {list(linear_weight.shape)}, got "
            f"input of shape {list(input.shape)}"
        )
    logits = flambeau.linear(
        input, linear_weight.reshape(-1, input.shape[-1]), None if linear_bias is None else linear_bias.reshape(-1)
    ).reshape(*input.shape[:-1], *outputs)
    if target.shape == logits.shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    ignored = -100 if ignore_index is None else ignore_index
    return flambeau.cross_entropy(logits, target, weight, ignored, reduction, label_smoothing)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute the binary cross-entropy of each label from logits ``(..., C)``, averaged over the classes.

    >>> nn.functional.multilabel_soft_margin_loss(fb.tensor([[2.0, -1.0]]), fb.tensor([[1.0, 0.0]]))
    tensor(0.2201)
    """
    if input.dtype in (flambeau.float16, flambeau.bfloat16):  # round once, at the end
        wide = None if weight is None else weight.float()
        loss = multilabel_soft_margin_loss(input.float(), target.float(), wide, size_average, reduce, reduction)
        return loss.to(input.dtype)
    reduction = chosen(reduction, size_average, reduce)
    loss = _core._binary_cross_entropy_with_logits(input, target)
    if weight is not None:
        loss = loss * weight
    return reduced(loss.sum(-1) / input.shape[-1], reduction)


def check_margin_target(name: str, input: Tensor, target: Tensor) -> None:
    """Raise a RuntimeError if the input of a margin loss is floating-point and its target is not int64.

    If the input is not floating-point, the operator raises an error that says whether it was swapped with the target.
    """
    if target.dtype != flambeau.int64 and input.is_floating_point():
        raise RuntimeError(f"{name}: expected scalar type Long (int64) for the target, but found {target.dtype}")


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute ``sum over j != y of max(0, margin - x[y] + x[j])**p / C``, times ``weight[y]`` if given.

    Args:
        input: ``(N, C)`` or ``(C,)``.
        target: ``(N,)`` or a scalar, class indices.
        p: 1 or 2.
    Raises: ValueError for another ``p`` or a weight that is not a vector; RuntimeError if the shapes do not match,
        the target is not int64 or a class index is out of range.

    >>> nn.functional.multi_margin_loss(fb.tensor([[0.1, 0.2, 0.8]]), fb.tensor([2]))
    tensor(0.2333)
    """
    if size_average is not None or reduce is not None:
        reduction = chosen(reduction, size_average, reduce)
    check_margin_target("multi_margin_loss", input, target)
    return _core._multi_margin_loss(input, target, p, margin, weight, reduction)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute ``sum of max(0, 1 - x[y] + x[j]) / C`` over all labels ``y`` and other classes ``j``.

    Args:
        input: ``(N, C)`` or ``(C,)``.
        target: same shape; each row begins with its labels, and -1 marks their end.
    Raises: RuntimeError if the shapes do not match, the target is not int64 or a label is out of range.

    >>> nn.functional.multilabel_margin_loss(fb.tensor([[0.1, 0.2, 0.8]]), fb.tensor([[2, -1, 0]]))
    tensor(0.2333)
    """
    if size_average is not None or reduce is not None:
        reduction = chosen(reduction, size_average, reduce)
    check_margin_target("multilabel_margin_loss", input, target)
    return _core._multilabel_margin_loss(input, target, reduction)
