"""Batching rules of losses, which are reduced separately for each element of the batch."""

from typing import Any

from flambeau import Tensor
from flambeau.func._rules import Call, UnbatchableError, batching, composition


@composition("mse_loss")
def mse_loss(input: Tensor, target: Tensor, reduction: str) -> Tensor:
    """Return the mean or sum of the squared differences, or all of them."""
    return reduced((input - target).square(), reduction)


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """Return the mean or sum of ``loss``, or ``loss`` itself if ``reduction`` is ``"none"``."""
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


@batching("cross_entropy", "nll_loss")
def classification(call: Call) -> Any:
    """Compute the losses of all examples together, then reduce them for each element of the batch."""
    values = dict(zip(call.operator.parameters, call.values, strict=True))
    x, target, weight = values["input"], values["target"], values["weight"]
    reduction = values["reduction"]
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction; expected 'none', 'mean' or 'sum'")
    if call.is_batched(weight):
        raise UnbatchableError("vmap: class weights must be equal for all elements of the batch")
    if x.ndim < 1 or target.ndim != (x.ndim if target.dtype.is_floating_point else max(x.ndim - 1, 0)):
        raise ValueError(
            f"{call.operator.__name__}: expected an input [C] or [N, C, ...] and a target [], [N, ...] or, for class "
            f"probabilities, of the input's shape, got input {list(x.shape)} and target {list(target.shape)}"
        )
    logits, labels = call.batch(x), call.batch(target)
    if x.ndim > 1:
        if x.shape[0] != target.shape[0]:
            raise ValueError(
                f"Expected input batch_size ({x.shape[0]}) to match target batch_size ({target.shape[0]})."
            )
        logits, labels = logits.flatten(0, 1), labels.flatten(0, 1)
    loss = call.run({**values, "input": logits, "target": labels, "reduction": "none"}.values())
    loss = loss.reshape(
        call.size,
        *(target.shape if not target.dtype.is_floating_point else (x.shape[:1] + x.shape[2:] if x.ndim > 1 else ())),
    )
    if reduction == "none":
        return loss
    total = loss.reshape(call.size, -1).sum(1)
    if reduction == "sum":
        return total
    if target.dtype.is_floating_point:
        return total / loss[0].numel()
    return total / _counted(labels.reshape(call.size, -1), weight, values["ignore_index"], total)


def _counted(labels: Tensor, weight: Any, ignore_index: int, total: Tensor) -> Any:
    """Return, for each element of the batch, the total weight of the targets that are not ignored."""
    counts = labels != ignore_index
    if weight is None:
        return counts.sum(1)
    return (weight[labels * counts] * counts).sum(1)
