"""``make_fx``: graphs of the operators of functions and their derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau._subclasses.fake_tensor import FakeTensorMode
from flambeau.func import functionalize
from flambeau.fx.experimental.proxy_tensor import get_proxy_mode, make_fx


def targets(module):
    return [str(node.target) for node in module.graph.nodes if node.op == "call_function"]


def test_make_fx_records_a_graph_of_operators():
    def function(x, y):
        assert get_proxy_mode() is not None
        return (x + 2 * y).relu().sum(1)

    x, y = fb.tensor([[1.0, -5.0]]), fb.tensor([[2.0, 1.0]])
    traced = make_fx(function)(x, y)
    assert targets(traced) == ["aten.mul.Tensor", "aten.add.Tensor", "aten.relu.default", "aten.sum.dim_IntList"]
    assert [node.name for node in traced.graph.nodes if node.op == "placeholder"] == ["x_1", "y_1"]
    assert traced(x, y).tolist() == [5] and traced(x + 1, y).tolist() == [6]
    assert "ops.aten.sum.dim_IntList(relu, [1])" in traced.code and get_proxy_mode() is None


def test_make_fx_traces_derivatives_within_the_function():
    def gradient(x, w):
        return fb.autograd.grad((x @ w).tanh().sum(), w)[0]

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(3, 4))
    traced = make_fx(gradient)(fb.tensor(a), fb.tensor(b, requires_grad=True))
    assert targets(traced).count("aten.mm.default") == 2 and "aten.tanh_backward.default" in targets(traced)
    assert not [node for node in traced.graph.nodes if node.op == "get_attr"]
    c = rng.normal(size=(2, 3))
    np.testing.assert_allclose(traced(fb.tensor(c), fb.tensor(b)).numpy(), c.T @ (1 - np.tanh(c @ b) ** 2))


def test_make_fx_traces_second_derivatives():
    def second(x):
        (first,) = fb.autograd.grad((x**3).sum(), x, create_graph=True)
        return fb.autograd.grad(first.sum(), x)[0]

    traced = make_fx(second)(fb.tensor([2.0], requires_grad=True))
    assert traced(fb.tensor([5.0])).tolist() == [30]


@pytest.mark.parametrize("mode", ["real", "fake"])
def test_make_fx_traces_a_layer_and_its_parameters(mode):
    layer = nn.Linear(3, 2)
    traced = make_fx(lambda x: layer(x).sigmoid(), tracing_mode=mode, _allow_non_fake_inputs=True)(fb.ones(4, 3))
    operators = [name for name in targets(traced) if name != "aten.detach.default"]
    assert operators == ["aten.t.default", "aten.addmm.default", "aten.sigmoid.default"]
    x, w, b = np.full((4, 3), 0.5), layer.weight.detach().numpy(), layer.bias.detach().numpy()
    if mode == "real":
        got = traced(fb.tensor(x, dtype=fb.float32)).detach().numpy()
        np.testing.assert_allclose(got, 1 / (1 + np.exp(-(x @ w.T + b))), rtol=1e-5)


def test_make_fx_traces_several_results_and_in_place_operators():
    def function(x):
        values, indices = x.max(1)
        y = x.clone()
        y.add_(1)
        return values, indices, y

    traced = make_fx(function)(fb.tensor([[1.0, 2.0]]))
    values, indices, y = traced(fb.tensor([[7.0, 2.0]]))
    assert (values.item(), indices.item(), y.tolist()) == (7, 0, [[8, 3]])
    assert "aten.add_.Tensor" in targets(traced)


def test_make_fx_applies_a_decomposition_table():
    def silu(x):
        return x * x.sigmoid()

    table = {fb.ops.aten.silu.default: silu}
    traced = make_fx(lambda x: nn.functional.silu(x), decomposition_table=table)(fb.ones(2))
    assert targets(traced) == ["aten.sigmoid.default", "aten.mul.Tensor"]


def test_make_fx_records_custom_operators_as_nodes():
    @fb.library.custom_op("testing_fx::twice", mutates_args=())
    def twice(x: fb.Tensor) -> fb.Tensor:
        return fb.from_numpy(x.numpy() * 2)

    traced = make_fx(lambda x: twice(x) + 1)(fb.ones(2))
    assert targets(traced) == ["testing_fx.twice.default", "aten.add.Tensor"]
    assert traced(fb.tensor([3.0])).tolist() == [7]


def test_functionalize_replaces_in_place_operators():
    def function(x):
        y = x.clone()
        y.add_(1)
        y[0].mul_(2)
        y.t().sub_(3.0)
        y.view(-1)[1:3].zero_()
        x.copy_(y)
        return y

    rng = np.random.default_rng(0)
    value = rng.normal(size=(2, 2))
    expected = value + 1
    expected[0] *= 2
    expected -= 3
    expected.reshape(-1)[1:3] = 0
    x = fb.tensor(value)
    np.testing.assert_allclose(functionalize(function)(x).numpy(), expected)
    np.testing.assert_allclose(x.numpy(), expected)
    traced = make_fx(functionalize(function))(fb.tensor(value))
    changing = [name for name in targets(traced) if name.split(".")[1].endswith("_")]
    assert changing == ["aten.copy_.default"] and "aten.select_scatter.default" in targets(traced)
    np.testing.assert_allclose(traced(fb.tensor(value)).numpy(), expected)
    with pytest.raises(RuntimeError, match="received invalid argument for remove=views"):
        functionalize(function, remove="views")


def test_make_fx_rejects_unsupported_tracing_modes():
    with pytest.raises(NotImplementedError, match="no symbolic sizes"):
        make_fx(lambda x: x, tracing_mode="symbolic")
    with pytest.raises(ValueError, match="Unexpected tracing mode"):
        make_fx(lambda x: x, tracing_mode="imaginary")
    assert FakeTensorMode().from_tensor(fb.ones(2)).shape == (2,)


def test_make_fx_numbers_the_arguments_of_a_function_with_var_args():
    traced = make_fx(lambda first, *others: first + others[0] * others[1])(fb.ones(2), fb.ones(2), fb.ones(2))
    assert [node.name for node in traced.graph.nodes if node.op == "placeholder"] == ["arg0_1", "arg1_1", "arg2_1"]
    assert traced(fb.ones(2), fb.ones(2), fb.ones(2) * 3).tolist() == [4, 4]
