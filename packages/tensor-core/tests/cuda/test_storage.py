"""Tests of memory on the GPU: copies, views, access to elements, and the allocator."""

import numpy as np
import pytest

import flambeau as fb


def on_gpu(values):
    return fb.tensor(values).cuda()


def test_copies_to_the_gpu_and_back_keep_the_elements():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    t = fb.from_numpy(x).to("cuda")
    assert t.device == fb.device("cuda:0") and t.is_cuda and not t.is_cpu
    np.testing.assert_array_equal(t.cpu().numpy(), x)
    np.testing.assert_array_equal(t.t().cpu().numpy(), x.T)


@pytest.mark.parametrize("value", [0, 0.5, 256, -1, 0j, 0.25j, float("nan")])
def test_booleans_are_filled_with_the_truth_of_a_number(value):
    expected = [bool(value)] * 3
    assert fb.zeros(3, dtype=fb.bool).fill_(value).tolist() == expected
    assert fb.zeros(3, dtype=fb.bool, device="cuda").fill_(value).tolist() == expected
    assert fb.full((3,), value, dtype=fb.bool, device="cuda").tolist() == expected


@pytest.mark.parametrize("source", ["contiguous", "transposed", "sliced", "expanded"])
@pytest.mark.parametrize("target", [fb.float32, fb.float64, fb.int64, fb.bool, fb.float16, fb.complex64])
def test_copies_and_conversions_of_every_layout_equal_the_cpu(source, target, host_calls):
    x = fb.arange(24, dtype=fb.float32).reshape(4, 6) - 7
    views = {
        "contiguous": lambda t: t,
        "transposed": lambda t: t.t(),
        "sliced": lambda t: t[1::2, 1:5:3],
        "expanded": lambda t: t[:, :1].expand(4, 5),
    }
    there = views[source](x.cuda()).to(target)
    assert there.is_cuda
    assert fb.equal(there.cpu(), views[source](x).to(target))
    assert not host_calls()


def test_writes_through_views_reach_the_base(host_calls):
    x, y = fb.zeros(5, 6), fb.zeros(5, 6).cuda()
    for t in (x, y):
        t[1:4, ::2] = fb.arange(9, dtype=fb.float32).reshape(3, 3).to(t.device)
        t[0].fill_(7)
        t[:, 1].copy_(fb.arange(5).to(t.device))
    assert fb.equal(x, y.cpu())


def test_host_operators_copy_to_the_cpu_and_back(host_calls, without_cupy):
    x = fb.randn(4, 4)
    t = x.cuda()
    values = fb.linalg.eigvals(t)
    assert values.is_cuda
    assert host_calls() == {"eigvals": 1}
    np.testing.assert_array_equal((values * 2).cpu().numpy(), (fb.linalg.eigvals(x) * 2).numpy())
    np.testing.assert_array_equal(t.cpu().numpy(), x.numpy())


def test_operands_on_cpu_and_gpu_raise():
    with pytest.raises(RuntimeError, match=r"Expected all tensors to be on the same device.*cuda:0 and cpu"):
        fb.ones(3).cuda() + fb.ones(3)
    assert fb.equal((fb.ones(3).cuda() + fb.tensor(2.0)).cpu(), fb.full((3,), 3.0))


def test_item_tolist_and_repr_read_gpu_tensors():
    t = on_gpu([[1.5, 2.0], [3.0, 4.0]])
    assert t[1, 0].item() == 3.0 and bool(t[0, 0]) and t.tolist() == [[1.5, 2.0], [3.0, 4.0]]
    assert repr(on_gpu([1.5])) == "tensor([1.5000], device='cuda:0')"
    with pytest.raises(TypeError, match="cpu"):
        t.numpy()


def test_factories_create_tensors_on_the_gpu():
    assert fb.zeros(3, device="cuda").tolist() == [0.0] * 3
    assert fb.full((2,), 7, device="cuda:0").tolist() == [7, 7]
    assert fb.ones_like(on_gpu([1, 2])).tolist() == [1, 1]
    assert fb.tensor([1, 2], device="cuda").is_cuda
    with fb.device("cuda"):
        assert fb.zeros(2).is_cuda


def test_freed_memory_is_reused():
    before = fb._core._cuda_memory_statistics(0)
    for _ in range(10):
        fb.empty(1 << 20, device="cuda")
    after = fb._core._cuda_memory_statistics(0)
    assert after["allocated"] == before["allocated"] and after["segments"] <= before["segments"] + 1


def test_small_free_blocks_are_reused_and_merged():
    """Test that freed small blocks are reused for requests of their size, and merge for a larger request."""
    fb.cuda.empty_cache()
    with fb.cuda.stream(fb.cuda.Stream()):  # a new stream, whose memory is otherwise unused
        before = fb.cuda.memory_reserved()
        little = [fb.empty(size, dtype=fb.uint8, device="cuda") for size in (512, 4096, 30_000) * 60]
        segments = fb.cuda.memory_reserved()
        assert segments > before
        address = little[0].data_ptr()
        del little[0]
        assert fb.empty(300, dtype=fb.uint8, device="cuda").data_ptr() == address
        little.clear()
        large = fb.empty((1 << 20) - 512, dtype=fb.uint8, device="cuda")
        assert fb.cuda.memory_reserved() == segments
        del large
    fb.cuda.empty_cache()
    assert fb.cuda.memory_reserved() <= before


def test_out_of_memory_reports_the_capacity():
    with pytest.raises(fb.OutOfMemoryError, match=r"Tried to allocate .* MiB.*total capacity of .* reserved"):
        fb.empty(1 << 45, device="cuda")
    assert fb.ones(3, device="cuda").sum().item() == 3


@pytest.mark.parametrize(
    "copy",
    [
        lambda x: x[1:].copy_(x[:-1]),
        lambda x: x[:-1].copy_(x[1:]),
        lambda x: x[:, 1:].copy_(x[:, :-1]),
        lambda x: x.copy_(x.t()),
        lambda x: x[0].copy_(x[:, 1]),
        lambda x: x.copy_(x[2].expand(40, 40)),
        lambda x: x.view(fb.int32)[1:].copy_(x[:-1]),
        lambda x: x.copy_(x),
    ],
)
def test_copies_between_views_that_overlap_equal_the_cpu(copy, host_calls):
    x = fb.arange(1600.0).reshape(40, 40)
    there = x.cuda()
    copy(x)
    copy(there)
    assert fb.equal(there.cpu(), x) and not host_calls()


def test_float8_tensors_are_copied_and_filled_on_the_gpu():
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    x = fb.from_numpy(values).to(fb.float8_e4m3fn)
    moved = x.to("cuda")
    for view, expected in (
        (moved, values),
        (moved.t(), values.T),
        (moved[:, ::2], values[:, ::2]),
        (moved[:1].expand(3, 4), np.broadcast_to(values[:1], (3, 4))),
        (x.t().to("cuda"), values.T),
    ):
        np.testing.assert_array_equal(view.contiguous().cpu().float().numpy(), expected)
    assert fb.zeros(2, dtype=fb.float8_e5m2, device="cuda").fill_(-3).cpu().tolist() == [-3.0, -3.0]
    assert moved[1, 2].item() == 6.0
    with pytest.raises(NotImplementedError, match="CUDA kernels for float8_e4m3fn do not exist"):
        moved.float()
