"""Modes with ``__torch_dispatch__``: the calls that they receive, their order, and the effect of their results."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import Tensor
from flambeau.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
    _get_current_dispatch_mode,
    _get_current_dispatch_mode_stack,
    _pop_mode_temporarily,
)
from flambeau.utils._pytree import tree_map_only

aten = fb.ops.aten


class Logging(TorchDispatchMode):
    """Mode that logs the calls and runs them unchanged."""

    def __init__(self):
        self.calls = []

    @property
    def names(self):
        return [str(func) for func, *_ in self.calls]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls.append((func, args, kwargs))
        return func(*args, **(kwargs or {}))


def logged(function, *args):
    with Logging() as mode:
        function(*args)
    return mode.names


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x + 2, ["aten.add.Tensor"]),
        (lambda x: 2 + x, ["aten.add.Tensor"]),
        (lambda x: 2 - x, ["aten.rsub.Scalar"]),
        (lambda x: x / 2, ["aten.div.Tensor"]),
        (lambda x: x.sub(x, alpha=3), ["aten.sub.Tensor"]),
        (lambda x: x == 2, ["aten.eq.Scalar"]),
        (lambda x: x**2, ["aten.pow.Tensor_Scalar"]),
        (lambda x: x.sum(), ["aten.sum.default"]),
        (lambda x: x.sum(1), ["aten.sum.dim_IntList"]),
        (lambda x: x.max(1), ["aten.max.dim"]),
        (lambda x: x.view(4), ["aten.view.default"]),
        (lambda x: x.reshape(4), ["aten.view.default"]),
        (lambda x: x.T.reshape(4), ["aten.t.default", "aten.clone.default", "aten._unsafe_view.default"]),
        (lambda x: x.T, ["aten.t.default"]),
        (lambda x: x[0], ["aten.select.int"]),
        (lambda x: x[:, 1:], ["aten.slice.Tensor"]),
        (lambda x: x[None], ["aten.unsqueeze.default"]),
        (lambda x: x[x > 0], ["aten.gt.Scalar", "aten.index.Tensor"]),
        (lambda x: x.__setitem__(0, 1.0), ["aten.select.int", "aten.fill_.Scalar"]),
        (lambda x: x @ x, ["aten.mm.default"]),
        (lambda x: x.double(), ["aten._to_copy.default"]),
        (lambda x: x.float(), []),
        (lambda x: x.add_(1), ["aten.add_.Tensor"]),
        (lambda x: fb.add(x, x, out=fb.empty_like(x)), ["aten.empty_like.default", "aten.add.out"]),
        (lambda x: fb.zeros(2, dtype=fb.int64), ["aten.zeros.default"]),
        (lambda x: fb.tensor(3.0), ["aten.lift_fresh.default"]),
        (lambda x: x.sum().item(), ["aten.sum.default", "aten._local_scalar_dense.default"]),
        (lambda x: fb.cat([x, x]), ["aten.cat.default"]),
        (lambda x: fb.softmax(x, 1), ["aten._softmax.default"]),
        (lambda x: fb.einsum("ij,jk->ik", x, x), ["aten.mm.default"]),
        (lambda x: x.shape and x.dim() and x.is_contiguous(), []),
    ],
)
def test_operators_have_the_overloads_of_pytorch(function, expected):
    assert logged(function, fb.ones(2, 2)) == expected


def test_overloads_have_names_schemas_and_packets():
    with Logging() as mode:
        fb.ones(2).add(fb.ones(2), alpha=2)
    func, args, kwargs = mode.calls[-1]
    assert func is aten.add.Tensor and func.overloadpacket is aten.add and func.namespace == "aten"
    assert (func.name(), func.__name__, func._overloadname) == ("aten::add.Tensor", "add.Tensor", "Tensor")
    assert len(args) == 2 and kwargs == {"alpha": 2}
    schema = func._schema
    assert str(schema) == "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor"
    assert [argument.name for argument in schema.arguments] == ["self", "other", "alpha"]
    assert not schema.is_mutable and aten.add_.Tensor._schema.is_mutable and aten.view.default.is_view
    assert "out" in aten.add.overloads() and aten.linear.default.composite


def test_default_values_are_omitted_from_dispatched_arguments():
    x = fb.ones(2, 3)
    with Logging() as mode:
        x.sum(1, keepdim=False)
        fb.add(x, x, alpha=1)
        x.sum((0, 1), keepdim=True)
    assert [(args[1:], kwargs) for _, args, kwargs in mode.calls] == [(([1],), {}), ((x,), {}), (([0, 1], True), {})]


def test_the_innermost_mode_is_called_first():
    order = []

    class Named(TorchDispatchMode):
        def __init__(self, name):
            self.name = name

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            order.append((self.name, str(func), _get_current_dispatch_mode()))
            return func(*args, **(kwargs or {}))

    x = fb.ones(2)
    with Named("outer") as outer, Named("inner") as inner:
        assert _get_current_dispatch_mode() is inner and _get_current_dispatch_mode_stack() == [outer, inner]
        x.exp()
        with _pop_mode_temporarily() as left:
            assert left is inner and _get_current_dispatch_mode() is outer
        with _disable_current_modes():
            x.exp()
    assert order == [("inner", "aten.exp.default", outer), ("outer", "aten.exp.default", None)]
    assert _get_current_dispatch_mode() is None


def test_an_exception_exits_the_dispatch_mode():
    class Rejecting(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            raise ValueError(str(func))

    x = fb.ones(2)
    with pytest.raises(ValueError, match=r"aten\.exp\.default"), Rejecting():
        x.exp()
    assert _get_current_dispatch_mode() is None and x.exp().shape == (2,)


def test_a_dispatch_mode_may_return_any_object():
    class Doubling(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            return result * 2 if func is aten.exp.default else result

    x = fb.zeros(2)
    with Doubling():
        assert x.exp().tolist() == [2, 2] and (x + 1).tolist() == [1, 1]


def test_a_dispatch_mode_can_change_dtypes():
    class InDouble(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            args, kwargs = tree_map_only(Tensor, lambda x: x.double(), (args, dict(kwargs or {})))
            return func(*args, **kwargs)

    with InDouble():
        y = fb.ones(2, 2) @ fb.ones(2, 2)
    assert y.dtype is fb.float64


def test_a_dispatch_mode_can_change_the_device_of_factories():
    class OnMeta(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            kwargs = dict(kwargs or {})
            if "device" in func._schema.by_name:
                kwargs["device"] = fb.device("meta")
            return func(*args, **kwargs)

    with OnMeta():
        x = fb.ones(2, 3)
        assert x.device.type == "meta" and (x + 1).device.type == "meta"


def test_a_nan_detector_names_the_operator():
    class NanDetector(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor) and result.is_floating_point() and result.isnan().any():
                raise RuntimeError(f"{func} returned NaN")
            return result

    with NanDetector(), pytest.raises(RuntimeError, match=r"aten\.log\.default returned NaN"):
        fb.tensor([-1.0]).exp().neg().log()


def test_a_flop_counter_sees_the_products_of_the_backward_pass():
    class Flops(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if func is aten.mm.default:
                self.count += 2 * args[0].shape[0] * args[0].shape[1] * args[1].shape[1]
            return result

    x, w = fb.ones(5, 3, requires_grad=True), fb.ones(3, 7, requires_grad=True)
    with Flops() as flops:
        (x @ w).sum().backward()
    assert flops.count == 3 * 2 * 5 * 3 * 7


def test_gradients_inside_a_dispatch_mode_are_unchanged():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(4,))
    x, y = fb.tensor(a, requires_grad=True), fb.tensor(b, requires_grad=True)
    with Logging() as mode:
        z = ((x * y).tanh() + x.exp().sum(0) * y).sigmoid().mean()
        z.backward()
    t, s = np.tanh(a * b), np.exp(a).sum(0) * b
    out = 1 / (1 + np.exp(-(t + s)))
    g = out * (1 - out) / out.size
    np.testing.assert_allclose(x.grad.numpy(), g * (1 - t**2) * b + np.exp(a) * (g * b).sum(0))
    np.testing.assert_allclose(y.grad.numpy(), (g * (1 - t**2) * a + g * np.exp(a).sum(0)).sum(0))
    assert {"aten.tanh_backward.default", "aten.sigmoid_backward.default"} <= set(mode.names)


def test_second_derivatives_recorded_under_a_mode_are_correct():
    x = fb.tensor([0.3, 0.7], dtype=fb.float64, requires_grad=True)
    with Logging():
        (first,) = fb.autograd.grad((x.sin() * x).sum(), x, create_graph=True)
        (second,) = fb.autograd.grad(first.sum(), x)
    v = x.detach().numpy()
    np.testing.assert_allclose(second.numpy(), 2 * np.cos(v) - v * np.sin(v))


def test_in_place_operators_under_a_mode_keep_the_history():
    x = fb.tensor([1.0, 2.0], dtype=fb.float64, requires_grad=True)
    with Logging() as mode:
        y = x * 3
        y.mul_(x)
        y[0].add_(1)
        y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * x.detach().numpy())
    assert "aten.mul_.Tensor" in mode.names
    with Logging(), pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        x.add_(1)


def test_cumprod_dispatches_its_derivative_as_one_operator():
    x = fb.tensor([[3.0, 1.0, 2.0]], dtype=fb.float64, requires_grad=True)
    with Logging() as mode:
        values = x.cumprod(1)
        values.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[1 + 1 + 2, 3 + 6, 3]])
    assert "flambeau.cumprod_vjp.default" in mode.names


def test_function_modes_are_called_before_dispatch_modes():
    from flambeau.overrides import TorchFunctionMode

    order = []

    class Above(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            order.append(func.__name__)
            return func(*args, **(kwargs or {}))

    class Below(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            order.append(str(func))
            return func(*args, **(kwargs or {}))

    x = fb.ones(2)
    with Below(), Above():
        x.exp()
    assert order == ["exp", "aten.exp.default"]


def test_vmap_is_applied_before_dispatch_modes():
    x = fb.ones(3, 2)
    with Logging() as mode:
        y = fb.func.vmap(lambda row: row.exp())(x)
    assert y.shape == (3, 2) and mode.calls[-1][1][0].shape == (3, 2)


def test_autocast_is_applied_before_dispatch_modes():
    x = fb.ones(2, 2)
    with Logging() as mode, fb.autocast("cpu", dtype=fb.bfloat16):
        y = x @ x
    assert y.dtype is fb.bfloat16 and mode.calls[-1][1][0].dtype is fb.bfloat16
    assert mode.names[-1] == "aten.mm.default" and "aten._to_copy.default" in mode.names


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x * y,
        lambda x, y: x / 2 + y,
        lambda x, y: x.exp() - y,
        lambda x, y: (x > 0) * y,
        lambda x, y: x.t() @ y,
        lambda x, y: x.unsqueeze(0).mul(y).max(2).values,
        lambda x, y: x.detach() * y,
    ],
)
def test_repeated_calls_are_recorded_like_the_first_call(function):
    def tensors():
        return [fb.arange(4.0).reshape(2, 2).add(k).requires_grad_() for k in (1, 3)]

    expected, inputs = tensors(), tensors()
    sum(function(*expected).sum() ** 2 for _ in range(3)).backward()
    with Logging() as mode:
        results = [function(*inputs) for _ in range(3)]
    assert len(mode.calls) % 3 == 0 and mode.names[: len(mode.calls) // 3] * 3 == mode.names
    assert len({type(each.grad_fn).__name__ for each in results}) == 1
    sum(each.sum() ** 2 for each in results).backward()
    for one, other in zip(inputs, expected, strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), rtol=1e-6)


def test_repeated_calls_record_views_saved_tensors_and_higher_derivatives():
    x = fb.ones(2, 2, requires_grad=True)
    with Logging():
        for _ in range(2):
            y = x * 1
            view = y.t()
            product = x * y
        assert view._base is y and fb.exp(x).grad_fn.name() == fb.exp(x).grad_fn.name() == "ExpBackward0"
    view.mul_(3)
    y.sum().backward()
    assert x.grad.tolist() == [[3, 3], [3, 3]]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()
    z = fb.full((2,), 2.0, dtype=fb.float64, requires_grad=True)
    with Logging():
        fb.mul(z, z)
        assert fb.autograd.gradgradcheck(lambda each: each * each * each, z)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_repeated_calls_accept_unusual_results_of_a_mode(requires_grad):
    class Answering(TorchDispatchMode):
        answer = staticmethod(lambda func, args: func(*args))

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            assert types == () and kwargs == {}
            return self.answer(func, args) if func is aten.sin.default else func(*args)

    x = fb.ones(2, requires_grad=requires_grad)
    with Answering() as mode:
        for _ in range(2):
            fb.sin(x)
        mode.answer = lambda func, args: args[0]
        same = fb.sin(x)
        mode.answer = lambda func, args: (func(*args), 3)
        pair = fb.sin(x)
        mode.answer = lambda func, args: NotImplemented
        with pytest.raises(TypeError, match=r"Multiple dispatch failed for 'aten\.sin\.default'"):
            fb.sin(x)
    assert _get_current_dispatch_mode() is None and fb.is_grad_enabled()
    assert same.requires_grad is requires_grad and (same is x) is not requires_grad
    assert pair[1] == 3 and pair[0].requires_grad is requires_grad


def test_operators_on_two_numbers_are_dispatched():
    with Logging() as mode:
        result = fb.div(3, 2)
    assert result.item() == 1.5 and mode.calls[0][:2] == (aten.div.Tensor, (3, 2))
