"""Test communication hooks and `Join` directly, without modules and optimizers."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed._values import broadcast_values
from flambeau.distributed.algorithms.ddp_comm_hooks import default_hooks
from flambeau.distributed.algorithms.join import Join, Joinable, JoinHook


def _averaged(name):
    rank = dist.get_rank()
    flat = fb.tensor([1.0, 2.0, 1e-3]) * (rank + 1)
    bucket = dist.GradBucket(0, flat, [flat[:1], flat[1:]], [], True)
    result = getattr(default_hooks, name)(None, bucket).wait()
    assert result.dtype == flat.dtype and result.data_ptr() == flat.data_ptr()
    return result.numpy()


@pytest.mark.parametrize("name", ["allreduce_hook", "fp16_compress_hook", "bf16_compress_hook"])
def test_hooks_average_into_the_bucket(ranks, name):
    dtype = {"allreduce_hook": fb.float32, "fp16_compress_hook": fb.float16, "bf16_compress_hook": fb.bfloat16}[name]
    parts = [(fb.tensor([1.0, 2.0, 1e-3]) * (rank + 1)).to(dtype) / 2 for rank in range(2)]
    for found in ranks.run(_averaged, name):
        np.testing.assert_array_equal(found, (parts[0] + parts[1]).float().numpy())


class Counter(Joinable):
    """Joinable that counts in each iteration how many processes have inputs."""

    def __init__(self):
        super().__init__()
        self.seen, self.last, self.options = [], None, None

    def count(self):
        work = Join.notify_join_context(self)
        total = self._sum(1)
        assert work is None or (work.wait() and work.result()[0].item() == total)
        self.seen.append(total)

    def _sum(self, own):
        total = fb.tensor([own])
        dist.all_reduce(total)
        return total.item()

    def join_hook(self, **kwargs):
        self.options = kwargs
        return CounterHook(self)

    @property
    def join_device(self):
        return fb.device("cpu")

    @property
    def join_process_group(self):
        return dist.group.WORLD


class CounterHook(JoinHook):
    def __init__(self, counter):
        self.counter = counter

    def main_hook(self):
        self.counter._sum(0)

    def post_hook(self, is_last_joiner):
        self.counter.last = is_last_joiner


def _count(iterations):
    first, second = Counter(), Counter()
    with Join([first, second], option=7):
        for _ in range(iterations[dist.get_rank()]):
            first.count()
            second.count()
    assert first.options == second.options == {"option": 7}
    assert Join.notify_join_context(first) is None  # no `with Join` block is active
    return first.seen, second.seen, first.last


def test_join_continues_until_the_last_process_has_no_steps(three_ranks):
    found = three_ranks.run(_count, [3, 1, 3])
    assert found == [([3, 2, 2], [3, 2, 2], True), ([3], [3], False), ([3, 2, 2], [3, 2, 2], True)]


def _values(source):
    rank = dist.get_rank()
    tensors = [fb.full((2, 3), rank), fb.full((2,), float(rank)), fb.full((3, 2), rank).T, fb.tensor(rank == 1)]
    broadcast_values(tensors, dist.group.WORLD, source)
    return [each.tolist() for each in tensors]


@pytest.mark.parametrize("source", [0, 1])
def test_broadcast_transfers_values_of_several_dtypes_and_layouts(ranks, source):
    expected = [[[source] * 3] * 2, [float(source)] * 2, [[source] * 3] * 2, source == 1]
    assert ranks.run(_values, source) == [expected, expected]
