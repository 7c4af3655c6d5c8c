"""Tests that normalisations on the GPU equal those on the CPU."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close

DTYPES = [fb.float32, fb.float64, fb.float16]


def there(values):
    return [v.cuda() if isinstance(v, fb.Tensor) else v for v in values]


def check(function, *arguments, **more):
    assert_close(function(*there(arguments), **more).cpu(), function(*arguments, **more), equal_nan=True)


@pytest.mark.parametrize("shape", [(5, 8), (3, 300), (9, 768), (2, 3, 1025), (2, 4096), (4, 1), (0, 4)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_layer_norm_and_rms_norm_match_the_cpu(shape, dtype, host_calls):
    x, weight, bias = (fb.randn(s).to(dtype) for s in (shape, shape[-1:], shape[-1:]))
    for w, b in ((None, None), (weight, None), (weight, bias)):
        check(fb.layer_norm, x + 3, shape[-1:], w, b)
        check(fb.rms_norm, x, shape[-1:], w)
    check(fb.layer_norm, x, shape[-1:], weight.float(), bias)
    assert not host_calls()


@pytest.mark.parametrize("length", [24, 1001, 5000, 40000])
@pytest.mark.parametrize("dtype", [*DTYPES, fb.bfloat16])
def test_layer_norm_and_rms_norm_at_unaligned_addresses_match_the_cpu(length, dtype, host_calls):
    x, weight, bias = ((fb.randn(n) + 1).to(dtype) for n in (3 * length + 1, length + 1, length + 1))
    for first in (0, 1):
        rows = x[first : first + 3 * length].view(3, length)
        check(fb.layer_norm, rows, (length,), weight[first:][:length], bias[1:])
    assert not host_calls()


@pytest.mark.parametrize("shape", [(4, 6), (3, 6, 5), (2, 6, 8, 8), (1, 12, 2000), (5, 6, 3, 1), (0, 6, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_group_norm_and_batch_norm_match_the_cpu(shape, dtype, host_calls):
    x, weight, bias = (fb.randn(s).to(dtype) for s in (shape, shape[1:2], shape[1:2]))
    for w, b in ((None, None), (weight, bias)):
        check(fb.group_norm, x + 2, 3, w, b)
        check(fb.group_norm, x, shape[1], w, b)
    mean, var = fb.randn(shape[1]), fb.rand(shape[1]) + 0.5
    check(fb.batch_norm, x, mean, var, weight, bias, training=False)
    check(fb.batch_norm, x, None, None, None, bias, training=True)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
def test_batch_norm_updates_running_statistics(dtype, host_calls):
    x = fb.randn(4, 6, 50, dtype=dtype) * 2 + 1
    here, found = ((fb.zeros(6, dtype=dtype), fb.ones(6, dtype=dtype)) for _ in range(2))
    found = there(found)
    fb.batch_norm(x, *here, training=True, momentum=0.3)
    fb.batch_norm(x.cuda(), *found, training=True, momentum=0.3)
    for a, b in zip(found, here, strict=True):
        assert_close(a.cpu(), b)
    assert not host_calls()
