"""Fixture of the tests in this folder."""

import numpy as np
import pytest

import flambeau as fb
from flambeau._tracing._structure import leaves


@pytest.fixture
def compare():
    """Return a function that checks that a program returns the results of a function in ONNX Runtime."""

    def compare(program, function, *inputs, exact=2e-5):
        with fb.no_grad():
            expected = leaves(function(*inputs), fb.Tensor)
        made = program(*inputs)
        assert len(made) == len(expected)
        for index, (mine, other) in enumerate(zip(expected, made, strict=True)):
            assert other.dtype == mine.dtype and other.shape == mine.shape, index
            within = 1e-3 if mine.dtype == fb.float16 else exact
            np.testing.assert_allclose(other.numpy(), mine.numpy(), rtol=within, atol=within, err_msg=f"output {index}")

    return compare
