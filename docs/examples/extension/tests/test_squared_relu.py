"""The operator against NumPy, its derivatives against finite differences."""

import numpy as np
import pytest
from squared_relu import squared_relu

import flambeau as fb


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5), (300, 500), (0, 5)])
def test_values(shape: tuple[int, ...], dtype: type) -> None:
    generator = np.random.default_rng(0)
    x, b = generator.standard_normal(shape).astype(dtype), generator.standard_normal(shape[-1]).astype(dtype)
    expected = np.maximum(x + b, 0) ** 2
    np.testing.assert_allclose(squared_relu(fb.from_numpy(x), fb.from_numpy(b)).numpy(), expected, rtol=1e-6)


def test_strided_input() -> None:
    x, b = np.random.default_rng(1).standard_normal((5, 4)), np.zeros(5)
    np.testing.assert_array_equal(squared_relu(fb.from_numpy(x).t(), fb.from_numpy(b)).numpy(), np.maximum(x.T, 0) ** 2)


def test_derivatives() -> None:
    fb.manual_seed(0)
    x = fb.randn(3, 4, dtype=fb.float64, requires_grad=True)
    b = fb.randn(4, dtype=fb.float64, requires_grad=True)
    assert fb.autograd.gradcheck(squared_relu, (x, b))
    assert fb.autograd.gradgradcheck(squared_relu, (x, b))
    assert squared_relu(x, b).grad_fn.name() == "SquaredReluBackward0"


def test_errors() -> None:
    with pytest.raises(RuntimeError, match=r"a bias of shape \[3\] does not fit an input of shape \[2, 4\]"):
        squared_relu(fb.zeros(2, 4), fb.zeros(3))
    with pytest.raises(RuntimeError, match="float32 and float64"):
        squared_relu(fb.zeros(4), fb.zeros(4, dtype=fb.float64))
    with pytest.raises(TypeError):
        squared_relu(np.zeros(4), fb.zeros(4))
