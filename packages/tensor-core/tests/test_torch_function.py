"""Tests of ``__torch_function__``: classes that override calls with their instances."""

import copy
import operator
import pickle
import sys
import threading
from typing import ClassVar

import numpy as np
import pytest

import flambeau as fb
from flambeau import Tensor, overrides


class Logged(Tensor):
    """Tensor that records the names of the functions that are called with it."""

    calls: ClassVar[list[str]] = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.calls.append(func.__name__)
        return super().__torch_function__(func, types, args, kwargs)


class Plain(Tensor):
    pass


class Rejecting(Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return NotImplemented


class Unasked(Tensor):
    __torch_function__ = overrides._disabled_torch_function_impl


@pytest.fixture
def logged():
    Logged.calls = []
    x = fb.tensor([[1.0, 2.0], [3.0, 4.0]]).as_subclass(Logged)
    Logged.calls.clear()
    return x


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: x + 1, "add"),
        (lambda x: 1 - x, "sub"),
        (lambda x: fb.ones(2) * x, "mul"),
        (lambda x: x**2, "pow"),
        (lambda x: 2**x, "pow"),
        (lambda x: -x, "neg"),
        (lambda x: x @ x, "matmul"),
        (lambda x: x == x, "eq"),
        (lambda x: x < 3, "lt"),
        (lambda x: x.sum(), "sum"),
        (lambda x: fb.sum(x, dim=0), "sum"),
        (lambda x: fb.cat([fb.ones(1, 2), x]), "cat"),
        (lambda x: fb.stack(tensors=(x, x)), "stack"),
        (lambda x: fb.where(x > 1, x, 0), "where"),
        (lambda x: x.exp_(), "exp_"),
        (lambda x: x.add_(1), "add_"),
        (lambda x: fb.linalg.det(x), "det"),
        (lambda x: fb.kron(x, x), "kron"),
        (lambda x: x[0], "__getitem__"),
        (lambda x: x.T, "__get__"),
        (lambda x: x.shape, "__get__"),
        (lambda x: next(iter(x)), "unbind"),
        (lambda x: list(x), "__len__"),
        (lambda x: len(x), "__len__"),
        (lambda x: repr(x), "__repr__"),
        (lambda x: f"{x[0, 0]}", "__format__"),
        (lambda x: 1.0 in x, "__contains__"),
        (lambda x: bool(x[0, 0]), "__bool__"),
        (lambda x: float(x[0, 0]), "__float__"),
    ],
)
def test_every_call_with_a_subclass_instance_is_dispatched(logged, call, name):
    expected = call(fb.tensor([[1.0, 2.0], [3.0, 4.0]]))
    result = call(logged)
    assert Logged.calls[-1] == name
    if isinstance(expected, Tensor):
        assert type(result) is Logged
        with overrides.DisableTorchFunctionSubclass():
            assert fb.equal(result.as_subclass(Plain), expected)


def test_iteration_yields_instances_of_the_subclass(logged):
    assert [type(row) for row in logged] == [Logged] * 2
    assert repr(logged) == "Logged([[1., 2.],\n        [3., 4.]])" and Logged.calls == ["unbind", "__repr__"]


class Beside:
    """Class with ``__torch_function__`` that does not derive from Tensor. Returns a call's function and types."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return NotImplemented if func is fb.sub else (func, types)


@pytest.mark.parametrize(
    "call",
    [
        lambda kind: fb.add(kind(), 1),
        lambda kind: fb.mul(fb.ones(2), other=kind()),
        lambda kind: fb.kron(fb.ones(2), kind()),
        lambda kind: fb.stack([fb.ones(2), kind()]),
        lambda kind: fb.sum(kind()),
        lambda kind: fb.ones(2).exp_().copy_(kind()),
        lambda kind: fb.ones(2) + kind(),
        lambda kind: kind() @ fb.ones(2),
    ],
)
def test_a_class_not_derived_from_tensor_can_define_torch_function(call):
    class Stranger(Beside):  # a class that no earlier call has used
        pass

    for _ in range(2):  # the second call uses the same class
        func, types = call(Stranger)
        assert callable(func) and types == (Stranger,)
    with pytest.raises(TypeError, match="no implementation found"):
        fb.sub(Stranger(), 1)
    with overrides.DisableTorchFunctionSubclass(), pytest.raises(TypeError, match="Stranger"):
        fb.add(Stranger(), 1)


def test_resolve_name_returns_the_names_of_functions():
    names = {fb.Tensor.exp: "Tensor.exp", fb.eye: "eye", fb.Tensor.grad.__get__: "Tensor.grad.__get__"}
    for function, name in names.items():
        assert overrides.resolve_name(function) == f"flambeau.{name}"
    assert overrides.resolve_name(3) is None


def test_indexed_assignment_is_dispatched(logged):
    logged[0] = 5
    assert Logged.calls == ["__setitem__"]
    with overrides.DisableTorchFunctionSubclass():
        assert logged.tolist() == [[5.0, 5.0], [3.0, 4.0]]


def test_results_of_a_plain_subclass_are_of_that_subclass():
    x = fb.ones(3).as_subclass(Plain)
    assert type(x * 2) is Plain
    values, indices = x.sort()
    assert type(values) is type(indices) is Plain
    assert type(x.sort()) is type(fb.ones(3).sort())
    assert (x * 2).tolist() == [2.0] * 3


def test_a_class_can_disable_torch_function():
    x = fb.ones(3).as_subclass(Unasked)
    assert type(x + 1) is Tensor
    assert not overrides.has_torch_function((x, 1))


def test_the_most_derived_class_is_called_first():
    class Child(Logged):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append((cls, [t.__name__ for t in types]))
            return super().__torch_function__(func, types, args, kwargs)

    seen = []
    result = fb.ones(2).as_subclass(Logged) + fb.ones(2).as_subclass(Child)
    assert seen[-1] == (Child, ["Child", "Logged"])
    assert type(result) is Child


def test_a_call_raises_if_all_classes_return_not_implemented():
    x = fb.ones(2).as_subclass(Rejecting)
    with pytest.raises(TypeError, match=r"no implementation found for .*add.* on types that implement"):
        x + 1


def test_disable_torch_function_skips_dispatch(logged):
    with overrides.DisableTorchFunctionSubclass():
        result = logged + 1
        assert not overrides.has_torch_function((logged,))
    assert Logged.calls == []
    assert type(result) is Tensor
    assert overrides.has_torch_function((logged,))


def test_dispatch_continues_after_an_exception(logged):
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        logged @ fb.ones(3, 3)
    Logged.calls.clear()
    logged.sum()
    assert Logged.calls == ["sum"]


def test_handle_torch_function_dispatches_custom_functions():
    def double(x):
        if overrides.has_torch_function((x,)):
            return overrides.handle_torch_function(double, (x,), x)
        return x * 2

    class Counting(Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            asked.append(func)
            return super().__torch_function__(func, types, args, kwargs)

    asked = []
    result = double(fb.ones(2).as_subclass(Counting))
    assert asked[0] is double
    assert type(result) is Counting
    assert fb.equal(double(fb.ones(2)), fb.full((2,), 2.0))


def test_as_subclass_rejects_other_classes():
    with pytest.raises(TypeError, match="derived from Tensor"):
        fb.ones(2).as_subclass(int)


def test_subclass_instances_can_be_pickled():
    x = fb.ones(2).as_subclass(Plain)
    again = pickle.loads(pickle.dumps(x))
    assert type(again) is Plain
    assert again.tolist() == [1.0, 1.0]


def test_arguments_live_until_torch_function_returns():
    class Emptying(Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            tensors.clear()
            return NotImplemented

    for _ in range(20):
        others = [fb.ones(2).as_subclass(type(f"Other{i}", (Rejecting,), {})) for i in range(50)]
        tensors = [fb.ones(2).as_subclass(Emptying), *others]
        del others
        with pytest.raises(TypeError, match="no implementation found for"):
            fb.cat(tensors)


@pytest.mark.parametrize(("args", "kwargs", "message"), [(5, {}, "not iterable"), ((), [1], "a dictionary")])
def test_disabled_torch_function_requires_tuple_and_dict(args, kwargs, message):
    with pytest.raises(TypeError, match=message):
        overrides._disabled_torch_function_impl(fb.add, (), args, kwargs)
    x = fb.ones(2)
    assert overrides._disabled_torch_function_impl(fb.add, (), [x, x], {"alpha": 2}).tolist() == [3.0, 3.0]


class Named(overrides.TorchFunctionMode):
    def __init__(self, name, heard, *answers):
        self.name, self.heard, self.answers = name, heard, answers

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.heard.append((self.name, func.__name__))
        return self.answers[0] if self.answers else func(*args, **(kwargs or {}))


def test_modes_handle_deep_copies():
    heard = []
    x = fb.ones(2)
    with Named("outer", heard), Named("inner", heard, "a copy"):
        assert copy.deepcopy([x]) == ["a copy"]
    assert heard == [("inner", "__deepcopy__")]
    with Named("outer", heard), Named("inner", heard):
        copied = copy.deepcopy(x)
    assert copied.tolist() == [1, 1] and copied is not x
    assert heard[1:3] == [("inner", "__deepcopy__"), ("outer", "__deepcopy__")]


def test_a_torch_function_mode_handles_every_call_of_its_thread():
    heard = []
    with Named("mode", heard) as mode:
        y = fb.ones(2).exp() + 1
        y[0]
        other = threading.Thread(target=lambda: fb.ones(2).exp())
        other.start()
        other.join()
    assert isinstance(mode, Named)
    y.exp()
    assert [name for _, name in heard] == ["ones", "exp", "add", "__getitem__"]


def test_a_torch_function_mode_handles_attributes():
    x, heard = fb.ones(2, 3), []

    class Attributes(overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            heard.append((func.__name__, func.__self__.__name__))
            return func(*args, **(kwargs or {}))

    with Attributes():
        shape, transposed = x.shape, x.T
        x.requires_grad = False
    assert shape == (2, 3) and transposed.shape == (3, 2)
    assert heard == [("__get__", "shape"), ("__get__", "T"), ("__set__", "requires_grad")]


def test_the_innermost_torch_function_mode_is_called_first():
    heard = []
    mode = Named("both", heard)
    with Named("outer", heard), mode, mode:
        fb.ones(1)
        assert overrides._get_current_function_mode() is mode
    assert overrides._get_current_function_mode() is None
    assert heard == [("both", "ones"), ("both", "ones"), ("outer", "ones")]


def test_not_implemented_of_a_mode_defers_to_the_classes(logged):
    heard = []
    with Named("mode", heard, NotImplemented):
        result = logged + 1
    assert type(result) is Logged and heard[0] == ("mode", "add") and Logged.calls[0] == "add"
    with Named("mode", heard, 7):
        assert logged + 1 == 7


def test_an_exception_exits_the_torch_function_mode():
    class Raising(overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            raise KeyError(func.__name__)

    mode = Raising()
    with pytest.raises(KeyError, match="exp"), mode:
        fb.exp(0)
    fb.ones(1).exp()
    references = sys.getrefcount(mode)
    for _ in range(10):
        with pytest.raises(KeyError), mode:
            fb.ones(1)
    assert sys.getrefcount(mode) <= references
    with pytest.raises(NotImplementedError, match="TorchFunctionMode has to define"), overrides.TorchFunctionMode():
        fb.ones(1)
    with pytest.raises(RuntimeError, match="no TorchFunctionMode is active"):
        fb._core._pop_function_mode()


def test_as_subclass_converts_to_a_plain_tensor(logged):
    assert type(logged.as_subclass(Tensor)) is Tensor


def test_a_class_is_found_at_its_first_use_next_to_a_known_class():
    class First:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return cls.__name__, [kind.__name__ for kind in types]

    class Second(First):
        pass

    assert fb.add(First(), 1) == ("First", ["First"])
    assert fb.add(First(), Second()) == ("Second", ["Second", "First"])


class Handling(fb.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return super().__torch_function__(func, types, args, kwargs)


class Reflected:
    def __radd__(self, other):
        return "reflected"


@pytest.mark.parametrize("cls", [Plain, Handling])
def test_operators_of_subclasses_accept_other_operands_like_those_of_tensors(cls):
    x, numbers = fb.full((2,), 4.0).as_subclass(cls), np.full(2, 2.0)
    assert (x == None) is False and (x != "a") is True and "a" not in [x]  # noqa: E711
    assert x + Reflected() == "reflected" and x.__eq__("a") is NotImplemented and x.__iadd__("a") is NotImplemented
    for found, expected in ((x * numbers, 8), (x / numbers, 2), (x == numbers, 0), (x**numbers, 16)):
        assert type(found) is cls and found.tolist() == [expected] * 2
    for use in (operator.add, operator.lt, operator.pow, operator.matmul, operator.and_, operator.ifloordiv):
        with pytest.raises(TypeError, match=r"(unsupported operand type|not supported between instances)"):
            use(x, "a")
    with pytest.raises(RuntimeError, match="do not broadcast"):
        x + fb.ones(3)


def test_a_type_error_of_a_handler_is_kept_if_the_operands_are_supported():
    class Rejecting(fb.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            raise TypeError("rejected")

    x = fb.ones(2).as_subclass(Rejecting)
    for use in (lambda: x + 1, lambda: x == 1, lambda: 2**x, lambda: x @ fb.ones(2)):
        with pytest.raises(TypeError, match="rejected"):
            use()


def test_functions_and_methods_are_pickled_as_such():
    for each in (Tensor.add, fb.add, Tensor.exp, fb.linalg.qr):
        assert pickle.loads(pickle.dumps(each)) is each and copy.deepcopy(each) is each


def test_einsum_asks_a_class_that_no_operator_has_received_before():
    class Symbol:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func, args

    symbol = Symbol()
    assert fb.einsum("ij,jk->ik", symbol, symbol) == (fb.einsum, ("ij,jk->ik", symbol, symbol))
    with pytest.raises(TypeError, match="expected Tensor operands, but got ndarray"):
        fb.einsum("i,i->", np.ones(2), fb.ones(2))
