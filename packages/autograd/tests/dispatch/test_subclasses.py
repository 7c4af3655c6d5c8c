"""Classes derived from Tensor with ``__torch_dispatch__``."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import flambeau as fb
from flambeau import Tensor
from flambeau.overrides import _disabled_torch_function_impl
from flambeau.utils._python_dispatch import (
    TorchDispatchMode,
    is_traceable_wrapper_subclass,
    return_and_correct_aliasing,
    transform_subclass,
)
from flambeau.utils._pytree import tree_map, tree_map_only

aten = fb.ops.aten


class LoggingTensor(Tensor):
    """Wrapper of a tensor that logs the operators called with it."""

    calls: list = []  # noqa: RUF012
    __torch_function__ = _disabled_torch_function_impl

    @staticmethod
    def __new__(cls, elem, requires_grad=False):
        made = Tensor._make_wrapper_subclass(
            cls,
            elem.size(),
            strides=elem.stride(),
            storage_offset=elem.storage_offset(),
            dtype=elem.dtype,
            device=elem.device,
            requires_grad=requires_grad,
        )
        made.elem = elem
        return made

    def __repr__(self):
        return f"LoggingTensor({self.elem})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        cls.calls.append((str(func), types))
        given, named = tree_map_only(cls, lambda x: x.elem, (args, kwargs or {}))
        result = func(*given, **named)
        return tree_map(lambda x: cls(x) if isinstance(x, Tensor) else x, result)


class TwoTensor(Tensor):
    """Wrapper of two tensors. Operators are applied to each of them."""

    __torch_function__ = _disabled_torch_function_impl

    @staticmethod
    def __new__(cls, a, b):
        made = Tensor._make_wrapper_subclass(cls, a.shape, strides=a.stride(), dtype=a.dtype, device=a.device)
        made.a, made.b = a, b
        return made

    def __repr__(self):
        return f"TwoTensor({self.a}, {self.b})"

    def __tensor_flatten__(self):
        return ["a", "b"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, outer_size, outer_stride):
        return TwoTensor(inner["a"], inner["b"])

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        first = func(*tree_map_only(cls, lambda x: x.a, args), **tree_map_only(cls, lambda x: x.a, kwargs))
        second = func(*tree_map_only(cls, lambda x: x.b, args), **tree_map_only(cls, lambda x: x.b, kwargs))
        if isinstance(first, Tensor):
            return return_and_correct_aliasing(func, args, kwargs, cls(first, second))
        if isinstance(first, (tuple, list)):
            return type(first)(cls(x, y) if isinstance(x, Tensor) else x for x, y in zip(first, second, strict=True))
        return first


@pytest.fixture(autouse=True)
def _no_calls():
    LoggingTensor.calls.clear()


def names():
    return [name for name, _ in LoggingTensor.calls]


def test_a_wrapper_subclass_has_the_given_metadata():
    x = LoggingTensor(fb.ones(4, 3).mT)
    assert x.shape == (3, 4) and x.stride() == (1, 3) and x.dtype is fb.float32 and x.device.type == "cpu"
    assert x.is_cpu and not x.is_meta and not x.requires_grad and x.is_leaf
    y = Tensor._make_wrapper_subclass(LoggingTensor, (2,), dtype=fb.int32, device="meta")
    assert y.device.type == "meta" and y.dtype is fb.int32
    with pytest.raises(RuntimeError, match="must define __torch_dispatch__"):
        Tensor._make_wrapper_subclass(Tensor, (2,))


def test_gradients_of_wrapper_subclasses_are_dispatched():
    x = LoggingTensor(fb.tensor([3.0]), requires_grad=True)
    y = x * x
    assert type(y) is LoggingTensor and y.grad_fn.name() == "MulBackward0"
    (gradient,) = fb.autograd.grad(y, (x,), (LoggingTensor(fb.tensor([1.0])),))
    assert gradient.elem.tolist() == [6]
    assert names() == ["aten.mul.Tensor", "aten.mul.Tensor", "aten.mul.Tensor", "aten.add.Tensor"]
    assert LoggingTensor.calls[0][1] == (LoggingTensor,)


def test_accumulated_gradients_are_wrapper_subclasses():
    value = np.linspace(-1, 1, 9).reshape(3, 3)
    x = LoggingTensor(fb.tensor(value), requires_grad=True)
    for _ in range(2):
        (x @ x).exp().sum().backward()
    gc.collect()
    e = np.exp(value @ value)
    np.testing.assert_allclose(x.grad.elem.numpy(), 2 * (e @ value.T + value.T @ e), atol=1e-12)


def test_attributes_survive_while_only_a_graph_references_the_tensor():
    x = LoggingTensor(fb.ones(2), requires_grad=True)
    y = x * 2
    y.note = "kept"
    z = y * y
    seen = []
    y.register_hook(lambda gradient: seen.append(type(gradient)))
    del y
    gc.collect()
    z.sum().backward()
    assert seen == [LoggingTensor] and type(x.grad) is LoggingTensor and x.grad.elem.tolist() == [8, 8]
    kept = LoggingTensor(fb.ones(1))
    holder = fb.ones(1)
    holder.grad = kept
    kept.note = "kept"
    del kept
    gc.collect()
    assert holder.grad.note == "kept" and holder.grad.note == "kept"


def test_wrappers_are_freed_with_their_last_reference():
    import weakref

    x = LoggingTensor(fb.ones(2), requires_grad=True)
    y = x.exp()
    gone = weakref.ref(y), weakref.ref(x)
    del x, y
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_composite_operators_are_decomposed():
    weight = LoggingTensor(fb.ones(3, 2))
    fb.ones(4, 2) @ weight.mT
    assert names() == ["aten.transpose.int", "aten.mm.default"]


def test_a_subclass_that_returns_not_implemented_raises_type_error():
    class Silent(Tensor):
        __torch_function__ = _disabled_torch_function_impl

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return NotImplemented

    x = Tensor._make_wrapper_subclass(Silent, (2,))
    with pytest.raises(TypeError, match=r"Multiple dispatch failed for 'aten\.exp\.default'"):
        x.exp()


def test_subclasses_are_dispatched_before_their_bases():
    order = []

    class Base(Tensor):
        __torch_function__ = _disabled_torch_function_impl

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            order.append(cls.__name__)
            return NotImplemented

    class Derived(Base):
        pass

    base, derived = (Tensor._make_wrapper_subclass(kind, (2,)) for kind in (Base, Derived))
    with pytest.raises(TypeError):
        base + derived
    assert order == ["Derived", "Base"]


def test_dispatch_modes_are_called_before_subclasses():
    class Noting(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.types = types
            return func(*args, **(kwargs or {}))

    x = LoggingTensor(fb.ones(2))
    with Noting() as mode:
        y = x.exp()
    assert type(y) is LoggingTensor and mode.types == (LoggingTensor,) and names() == ["aten.exp.default"]


def test_operators_compute_both_tensors_of_a_two_tensor():
    x = TwoTensor(fb.tensor([1.0, 2.0]), fb.tensor([3.0, 4.0]))
    y = (x + 1).mul_(2)
    assert y.a.tolist() == [4, 6] and y.b.tolist() == [8, 10]
    assert is_traceable_wrapper_subclass(x) and not is_traceable_wrapper_subclass(x.a)
    halved = transform_subclass(x, lambda name, inner: inner / 2)
    assert halved.a.tolist() == [0.5, 1] and halved.b.tolist() == [1.5, 2]
    assert x.add_(1) is x and x.a.tolist() == [2, 3]
    values, indices = TwoTensor(fb.tensor([[1.0, 2.0]]), fb.tensor([[4.0, 3.0]])).max(1)
    assert (indices.a.item(), indices.b.item()) == (1, 0) and values.b.item() == 4


def test_reading_a_wrapper_subclass_without_memory_raises():
    class Careless(Tensor):
        __torch_function__ = _disabled_torch_function_impl
        __torch_dispatch__ = fb._core._disabled_torch_dispatch_impl

    class Asked(Careless):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            enabled = fb._core._dispatch_enabled(False)
            try:
                return func(*args, **(kwargs or {}))
            finally:
                fb._core._dispatch_enabled(enabled)

    x = Tensor._make_wrapper_subclass(Asked, (3, 3), device="cpu")
    assert (x @ x).device.type == "meta"
    with pytest.raises(RuntimeError, match=r"\.numpy\(\) is not supported for tensor subclasses"):
        x.numpy()


def test_backward_of_a_plain_tensor_with_a_wrapper_gradient_is_dispatched():
    w = fb.tensor([1.0, 2.0], requires_grad=True)
    y = w.exp() * LoggingTensor(fb.tensor([3.0, 4.0]))
    y.sum().backward()
    assert type(w.grad) is LoggingTensor and "flambeau.ExpBackward0.default" in names()
    np.testing.assert_allclose(w.grad.elem.numpy(), np.exp([1, 2]) * [3, 4], rtol=1e-6)


@pytest.mark.parametrize("create_graph", [False, True])
def test_jvp_and_vjp_return_wrapper_subclasses_with_correct_values(create_graph):
    value, direction = np.array([0.5, -1.0, 2.0]), np.array([1.0, 3.0, -2.0])
    x, v = LoggingTensor(fb.tensor(value), requires_grad=create_graph), LoggingTensor(fb.tensor(direction))
    for product in (fb.autograd.functional.jvp, fb.autograd.functional.vjp):
        result, found = product(lambda t: t.exp() * 2, x, v, create_graph=create_graph)
        assert type(result) is type(found) is LoggingTensor and found.requires_grad is create_graph
        np.testing.assert_allclose(found.elem.numpy(), 2 * np.exp(value) * direction, rtol=1e-12)
    if create_graph:
        fb.autograd.functional.jvp(lambda t: t.exp(), x, v, create_graph=True)[1].sum().backward()
        np.testing.assert_allclose(x.grad.elem.numpy(), np.exp(value) * direction, rtol=1e-12)


def test_forward_mode_jacobian_supports_wrapper_subclasses():
    a, b = np.array([0.5, -1.0]), np.array([3.0, 2.0])
    options = {"vectorize": True, "strategy": "forward-mode"}
    found = fb.autograd.functional.jacobian(
        lambda s, t: (s * t, t.exp().sum()), (LoggingTensor(fb.tensor(a)), LoggingTensor(fb.tensor(b))), **options
    )
    expected = (np.diag(b), np.diag(a)), (np.zeros(2), np.exp(b))
    for row, wanted in zip(found, expected, strict=True):
        for block, values in zip(row, wanted, strict=True):
            np.testing.assert_allclose(block.elem.numpy(), values, rtol=1e-12)


def test_gradcheck_accepts_wrapper_subclasses_and_detects_wrong_gradients():
    y = LoggingTensor(fb.tensor([0.5, 2.0], dtype=fb.float64), requires_grad=True)
    assert fb.autograd.gradgradcheck(lambda t: fb.autograd.functional.vhp(lambda s: (s**3).sum(), t, y)[1], y)
    x = LoggingTensor(fb.tensor([0.5, -1.0], dtype=fb.float64), requires_grad=True)
    assert fb.autograd.gradcheck(lambda t: t.exp() * t, x)
    with pytest.raises(fb.autograd.GradcheckError):
        fb.autograd.gradcheck(lambda t: t.exp() * t.detach(), x)
    zero = LoggingTensor(fb.tensor(2.0, dtype=fb.float64))
    assert fb.autograd.functional.hessian(lambda t: t**3, zero).elem.item() == 12


@pytest.mark.parametrize("create_graph", [False, True])
def test_jacobian_returns_a_wrapper_subclass_with_correct_values(create_graph):
    value = np.array([0.5, -1.0, 2.0])
    x = LoggingTensor(fb.tensor(value))
    rows = fb.autograd.functional.jacobian(lambda t: t.exp() * 2, x, create_graph=create_graph)
    assert type(rows) is LoggingTensor
    np.testing.assert_allclose(rows.elem.numpy(), np.diag(2 * np.exp(value)), rtol=1e-12)
    assert fb.autograd.functional.jacobian(lambda t: t.detach(), x).elem.tolist() == np.zeros((3, 3)).tolist()


class Int8Weight(Tensor):
    """An 8-bit weight with a scale for each row."""

    __torch_function__ = _disabled_torch_function_impl

    @staticmethod
    def __new__(cls, values, scales, dtype):
        made = Tensor._make_wrapper_subclass(cls, values.shape, dtype=dtype, device=values.device)
        made.values_, made.scales = values, scales
        return made

    def __repr__(self):
        return f"Int8Weight({tuple(self.shape)})"

    @classmethod
    def of(cls, weight):
        scales = weight.abs().amax(1, keepdim=True) / 127
        return cls((weight / scales).round().to(fb.int8), scales, weight.dtype)

    def dequantize(self):
        return self.values_.to(self.dtype) * self.scales

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func in (aten.detach.default, aten.clone.default):
            x = args[0]
            return return_and_correct_aliasing(func, args, kwargs, cls(func(x.values_), func(x.scales), x.dtype))
        if func in (aten.t.default, aten.mm.default, aten.addmm.default):
            return func(*tree_map_only(cls, lambda x: x.dequantize(), args), **(kwargs or {}))
        raise NotImplementedError(str(func))


def test_matmul_with_a_quantised_weight_subclass_uses_the_rounded_weight():
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(4, 8)), rng.normal(size=(3, 8))
    weight, given = Int8Weight.of(fb.tensor(w)), fb.tensor(x, requires_grad=True)
    result = given @ weight.t()
    scale = np.abs(w).max(1, keepdims=True) / 127
    rounded = np.round(w / scale) * scale
    np.testing.assert_allclose(result.detach().numpy(), x @ rounded.T, rtol=1e-12)
    result.sum().backward()
    np.testing.assert_allclose(given.grad.numpy(), np.ones((3, 4)) @ rounded, rtol=1e-12)


def test_a_class_with_torch_dispatch_does_not_inherit_torch_function():
    class Wrapper(fb.Tensor):
        @staticmethod
        def __new__(cls, inner):
            made = fb.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
            made.inner = inner
            return made

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return func(*(x.inner if isinstance(x, Wrapper) else x for x in args), **(kwargs or {}))

    class Derived(Wrapper): ...

    class Both(Wrapper):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return "handled"

    disabled = fb.overrides._disabled_torch_function_impl
    assert Wrapper.__torch_function__ is disabled and Derived.__torch_function__ is disabled
    for kind in (Wrapper, Derived):
        wrapped = kind(fb.eye(3))
        assert {type(result) for result in (wrapped + 1, wrapped.sum(), wrapped[0])} == {fb.Tensor}
    assert Both(fb.eye(3)) + 1 == "handled"


def test_a_class_at_the_address_of_a_deleted_one_does_not_dispatch():
    for _ in range(50):

        class Dispatching(fb.Tensor):
            @classmethod
            def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
                raise AssertionError

        del Dispatching
        gc.collect()

        class Plain(fb.Tensor): ...

        assert fb.ones(2).as_subclass(Plain).tolist() == [1, 1]
