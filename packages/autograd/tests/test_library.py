"""Operators that programs define, compared with known values, gradcheck and NumPy."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence

import numpy as np
import pytest

import flambeau as fb
from flambeau import Tensor
from flambeau.autograd import _engine, gradcheck, gradgradcheck
from flambeau.library import (
    custom_op,
    extension_op,
    infer_schema,
    opcheck,
    register_autograd,
    register_fake,
    register_kernel,
)
from flambeau.library._aten import resolve


@custom_op("testing::scaled_sine", mutates_args=())
def scaled_sine(x: Tensor, factor: float = 2.0) -> Tensor:
    """Compute with NumPy, which autograd cannot record."""
    return fb.from_numpy(np.sin(x.numpy()) * factor)


def keep_input(ctx, inputs, output):
    ctx.save_for_backward(inputs[0])
    ctx.factor = inputs[1]


scaled_sine.register_autograd(
    lambda ctx, grad: (grad * ctx.factor * ctx.saved_tensors[0].cos(), None), setup_context=keep_input
)
scaled_sine.register_fake(lambda x, factor: fb.empty_like(x))


def test_an_operator_is_called_like_its_function():
    x = fb.tensor([0.0, 1.0, 2.0])
    expected = np.sin(x.numpy()) * 3
    for got in (
        scaled_sine(x, 3),
        scaled_sine(x=x, factor=3),
        fb.ops.testing.scaled_sine(x, 3),
        fb.ops.testing.scaled_sine.default(x, 3),
    ):
        np.testing.assert_allclose(got.numpy(), expected)
    assert repr(scaled_sine) == "<CustomOpDef(testing::scaled_sine)>"
    assert scaled_sine.__doc__ == "Compute with NumPy, which autograd cannot record."
    assert "scaled_sine" in dir(fb.ops.testing) and "testing" in dir(fb.ops)


def test_custom_operators_use_the_registered_derivative():
    x = fb.tensor([0.3, 1.0, 2.0], dtype=fb.float64, requires_grad=True)
    assert gradcheck(scaled_sine, (x,))
    assert gradgradcheck(scaled_sine, (x, 3.0))
    with fb.no_grad():
        assert not scaled_sine(x).requires_grad


def test_custom_operators_support_function_transforms():
    x = fb.randn(4, 3, dtype=fb.float64)
    np.testing.assert_allclose(fb.func.grad(lambda x: scaled_sine(x).sum())(x).numpy(), 2 * np.cos(x.numpy()))
    np.testing.assert_allclose(fb.func.vmap(scaled_sine)(x).numpy(), 2 * np.sin(x.numpy()))
    np.testing.assert_allclose(fb.func.vmap(scaled_sine, in_dims=1)(x).numpy(), 2 * np.sin(x.numpy().T))


def test_a_custom_operator_uses_its_registered_vmap_rule():
    @custom_op("testing::row_sum", mutates_args=())
    def row_sum(x: Tensor) -> tuple[Tensor, Tensor]:
        return fb.from_numpy(x.numpy().sum(-1)), x.clone()

    expected = fb.arange(12.0).reshape(3, 4)
    for rule in (None, lambda info, in_dims, x: (row_sum(x.movedim(in_dims[0], 0)), (0, 0))):
        if rule:
            row_sum.register_vmap(rule)
        total, same = fb.func.vmap(row_sum)(expected)
        assert total.tolist() == [6.0, 22.0, 38.0] and fb.equal(same, expected)


def test_custom_operators_take_lists_and_return_several_results():
    @custom_op("testing::weighted", mutates_args=())
    def weighted(xs: list[Tensor], weights: Sequence[float]) -> list[Tensor]:
        return [x * w for x, w in zip(xs, weights, strict=True)]

    def setup_context(ctx, inputs, output):
        assert isinstance(inputs[0], list) and isinstance(output, list)
        ctx.weights = inputs[1]

    weighted.register_autograd(
        lambda ctx, grads: ([g * w for g, w in zip(grads, ctx.weights, strict=True)], None), setup_context=setup_context
    )
    x, y = fb.ones(2, requires_grad=True), fb.ones(3, requires_grad=True)
    a, b = weighted([x, y], (2.0, 5.0))
    (a.sum() + 3 * b.sum()).backward()
    assert x.grad.tolist() == [2, 2] and y.grad.tolist() == [15, 15, 15]
    (one,) = weighted([x], [4.0])
    assert one.tolist() == [4, 4]


def test_custom_operators_take_optional_tensors_and_return_other_types():
    @custom_op("testing::sum_of", mutates_args=iter(()))
    def sum_of(x: Tensor, y: Tensor | None = None) -> Tensor:
        return x.clone() if y is None else x + y

    sum_of.register_autograd(lambda ctx, grad: (grad, grad if ctx.needs_input_grad[1] else None))
    x, y = fb.ones(2, requires_grad=True), fb.ones(2, requires_grad=True)
    (sum_of(x) + sum_of(x, y) + sum_of(x, y.detach())).sum().backward()
    assert x.grad.tolist() == [3, 3] and y.grad.tolist() == [1, 1]

    @custom_op("testing::count", mutates_args=())
    def count(x: Tensor) -> int:
        return x.numel()

    assert count(x) == 2


def test_custom_operators_take_keyword_only_arguments():
    @custom_op("testing::times", mutates_args=())
    def times(x: Tensor, *, n: int = 3) -> Tensor:
        return x * n

    def setup_context(ctx, inputs, keyword_only_inputs, output):
        ctx.n = keyword_only_inputs["n"]

    register_autograd("testing::times", lambda ctx, grad: grad * ctx.n, setup_context=setup_context)
    x = fb.ones(2, requires_grad=True)
    times(x, n=5).sum().backward()
    times(x).sum().backward()
    assert x.grad.tolist() == [8, 8]


def test_a_custom_operator_may_change_its_argument():
    @custom_op("testing::increase", mutates_args={"x"})
    def increase(x: Tensor) -> None:
        x.numpy()[...] += 1

    x = fb.zeros(2)
    version = x._version
    assert increase(x) is None
    assert x.tolist() == [1, 1] and x._version > version
    with pytest.raises(RuntimeError, match=r"non-functional operator .* testing::increase\(Tensor\(a0!\) x\) -> \(\)"):
        increase.register_autograd(lambda ctx: None)


def test_custom_operators_select_kernels_by_device():
    @custom_op("testing::elsewhere", mutates_args=(), device_types="cuda")
    def elsewhere(x: Tensor) -> Tensor:
        return x.clone()

    with pytest.raises(
        NotImplementedError, match=r"'testing::elsewhere' with tensors on 'cpu': .* device types 'cuda'"
    ):
        elsewhere(fb.ones(1))

    @register_kernel("testing::elsewhere", "cpu")
    def _(x):
        return x * 7

    assert elsewhere(fb.ones(1)).tolist() == [7]
    with pytest.raises(RuntimeError, match="no fake impl registered for <CustomOpDef"):
        elsewhere(fb.ones(1, device="meta"))
    register_fake(elsewhere, lambda x: fb.empty_like(x))
    assert elsewhere(fb.ones(3, device="meta")).shape == (3,)


def test_backward_of_a_custom_operator_without_a_derivative_raises():
    @custom_op("testing::opaque", mutates_args=())
    def opaque(x: Tensor) -> Tensor:
        return x * 2

    y = opaque(fb.ones(2, requires_grad=True))
    assert y.requires_grad
    with pytest.raises(RuntimeError, match=r"backward through testing.opaque.default but no autograd formula"):
        y.sum().backward()
    opaque.register_autograd(lambda ctx, grad: (grad, grad))
    with pytest.raises(RuntimeError, match="backward returned 2 gradients for 1 inputs"):
        opaque(fb.ones(2, requires_grad=True)).sum().backward()


def test_backward_of_a_custom_operator_returns_each_gradient_that_is_needed():
    @custom_op("testing::weighted_sum", mutates_args=())
    def weighted_sum(x: Tensor, others: list[Tensor], weight: float) -> Tensor:
        return x + weight * others[0]

    weighted_sum.register_autograd(lambda ctx, grad: grad)
    x, y = fb.ones(2, requires_grad=True), fb.ones(2)
    weighted_sum(x, [y], 2.0).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="weighted_sum: backward returned 1 gradients for 3 inputs; return one"):
        weighted_sum(x, [y.requires_grad_()], 2.0).sum().backward()


@pytest.mark.parametrize(
    ("declared", "result", "message"),
    [
        (tuple[Tensor, Tensor], fb.zeros(2), "a tuple of 2 results, but returned Tensor"),
        (tuple[Tensor, Tensor], (fb.zeros(2),) * 3, "a tuple of 2 results, but returned tuple of 3"),
        (Tensor, (fb.zeros(2), fb.zeros(2)), "one result, but returned tuple of 2"),
        (list[Tensor], fb.zeros(2), "a list, but returned Tensor"),
    ],
    ids=["one of two", "three of two", "two of one", "no list"],
)
def test_custom_operators_check_the_number_of_results(declared, result, message):
    def function(x):
        return result

    function.__annotations__ = {"x": Tensor, "return": declared}
    with pytest.raises(RuntimeError, match=f"testing::results should return {message}. Declaration: testing::results"):
        custom_op("testing::results", function, mutates_args=())(fb.ones(2))


def test_custom_operators_check_their_arguments_and_results():
    @custom_op("testing::wrong", mutates_args=())
    def wrong(x: Tensor, kind: int) -> Tensor:
        return [x, x[:1], 3, x.clone()][kind]

    x = fb.ones(2)
    assert wrong(x, 3).tolist() == [1, 1]
    for kind in (0, 1):
        with pytest.raises(RuntimeError, match="must not also be an input"):
            wrong(x, kind)
    with pytest.raises(RuntimeError, match="testing::wrong should return tensors, but returned int"):
        wrong(x, 2)
    declared = r"testing::wrong\(\) .*Declaration: testing::wrong\(Tensor x, SymInt kind\)"
    for arguments in ((), (x,), (x, 1, 2)):
        with pytest.raises(RuntimeError, match=declared):
            wrong(*arguments)
    with pytest.raises(RuntimeError, match="type 'Tensor' for argument 'x' but instead found type 'int'"):
        wrong(3, 3)
    with pytest.raises(AttributeError, match="'testing' object has no attribute 'nothing'"):
        fb.ops.testing.nothing  # noqa: B018
    for name in ("wrong", "a::b::c", "::x", "a::"):
        with pytest.raises(ValueError, match="namespace::name"):
            custom_op(name, mutates_args=())
    with pytest.raises(RuntimeError, match="no operator 'testing::nothing'"):
        register_fake("testing::nothing", lambda: None)


def test_inferred_schemas_equal_those_of_pytorch():
    def rich(
        x: Tensor,
        n: int,
        p: float = 2.0,
        q: Tensor | None = None,
        s: str = "a",
        d: fb.dtype = fb.float32,
        k: int | float | bool = 3,  # noqa: PYI041, what PyTorch calls a Scalar
        z: list[int] | None = None,
    ) -> tuple[Tensor, Tensor]: ...

    expected = (
        '(Tensor x, SymInt n, float p=2.0, Tensor? q=None, str s="a", ScalarType d=float32, Scalar k=3, '
        "SymInt[]? z=None) -> (Tensor, Tensor)"
    )
    assert infer_schema(rich, mutates_args=()) == expected
    assert infer_schema(rich, mutates_args=("q",)) == expected.replace("Tensor? q", "Tensor(a3!)? q")

    def lists(xs: Sequence[Tensor | None], *, dim: int = 1) -> None: ...

    assert infer_schema(lists, mutates_args=()) == "(Tensor?[] xs, *, SymInt dim=1) -> ()"


@pytest.mark.parametrize(
    ("annotations", "mutated", "message"),
    [
        ({"return": Tensor}, (), "x must have a type annotation"),
        ({"x": Tensor}, (), "return type annotation"),
        ({"x": dict, "return": Tensor}, (), "x has unsupported type <class 'dict'>"),
        ({"x": int, "return": Tensor}, ("x",), "x is in mutates_args but is not a Tensor, its type is SymInt"),
        ({"x": Tensor, "return": Tensor}, ("w",), r"\['w'\] are not arguments"),
        ({"x": Tensor, "return": Tensor}, "x", "sequence of the names"),
    ],
)
def test_infer_schema_rejects_unsupported_functions(annotations, mutated, message):
    def function(x): ...

    function.__annotations__ = annotations
    with pytest.raises(ValueError, match=message):
        infer_schema(function, mutates_args=mutated)


def test_opcheck_accepts_correct_and_rejects_wrong_operators():
    x = fb.ones(2, requires_grad=True)
    passed = dict.fromkeys(("test_schema", "test_autograd_registration", "test_faketensor"), "SUCCESS")
    assert opcheck(scaled_sine, (x, 3.0)) == passed

    @custom_op("testing::careless", mutates_args=())
    def careless(x: Tensor) -> Tensor:
        return x.detach().add_(1).sum(0, keepdim=True).clone()

    careless.register_fake(lambda x: fb.empty_like(x))
    found = opcheck(careless, (x,), raise_exception=False)
    assert "Argument 'x' is not defined as mutable but was mutated" in str(found["test_schema"])
    assert "no autograd formula" in str(found["test_autograd_registration"])
    assert "returned shape [2]" in str(found["test_faketensor"])
    with pytest.raises(fb.library._check.OpCheckError, match=r"test_schema failed with"):
        opcheck(careless, (x,), test_utils="test_schema")
    with pytest.raises(ValueError, match=r"opcheck: expected tests among .*, got 'test_all'"):
        opcheck(careless, (x,), test_utils="test_all")
    assert x.tolist() == [1, 1]


def test_operators_of_flambeau_are_in_the_namespace_ops():
    aten, x = fb.ops.aten, fb.arange(6.0).reshape(2, 3)
    assert aten.mm.default(x, x.mT).tolist() == (x @ x.mT).tolist() and aten.mm(x, x.mT).shape == (2, 2)
    with pytest.raises(IndexError, match=r"expected to be in range of \[-2, 1\], but got 5"):
        aten.slice.Tensor(x, 5, 0, 1)
    with pytest.raises(RuntimeError, match="slice step must be positive"):
        aten.slice.Tensor(x, 1, 0, 1, 0)
    assert aten.slice.Tensor(x, 1, 1, 3).tolist() == [[1, 2], [4, 5]] and aten.alias(x).data_ptr() == x.data_ptr()
    assert aten.index.Tensor(x, [None, fb.tensor([2, 0])]).tolist() == [[2, 0], [5, 3]]
    assert aten._to_copy.default(x, dtype=fb.float64, device=None).dtype is fb.float64
    y = x.clone()
    assert aten.add_.Tensor(y, 1) is y and y[0, 0] == 1
    assert aten.add.Tensor is fb.ops.aten.add.Tensor is not aten.add.Scalar
    assert aten.add.Tensor.name() == "aten::add.Tensor" and aten.add.default.name() == "aten::add"
    assert repr(aten.add.Tensor) == "<OpOverload(op='aten.add', overload='Tensor')>" and "mm" in dir(aten)
    assert repr(aten.add) == "<OpOverloadPacket(op='aten.add')>" and "aten" in dir(fb.ops)
    assert not hasattr(aten, "save") and not hasattr(aten, "_no_such_operator")
    with pytest.raises(AttributeError, match="has no overload name 'Nothing'"):
        aten.add.Nothing  # noqa: B018


def test_aten_names_resolve_to_operators():
    x = fb.arange(6.0).reshape(2, 3)
    assert resolve("aten::add.Tensor")(x, x, alpha=2).tolist() == (3 * x).tolist()
    assert resolve("aten::view")(x, [3, 2]).shape == (3, 2) and resolve("aten::sym_size.int")(x, 1) == 3
    assert resolve("aten::to.dtype")(x, fb.int64, False, True, None).dtype is fb.int64
    assert resolve("aten::to.device")(x, fb.device("meta"), fb.float64).device.type == "meta"
    assert resolve("aten::to.other")(x, fb.ones(1, dtype=fb.int32)).dtype is fb.int32
    assert resolve("aten::std")(x, False).item() == pytest.approx(np.arange(6).std())
    assert resolve("aten::linalg_vector_norm")(x, 2, [1]).tolist() == pytest.approx([5**0.5, 50**0.5])
    assert resolve("aten::fft_rfft")(x).shape == (2, 2) and resolve("aten::numpy_T")(x).shape == (3, 2)
    assert resolve("aten::index_put")(x, [None, fb.tensor([0])], fb.tensor(9.0))[:, 0].tolist() == [9, 9]
    values, indices = resolve("aten::max_pool2d_with_indices")(x[None], [1, 3])
    assert values.flatten().tolist() == [2, 5] and indices.flatten().tolist() == [2, 5]
    with pytest.raises(RuntimeError, match=r"Expected: flambeau\.int64 Got: flambeau\.float32"):
        resolve("aten::_assert_tensor_metadata")(x, dtype=fb.int64)
    with pytest.raises(RuntimeError, match="n is 3"):
        resolve("aten::_assert_scalar")(False, "n is 3")
    for name in ("aten::frobnicate", "aten::save", "aten::__class__", "aten::add.a.b", "prim::add", "aten::"):
        with pytest.raises(NotImplementedError, match=f"no operator {name}"):
            resolve(name)


def test_operators_are_copied_and_pickled_by_name():
    for op in (scaled_sine, leaning):
        assert copy.deepcopy([op])[0] is op and pickle.loads(pickle.dumps(op)) is op
    renamed = pickle.dumps(leaning).replace(b"leaning", b"missing")
    with pytest.raises(RuntimeError, match="no operator 'testing::missing'; import the module"):
        pickle.loads(renamed)


# --- functions that record their own derivatives ---


@extension_op("testing::leaning")
def leaning(x: Tensor, slope: float = 0.1, *, scale: float = 1.0) -> Tensor:
    """Represent a function of an extension module, which does not accept batched tensors."""
    return _engine.detached(x).new_zeros(()) + (x * slope).maximum(x) * scale


def test_an_extension_operator_is_called_like_its_function():
    x = fb.tensor([-1.0, 2.0])
    assert leaning(x).tolist() == leaning(x, 0.1).tolist() == leaning(slope=0.1, x=x).tolist()
    assert fb.ops.testing.leaning(x, 0.5, scale=2.0).tolist() == [-1.0, 4.0]
    assert repr(leaning) == "<CustomOpDef(testing::leaning)>" and leaning.__doc__.startswith("Represent a")
    with pytest.raises(RuntimeError, match=r"testing::leaning\(\) .*missing.*Declaration: testing::leaning\(Tensor x"):
        leaning()


def test_an_extension_operator_keeps_its_derivative():
    x = fb.tensor([-0.5, 2.0], dtype=fb.float64, requires_grad=True)
    assert gradcheck(leaning, (x,)) and gradgradcheck(leaning, (x,))
    with pytest.raises(RuntimeError, match="computes its own derivative"):
        leaning.register_autograd(lambda ctx, grad: grad)


def test_vmap_calls_an_extension_operator_for_each_example():
    x, slopes = fb.randn(3, 4), [0.1, 0.5]
    for dim in (0, 1):
        mapped = fb.func.vmap(lambda x: leaning(x, 0.5, scale=3.0), in_dims=dim)(x)
        assert fb.equal(mapped, leaning(x.movedim(dim, 0), 0.5, scale=3.0))
    gradients = fb.func.vmap(fb.func.grad(lambda x: leaning(x, slopes[1]).sum()))(x)
    assert fb.equal(gradients, fb.where(x < 0, 0.5, 1.0))


def test_vmap_calls_the_registered_rule_of_an_extension_operator():
    seen = []

    @extension_op("testing::doubled")
    def doubled(x: Tensor) -> Tensor:
        return _engine.detached(x) * 2

    @doubled.register_vmap
    def rule(info, in_dims, x):
        seen.append((info.batch_size, in_dims, tuple(x.shape)))
        return doubled(x), in_dims[0]

    assert fb.equal(fb.func.vmap(doubled)(fb.ones(3, 2)), fb.full((3, 2), 2.0))
    assert seen == [(3, (0,), (3, 2))]


def test_custom_operators_dispatch_to_torch_function():
    calls = []

    class Logged(Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            calls.append(func.__name__)
            return super().__torch_function__(func, types, args, kwargs)

    x = fb.ones(2).as_subclass(Logged)
    assert type(leaning(x)) is Logged and type(scaled_sine(x)) is Logged
    assert {"testing::leaning", "testing::scaled_sine"} <= set(calls)


def test_copies_of_aten_operators_are_the_same_objects():
    packet = fb.ops.aten.add
    assert copy.deepcopy([packet, packet.Tensor]) == [packet, packet.Tensor]
    assert (str(packet), str(packet.Tensor)) == ("aten.add", "aten.add.Tensor")


def test_autocast_casts_the_arguments_of_operators_with_a_registered_dtype():
    @fb.library.custom_op("testing::weighted", mutates_args=())
    def weighted(x: Tensor, weights: list[Tensor], power: int = 1) -> Tensor:
        seen.append((x.dtype, [each.dtype for each in weights], fb.is_autocast_enabled("cpu")))
        return x * weights[0] ** power

    weighted.register_autograd(lambda ctx, grad: (grad * 2, None, None))
    seen, x = [], fb.ones(2, requires_grad=True)
    fb.library.register_autocast("testing::weighted", "cpu", fb.bfloat16)
    with fb.autocast("cpu", dtype=fb.float16):
        y = weighted(x, [fb.ones(2), fb.ones(2, dtype=fb.float64), fb.ones(2, dtype=fb.int64)])
    assert y.dtype == fb.bfloat16
    assert seen == [(fb.bfloat16, [fb.bfloat16, fb.float64, fb.int64], False)]
    y.sum().backward()
    assert x.grad.dtype == fb.float32 and x.grad.tolist() == [2, 2]
    assert weighted(fb.ones(2), [fb.ones(2)]).dtype == fb.float32
    with pytest.raises(ValueError, match="does not support autocast"):
        weighted.register_autocast("mps", fb.bfloat16)
