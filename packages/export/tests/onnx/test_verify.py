"""`verify=True`: rejected files, and tolerances."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.onnx import export
from flambeau.onnx._verify import verified, with_other_elements


def test_verify_rejects_a_file_that_is_correct_only_for_the_example():
    def function(x):
        return x + fb.from_numpy(np.tanh(x.numpy()))  # a constant of the file

    with (
        pytest.warns(fb.jit.TracerWarning),
        pytest.raises(RuntimeError, match=r"output 0 .* differs .* for another input of the same shapes"),
    ):
        export(function, fb.randn(3, 4), verify=True)


def test_verify_uses_a_tolerance_relative_to_the_largest_element():
    def program(off):
        return lambda x: (fb.tensor([1000.0 + off, 1e-3 + off]),)

    example = (fb.ones(2),)
    # The error is 1e-5 times the largest element.
    verified(program(0.01), lambda x: fb.tensor([1000.0, 1e-3]), example, {})
    with pytest.raises(RuntimeError, match=r"output 0 .* differs .* by up to 2, and its largest element is 1e"):
        verified(program(2.0), lambda x: fb.tensor([1000.0, 1e-3]), example, {})
    tiny = fb.tensor([1e-9, 2e-9])
    with pytest.raises(RuntimeError, match="output 0 in ONNX Runtime differs"):
        verified(lambda x: (tiny * 2,), lambda x: tiny, example, {})


def test_verify_requires_equal_integers_and_shapes():
    with pytest.raises(RuntimeError, match="output 0 has different elements"):
        verified(lambda x: (fb.tensor([1, 2]),), lambda x: fb.tensor([1, 3]), (fb.ones(2),), {})
    with pytest.raises(RuntimeError, match=r"output 0 has the shape \[3\] in ONNX Runtime and \[2\] in the model"):
        verified(lambda x: (fb.ones(3),), lambda x: fb.ones(2), (fb.ones(2),), {})


def test_verify_compares_nan_and_infinity():
    values = fb.tensor([fb.nan, fb.inf, 1.0])
    verified(lambda x: (values,), lambda x: values, (fb.ones(2),), {})
    with pytest.raises(RuntimeError, match="output 0 in ONNX Runtime differs"):
        verified(lambda x: (values.nan_to_num(),), lambda x: values, (fb.ones(2),), {})


def test_verify_uses_the_example_if_the_model_rejects_other_inputs():
    example = fb.arange(4.0)

    def function(x):
        if x[0].item() != 0:
            raise ValueError("only this one")
        return x * 2

    alone = pytest.warns(UserWarning, match="the file was compared only for the example inputs: only this one")
    with pytest.warns(fb.jit.TracerWarning), alone:
        export(function, example, verify=True)


def test_verify_varies_values_but_keeps_shapes_and_dtypes():
    given = {"x": fb.rand(1, 5), "ids": fb.tensor([[3, 1, 2]]), "mask": [fb.tensor([True, False])]}
    other = with_other_elements(given)
    assert other["x"].shape == (1, 5) and not fb.equal(other["x"], given["x"])
    assert fb.equal(other["ids"], fb.tensor([[2, 3, 1]]))
    assert fb.equal(other["mask"][0], fb.tensor([False, True]))
    fb.testing.assert_close(other["x"], given["x"].roll(1, 1), rtol=0.021, atol=0)
