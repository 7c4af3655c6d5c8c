"""Functions that are not operators of flambeau, in exported programs: rejected unless registered."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.library import custom_op, extension_op
from flambeau.onnx import export

# A function of an extension module that is not an operator. It returns a detached tensor.
unknown = _engine.detached


@custom_op("onnx_tests::cube", mutates_args=())
def cube(x: Tensor, scale: float = 1.0) -> Tensor:
    return fb.from_numpy(x.numpy() ** 3 * scale)


def test_a_result_of_an_unknown_function_is_not_exported_as_a_constant():
    def function(x):
        return unknown(x) * 2

    with pytest.raises(NotImplementedError, match=r"a function of an extension module .*extension_op") as caught:
        export(function, fb.ones(3))
    assert f"test_extensions.py:{function.__code__.co_firstlineno + 1}" in str(caught.value)


def test_values_independent_of_the_inputs_are_constants(compare):
    weight = fb.rand(3)

    def function(x):
        return unknown(weight) * x + fb.ones(3)

    compare(export(function, fb.ones(3)), function, fb.rand(3))


def test_a_custom_operator_needs_a_converter(compare):
    def function(x):
        return cube(x.relu(), 2.0) + 1

    with pytest.raises(NotImplementedError, match=r"cube, called by [^\0]*onnx_tests.cube.default.register_onnx"):
        export(function, fb.ones(3))
    cube.register_onnx(lambda g, x, scale: g.op("Mul", g.op("Pow", x, g.constant(3.0)), g.constant(scale)))
    program = export(function, fb.ones(3), verify=True)
    assert [node.op_type for node in program.model_proto.graph.node] == ["Relu", "Pow", "Mul", "Add"]
    compare(program, function, fb.rand(3))


def test_a_converter_receives_values_by_position_and_keyword_only_values_by_name(compare):
    @custom_op("onnx_tests::offset", mutates_args=())
    def offset(x: Tensor, device: float, *, factor: float = 2.0) -> tuple[Tensor, Tensor]:
        return fb.from_numpy(x.numpy() * factor), fb.from_numpy(x.numpy() + device)

    def function(x):
        return offset(x, 3.0)[1]

    offset.register_onnx(lambda g, x, *rest, factor: g.op("Mul", x, g.constant(factor)))
    with pytest.raises(RuntimeError, match="the ONNX converter returned 1 results, expected 2") as caught:
        export(function, fb.ones(3))
    assert caught.value.__notes__[0].startswith("in onnx_tests::offset, called by ")
    offset.register_onnx(lambda g, x, shift, *, factor: [g.op("Muul", x), g.op("Ad", x)])
    with pytest.raises(ValueError, match="ONNX has no operator Ad, Muul"):
        export(function, fb.ones(3))
    offset.register_onnx(
        lambda g, x, shift, *, factor: [g.op("Mul", x, g.constant(factor)), g.op("Add", x, g.constant(shift))]
    )
    compare(export(function, fb.ones(3)), function, fb.rand(3))


def test_a_registered_decomposition_replaces_the_operator(compare):
    @extension_op("onnx_tests::squared_sum")
    def squared_sum(x: Tensor, y: Tensor) -> Tensor:
        return unknown((x + y) ** 2)

    squared_sum.register_decomposition(lambda x, y: (x + y) ** 2)

    def function(x):
        return squared_sum(x, x.flip(0))

    compare(export(function, fb.ones(3)), function, fb.rand(3))


def test_a_converter_can_use_operators_of_another_domain():
    @extension_op("onnx_tests::other")
    def other(x: Tensor) -> list[Tensor]:
        return [x * 2, x * 3]

    other.register_onnx(lambda g, x: g.several(2, "Other", x, domain="tests", alpha=2.0))
    model = export(lambda x: other(x)[1] + 1, fb.ones(3)).model_proto
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 20, "tests": 1}
    assert [(node.domain, node.op_type) for node in model.graph.node] == [("tests", "Other"), ("", "Add")]


def test_a_function_with_a_custom_derivative_is_exported(compare):
    class Halved(fb.autograd.Function):
        @staticmethod
        def forward(ctx, x, as_it_is):
            return x if as_it_is else x * 0.5

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 0.5, None

    def function(x):
        return Halved.apply(x, False) + Halved.apply(x, True)

    compare(export(function, fb.ones(3)), function, fb.rand(3))


def test_an_operator_that_changes_its_arguments_is_rejected():
    @custom_op("onnx_tests::fill", mutates_args={"x"})
    def fill(x: Tensor) -> None:
        np.copyto(x.numpy(), 1.0)

    with pytest.raises(NotImplementedError, match=r"onnx_tests::fill changes 'x' in place"):
        export(lambda x: fill(x.clone()) or x * 2, fb.ones(3))


@extension_op("onnx_tests::largest_sums")
def largest_sums(x: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of the first ``counts`` elements of each row and the index of the largest element."""
    rows = [row[:count] for row, count in zip(x, counts.tolist(), strict=True)]
    sums, positions = [row.sum() for row in rows], [row.argmax() for row in rows]
    return (fb.stack(sums), fb.stack(positions)) if rows else (x.new_zeros(0), counts.new_zeros(0))


def add_loop(g, x, counts, kind="Identity"):
    def body(number):
        count = g.op("Unsqueeze", g.op("Gather", counts, number), g.constant([0]))
        row = g.op("Slice", g.op("Gather", x, number), g.constant([0]), count)
        total = g.op(kind, g.op("ReduceSum", row, keepdims=0))
        return [(total, fb.float32, []), (g.op("ArgMax", row, axis=0, keepdims=0), fb.int64, [])]

    return g.loop(g.op("Shape", counts), body)


def test_a_converter_can_write_a_loop(compare):
    largest_sums.register_onnx(add_loop)

    def function(x, counts):
        y = x * 2
        return y, *largest_sums(y, counts + 1)  # the argument of the operator is also an output

    given = fb.rand(3, 5), fb.tensor([0, 3, 1])
    program = export(function, given, dynamic_axes={"x": {0: "n"}, "counts": {0: "n"}}, opset_version=17)
    compare(program, function, *given)
    compare(program, function, fb.rand(6, 5), fb.tensor([4, 0, 1, 2, 3, 2]))
    assert [tuple(each.shape) for each in program(fb.rand(0, 5), fb.zeros(0, dtype=fb.int64))] == [(0, 5), (0,), (0,)]


def test_the_error_names_an_operator_in_a_loop_that_the_opset_lacks():
    largest_sums.register_onnx(lambda g, x, counts: add_loop(g, x, counts, "Gelu"))
    with pytest.raises(NotImplementedError, match="opset 17 lacks Gelu"):
        export(largest_sums, (fb.rand(3, 5), fb.tensor([1, 3, 2])), opset_version=17)


def test_an_operator_with_a_fake_implementation_runs_once(compare):
    computed = []

    @extension_op("onnx_tests::doubled")
    def doubled(x: Tensor) -> Tensor:
        computed.append(x.shape)
        return x * 2

    doubled.register_fake(lambda x: x.new_empty(x.shape))
    doubled.register_onnx(lambda g, x: g.op("Add", x, x))
    program = export(lambda x: doubled(x), fb.ones(3, 4), dynamic_axes={"x": {0: "n"}})
    assert computed == [(3, 4)]
    compare(program, doubled, fb.rand(5, 4))
