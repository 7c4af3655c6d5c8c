"""Test gradients of differentiable collectives against the same computation in one process."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed.nn import functional as C

RANKS = 3


def _x(rank):
    generator = fb.Generator().manual_seed(rank)
    return fb.randn(RANKS, 2, dtype=fb.float64, generator=generator).requires_grad_()


# Number of rows that a rank sends to each rank, and receives from each rank.
SENT = [[1, 0, 2], [1, 1, 1], [0, 3, 0]]
RECEIVED = [list(column) for column in zip(*SENT, strict=True)]
ZEROS = fb.zeros(RANKS, 2, dtype=fb.float64)

# By name: a function of one rank's input, and the expected outputs of all ranks as a function of all inputs.
CASES = {
    "all_reduce": (lambda x, rank: C.all_reduce(x), lambda xs: [sum(xs)] * RANKS),
    "all_reduce mean": (lambda x, rank: C.all_reduce(x, dist.ReduceOp.AVG), lambda xs: [sum(xs) / RANKS] * RANKS),
    "broadcast": (lambda x, rank: C.broadcast(x, 1), lambda xs: [xs[1]] * RANKS),
    "reduce": (lambda x, rank: C.reduce(x, 2), lambda xs: [ZEROS, ZEROS, sum(xs)]),
    "reduce mean": (lambda x, rank: C.reduce(x, 2, dist.ReduceOp.AVG), lambda xs: [ZEROS, ZEROS, sum(xs) / RANKS]),
    "all_gather": (lambda x, rank: fb.stack(C.all_gather(x)), lambda xs: [fb.stack(xs)] * RANKS),
    "all_gather of a transpose": (
        lambda x, rank: fb.stack(C.all_gather(x.T)),
        lambda xs: [fb.stack([x.T for x in xs])] * RANKS,
    ),
    "reduce_scatter": (
        lambda x, rank: C.reduce_scatter(x[0].detach(), list(x)),
        lambda xs: [sum(x[rank] for x in xs) for rank in range(RANKS)],
    ),
    "reduce_scatter mean": (
        lambda x, rank: C.reduce_scatter(x[0].detach(), list(x), dist.ReduceOp.AVG),
        lambda xs: [sum(x[rank] for x in xs) / RANKS for rank in range(RANKS)],
    ),
    "gather": (
        lambda x, rank: fb.stack(C.gather(x, 1)),
        lambda xs: [fb.stack([ZEROS] * RANKS), fb.stack(xs), fb.stack([ZEROS] * RANKS)],
    ),
    "scatter": (lambda x, rank: C.scatter(list(x), 2), lambda xs: list(xs[2])),
    "all_to_all": (
        lambda x, rank: fb.cat(
            C.all_to_all([fb.empty(rows, 2).double() for rows in RECEIVED[rank]], x.split(SENT[rank]))
        ),
        lambda xs: [fb.cat([x.split(SENT[number])[rank] for number, x in enumerate(xs)]) for rank in range(RANKS)],
    ),
    "all_to_all_single": (
        lambda x, rank: C.all_to_all_single(fb.empty(sum(RECEIVED[rank]), 2), x, RECEIVED[rank], SENT[rank]),
        lambda xs: [fb.cat([x.split(SENT[number])[rank] for number, x in enumerate(xs)]) for rank in range(RANKS)],
    ),
}


def _loss(output, rank):
    """Compute a loss that differs between ranks, and is cubic so that second derivatives are not constant."""
    return ((rank + 1) * output**3).sum()


def _on_a_rank(name):
    rank = dist.get_rank()
    x = _x(rank)
    output = CASES[name][0](x, rank)
    (first,) = fb.autograd.grad(_loss(output, rank), x, create_graph=True)
    (second,) = fb.autograd.grad((first * (rank + 2)).sum(), x)
    return output.detach().numpy(), first.detach().numpy(), second.numpy()


@pytest.mark.parametrize("name", CASES)
def test_functional_collectives_have_values_and_derivatives(three_ranks, name):
    xs = [_x(rank) for rank in range(RANKS)]
    outputs = CASES[name][1](xs)
    total = sum(_loss(output, rank) for rank, output in enumerate(outputs))
    first = fb.autograd.grad(total, xs, create_graph=True, allow_unused=True, materialize_grads=True)
    weighted = sum((each * (rank + 2)).sum() for rank, each in enumerate(first))
    second = fb.autograd.grad(weighted, xs, allow_unused=True, materialize_grads=True)
    for rank, found in enumerate(three_ranks.run(_on_a_rank, name)):
        for one, other in zip(found, (outputs[rank], first[rank], second[rank]), strict=True):
            np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_gradients_of_unsupported_reductions_raise(one_process):
    x = fb.ones(2, requires_grad=True)
    for call in (
        lambda: C.all_reduce(x, dist.ReduceOp.MAX),
        lambda: C.reduce(x, 0, dist.ReduceOp.PRODUCT),
        lambda: C.reduce_scatter(x.detach(), [x], dist.ReduceOp.MIN),
    ):
        with pytest.raises(NotImplementedError, match="gradients are supported only for"):
            call()


def _outside():
    group = dist.new_group([0])
    if dist.get_rank():
        with pytest.raises(ValueError, match="does not belong"):
            C.gather(fb.ones(2), 0, group)


def test_functional_collectives_outside_the_group_raise(ranks):
    ranks.run(_outside)
