"""Connectionist temporal classification, a loss for sequences without alignment."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau import Tensor, _core

from ._reduction import chosen


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Compute the negative log-likelihood of each target, summed over all alignments with the time steps.

    Args:
        log_probs: ``(T, N, C)`` or ``(T, C)``, log-probabilities, for example a result of `log_softmax`.
        targets: ``(N, S)``, or all targets concatenated in one dimension; integers other than ``blank``.
        input_lengths, target_lengths: ``(N,)``, the number of valid steps and labels of each sequence.
        blank: class index of the blank label.
        reduction: ``"mean"`` (each loss is first divided by its target's length), ``"sum"`` or ``"none"``.
        zero_infinity: if True, the loss of a target without a possible alignment is 0 instead of infinity.
    Raises: RuntimeError for lengths or labels outside their range.
    Gradient: with respect to the logits, assuming ``log_probs = log_softmax(logits)``; only first-order.
    Source: Graves et al. 2006, doi:10.1145/1143844.1143891.

    >>> steps = fb.full((2, 1, 2), 0.5).log()
    >>> nn.functional.ctc_loss(steps, fb.tensor([[1]]), [2], [1])  # three of four ways
    tensor(0.2877)
    """
    reduction = chosen(reduction)
    batched = log_probs.ndim == 3
    steps, labels = _lengths("input_lengths", input_lengths), _lengths("target_lengths", target_lengths)
    losses = _core._ctc_loss(
        log_probs if batched else log_probs.unsqueeze(1),
        targets if batched or targets.ndim != 1 else targets.unsqueeze(0),
        steps,
        labels,
        blank,
        zero_infinity,
    )
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return (losses / losses.new_tensor([max(n, 1) for n in labels])).mean()
    return losses if batched else losses.squeeze(0)


def _lengths(name: str, lengths: Tensor | Sequence[int]) -> list[int]:
    if isinstance(lengths, int):
        raise TypeError(
            f"ctc_loss: {name} must hold one length for each sample of the batch, got an int; write [{lengths}]"
        )
    if isinstance(lengths, Tensor):
        if lengths.dtype.is_floating_point:
            raise RuntimeError(f"ctc_loss: {name} must be integers, got {lengths.dtype}")
        return [int(n) for n in lengths.reshape(-1).tolist()]
    return list(lengths)
