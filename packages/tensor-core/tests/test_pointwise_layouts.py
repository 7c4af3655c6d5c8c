"""Tests of pointwise operators with operands of all memory layouts."""

import math
import random

import numpy as np
import pytest
from scipy import special

import flambeau as fb


def test_operands_that_overlap_the_output_are_read_first():
    x = fb.arange(6.0)
    fb.add(x[:-1], x[1:], out=x[1:])
    assert x.tolist() == [0, 1, 3, 5, 7, 9]
    y = fb.arange(4.0)
    y[1:].add_(y[:-1])
    assert y.tolist() == [0, 1, 3, 5]


@pytest.mark.parametrize("seed", range(4))
def test_in_place_operators_on_random_views_of_one_tensor_match_numpy(seed):
    generator = random.Random(seed)

    def slices(shape):
        for size in shape:
            first = generator.randrange(size)
            last = generator.randint(first + 1, size)
            yield generator.choice([first, *[slice(first, last, step) for step in (1, 1, 1, 2, 3)]])
        yield ...

    compared = 0
    while compared < 1000:
        shape = [generator.randint(1, 6) for _ in range(generator.randint(1, 3))]
        array = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
        tensor = fb.tensor(array)
        to, source = tuple(slices(shape)), tuple(slices(shape))
        written, read = array[to], array[source]
        given = tensor[source]
        if generator.random() < 0.3:
            read, given = read.T, given.permute(list(reversed(range(given.dim()))))
        if read.ndim > written.ndim or any(
            n not in (1, m) for n, m in zip(read.shape[::-1], written.shape[::-1], strict=False)
        ):
            continue  # not broadcastable
        if generator.random() < 0.5:
            written += read
            tensor[to].add_(given)
        else:
            written[...] = read
            tensor[to].copy_(given)
        assert np.array_equal(tensor.numpy(), array), (shape, to, source)
        compared += 1


def test_views_without_a_common_element_are_not_copied():
    x = fb.ones(512, 512)
    left, right = x.chunk(2, 1)
    fb.cuda.empty_cache()
    cached = fb.memory_cached()
    left.add_(right)
    right.copy_(left)
    x[::2].mul_(x[1::2])
    assert fb.memory_cached() - cached < right.nbytes
    assert x.sum().item() == (2 * 2 + 2) * 512 * 256


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool", "complex128"])
@pytest.mark.parametrize(
    "shapes",
    [
        ((700, 1, 5), (11, 5)),
        ((1,), (3000, 5, 1), (1, 5)),
        ((40, 70, 3), (40, 1, 3)),
        ((300, 7), (300, 1)),
        ((2, 65, 130), (65, 1), (130,)),
        ((130, 1), (1, 90)),
        ((5, 700), (5, 1)),
        ((3, 1), (4, 3, 1030), (4, 1, 1)),
        ((900, 50), (50,)),
        ((300, 20, 1, 7), (20, 7, 1)),
        ((64, 8, 7, 7), (8, 1, 1)),
        ((3000, 1), (1, 3)),
        ((200, 3, 4, 5), (3, 1, 5), (4, 1)),
    ],
)
def test_broadcasting_of_short_and_long_rows_matches_numpy(shapes, dtype):
    operands = [np.random.default_rng(7).integers(0, 90, shape).astype(dtype) for shape in shapes]
    given = operands if len(shapes) == 2 else [operands[0] != 0, *operands[1:]]
    got = (fb.add if len(shapes) == 2 else fb.where)(*map(fb.tensor, given))
    want = operands[0] + operands[1] if len(shapes) == 2 else np.where(operands[0] != 0, *operands[1:])
    assert np.array_equal(got.numpy(), want)


def test_broadcasting_of_columns_of_another_dtype_matches_numpy():
    x, column = np.random.default_rng(7).standard_normal((4, 900)), np.arange(4, dtype=np.int32)[:, None]
    t = fb.tensor(x)
    assert np.array_equal((t * fb.tensor(column)).numpy(), x * column)
    assert np.array_equal((t.half() + fb.tensor(column)).numpy(), x.astype(np.float16) + column.astype(np.float16))
    t.t()[:, :2].sub_(fb.tensor(column[:2]).t())
    assert np.array_equal(t.numpy(), np.concatenate([x[:2] - column[:2], x[2:]]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8", "complex64"])
def test_operands_may_have_any_strides(dtype):
    x = np.random.default_rng(3).integers(0, 60, (150, 90, 4)).astype(dtype)
    t = fb.tensor(x)
    for view, own in (
        (lambda a: a[::2], t[::2]),
        (lambda a: a[:, ::2, 1:], t[:, ::2, 1:]),
        (lambda a: a[:, :, ::-1], t.flip(2)),
        (lambda a: a.transpose(2, 1, 0), t.permute(2, 1, 0)),
        (lambda a: a.transpose(1, 0, 2)[::3], t.transpose(0, 1)[::3]),
        (lambda a: a[:, 0], t[:, 0]),
    ):
        assert np.array_equal((own + 1).numpy(), view(x) + np.array(1, dtype))
        assert np.array_equal((own + own.clone(memory_format=fb.contiguous_format)).numpy(), view(x) + view(x))
        changed = own.clone()
        changed.mul_(2)
        assert np.array_equal(changed.numpy(), view(x) * np.array(2, dtype))


def test_in_place_operators_on_parts_of_rows_match_numpy():
    x = np.arange(4000.0).reshape(400, 10)
    t = fb.tensor(x)
    t[:, 2:5] *= fb.tensor([[2.0], [3.0]] * 200)
    t.t()[7:] += fb.tensor(x).t()[7:]
    x[:, 2:5] *= np.array([[2.0], [3.0]] * 200)
    x[:, 7:] *= 2
    assert np.array_equal(t.numpy(), x)


def test_results_have_the_memory_order_of_the_first_operand():
    x = fb.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)
    column, row = fb.ones(2, 1), fb.ones(())
    for result in (x.exp(), x + 1, x * x, x + column, x.clamp(1, 2), x > row, 1 + x, column + x, row * x):
        assert result.stride() == x.stride()
    assert x[::2].neg().stride() == (1, 6, 2)
    assert (x + x.contiguous()).stride() == x.stride() and (x.contiguous() + x).is_contiguous()
    assert fb.ones(3, 1).expand(3, 4).neg().is_contiguous()
    assert (fb.ones(()).expand(4, 2, 3) + x).stride() == x.stride()
    assert np.array_equal(x.neg().numpy(), -x.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (fb.exp, np.exp),
        (fb.sin, np.sin),
        (fb.sigmoid, special.expit),
        (fb.special.erf, special.erf),
        (fb.special.gammaln, special.gammaln),
        (fb.atan2, np.arctan2),
        (fb.special.xlogy, special.xlogy),
    ],
)
def test_special_functions_write_only_within_their_range(function, reference, dtype):
    operands = np.random.default_rng(5).uniform(0.1, 3, (getattr(reference, "nin", 1), 40)).astype(dtype)
    want = reference(*operands)
    for first in (0, 3):
        for end in range(first, 40):
            out = fb.full((41,), -7.0, dtype=getattr(fb, dtype))
            function(*(fb.tensor(x)[first:end] for x in operands), out=out[first:end])
            np.testing.assert_allclose(out[first:end].numpy(), want[first:end], rtol=4 * np.finfo(dtype).eps, atol=1e-7)
            assert (out[:first] == -7).all() and (out[end:] == -7).all()
