"""Tests that indexing on the GPU equals indexing on the CPU, even if several indices select the same element."""

import ctypes
import os

import pytest

import flambeau as fb
from flambeau.testing import assert_close

DTYPES = [fb.float32, fb.bfloat16, fb.int64, fb.uint8, fb.bool, fb.complex128]


def sample(shape, dtype=fb.float32):
    x = fb.arange(max(1, fb.empty(shape).numel()), dtype=fb.float64)[: fb.empty(shape).numel()].reshape(shape)
    return ((x * 7) % 23 - 5).to(dtype)


def same(f, *args):
    """Check that the result on the GPU equals the CPU's bit for bit."""
    there = [a.cuda() if isinstance(a, fb.Tensor) else a for a in args]
    expected, got = f(*args), f(*there)
    assert got.is_cuda
    assert_close(got.cpu(), expected, rtol=0, atol=0, equal_nan=True)


def entries(shape, size, seed=0):
    return (fb.arange(fb.empty(shape).numel()).reshape(shape) * 2654435761 + seed) % 1000003 % size


@pytest.mark.parametrize("dtype", DTYPES)
def test_slices_equal_those_on_the_cpu(dtype, host_calls):
    x, i = sample((6, 5, 8), dtype), fb.tensor([5, 0, 3, 3])
    for dim in (0, 1, 2):
        same(lambda t, i, dim=dim: t.index_select(dim, i % t.size(dim)), x, i)
        same(lambda t, i, dim=dim: t.transpose(0, 2).index_select(dim, i % 5), x, i)
    same(lambda t, i: t[1:].index_select(0, i % 5), x, i)
    assert not host_calls()


@pytest.mark.parametrize("shape", [(4, 3), (4, 4), (5, 64), (3, 0), (2, 3, 7)])
def test_embedding_matches_the_cpu(shape, host_calls):
    weight, i = sample((9, shape[-1])), entries(shape[:-1], 9)
    same(fb.embedding, weight, i)
    assert not host_calls()


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_gather_matches_the_cpu(dim, host_calls):
    x = sample((4, 5, 6))
    i = entries((3, 4, 5), 4)
    same(lambda t, i: t.gather(dim, i), x, i)
    same(lambda t, i: t.transpose(0, 1).transpose(0, 1).gather(dim, i[..., ::2]), x, i)
    same(lambda t, i: t.gather(dim, i[:1].expand(4, 4, 5) % 4), x, i)
    same(lambda t: t.gather(0, fb.zeros((), dtype=fb.int64, device=t.device)), fb.tensor(3.0))
    assert not host_calls()


def test_take_and_put_match_the_cpu(host_calls):
    same(lambda t, i: t.take(i), sample((4, 5)), fb.tensor([[0, -1], [19, -20]]))
    same(
        lambda t, i: t.clone().put_(i, fb.arange(3.0, device=t.device), accumulate=True),
        sample((4, 5)),
        fb.tensor([0, -1, 0]),
    )
    assert not host_calls()


@pytest.mark.parametrize("n", [3, 40, 5000])
@pytest.mark.parametrize("shape", [(), (3,), (8,)])
def test_index_add_sums_slices_in_a_fixed_order(n, shape, host_calls):
    """Test with so many repeated indices that another order of the additions would change the result."""
    i, source = entries((n,), 7), sample((n, *shape)) / 3
    same(lambda t, i, s: t.index_add(0, i, s), fb.zeros(7, *shape), i, source)
    same(lambda t, i, s: t.index_add(0, i, s.to(fb.bfloat16)), fb.zeros(7, *shape, dtype=fb.bfloat16), i, source)
    same(lambda t, i, s: t.index_copy(0, i, s), fb.zeros(7, *shape), i, source)
    same(lambda t, i: t.index_fill(0, i % 3 - 3, 4.0), fb.zeros(7, *shape), i)
    assert not host_calls()


@pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="needs an emulated GPU")
def test_index_add_of_wide_slices_sorts_few_digits():
    emulator = ctypes.CDLL(os.environ["FLAMBEAU_CUDA_DRIVER"])
    i, launches = entries((300,), 200).cuda(), []
    for width in (1, 64):
        out, source = fb.zeros(200, width, device="cuda"), fb.ones(300, width, device="cuda")
        before = emulator.emulated_counts(b"cuLaunchKernelEx")
        out.index_add_(0, i, source)
        launches.append(emulator.emulated_counts(b"cuLaunchKernelEx") - before)
    assert launches[0] == launches[1]


def test_index_add_of_long_rows_sums_in_a_fixed_order(host_calls):
    i, source = entries((100,), 7), sample((100, 16385)) / 3
    same(lambda t, i, s: t.index_add(0, i, s), fb.zeros(7, 16385), i, source)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float16, fb.int32, fb.bool])
@pytest.mark.parametrize("shape", [(3, 4), (300, 5), (2, 16390)])
def test_scatter_matches_the_cpu(shape, dtype, host_calls):
    x, source = fb.ones(9, shape[1], dtype=dtype), sample(shape, dtype)
    i = entries(shape, 9)
    same(lambda t, i, s: t.scatter(0, i, s), x, i, source)
    same(lambda t, i, s: t.scatter_add(0, i, s), x, i, source)
    if shape[0] < 300:
        same(lambda t, i, s: t.scatter(0, i[:, :3], s.t().contiguous().t()), x, i, source)
        same(lambda t, i: t.scatter(0, i, 2), x, i)
    if dtype == fb.float32:
        for reduce in ("prod", "amax", "amin", "mean"):
            same(lambda t, i, s, r=reduce: t.scatter_reduce(0, i, s / 8, r, include_self=False), x, i, source)
    assert not host_calls()


@pytest.mark.parametrize("dtype", DTYPES)
def test_indexing_with_index_tensors_matches_the_cpu(dtype, host_calls):
    x = sample((4, 5, 6), dtype)
    i, j = fb.tensor([[0, 3], [-1, 2]]), fb.tensor([4, -5])
    same(lambda t, i, j: t[i], x, i, j)
    same(lambda t, i, j: t[i, j], x, i, j)
    same(lambda t, i, j: t[:, i], x, i, j)
    same(lambda t, i, j: t[i, :, j], x, i, j)
    same(lambda t, i, j: t[..., j], x, i, j)
    assert not host_calls()


def put(t, key, value, accumulate=False):
    t = t.clone()
    if accumulate:
        return t.index_put_(key, value, accumulate=True)
    t[key] = value
    return t


def test_assignment_with_index_tensors_matches_the_cpu(host_calls):
    x = sample((4, 5, 6))
    i, j = fb.tensor([[0, 3], [-1, 0]]), fb.tensor([4, -5])
    same(lambda t, i, j: put(t, i, 7.0), x, i, j)
    same(lambda t, i, j: put(t, (i, j), sample((2, 2, 6)).to(t.device)), x, i, j)
    same(lambda t, i, j: put(t, (slice(None), i), sample((4, 2, 2, 6)).to(t.device)), x, i, j)
    same(lambda t, i, j: put(t, (i, j), sample((2, 2, 6)).to(t.device), True), x, i, j)
    same(lambda t, i: put(t, (i,), sample((500,)).to(t.device) / 3, True), fb.zeros(7), entries((500,), 7))
    assert not host_calls()


def test_gpu_tensors_accept_index_tensors_on_the_cpu(host_calls):
    x = sample((4, 5))
    for key in ([3, 0], fb.tensor([3, 0]), (fb.tensor([1]), fb.tensor([2])), x[:, 0] > 3, x > 3):
        assert_close(x.cuda()[key].cpu(), x[key])
        there = x.cuda()
        there[key] = 9
        assert_close(there.cpu(), put(x, key, 9))
    there = x.cuda()
    there[fb.tensor([3, 0])] = fb.tensor(7.0)
    there[[1]] = [[1.0, 2, 3, 4, 5]]
    assert there[:, 0].tolist() == [7, 1, x[2, 0].item(), 7]
    assert not host_calls()
    with pytest.raises(RuntimeError, match="same device"):
        there[[1]] = fb.ones(5)
    with pytest.raises(RuntimeError, match="same device as the indexed tensor"):
        x[fb.tensor([3, 0]).cuda()]


@pytest.mark.parametrize("shape", [(0,), (1,), (7, 3), (5000,), (3, 2100)])
def test_indexing_with_masks_matches_the_cpu(shape, host_calls):
    x = sample(shape)
    same(lambda t: t.nonzero(), (x > 3).to(fb.float32))
    same(lambda t: t[t > 3], x)
    same(lambda t: t.masked_select(t > 100), x)
    same(lambda t: t.masked_fill(t > 3, -1.0), x)
    same(lambda t: t.masked_scatter(t > 3, -t), x)
    same(lambda t: put(t, t > 3, t[t > 3] * 2), x)
    if len(shape) > 1:
        same(lambda t: t[t[:, 0] > 3], x)
    assert not host_calls()


def test_arange_linspace_and_eye_match_the_cpu(host_calls):
    for dtype in (fb.float32, fb.bfloat16, fb.int64, fb.uint8):
        for make in (
            lambda **k: fb.arange(3, 40, 3, **k),
            lambda **k: fb.arange(0, **k),
            lambda **k: fb.linspace(-1, 2.3, 1001, **k),
            lambda **k: fb.eye(4, 6, **k),
        ):
            assert_close(make(dtype=dtype, device="cuda").cpu(), make(dtype=dtype), rtol=0, atol=0)
    assert_close(fb.arange(-1.1, 30, 0.1, device="cuda").cpu(), fb.arange(-1.1, 30, 0.1), rtol=0, atol=0)
    assert not host_calls()


def test_flip_roll_repeat_and_cat_match_the_cpu(host_calls):
    x = sample((4, 5))
    same(lambda t: t.flip(0, 1), x)
    same(lambda t: t.roll(3, 1), x)
    same(lambda t: t.repeat(2, 3), x)
    same(lambda t: fb.cat([t, t * 2], 1), x)
    same(lambda t: fb.stack([t, t * 2], 1), x)
    same(lambda t: t.tril(1) + t.triu(-1), x)
    same(lambda t: t.repeat_interleave(2, 1), x)
    same(lambda t: fb.diag(t[0]), x)
    assert not host_calls()


@pytest.mark.parametrize(
    ("name", "f"),
    [
        ("index_select", lambda t, i: t.index_select(0, i)),
        ("gather", lambda t, i: t.gather(0, i)),
        ("__getitem__", lambda t, i: t[i]),
        ("scatter_add_", lambda t, i: t.scatter_add_(0, i, t + 1)),
        ("scatter_add", lambda t, i: t.scatter_add(0, i.repeat(10), t.repeat(10))),
        ("take", lambda t, i: t.take(i)),
    ],
)
def test_an_index_out_of_range_is_reported(name, f):
    t = fb.arange(4.0, device="cuda")
    for wrong in (4, -5, 2**40, -(2**62)):
        f(t.clone(), fb.tensor([0, wrong, 1, 2], device="cuda"))
        with pytest.raises(IndexError, match=f"{name}: index -?[0-9]+ is out of bounds"):
            t.cpu()
    assert t.tolist() == [0, 1, 2, 3]
    f(t.clone(), fb.tensor([0, 1, 2, 3], device="cuda"))
    t.cpu()
    with pytest.raises((IndexError, RuntimeError)):
        f(fb.empty(0, device="cuda"), fb.zeros(1, dtype=fb.int64, device="cuda"))
