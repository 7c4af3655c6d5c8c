"""Test parameters that an iteration or a process does not use."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from small_models import made

import flambeau as fb
from flambeau import distributed as dist, nn
from flambeau.nn.parallel import DistributedDataParallel


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Result:
    left: fb.Tensor
    right: fb.Tensor | None


class Choosing(nn.Module):
    """Module that applies only the layers given to ``forward``."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2, 1, bias=False, dtype=fb.float64) for _ in range(4))

    def forward(self, x, used, into=list):
        outputs = [self.layers[number](x).sum() for number in used]
        return into(outputs)


X = fb.tensor([[1.0, 2.0]], dtype=fb.float64)
SMALL = 16 / 2**20  # bucket size in MiB: one layer per bucket


def _total(output):
    return output if isinstance(output, fb.Tensor) else sum(output)


def _gradients(used_by, options, times=1):
    model = DistributedDataParallel(made(Choosing, 0), bucket_cap_mb=SMALL, **options)
    rank = dist.get_rank()
    for _ in range(times):
        model.zero_grad()
        _total(model(X * (rank + 1), used_by[rank], sum)).backward()
    return [None if each.grad is None else each.grad.tolist() for each in model.parameters()]


@pytest.mark.parametrize("views", [False, True])
@pytest.mark.parametrize("times", [1, 3])
def test_parameters_used_by_one_process_are_averaged(ranks, views, times):
    options = {"find_unused_parameters": True, "gradient_as_bucket_view": views}
    # The gradient of a layer is X on rank 0, 2 X on rank 1, and missing on a rank that does not use the layer. The
    # average is half the sum.
    expected = [[[1.5, 3.0]], [[0.5, 1.0]], [[1.0, 2.0]], None]
    assert ranks.run(_gradients, [[0, 1], [0, 2]], options, times) == [expected, expected]


@pytest.mark.parametrize("options", [{"static_graph": True}, {"find_unused_parameters": True}], ids=str)
@pytest.mark.parametrize("skips", [False, True])
def test_parameters_used_by_no_process_have_no_gradient(ranks, options, skips):
    options = {**options, "skip_all_reduce_unused_params": skips}
    expected = [None, [[1.5, 3.0]], None, [[1.5, 3.0]]]
    assert ranks.run(_gradients, [[1, 3], [1, 3]], options, 3) == [expected, expected]


def _sent(skips):
    sent = []

    def average(_, bucket):
        sent.append(bucket.index())
        return dist.all_reduce(bucket.buffer(), dist.ReduceOp.AVG, async_op=True).get_future()

    options = {"find_unused_parameters": True, "skip_all_reduce_unused_params": skips}
    model = DistributedDataParallel(Choosing(), bucket_cap_mb=SMALL, **options)
    model.register_comm_hook(None, average)
    model(X, [1, 3], sum).backward()
    return sent


def test_unused_buckets_are_sent_or_skipped(ranks):
    assert ranks.run(_sent, False) == [[0, 1, 2, 3]] * 2
    assert ranks.run(_sent, True) == [[0, 2]] * 2


def _kept():
    model = DistributedDataParallel(made(Choosing, 0), find_unused_parameters=True)
    for layer in model.module.layers:
        layer.weight.grad = fb.full((1, 2), float(dist.get_rank()), dtype=fb.float64)
    model(X, [0], sum).backward()
    return [each.grad.tolist() for each in model.parameters()]


def test_existing_gradients_of_unused_parameters_are_kept(ranks):
    first, second = ranks.run(_kept)
    assert first == [[[1.5, 2.5]], [[0, 0]], [[0, 0]], [[0, 0]]]
    assert second == [[[1.5, 2.5]], [[1, 1]], [[1, 1]], [[1, 1]]]


CONTAINERS = {
    "tuple": tuple,
    "dictionary": lambda outputs: {"a": outputs[0], "b": [outputs[1]]},
    "named tuple": lambda outputs: Pair(*outputs),
    "dataclass": lambda outputs: Result(outputs[0], outputs[1]),
    "nested": lambda outputs: {"a": (Result(outputs[0], None), Pair(1, outputs[1]))},
}


@pytest.mark.parametrize("into", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_outputs_are_found_in_containers(one_process, into):
    model = DistributedDataParallel(Choosing(), find_unused_parameters=True)
    losses = []

    def keep(outputs):
        losses.append(sum(outputs))
        return into(outputs)

    for _ in range(2):
        model(X, [0, 2], keep)
        losses.pop().backward()
    assert [each.grad is None for each in model.parameters()] == [False, True, False, True]


def test_a_parameter_that_is_an_output_counts_as_used(one_process):
    class Itself(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Parameter(fb.ones(2)), nn.Parameter(fb.ones(2))

        def forward(self):
            return self.used

    model = DistributedDataParallel(Itself(), find_unused_parameters=True)
    for _ in range(2):
        model().sum().backward()
    assert model.module.used.grad.tolist() == [2, 2] and model.module.unused.grad is None


def _forgotten():
    model = DistributedDataParallel(Choosing())
    model(X, [0, 2], sum).backward()
    with pytest.raises(RuntimeError, match="finished reduction in the prior iteration") as caught:
        model(X, [0, 2], sum)
    return str(caught.value)


def test_the_error_of_the_next_forward_names_parameters_without_gradient(ranks):
    for rank, message in enumerate(ranks.run(_forgotten)):
        assert message.endswith(f"did not receive grad for rank {rank}: layers.1.weight, layers.3.weight")


def test_a_forward_without_a_backward_is_no_error(one_process):
    model = DistributedDataParallel(Choosing())
    for used in ([0], [1], [0, 1, 2, 3]):
        output = model(X, used, sum)
    output.backward()
    model(X, [0, 1, 2, 3], sum)


def test_a_gradient_after_its_bucket_is_sent_raises(one_process):
    model = DistributedDataParallel(Choosing(), find_unused_parameters=True)
    output = model(X, [0], sum) + model.module.layers[1](X).sum()
    with pytest.raises(RuntimeError, match=r"ready only once, but the gradient of 'layers\.1\.weight'"):
        output.backward()


def test_a_second_backward_adds_the_local_gradient(one_process):
    model = DistributedDataParallel(Choosing())
    output = model(X, [0, 1, 2, 3], sum)
    output.backward(retain_graph=True)
    output.backward()
    np.testing.assert_array_equal(model.module.layers[3].weight.grad.numpy(), 2 * X.numpy())
