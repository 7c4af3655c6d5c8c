"""Tests of the operator against NumPy in float64, and of its derivatives against finite differences."""

import os
import subprocess
import sys

import numpy as np
import pytest
from silu_mul import silu_mul

import flambeau as fb

# Relative errors. In float32 and float64: those of the exponential, the sum, the quotient and the product. In half
# precision: half a unit in the last place, and 2**-17 from the exponential.
BOUNDS = {
    fb.float64: 3 * 2.0**-52,
    fb.float32: 3 * 2.0**-23,
    fb.bfloat16: 2.0**-8 + 2.0**-17,
    fb.float16: 2.0**-11 + 2.0**-17,
}
SMALLEST = {fb.float64: 1e-300, fb.float32: 1e-36, fb.bfloat16: 1e-36, fb.float16: 2.0**-25}  # absolute errors
DTYPES = list(BOUNDS)


def reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return silu(x) * y."""
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-x)) * y


def check(x: fb.Tensor, y: fb.Tensor, dtype: fb.dtype) -> None:
    """Compare the result with the reference, computed in float64 from the same rounded operands."""
    result = silu_mul(x, y)
    assert result.dtype == dtype
    expected = reference(x.double().numpy(), y.double().numpy())
    assert tuple(result.shape) == expected.shape
    np.testing.assert_allclose(result.double().numpy(), expected, rtol=BOUNDS[dtype], atol=SMALLEST[dtype])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (31,), (33,), (4, 5), (2, 3, 257), (300, 500), (0, 5)], ids=str)
def test_silu_mul_equals_its_definition(shape: tuple[int, ...], dtype: fb.dtype) -> None:
    fb.manual_seed(0)
    check((fb.randn(shape) * 5).to(dtype), fb.randn(shape).to(dtype), dtype)


def test_silu_mul_is_correct_for_large_infinite_and_nan_inputs() -> None:
    x = fb.tensor([0.0, -0.0, 1000, -1000, float("inf"), float("-inf"), float("nan")])
    np.testing.assert_array_equal(silu_mul(x, fb.ones(7)).numpy(), [0, 0, 1000, 0, np.inf, np.nan, np.nan])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_silu_mul_is_correct_for_extreme_elements_of_long_vectors(dtype: fb.dtype) -> None:
    fb.manual_seed(4)
    x, y = fb.randn(20_011).to(dtype), fb.randn(20_011).to(dtype)
    for at, value in enumerate([-60_000.0, 60_000, float("inf"), float("-inf"), float("nan")]):
        x[at * 3_333] = y[at * 2_222 + 1] = value
    with np.errstate(invalid="ignore"):
        check(x, y, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_silu_mul_is_correct_for_strided_and_broadcast_operands(dtype: fb.dtype) -> None:
    fb.manual_seed(1)
    x, y = fb.randn(200, 300).to(dtype), fb.randn(300, 200).to(dtype)
    check(x, y.t(), dtype)
    check(x[::2, 1::3], y.t()[1::2, ::3], dtype)
    check(x, y[0, 0], dtype)
    check(x[:, :1], y[:1, :], dtype)
    check(fb.empty(0, 1, dtype=dtype), y[:, 0], dtype)
    assert silu_mul(x.t(), x.t()).stride() == x.t().stride()


def test_operands_of_different_dtypes_are_promoted() -> None:
    x, y = fb.randn(5), fb.randn(5)
    check(x.half(), y, fb.float32)
    check(x, y.double(), fb.float64)
    check(x, fb.arange(5), fb.float32)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    fb.manual_seed(2)
    x, y = fb.randn(100_003), fb.randn(100_003)
    expected, former = silu_mul(x, y), fb.get_num_threads()
    fb.set_num_threads(threads)
    try:
        assert fb.equal(silu_mul(x, y), expected)
    finally:
        fb.set_num_threads(former)


@pytest.mark.parametrize("instruction_set", ["baseline", "avx2", "avx512"])
def test_silu_mul_is_correct_with_every_instruction_set(instruction_set: str) -> None:
    """Run tests with a limited instruction set of the library. The extension uses the same one."""
    tests = [
        test_silu_mul_equals_its_definition,
        test_silu_mul_is_correct_for_extreme_elements_of_long_vectors,
        test_silu_mul_is_correct_for_strided_and_broadcast_operands,
    ]
    names = [f"{__file__}::{test.__name__}" for test in tests]
    environment = {**os.environ, "FLAMBEAU_ISA": instruction_set}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *names]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]


def test_silu_mul_passes_gradcheck_and_gradgradcheck() -> None:
    fb.manual_seed(0)
    x = fb.randn(3, 4, dtype=fb.float64, requires_grad=True)
    y = fb.randn(4, dtype=fb.float64, requires_grad=True)
    assert fb.autograd.gradcheck(silu_mul, (x, y))
    assert fb.autograd.gradgradcheck(silu_mul, (x, y))
    assert silu_mul(x, y).grad_fn.name() == "SiluMulBackward0"


def test_derivatives_are_finite_if_the_exponential_overflows() -> None:
    x, y = fb.tensor([-1000.0, -200, 200, 1000], requires_grad=True), fb.full((4,), 2.0, requires_grad=True)
    first = fb.autograd.grad(silu_mul(x, y).sum(), (x, y), create_graph=True)
    np.testing.assert_array_equal(first[0].detach().numpy(), [0, 0, 2, 2])
    np.testing.assert_array_equal(first[1].detach().numpy(), [0, 0, 200, 1000])
    second = fb.autograd.grad(first[0].sum() + first[1].sum(), (x, y))
    np.testing.assert_array_equal(second[0].numpy(), [0, 0, 1, 1])
    np.testing.assert_array_equal(second[1].numpy(), [0, 0, 1, 1])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_fused_derivative_equals_that_of_silu_and_mul(dtype: fb.dtype) -> None:
    fb.manual_seed(3)
    x, y, grad = (fb.randn(3, 1000).to(dtype) for _ in range(3))
    fused = [x.clone().requires_grad_(), y.t().clone().t().requires_grad_()]
    silu_mul(*fused).backward(grad)
    exact = [t.double().requires_grad_() for t in (x, y)]
    (fb.nn.functional.silu(exact[0]) * exact[1]).backward(grad.double())
    for f, e in zip(fused, exact, strict=True):
        assert f.grad.dtype == dtype
        bound = 3 * BOUNDS[dtype]
        np.testing.assert_allclose(f.grad.double().numpy(), e.grad.numpy(), rtol=bound, atol=bound)


def test_meta_tensors_give_the_shape_and_dtype_of_silu_mul() -> None:
    result = silu_mul(fb.empty(3, 4, device="meta"), fb.empty(4, device="meta"))
    assert (result.device.type, tuple(result.shape)) == ("meta", (3, 4))


def test_silu_mul_rejects_invalid_arguments() -> None:
    with pytest.raises(RuntimeError, match=r"\[2, 4\].*\[3\]|size of tensor"):
        silu_mul(fb.zeros(2, 4), fb.zeros(3))
    with pytest.raises(NotImplementedError, match=r"\"silu_mul\" not implemented for 'int64'"):
        silu_mul(fb.arange(3), fb.arange(3))
    with pytest.raises(NotImplementedError, match="complex64"):
        silu_mul(fb.zeros(4), fb.zeros(4, dtype=fb.complex64))
    with pytest.raises(RuntimeError, match="same device, got cpu and meta"):
        silu_mul(fb.zeros(4), fb.zeros(4, device="meta"))
    with pytest.raises(TypeError, match="got None"):
        silu_mul(fb.zeros(4), None)
    with pytest.raises(TypeError):
        silu_mul(np.zeros(4), fb.zeros(4))
