"""Tests of the operator in traced programs, ONNX files, vmap and fx."""

import pytest
from silu_mul import _silu_mul, silu_mul

import flambeau as fb


def gate(x: fb.Tensor) -> fb.Tensor:
    return silu_mul(x, x.flip(0)) + 1


def test_a_traced_program_calls_the_extension_operator(tmp_path):
    program = fb.jit.trace(gate, fb.ones(4))
    assert "silu_mul::silu_mul(" in program.code
    program.save(tmp_path / "program")
    x = fb.randn(6)
    assert fb.equal(fb.jit.load(tmp_path / "program")(x), gate(x))


def test_functions_of_extension_modules_are_rejected():
    with pytest.raises(NotImplementedError, match="a function of an extension module"):
        fb.jit.trace(lambda x: _silu_mul.silu_mul(x, x), fb.ones(4))


def test_vmap_of_the_operator_equals_a_loop():
    x, y = fb.randn(3, 4), fb.randn(5, 3)
    mapped = fb.func.vmap(silu_mul, in_dims=(1, None))(x, y)
    fb.testing.assert_close(mapped, fb.stack([silu_mul(x[:, i], y) for i in range(4)]))
    both = fb.func.vmap(silu_mul, in_dims=(0, 1))(fb.randn(3, 2, 4), fb.randn(4, 3))
    assert both.shape == (3, 2, 4)
    slopes = fb.func.vmap(fb.func.grad(lambda x: silu_mul(x, x).sum()))(x)
    fb.testing.assert_close(slopes, fb.func.grad(lambda x: silu_mul(x, x).sum())(x))


def test_fx_records_the_operator_as_a_node():
    assert "flambeau.ops.silu_mul.silu_mul(x, flip)" in fb.fx.symbolic_trace(gate).code
