"""Tests that reductions on the GPU equal those on the CPU."""

import pytest

import flambeau as fb
from flambeau import _core
from flambeau.testing import assert_close

# Rows for some lanes, one block or several blocks; few, many, odd and divided columns; empty tensors.
SHAPES = [((7,), 0), ((5, 300), 1), ((3, 5001), 1), ((70001,), 0), ((3, 40, 5), 1), ((2, 9, 64), 1), ((3000, 4), 0)]
SHAPES += [((0, 3), 0), ((3, 0), 1), ((4, 0, 3), 1), ((300, 3, 2), 1), ((2, 1, 2), 1)]
FLOATING = [fb.float16, fb.bfloat16, fb.float32, fb.float64]
INTEGERS = [fb.bool, fb.uint8, fb.int8, fb.int16, fb.int32, fb.int64]


def values(shape, dtype):
    """Return multiples of 1/8, whose sums are exact in every order."""
    x = (fb.randn(shape, dtype=fb.float64) * 24).round() / 8
    return (x > 0) if dtype == fb.bool else x.abs().to(dtype) if not dtype.is_signed else x.to(dtype)


def check(function, *tensors, **tolerances):
    expected, found = function(*tensors), function(*(t.cuda() for t in tensors))
    pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
    for there, here in pairs:
        assert there.is_cuda and there.dtype == here.dtype
        assert_close(there.cpu(), here, equal_nan=True, **tolerances)


@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_sums_match_the_cpu(shape, dim, host_calls):
    for dtype in (fb.float32, fb.bfloat16, fb.int64):
        check(lambda t: t.sum(dim), values(shape, dtype))
        check(lambda t: t.sum(), values(shape, dtype))
    assert not host_calls()


ROWS = [
    (name, dtype)
    for name, domain in _core._reduction_rows()
    if not name.startswith("_")
    for dtype in [*FLOATING, *INTEGERS, *([] if domain == "Ordered" else [fb.complex64, fb.complex128])]
]


@pytest.mark.parametrize(("name", "dtype"), ROWS)
def test_every_reduction_of_the_table_matches_the_cpu(name, dtype, host_calls):
    x = values((8, 41, 6), dtype)
    if dtype.is_floating_point:
        x[2, 3, 4] = float("nan")
    for dim in (0, 2, (0, 2)):
        check(lambda t, dim=dim: getattr(fb, name)(t, dim), x)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [*FLOATING, *INTEGERS])
def test_argmax_and_argmin_match_the_cpu(dtype, host_calls):
    x = values((3, 41, 6), dtype)
    for dim in (0, 1, 2):
        check(lambda t, dim=dim: t.argmax(dim), x)
        check(lambda t, dim=dim: t.argmin(dim), x)
    assert not host_calls()


@pytest.mark.parametrize(("shape", "dim"), [s for s in SHAPES if 0 not in s[0]])
def test_argmax_and_argmin_return_the_first_extreme(shape, dim, host_calls):
    x = (fb.rand(shape) * 4).floor()
    check(lambda t: t.argmax(dim), x)
    check(lambda t: t.argmin(), x)
    x.view(-1)[x.numel() // 2 :: 5] = float("nan")
    check(lambda t: t.argmax(dim), x)
    check(lambda t: t.amin(dim), x)
    check(lambda t: t.nansum(dim), x)
    assert not host_calls()


@pytest.mark.parametrize("p", [0, 1, 2, float("inf"), float("-inf"), 3])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float16, fb.complex64])
def test_norms_match_the_cpu(p, dtype, host_calls):
    check(lambda t: fb.linalg.vector_norm(t, p, 1), values((4, 50, 3), dtype))
    assert not host_calls()


# The variance of one element is NaN, with a warning.
@pytest.mark.filterwarnings("ignore:var_mean.*degrees of freedom:UserWarning")
@pytest.mark.parametrize(("shape", "dim"), [s for s in SHAPES if 0 not in s[0]])
def test_variances_match_the_cpu(shape, dim, host_calls):
    for dtype in (fb.float32, fb.float64, fb.float16):
        x = values(shape, dtype)
        check(lambda t: fb.var_mean(t, dim), x + 10)
        check(lambda t: fb.std(t, correction=0), x)
    assert not host_calls()


def test_variance_of_large_and_infinite_values_matches_the_cpu():
    x = fb.tensor([[1e25, 2e18, -3e18], [float("inf"), 1.0, 2.0], [float("nan"), 0.0, 1.0]])
    check(lambda t: fb.var_mean(t, 1), x)
    check(lambda t: fb.var_mean(t, 1, correction=0), x[:, :1])


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_reductions_of_strided_and_misaligned_tensors_match_the_cpu(offset, host_calls):
    x = values((12, 30, 5), fb.float32)
    check(lambda t: t[offset:, offset:].sum(1), x)
    check(lambda t: t.transpose(0, 2).mean(1), x)
    check(lambda t: t.view(-1)[offset:].mean(), x)
    check(lambda t: t.view(-1)[offset:].half().amax(), x)
    check(lambda t: t.mean((0, 2)), x)
    assert not host_calls()


def test_sums_do_not_depend_on_the_address():
    x = fb.randn(100003).cuda()
    moved = fb.cat([x[:1], x])[1:]
    assert x.sum().item() == moved.sum().item()


def test_hash_tensor_and_dot_match_the_cpu(host_calls):
    x = values((7, 33), fb.float32)
    check(lambda t: fb.hash_tensor(t), x)
    for dtype in (fb.float32, fb.float16, fb.complex64, fb.int32, fb.float64):
        check(fb.dot, values((10007,), dtype), values((10007,), dtype))
    check(lambda x, y: fb.dot(x[::3], y[1::3]), x.view(-1), x.view(-1) + 1)
    assert not host_calls()


def test_extreme_integers_are_reduced_exactly():
    x = fb.tensor([-128, 127], dtype=fb.int8).cuda()
    assert x.amax().item() == 127 and x.amin().item() == -128 and x.sum().item() == -1
    assert fb.tensor([2**63 - 1, 1], device="cuda").argmax().item() == 0
