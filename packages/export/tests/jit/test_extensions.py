"""Functions that are not operators of flambeau, in traced programs: rejected unless registered."""

import pytest

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.autograd import _engine
from flambeau.export import export
from flambeau.library import custom_op, extension_op

# A function of an extension module that is not an operator. It returns a detached tensor.
unknown = _engine.detached


@extension_op("jit_tests::shifted")
def shifted(x: Tensor, by: float = 1.0, *, scale: float = 2.0) -> Tensor:
    return x * scale + by


@custom_op("jit_tests::halves", mutates_args=())
def halves(x: Tensor, size: int) -> list[Tensor]:
    return [x[:size].clone(), x[size:] * 0.5]


@custom_op("jit_tests::increase", mutates_args={"x"})
def increase(x: Tensor, by: Tensor) -> None:
    x.add_(by)


def of_unknown(x: Tensor) -> Tensor:
    return unknown(x) * 2


@pytest.mark.parametrize("trace", [fb.jit.trace, lambda f, x: export(Calling(f), (x,))])
def test_a_result_of_an_unknown_function_is_not_traced_as_a_constant(trace):
    with pytest.raises(NotImplementedError, match="a function of an extension module") as caught:
        trace(of_unknown, fb.ones(3))
    assert "flambeau.library.extension_op" in str(caught.value)
    assert f"test_extensions.py:{of_unknown.__code__.co_firstlineno + 1}" in str(caught.value)


class Calling(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_values_independent_of_the_inputs_are_constants():
    weight, made = fb.rand(3), []

    def function(x):
        made.append(unknown(weight))
        return x * made[0] + weight + fb.ones(3)

    traced = fb.jit.trace(function, fb.ones(3), check_trace=False)
    x = fb.randn(3)
    assert fb.equal(traced(x), x * weight + weight + 1)


def test_unused_results_of_unknown_functions_are_allowed():
    def function(x):
        unknown(x)
        return x + 1

    assert fb.equal(fb.jit.trace(function, fb.ones(2))(fb.zeros(2)), fb.ones(2))


def test_gradients_inside_a_program_are_rejected():
    def function(x):
        y = x.detach().requires_grad_()
        (gradient,) = fb.autograd.grad((y * y).sum(), y)
        return gradient

    with pytest.raises(NotImplementedError, match="a gradient"):
        fb.jit.trace(function, fb.ones(3))


def test_an_argument_that_a_function_returns_is_not_constant():
    class Scaled(fb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 0.1

    traced = fb.jit.trace(lambda x: Scaled.apply(x) * 2, fb.ones(3, requires_grad=True))
    with fb.no_grad():
        assert fb.equal(traced(fb.full((3,), 4.0)), fb.full((3,), 8.0))


def function_of_operators(x: Tensor) -> Tensor:
    first, second = halves(x, x.shape[0] // 2)
    y = x.clone()
    increase(y, shifted(x, scale=0.5))
    return fb.cat([first, second]) + shifted(y, 3.0)


def test_a_traced_program_calls_registered_operators(tmp_path):
    traced = fb.jit.trace(function_of_operators, fb.ones(4))
    assert "jit_tests::shifted(%0, 1.0, 0.5)" in traced.code and "jit_tests::increase(" in traced.code
    traced.save(tmp_path / "program")
    for x in (fb.randn(4), fb.randn(6)):
        for program in (traced, fb.jit.load(tmp_path / "program")):
            fb.testing.assert_close(program(x), function_of_operators(x))


def test_loaded_programs_run_registered_operators():
    traced = fb.jit.trace(function_of_operators, fb.ones(4))
    batch = fb.randn(3, 4)
    expected = fb.stack([function_of_operators(x) for x in batch])
    fb.testing.assert_close(fb.func.vmap(lambda x: traced(x.clone()))(batch), expected)


def test_programs_use_the_derivatives_of_registered_operators():
    x = fb.randn(3, dtype=fb.float64, requires_grad=True)
    traced = fb.jit.trace(lambda x: shifted(x, scale=3.0).sin(), x)
    assert fb.autograd.gradcheck(traced, (x,))


def test_a_decomposition_replaces_the_operator():
    @extension_op("jit_tests::squared")
    def squared(x: Tensor) -> Tensor:
        return unknown(x * x)

    squared.register_decomposition(lambda x: x * x)
    assert "jit_tests::squared" in fb.jit.trace(lambda x: squared(x) + 1, fb.ones(2)).code
    squared.register_decomposition(lambda x: x * x, in_programs=True)
    traced = fb.jit.trace(lambda x: squared(x) + 1, fb.ones(2))
    assert "jit_tests" not in traced.code
    assert fb.equal(traced(fb.tensor([2.0, 3.0])), fb.tensor([5.0, 10.0]))


def test_loading_a_program_names_a_missing_operator(tmp_path):
    traced = fb.jit.trace(lambda x: shifted(x), fb.ones(2))
    fb.serialization.set_crc32_options(False)  # the file is changed below
    try:
        traced.save(tmp_path / "program")
    finally:
        fb.serialization.set_crc32_options(True)
    content = (tmp_path / "program").read_bytes()
    (tmp_path / "program").write_bytes(content.replace(b"jit_tests::shifted", b"jit_tests::missing"))
    with pytest.raises(ValueError, match="there is no operator 'jit_tests::missing' for programs: import the package"):
        fb.jit.load(tmp_path / "program")


def test_fx_records_a_registered_operator_as_a_node():
    graph = fb.fx.symbolic_trace(lambda x: shifted(x.relu(), scale=3.0) + 1)
    assert "flambeau.ops.jit_tests.shifted(relu, 1.0, scale = 3.0)" in graph.code
    assert fb.equal(graph(fb.ones(2)), fb.full((2,), 5.0))
