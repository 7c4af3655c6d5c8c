"""Test ``torch._higher_order_ops.associative_scan``."""

import pytest

import flambeau as fb
from flambeau.torch._scans import associative_scan


@pytest.mark.parametrize("size", range(1, 9))
def test_associative_scan_runs_in_both_directions(size):
    values = fb.arange(2 * size).reshape(2, size) + 1
    assert associative_scan(fb.add, values, 1).tolist() == values.cumsum(1).tolist()
    back = associative_scan(fb.add, values, 1, reverse=True)
    assert back.tolist() == values.flip(1).cumsum(1).flip(1).tolist()
