"""Tests that the sums, means and maxima of embedding bags on the GPU equal those on the CPU."""

import pytest

import flambeau as fb
from flambeau import _core
from flambeau.testing import assert_close

OFFSETS = [0, 3, 3, 8]


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
@pytest.mark.parametrize("padding", [-1, 2])
def test_embedding_bags_match_the_cpu(mode, dtype, padding, host_calls):
    table, entries = fb.randn(6, 37).to(dtype), fb.tensor([1, 5, 2, 0, 2, 2, 4, 5, 1, 3])
    for offsets, last in [(OFFSETS, False), ([*OFFSETS, 10], True)]:
        for device in ("cpu", "cuda"):
            out = _core._embedding_bag(
                table.to(device), entries.to(device), fb.tensor(offsets).to(device), last, mode, None, padding
            )
            if device == "cpu":
                here = out
        assert_close(out.cpu(), here, rtol=1e-5, atol=1e-5)
    here = _core._embedding_bag(table, entries.reshape(2, 5), mode=mode)
    there = _core._embedding_bag(table.cuda(), entries.reshape(2, 5).cuda(), mode=mode)
    assert_close(there.cpu(), here, rtol=1e-5, atol=1e-5)
    assert not host_calls()


def test_weighted_and_empty_embedding_bags_match_the_cpu(host_calls):
    table, entries, factors = fb.randn(6, 4), fb.tensor([1, 5, 2, 0]), fb.randn(4)
    offsets = fb.tensor([0, 4, 4])
    here = _core._embedding_bag(table, entries, offsets, per_sample_weights=factors)
    there = _core._embedding_bag(table.cuda(), entries.cuda(), offsets.cuda(), per_sample_weights=factors.cuda())
    assert_close(there.cpu(), here, rtol=1e-5, atol=1e-6)
    none = _core._embedding_bag(table.cuda(), entries[:0].cuda(), offsets[:0].cuda())
    assert none.shape == (0, 4)
    assert not host_calls()


def test_out_of_range_indices_of_embedding_bags_raise_at_synchronisation():
    _core._embedding_bag(fb.ones(6, 4).cuda(), fb.tensor([1, 6]).cuda(), fb.tensor([0]).cuda())
    with pytest.raises(IndexError, match="embedding_bag"):
        fb.cuda.synchronize()
