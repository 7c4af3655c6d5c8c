"""Embedding lookups with sparse gradients, which contain only the selected rows.

The module is imported when ``sparse=True`` is first used.
"""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import Tensor, _core
from flambeau._operator import recorded
from flambeau.autograd._sparse_gradients import observe
from flambeau.sparse._gradients import release

NO_FREQUENCIES = "{name}: scale_grad_by_freq not supported with sparse gradients"


def takes_sparse(weight: Tensor) -> bool:
    """Return True if ``weight`` gets a sparse gradient: it must be a leaf that requires grad."""
    wanted = weight.requires_grad and weight.is_leaf and flambeau.is_grad_enabled()
    if wanted:
        release(weight)
    return wanted


def embedding(input: Tensor, weight: Tensor, padding: int, scale_grad_by_freq: bool) -> Tensor:
    """Look up the rows ``weight[input]``. The gradient of ``weight``, a leaf, contains only the selected rows."""
    if not takes_sparse(weight):
        return flambeau.embedding(weight, input, padding, scale_grad_by_freq)
    table = weight.detach()
    receiver = observe(weight)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Any, ...]:
        if grads[0] is None or not needs[0]:
            return (None,)
        if scale_grad_by_freq:
            raise RuntimeError(NO_FREQUENCIES.format(name="embedding_backward"))
        indices, rows = saved[0].reshape(-1).long(), grads[0].reshape(saved[0].numel(), table.shape[1])
        if padding >= 0:
            positions = (indices != padding).nonzero().reshape(-1)
            indices, rows = indices.index_select(0, positions), rows.index_select(0, positions)
        return (receiver.send(indices, rows),)

    result = flambeau.embedding(table, input, padding, scale_grad_by_freq)
    return recorded("Embedding", result, inputs=(weight,), saved=(input,), derivative=derivative)


def embedding_bag(
    weight: Tensor,
    input: Tensor,
    offsets: Tensor | None,
    include_last_offset: bool,
    mode: int,
    per_sample_weights: Tensor | None,
    padding: int,
    scale_grad_by_freq: bool,
) -> Tensor:
    """Compute sums or means over bags of rows. The gradient of ``weight``, a leaf, contains only the selected rows."""
    options = (include_last_offset, mode, per_sample_weights, padding, scale_grad_by_freq)
    if not takes_sparse(weight):
        return _core._embedding_bag(weight, input, offsets, *options)
    table = weight.detach()
    receiver = observe(weight)
    result = _core._embedding_bag(table, input, offsets, *options)
    bags = _bags(input, offsets, include_last_offset, result.shape[0])
    factors = None if per_sample_weights is None else per_sample_weights.detach()

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Any, ...]:
        if grads[0] is None or not needs[0]:
            return (None,)
        if scale_grad_by_freq:
            raise RuntimeError(NO_FREQUENCIES.format(name="embedding_bag_backward"))
        indices, among = saved[0].reshape(-1)[: len(bags)].long(), bags
        weights = None if factors is None else factors.reshape(-1)[: len(bags)]
        if padding >= 0:
            positions = (indices != padding).nonzero().reshape(-1)
            indices, among = indices.index_select(0, positions), bags.index_select(0, positions)
            weights = None if weights is None else weights.index_select(0, positions)
        gradient = grads[0]
        if mode == 1:
            counts = among.bincount(minlength=gradient.shape[0]).clamp(min=1)
            gradient = gradient / counts[:, None]
        rows = gradient.index_select(0, among)
        return (receiver.send(indices, rows if weights is None else rows * weights[:, None]),)

    connected = recorded("EmbeddingBag", result.detach(), inputs=(weight,), saved=(input,), derivative=derivative)
    if per_sample_weights is not None and per_sample_weights.requires_grad:
        return connected + (
            result - result.detach()
        )  # the added term is 0, but passes a gradient to per_sample_weights
    return connected


def _bags(input: Tensor, offsets: Tensor | None, include_last_offset: bool, count: int) -> Tensor:
    """Return the index of the bag that each element of ``input`` belongs to. ``count`` is the number of bags."""
    if offsets is None:
        return flambeau.arange(count, device=input.device).repeat_interleave(input.shape[1])
    bounds = offsets.long()
    if not include_last_offset:
        bounds = flambeau.cat((bounds, bounds.new_full((1,), input.shape[0])))
    return flambeau.arange(count, device=input.device).repeat_interleave(bounds.diff())
