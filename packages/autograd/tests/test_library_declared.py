"""Operators that programs declare by schemas: ``library.Library``, ``define`` and ``impl``."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import flambeau as fb
from flambeau.library import (
    Library,
    _scoped_library,
    custom_op,
    define,
    fallthrough_kernel,
    get_ctx,
    impl,
    register_autocast,
    register_autograd,
    register_fake,
    register_torch_dispatch,
    register_vmap,
    triton_op,
    wrap_triton,
)
from flambeau.library._function_schema import FunctionSchema
from flambeau.utils._python_dispatch import TorchDispatchMode


@pytest.fixture
def library():
    with _scoped_library("testing_library", "DEF") as made:
        yield made


def test_kernels_are_selected_by_dispatch_keys(library):
    assert library.define("scale(Tensor x, float by=2.0, *, bool invert=False) -> Tensor") == "scale"

    @impl("testing_library::scale", "cpu")
    def scale(x, by, *, invert):
        return fb.from_numpy(x.numpy() / by if invert else x.numpy() * by)

    library.impl("scale", lambda x, by, *, invert: x.new_empty(x.shape), "Meta")
    op = fb.ops.testing_library.scale
    x = fb.tensor([1.0, 2.0])
    assert op(x).tolist() == [2, 4] and op(x, 4.0, invert=True).tolist() == [0.25, 0.5]
    assert op.default(x, by=3.0).tolist() == [3, 6] and op(x.to("meta")).device.type == "meta"
    assert str(op) == "testing_library.scale" and op.default.name() == "testing_library::scale"
    assert str(op.default._schema).startswith("testing_library::scale(Tensor x, float by=2.0")
    assert copy.deepcopy(op.default) is op.default and pickle.loads(pickle.dumps(op.default)) is op.default
    with pytest.raises(RuntimeError, match=r"Expected a value of type 'Tensor' for argument 'x'"):
        op(3)


def test_declared_operators_use_registered_derivatives_and_vmap_rules(library):
    library.define("cube(Tensor x) -> Tensor")
    library.impl("cube", lambda x: fb.from_numpy(x.detach().numpy() ** 3), "CPU")
    register_autograd(
        "testing_library::cube",
        lambda ctx, grad: grad * 3 * ctx.saved_tensors[0] ** 2,
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    )
    register_fake("testing_library::cube", lambda x: x.new_empty(x.shape))
    register_vmap("testing_library::cube", lambda info, in_dims, x: (x**3, in_dims[0]))
    op = fb.ops.testing_library.cube.default
    x = fb.tensor([1.0, 2.0], dtype=fb.float64, requires_grad=True)
    assert fb.autograd.gradcheck(op, (x,))
    assert fb.func.vmap(op)(fb.ones(3, 2) * 2).tolist() == [[8, 8]] * 3


def test_impl_as_a_decorator_returns_the_function(library):
    library.define("negated(Tensor x) -> Tensor")

    @fb.library.impl("testing_library::negated", "cpu")
    def kernel(x):
        return -x

    assert kernel(fb.ones(1)).tolist() == [-1] and fb.ops.testing_library.negated(fb.ones(1)).tolist() == [-1]


def test_kernels_for_unsupported_devices_have_no_effect(library):
    library.define("only_here(Tensor x) -> Tensor")
    for key, value in {"CPU": 1.0, "MPS": 2.0, "AutogradXPU": 3.0, "PrivateUse1": 4.0}.items():
        library.impl("only_here", lambda x, value=value: x + value, key)
    assert fb.ops.testing_library.only_here(fb.ones(1)).tolist() == [2]


def test_kernels_may_be_registered_before_the_operator_is_declared(library):
    @impl("testing_library::later", ["cpu", "meta"])
    def later(x):
        return x + 1

    library.impl("later_too", lambda x: x + 2, "CPU")
    library.define("later(Tensor x) -> Tensor")
    define("testing_library::later_too", "(Tensor x) -> Tensor", lib=library)
    assert fb.ops.testing_library.later(fb.ones(2)).tolist() == [2, 2]
    assert fb.ops.testing_library.later_too(fb.ones(2)).tolist() == [3, 3]
    with pytest.raises(NotImplementedError, match="'NoSuchKey' are not supported"):
        impl("testing_library::never", "NoSuchKey", later)


def test_composite_operators_are_differentiated_through(library):
    library.define("square_sum(Tensor x) -> Tensor")
    library.impl("square_sum", lambda x: (x * x).sum(), "CompositeImplicitAutograd")
    x = fb.tensor([1.0, 2.0], requires_grad=True)
    fb.ops.testing_library.square_sum(x).backward()
    assert x.grad.tolist() == [2, 4]


def test_a_kernel_for_the_autograd_key_is_called_above_autograd(library):
    class Doubled(fb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return fb.ops.testing_library.doubled(x)  # recording is disabled here

        @staticmethod
        def backward(ctx, grad):
            return grad * 7  # a wrong factor, which identifies this derivative

    library.define("doubled(Tensor x) -> Tensor")
    library.impl("doubled", lambda x: x * 2, "CPU")
    library.impl("doubled", Doubled.apply, "Autograd")
    x = fb.ones(2, requires_grad=True)
    y = fb.ops.testing_library.doubled(x)
    y.sum().backward()
    assert y.tolist() == [2, 2] and x.grad.tolist() == [7, 7]


def test_declared_operators_may_change_their_arguments(library):
    library.define("fill(Tensor(a!) x, Scalar value) -> ()")
    library.impl("fill", _fill, "CPU")
    x = fb.zeros(2)
    before = x._version
    assert fb.ops.testing_library.fill(x, 3) is None and x.tolist() == [3, 3] and x._version > before
    assert fb.ops.testing_library.fill.default._schema.is_mutable


def _fill(x, value):
    x.fill_(value)


def test_results_may_share_memory_with_arguments_as_in_pytorch(library):
    library.define("same(Tensor x) -> Tensor")
    library.define("head(Tensor x) -> Tensor")
    library.impl("same", lambda x: x, "CPU")
    library.impl("head", lambda x: x[:1], "CPU")
    x = fb.tensor([1.0, 2.0])
    assert fb.ops.testing_library.same(x) is x
    assert fb.ops.testing_library.head(x).data_ptr() == x.data_ptr()


def test_an_operator_may_have_several_overloads(library):
    library.define("join.pair(Tensor x, Tensor y) -> Tensor")
    library.define("join.list(Tensor[] xs) -> Tensor")
    library.impl("join.pair", lambda x, y: fb.cat([x, y]), "CompositeExplicitAutograd")
    library.impl("join.list", lambda xs: fb.cat(xs), "CompositeExplicitAutograd")
    packet, x = fb.ops.testing_library.join, fb.ones(1)
    assert packet.pair(x, x).shape == (2,) and packet.list([x, x, x]).shape == (3,)
    assert packet.list.name() == "testing_library::join.list" and "join" in dir(fb.ops.testing_library)


def test_operators_are_removed_with_their_library():
    with _scoped_library("testing_brief", "FRAGMENT") as brief:
        brief.define("op(Tensor x) -> Tensor")
        assert hasattr(fb.ops.testing_brief, "op")
    assert not hasattr(fb.ops.testing_brief, "op")


def test_modes_receive_operators_below_autograd():
    @custom_op("testing_library_modes::half", mutates_args=())
    def half(x: fb.Tensor, by: float = 2.0) -> fb.Tensor:
        return fb.from_numpy(x.numpy() / by)

    half.register_autograd(lambda ctx, grad: (grad / 2, None))
    seen = []

    class Noting(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append((str(func), len(args), fb.is_grad_enabled()))
            return func(*args, **(kwargs or {}))

    x = fb.ones(2, requires_grad=True)
    with Noting() as mode:
        y = half(x)
        y.sum().backward()
    assert seen[0] == ("testing_library_modes.half.default", 1, False) and x.grad.tolist() == [0.5, 0.5]
    register_torch_dispatch(half, Noting, lambda mode, func, types, args, kwargs: args[0] * 10)
    with mode:
        assert half(fb.ones(2)).tolist() == [10, 10]


def test_schemas_are_read_and_written():
    text = 'ns::op.over(Tensor(a!) x, int[2] size=[1, 2], str mode="a, b", *, Tensor(b!) out) -> (Tensor(a!), Tensor[])'
    schema = FunctionSchema.parse(text)
    assert (schema.name, schema.overload_name, str(schema)) == ("ns::op", "over", text)
    x, size, mode, out = schema.arguments
    assert x.is_write and x.type == "Tensor" and x.alias_info.before_set == {"a"} and not x.has_default_value()
    assert size.default_value == [1, 2] and size.is_list and mode.default_value == "a, b" and out.is_out
    assert [each.type for each in schema.returns] == ["Tensor", "Tensor[]"] and schema.is_mutable
    with pytest.raises(ValueError, match="expected a schema"):
        FunctionSchema.parse("no schema")


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: Library("testing_wrong", "OTHER"), ValueError, "Unsupported kind"),
        (lambda: Library("prim", "DEF"), ValueError, "reserved namespace"),
        (lambda: Library("testing_wrong", "IMPL").define("f(Tensor x) -> Tensor"), RuntimeError, "kind 'IMPL'"),
        (lambda: Library("aten", "IMPL").impl("add.Tensor", abs, "CPU"), NotImplementedError, "cannot be replaced"),
        (lambda: register_vmap("testing_wrong::f", abs), RuntimeError, "no operator 'testing_wrong::f'"),
        (lambda: Library("testing_wrong", "FRAGMENT").fallback(abs), NotImplementedError, "fallback"),
        (lambda: define("testing_wrong::f", "Tensor x"), ValueError, "expected schema to look like"),
        (fallthrough_kernel, NotImplementedError, "fallthrough_kernel"),
        (get_ctx, NotImplementedError, "get_ctx"),
        (triton_op, NotImplementedError, "Triton"),
        (wrap_triton, NotImplementedError, "Triton"),
        (lambda: register_autocast("a::b", "cpu", fb.float16), RuntimeError, "no operator 'a::b'"),
    ],
)
def test_unsupported_registrations_are_rejected(action, error, message):
    with pytest.raises(error, match=message):
        action()


def test_a_namespace_or_operator_cannot_be_declared_twice(library):
    with pytest.raises(RuntimeError, match="Only a single TORCH_LIBRARY"):
        Library("testing_library", "DEF")
    library.define("once(Tensor x) -> Tensor")
    with pytest.raises(RuntimeError, match="multiple times"):
        library.define("once(Tensor x) -> Tensor")
    library.impl("once", lambda x: x + 1, "CPU")
    with pytest.raises(RuntimeError, match="already a kernel registered"):
        library.impl("once", lambda x: x + 1, "CPU")
    with pytest.raises(NotImplementedError, match="kernels for the dispatch key 'Sparse' are not supported"):
        library.impl("once", lambda x: x, "Sparse")
    np.testing.assert_array_equal(fb.ops.testing_library.once(fb.ones(1)).numpy(), [2])


def test_a_packet_calls_the_first_overload_that_takes_the_arguments(library):
    library.define("pick.one(Tensor x) -> Tensor")
    packet = fb.ops.testing_library.pick
    library.define("pick.two(Tensor x, float y, *, int k=0) -> Tensor")
    library.define("pick.number(int n) -> int")
    library.impl("pick.one", lambda x: x + 1, "CompositeImplicitAutograd")
    library.impl("pick.two", lambda x, y, *, k: x * y + k, "CompositeImplicitAutograd")
    library.impl("pick.number", lambda n: n + 1, "CompositeImplicitAutograd")
    x = fb.ones(2)
    assert packet is fb.ops.testing_library.pick and packet.overloads() == ["one", "two", "number"]
    assert packet.one.overloadpacket is packet and packet.two.overloadpacket is packet
    assert packet(x).tolist() == [2, 2] and packet(x, 3).tolist() == [3, 3] and packet(4) == 5
    assert packet(x, y=2.0, k=1).tolist() == [3, 3] and packet(x=x).tolist() == [2, 2]
    with pytest.raises(
        RuntimeError, match=r"failed to match any schema:\ntesting_library::pick\(\) does not take \(str"
    ):
        packet("text")
    with pytest.raises(AttributeError, match="has no overload name 'default'"):
        packet.default  # noqa: B018
    library.define("pick(Tensor x, Tensor y) -> Tensor")
    library.impl("pick", lambda x, y: x - y, "CompositeImplicitAutograd")
    assert packet.default(x, x).tolist() == [0, 0] and packet(x, x).tolist() == [0, 0]
    assert copy.deepcopy(packet) is packet and pickle.loads(pickle.dumps(packet)) is packet


def test_modes_see_the_overload_that_a_packet_calls(library):
    seen = []

    class Noting(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    library.define("same.a(Tensor x) -> Tensor")
    library.define("same.b(Tensor[] xs) -> Tensor")
    library.impl("same.a", lambda x: x.clone(), "CPU")
    library.impl("same.b", lambda xs: xs[0].clone(), "CPU")
    packet, x = fb.ops.testing_library.same, fb.ones(1)
    with Noting():
        packet(x), packet([x])
    assert [func for func in seen if func.namespace != "aten"] == [packet.a, packet.b]


def test_unknown_operators_suggest_a_similar_name(library):
    library.define("rotate(Tensor x) -> Tensor")
    for namespace, name, similar in ((fb.ops.testing_library, "rotatte", "rotate"), (fb.ops.aten, "matmull", "matmul")):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'; did you mean '{similar}'"):
            getattr(namespace, name)
    assert not hasattr(fb.ops.aten, "no_such_operator")
