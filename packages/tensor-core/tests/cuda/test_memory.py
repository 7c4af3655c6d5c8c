"""Tests of GPU memory and pinned memory: limits, statistics and caches."""

import pytest

import flambeau as fb
from flambeau import cuda


def test_memory_statistics_count_allocated_and_cached_bytes():
    cuda.empty_cache()
    cuda.reset_peak_memory_stats()
    before = cuda.memory_allocated()
    x = fb.empty(1 << 20, dtype=fb.uint8, device="cuda")
    assert cuda.memory_allocated() - before == 1 << 20 and cuda.memory_reserved() >= cuda.memory_allocated()
    del x
    assert cuda.memory_allocated() == before and cuda.max_memory_allocated() - before >= 1 << 20
    stats = cuda.memory_stats("cuda")
    assert list(stats) == sorted(stats) and stats["allocated_bytes.all.current"] == before
    assert stats["allocated_bytes.all.peak"] == cuda.max_memory_allocated()
    assert stats["reserved_bytes.all.peak"] == cuda.max_memory_reserved() == cuda.max_memory_cached()
    assert stats["allocation.all.allocated"] - stats["allocation.all.freed"] == stats["allocation.all.current"]
    assert cuda.memory_stats_as_nested_dict()["reserved_bytes"]["all"]["current"] == cuda.memory_cached()
    free, total = cuda.mem_get_info()
    assert 0 < free <= total == cuda.get_device_properties().total_memory
    cuda.reset_max_memory_allocated()
    assert cuda.max_memory_allocated() == before
    summary = cuda.memory_summary()
    assert summary.startswith("Memory of cuda:0\n") and "in tensors" in summary and "the whole GPU" in summary
    assert "the whole GPU" not in cuda.memory_summary(abbreviated=True)
    with pytest.raises(cuda.OutOfMemoryError) as caught:
        fb.empty(1 << 50, device="cuda")
    assert isinstance(caught.value, RuntimeError) and fb.OutOfMemoryError is cuda.OutOfMemoryError


def test_device_memory_used_is_the_total_minus_the_free_memory():
    free, total = cuda.mem_get_info()
    assert cuda.device_memory_used() == total - free == cuda.memory.device_memory_used("cuda:0")
    assert cuda.get_allocator_backend() == "native" and cuda.get_per_process_memory_fraction() == 1.0
    for fraction, error in ((1.5, ValueError), (-0.1, ValueError), (1, TypeError)):
        with pytest.raises(error):
            cuda.set_per_process_memory_fraction(fraction, 0)


def test_per_process_memory_fraction_limits_allocations():
    cuda.empty_cache()
    held = fb.ones(1 << 20, device="cuda")
    reserved, megabyte = cuda.memory_reserved(), 1 << 20
    total = cuda.mem_get_info()[1]
    fraction = (reserved + 64 * megabyte) / total
    cuda.set_per_process_memory_fraction(fraction)
    try:
        assert cuda.get_per_process_memory_fraction() == fraction
        cached = fb.empty(60 * megabyte, dtype=fb.uint8, device="cuda")
        failures = cuda.memory_stats()["num_ooms"]
        with pytest.raises(fb.OutOfMemoryError, match=r"process may take [\d.]+ MiB \(cuda.set_per_process_memory_fr"):
            fb.empty(30 * megabyte, dtype=fb.uint8, device="cuda")
        assert cuda.memory_stats()["num_ooms"] == failures + 1 and held.sum().item() == 1 << 20
        del cached  # frees memory for the next allocation
        assert fb.zeros(30 * megabyte, dtype=fb.uint8, device="cuda").sum().item() == 0
        cuda.set_per_process_memory_fraction(0.0)
        with pytest.raises(fb.OutOfMemoryError, match=r"process may take 0\.0 MiB"):
            fb.empty(1000 * megabyte, dtype=fb.uint8, device="cuda")
    finally:
        cuda.set_per_process_memory_fraction(1.0)
    assert fb.empty(100 * megabyte, dtype=fb.uint8, device="cuda").numel() == 100 * megabyte


def test_pin_memory_copies_to_page_locked_memory():
    x = fb.arange(6.0).reshape(2, 3)
    pinned = x.pin_memory()
    assert not x.is_pinned() and pinned.is_pinned() and pinned.pin_memory() is pinned
    assert fb.equal(pinned, x) and pinned[1].is_pinned() and not pinned.clone().is_pinned()
    there = pinned.to("cuda", non_blocking=True)
    assert there.tolist() == x.tolist() and not there.is_pinned()
    assert pinned.untyped_storage().is_pinned() and pinned.storage().pin_memory().is_pinned()
    with pytest.raises(RuntimeError, match="only CPU memory can be pinned"):
        there.pin_memory()


def test_constructors_pin_memory():
    made = [
        fb.empty(2, 3, pin_memory=True),
        fb.empty((2, 3, 1, 1), memory_format=fb.channels_last, pin_memory=True),
        fb.zeros(2, 3, pin_memory=True),
        fb.full((2,), 3.0, pin_memory=True),
        fb.arange(5, pin_memory=True),
        fb.tensor([1.0, 2.0], pin_memory=True),
        fb.zeros_like(fb.ones(2, 3), pin_memory=True),
        fb.ones(2).new_zeros(3, pin_memory=True),
        fb.empty_permuted((2, 3), (1, 0), pin_memory=True),
    ]
    assert all(x.is_pinned() for x in made) and not fb.zeros(2).is_pinned()
    assert made[4].tolist() == [0, 1, 2, 3, 4] and made[5].tolist() == [1, 2] and made[8].stride() == (1, 2)
    with pytest.raises(RuntimeError, match="only CPU memory can be pinned"):
        fb.zeros(2, pin_memory=True, device="cuda")


def test_storages_on_the_gpu_share_the_memory_of_their_tensor():
    x = fb.arange(4.0, device="cuda")
    raw, typed = x.untyped_storage(), x.storage()
    assert raw.is_cuda and typed.is_cuda and raw.device == typed.device == x.device and typed.get_device() == 0
    assert raw.cuda() is raw and typed.cuda() is typed and raw.nbytes() == 16 and typed.tolist() == [0, 1, 2, 3]
    assert not raw.cpu().is_cuda and raw.cpu().tolist() == x.cpu().untyped_storage().tolist()
    assert typed.cpu().get_device() == -1 and typed.cpu().cuda().tolist() == typed.tolist()
    typed[1] = 9
    assert x.tolist() == [0, 9, 2, 3] and typed[1] == 9 and raw.clone().is_cuda
    assert fb.UntypedStorage(3, device="cuda").is_cuda and not fb.UntypedStorage(3).is_cuda
    assert fb.empty(0, device="cuda").set_(raw, 1, (2,)).tolist() == [9, 2]
