"""Test the functions of ``torch._higher_order_ops``."""

import pytest

import flambeau as fb
from flambeau.torch._scans import associative_scan, map, scan


@pytest.mark.parametrize("size", range(1, 9))
def test_associative_scan_runs_in_both_directions(size):
    values = fb.arange(2 * size).reshape(2, size) + 1
    assert associative_scan(fb.add, values, 1).tolist() == values.cumsum(1).tolist()
    back = associative_scan(fb.add, values, 1, reverse=True)
    assert back.tolist() == values.flip(1).cumsum(1).flip(1).tolist()


def test_map_stacks_the_results_of_a_pytree():
    xs = {"a": fb.arange(6.0).reshape(3, 2), "b": fb.ones(3)}
    result = map(lambda x, offset: (x["a"] + offset, {"b": x["b"], "c": None}), xs, fb.ones(2))
    assert result[0].tolist() == [[1, 2], [3, 4], [5, 6]] and result[1]["b"].tolist() == [1, 1, 1]
    assert result[1]["c"] is None


@pytest.mark.parametrize(
    ("xs", "message"),
    [
        ([fb.ones(2), 3], "can only consist of tensors"),
        ([fb.ones(0, 2)], "cannot be 0"),
        ([fb.ones(2), fb.ones(3)], "must be consistent"),
    ],
    ids=["number", "empty", "sizes"],
)
def test_map_rejects_other_inputs(xs, message):
    with pytest.raises(RuntimeError, match=message):
        map(lambda x: x, xs)


def test_scan_returns_the_last_carry_and_the_stacked_results():
    xs = fb.arange(6.0).reshape(3, 2)
    carry, ys = scan(lambda carry, x: (carry + x, carry * x), fb.zeros(2), xs)
    assert carry.tolist() == [6, 9] and ys.tolist() == [[0, 0], [0, 3], [8, 20]]
    _, ys = scan(lambda carry, x: (carry + x, carry * x), fb.zeros(2), xs, reverse=True)
    assert ys.tolist() == [[0, 8], [8, 15], [0, 0]]
    carry, ys = scan(lambda carry, x: (carry + x, carry * x), fb.zeros(3), xs, dim=1)
    assert carry.tolist() == [1, 5, 9] and ys.tolist() == [[0, 0], [0, 6], [0, 20]]


def test_scan_checks_the_carry_and_the_inputs():
    with pytest.raises(RuntimeError, match="same structure as init"):
        scan(lambda carry, x: ((carry, x), x), fb.zeros(1), fb.ones(2, 1))
    with pytest.raises(RuntimeError, match="requires init leaves"):
        scan(lambda carry, x: (carry, x), [], fb.ones(2, 1))
    with pytest.raises(RuntimeError, match="scan dimension > 0"):
        scan(lambda carry, x: (carry, x), fb.zeros(1), fb.ones(0, 1))


def test_scan_has_gradients():
    pytest.importorskip("flambeau.autograd")
    first = fb.ones(2, requires_grad=True)
    carry, ys = scan(lambda carry, x: (carry * x, carry + x), first, fb.arange(1.0, 7).reshape(3, 2))
    (carry.sum() + ys.sum()).backward()
    assert first.grad.tolist() == [20, 59]
