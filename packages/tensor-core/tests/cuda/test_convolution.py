"""Tests that convolutions are the same on the GPU and the CPU. Transposed ones are gradients of the input."""

import pytest

import flambeau as fb
from flambeau import _core
from flambeau.testing import assert_close

CASES = [  # dims, input, weight, options
    (1, (2, 3, 20), (4, 3, 5), {}),
    (1, (1, 16, 600), (16, 16, 1), {"padding": 2, "stride": 3}),
    (2, (2, 4, 9, 8), (20, 4, 3, 2), {"padding": 1}),
    (2, (2, 20, 7, 9), (20, 20, 3, 3), {"stride": (2, 3), "padding": (2, 1), "dilation": (1, 2)}),
    (2, (3, 6, 8, 8), (12, 1, 3, 3), {"groups": 6, "padding": 1}),
    (2, (1, 40, 6, 6), (36, 20, 3, 3), {"groups": 2}),
    (2, (1, 2, 5, 5), (3, 2, 5, 5), {}),
    (2, (0, 2, 5, 5), (3, 2, 2, 2), {}),
    (3, (1, 2, 5, 4, 6), (3, 2, 2, 3, 2), {"padding": 1, "stride": 2}),
]


def both(function, *tensors, tolerance=1e-4, **options):
    there = function(*(t.cuda() for t in tensors), **options)
    assert_close(there.cpu(), function(*tensors, **options), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dims", "input", "weight", "options"), CASES)
def test_convolution_matches_the_cpu(dims, input, weight, options, host_calls):
    both(getattr(fb, f"conv{dims}d"), fb.randn(input), fb.randn(weight), fb.randn(weight[0]), **options)
    assert not host_calls()


@pytest.mark.parametrize(("dims", "input", "weight", "options"), CASES)
def test_transposed_convolution_matches_the_cpu(dims, input, weight, options, host_calls):
    weight = (input[1], weight[0] // options.get("groups", 1), *weight[2:])
    if "stride" in options:
        options = {**options, "output_padding": 1}
    transposed, x, w = getattr(fb, f"conv_transpose{dims}d"), fb.randn(input), fb.randn(weight)
    both(transposed, x, w, **options)
    both(transposed, x, w, fb.randn(weight[1] * options.get("groups", 1)), **options)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float64, fb.float16, fb.bfloat16, fb.int64, fb.uint8])
def test_convolution_in_every_dtype_matches_the_cpu(dtype, host_calls):
    x, w, bias = ((fb.randn(shape, dtype=fb.float64) * 3).to(dtype) for shape in [(2, 3, 6, 7), (5, 3, 2, 2), (5,)])
    both(fb.conv2d, x, w, bias, tolerance=2e-2 if dtype.itemsize == 2 else 1e-10)
    assert not host_calls()


@pytest.fixture
def own_kernels(monkeypatch):
    """Compute without cuDNN."""
    monkeypatch.setattr(fb.backends.cudnn, "enabled", False)


HALVES = [  # convolutions that use tensor cores, with sizes that end within a tile
    (1, (2, 24, 40), (20, 24, 3), {"padding": 1}),
    (2, (2, 20, 9, 8), (36, 20, 3, 3), {"stride": (2, 3), "padding": (2, 1), "dilation": (1, 2)}),
    (2, (3, 8, 16, 16), (24, 8, 1, 1), {}),
    (2, (1, 40, 6, 6), (36, 20, 3, 3), {"groups": 2}),
    (3, (1, 16, 5, 4, 6), (17, 16, 2, 3, 2), {"padding": 1, "stride": 2}),
]


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
@pytest.mark.parametrize(("dims", "input", "weight", "options"), HALVES)
def test_convolution_in_half_precision_rounds_exact_sums_once(
    dims, input, weight, options, dtype, host_calls, own_kernels
):
    """Test with small integers, for which the sums are exact in any order and are rounded once."""
    x, w = (fb.randint(-2, 3, shape).to(dtype) for shape in (input, weight))
    convolution = getattr(fb, f"conv{dims}d")
    out = convolution(x, w, **options)
    assert fb.equal(convolution(x.cuda(), w.cuda(), **options).cpu(), out)
    if "stride" not in options:
        transposed = getattr(fb, f"conv_transpose{dims}d")
        assert fb.equal(transposed(out.cuda(), w.cuda(), **options).cpu(), transposed(out, w, **options))
        bias = fb.randint(-99, 99, (input[1],)).to(dtype) / 128
        there = transposed(out.cuda(), w.cuda(), bias.cuda(), **options)
        assert fb.equal(there.cpu(), transposed(out, w, bias, **options))
    assert not host_calls()


@pytest.mark.parametrize(("dims", "input", "weight", "options"), HALVES)
def test_cudnn_convolution_in_half_precision_rounds_to_a_neighbour(dims, input, weight, options, host_calls):
    """Test that cuDNN, some of whose algorithms transform the operands first, rounds to one of the two neighbours."""
    for dtype, step in ((fb.float16, 2**-10), (fb.bfloat16, 2**-7)):
        x, w = (fb.randint(-2, 3, shape).to(dtype) for shape in (input, weight))
        convolution = getattr(fb, f"conv{dims}d")
        expected = convolution(x.float(), w.float(), **options)
        out = convolution(x.cuda(), w.cuda(), **options).cpu().float()
        assert ((out - expected).abs() <= step * expected.abs().clamp(min=1)).all()
    assert not host_calls()


def test_convolution_in_tf32_rounds_operands_but_not_sums(host_calls, own_kernels):
    """Test that TF32 keeps ten bits of the operands' mantissas and all bits of the sums."""
    if not fb.cuda.is_tf32_supported():
        pytest.skip("needs compute capability 8.0")
    x, w = fb.full((1, 16, 8, 8), 1 + 2**-10 + 2**-13), fb.full((16, 16, 3, 3), 1.0)
    fb.set_float32_matmul_precision("high")
    try:
        assert (fb.conv2d(x.cuda(), w.cuda()).cpu() == 144 * (1 + 2**-10)).all()
    finally:
        fb.set_float32_matmul_precision("highest")
    assert_close(fb.conv2d(x.cuda(), w.cuda()).cpu(), fb.conv2d(x, w), rtol=1e-6, atol=0)
    assert not host_calls()


def test_convolution_of_views_with_padding_same_matches_the_cpu(host_calls):
    x, w = fb.randn(8, 7, 3, 2).permute(3, 2, 0, 1), fb.randn(4, 3, 4, 2).mT
    both(fb.conv2d, x, w, padding="same")
    host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float16, fb.int64])
def test_unfold_and_fold_match_the_cpu(dtype, host_calls):
    x, options = (fb.randn(2, 3, 7, 8) * 9).to(dtype), {"dilation": (1, 2), "padding": (2, 1), "stride": (2, 1)}
    both(_core._unfold_windows, x, kernel_size=(3, 2), **options)
    columns = (_core._unfold_windows(x, (3, 2), **options).mT.contiguous() + 1).mT
    both(_core._fold_windows, columns, output_size=(7, 8), kernel_size=(3, 2), **options, tolerance=1e-2)
    both(_core._unfold_windows, x[:0], kernel_size=2)
    assert not host_calls()
