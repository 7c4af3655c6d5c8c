"""Dual tensors, func.jvp, jacfwd, linearize: closed forms, agreement of the modes, in-place changes, errors."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import func
from flambeau.autograd import Function, forward_ad

X = np.array([0.3, -1.2, 2.0, 0.7])
V = np.array([1.0, 0.5, -2.0, 3.0])


def tensor(values):
    return fb.tensor(values, dtype=fb.float64)


def close(actual, expected, tolerance=1e-12):
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=tolerance, atol=tolerance)


def changed_views(x):
    y = x.clone()
    part = y[1:3]
    part.mul_(x[0])
    y[0].zero_()
    y.view(2, 2).add_(x.flip(0).view(2, 2))
    rows = fb.zeros(2, 4, dtype=fb.float64)
    rows[0] = y
    rows[1, 2:].copy_(x[:2])
    return fb.cat([rows.reshape(-1), part, y])


FUNCTIONS = {
    "pointwise": lambda x: (x.sin() * x).exp() / (x + 3),
    "reductions": lambda x: x.prod() * x.std() + x.logsumexp(0) + x.max(),
    "products": lambda x: fb.outer(x, x) @ x,
    "views": lambda x: x[1:3] * x.view(4, 1)[2] + x.expand(3, 4).t()[:2, 0],
    "in place": lambda x: (x * 2).mul_(x).add_(1).pow_(3),
    "changed views": changed_views,
    "changed shapes": lambda x: (x * 1).view(4, 1).squeeze_(1).unsqueeze_(0).t_() * x,
    "sorting": lambda x: fb.sort(x)[0] * x,
    "joining": lambda x: fb.cat([x, x.flip(0) * x]),
    "running": lambda x: x.cumsum(0) * x.cumprod(0),
    "indexing": lambda x: x[[0, 2, 2]] * 3,
    "selection": lambda x: fb.where(x > 0, x * x, x.exp()),
    "softmax": lambda x: fb.softmax(x, 0),
    "solve": lambda x: fb.linalg.solve(fb.outer(x, x) + fb.eye(4, dtype=fb.float64), x),
    "constant": lambda x: x * 0 + 3,
}


def columns(f, x, v, eps=1e-6):
    return (f(tensor(x + eps * v)).numpy() - f(tensor(x - eps * v)).numpy()) / (2 * eps)


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS.keys())
class TestAgreement:
    def test_jvp_equals_finite_differences(self, f):
        value, tangent = func.jvp(f, (tensor(X),), (tensor(V),))
        close(value, f(tensor(X)).numpy())
        close(tangent, columns(f, X, V), 1e-7)
        assert not value.requires_grad and not tangent.requires_grad

    def test_forward_mode_equals_reverse_mode(self, f):
        expected = func.jacrev(f)(tensor(X)).numpy()
        close(func.jacfwd(f)(tensor(X)), expected)
        close(func.jvp(f, (tensor(X),), (tensor(V),))[1], expected @ V)
        close(func.linearize(f, tensor(X))[1](tensor(V)), expected @ V)

    def test_second_derivatives_agree_in_all_combinations_of_modes(self, f):
        def square(x):
            return (f(x) ** 2).sum()

        x, v = tensor(X), tensor(V)
        expected = func.hessian(square)(x).numpy() @ V
        close(expected := fb.tensor(expected), columns(func.grad(square), X, V), 1e-5)
        close(func.jvp(func.grad(square), (x,), (v,))[1], expected.numpy(), 1e-10)
        close(func.grad(lambda x: func.jvp(square, (x,), (v,))[1])(x), expected.numpy(), 1e-10)
        twice = func.jvp(lambda x: func.jvp(square, (x,), (v,))[1], (x,), (v,))[1]
        close(twice, V @ expected.numpy(), 1e-10)


def test_nested_jvp_does_not_confuse_perturbations():
    def inner(x):
        return func.jvp(lambda y: x + y, (tensor(1.0),), (tensor(1.0),))[1]

    assert func.jvp(lambda x: x * inner(x), (tensor(3.0),), (tensor(1.0),))[1].item() == 1.0


def test_grad_of_jvp_includes_a_tangent_that_depends_on_the_input():
    # d/dx (3 x**2 * x**2) = 12 x**3
    f = func.grad(lambda x: func.jvp(lambda y: y**3, (x,), (x * x,))[1])
    assert f(tensor(2.0)).item() == 96.0


def test_tangents_of_jvp_are_differentiable():
    w = tensor(X).requires_grad_()
    value, tangent = func.jvp(lambda x: x * x * w, (tensor(V),), (w,))
    (value.sum() + tangent.sum()).backward()
    close(w.grad, V * V + 4 * V * X)


def test_jvp_accepts_and_returns_nested_structures():
    (value, tangent, aux) = func.jvp(
        lambda p, y: ({"sum": p["a"] + y, "product": p["a"] * y}, p["a"]),
        ({"a": tensor(2.0)}, tensor(3.0)),
        ({"a": tensor(1.0)}, tensor(10.0)),
        has_aux=True,
    )
    assert (value["sum"].item(), value["product"].item(), aux.item()) == (5.0, 6.0, 2.0)
    assert (tangent["sum"].item(), tangent["product"].item()) == (11.0, 23.0)
    assert not aux.requires_grad


def test_jvp_supports_complex_functions_that_are_not_holomorphic():
    z, dz = 1.0 + 2.0j, 0.5 - 1.0j
    _, tangent = func.jvp(lambda z: z.abs() * z.conj() ** 2, (fb.tensor(z),), (fb.tensor(dz),))
    eps = 1e-4
    f = lambda z: abs(z) * np.conj(z) ** 2  # noqa: E731
    assert tangent.item() == pytest.approx((f(z + eps * dz) - f(z - eps * dz)) / (2 * eps), rel=1e-5)


class TestDualTensors:
    def test_tangents_pass_through_no_grad(self):
        with forward_ad.dual_level(), fb.no_grad():
            x = forward_ad.make_dual(tensor(X), tensor(V))
            primal, tangent = forward_ad.unpack_dual(x * x)
        close(primal, X * X)
        close(tangent, 2 * X * V)

    def test_tangents_are_removed_when_their_dual_level_ends(self):
        with forward_ad.dual_level():
            x = forward_ad.make_dual(tensor(X), tensor(V))
            y = x * 2
        with forward_ad.dual_level():
            assert forward_ad.unpack_dual(y).tangent is None
            assert forward_ad.unpack_dual(y * x).tangent is None
        assert forward_ad.unpack_dual(y) == (y, None)

    def test_detach_removes_tangents(self):
        with forward_ad.dual_level():
            x = forward_ad.make_dual(tensor(X), tensor(V))
            assert forward_ad.unpack_dual(x.detach()).tangent is None

    def test_in_place_changes_update_tangents_of_existing_views(self):
        with forward_ad.dual_level():
            base = tensor(np.zeros(4))
            part = base[:2]
            base.add_(forward_ad.make_dual(tensor(X), tensor(V)))
            close(forward_ad.unpack_dual(part).tangent, V[:2])
            part.mul_(2)
            close(forward_ad.unpack_dual(base).tangent, [2, 1, -2, 3])
            base.fill_(1.0)
            assert not (forward_ad.unpack_dual(base).tangent is not None and part.isnan().any())

    def test_memory_of_dual_tensors_is_freed(self, allocated):
        with forward_ad.dual_level():
            x = forward_ad.make_dual(tensor(X).requires_grad_(), tensor(V))
            y = x.exp()
            del x
        del y
        assert allocated() == 0

    @pytest.mark.parametrize(
        ("call", "kind", "text"),
        [
            (lambda x: forward_ad.make_dual(x, x[:2]), RuntimeError, "different size"),
            (lambda x: forward_ad.make_dual(x.long(), x.long()), ValueError, "floating point or complex"),
            (lambda x: forward_ad.make_dual(forward_ad.make_dual(x, x), x), RuntimeError, "same level"),
            (lambda x: forward_ad.enter_dual_level(), RuntimeError, "Nested"),
            (lambda x: forward_ad.exit_dual_level(level=7), RuntimeError, "last one"),
        ],
    )
    def test_invalid_dual_tensors_are_rejected(self, call, kind, text):
        with forward_ad.dual_level(), pytest.raises(kind, match=text):
            call(tensor(X))

    def test_dual_tensors_without_a_level_raise(self):
        with pytest.raises(RuntimeError, match="no level exists"):
            forward_ad.make_dual(tensor(X), tensor(V))
        with pytest.raises(RuntimeError, match="last one"):
            forward_ad.exit_dual_level()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: func.jvp(lambda x: x, x, x), "to be a tuple"),
        (lambda x: func.jvp(lambda x: x, (x,), (x, x)), "structure"),
        (lambda x: func.jvp(lambda x: x, (), ()), "at least one"),
        (lambda x: func.jvp(lambda x: x, (x,), (x[:2],)), "different size"),
        (lambda x: func.jvp(lambda x: 1, (x,), (x,)), "only tensors"),
        (lambda x: func.jvp(lambda x: fb.ones(2), (x,), (x,), strict=True), "independent"),
        (lambda x: func.linearize(lambda x: x, x)[1](x[:2]), "tangent of shape"),
    ],
)
def test_jvp_rejects_invalid_arguments(call, text):
    with pytest.raises(RuntimeError, match=text):
        call(tensor(X))


def test_the_error_names_an_operator_without_a_second_derivative():
    log_probs = fb.randn(5, 1, 3, dtype=fb.float64).log_softmax(2)

    def loss(x):
        return fb.nn.functional.ctc_loss(x, fb.tensor([[1, 2]]), fb.tensor([5]), fb.tensor([2]))

    pytest.importorskip("flambeau.nn")
    with pytest.raises(NotImplementedError, match="ctc_loss"):
        func.jvp(loss, (log_probs,), (log_probs,))


class Cube(fb.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        return factor * x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return ctx.factor * 3 * x * x * grad, None

    @staticmethod
    def jvp(ctx, tangent, _):
        (x,) = ctx.saved_tensors
        return ctx.factor * 3 * x * x * tangent


def test_jvp_of_a_custom_function_is_correct_and_can_be_nested():
    value, tangent = func.jvp(lambda x: Cube.apply(x, 2), (tensor(X),), (tensor(V),))
    close(value, 2 * X**3)
    close(tangent, 6 * X**2 * V)

    def inner(x):
        return func.jvp(lambda x: Cube.apply(x, 2).sum(), (x,), (tensor(V),))[1]

    close(func.grad(inner)(tensor(X)), 12 * X * V)
    close(func.jvp(inner, (tensor(X),), (tensor(V),))[1], (12 * X * V * V).sum())


def test_missing_tangents_are_zeros_in_functions():
    class Product(fb.autograd.Function):
        @staticmethod
        def forward(a, b):
            return a * b

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(*inputs)

        @staticmethod
        def jvp(ctx, da, db):
            a, b = ctx.saved_tensors
            return da * b + a * db

    x, y = fb.tensor([1.0, 2.0]), fb.tensor([3.0, 4.0])
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, fb.ones(2))
        assert repr(dual) == "tensor([1., 2.], tangent=tensor([1., 1.]))"
        assert forward_ad.unpack_dual(Product.apply(dual, y)).tangent.tolist() == y.tolist()


def test_a_function_without_jvp_raises():
    class Backward(Cube):
        jvp = fb.autograd.Function.jvp

    with pytest.raises(NotImplementedError, match="jvp"):
        func.jvp(lambda x: Backward.apply(x, 2), (tensor(X),), (tensor(V),))


@pytest.mark.parametrize(
    "draw",
    [fb.bernoulli, fb.poisson, lambda x: fb.normal(x, 0.5), lambda x: x.uniform_(), lambda x: x.normal_(), fb.floor],
)
def test_results_that_do_not_change_with_the_input_have_a_tangent_of_zeros(draw):
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(tensor([1.0, 0.5]), tensor([1.0, 1.0]))
        assert forward_ad.unpack_dual(draw(dual)).tangent.tolist() == [0, 0]


def test_a_tangent_has_no_tangent_of_its_own_level():
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(tensor(X), tensor(V))
        with pytest.raises(RuntimeError, match="has a forward gradient at the same level 0"):
            forward_ad.make_dual(tensor(X), dual)


def test_detaching_in_place_drops_the_tangent():
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(tensor(X), tensor(V)) * 1
        dual.requires_grad_().detach_()
        assert forward_ad.unpack_dual(dual * 2).tangent is None


def test_forward_mode_can_be_disabled():
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(tensor(X), tensor(V))
        with forward_ad._set_fwd_grad_enabled(False):
            assert not forward_ad._is_fwd_grad_enabled()
            assert forward_ad.unpack_dual(dual.exp()).tangent is None
        assert forward_ad._is_fwd_grad_enabled()
        close(forward_ad.unpack_dual(dual.exp()).tangent, np.exp(X) * V)


def test_outputs_without_a_derivative_have_no_tangent():
    class Parts(Function):
        constant_tangent = None

        @staticmethod
        def forward(ctx, x, n):
            fixed = x.round()
            ctx.mark_non_differentiable(fixed)
            return x * 2, fixed, n + 1

        @staticmethod
        def jvp(ctx, tangent, count):
            assert count is None
            return 2 * tangent, Parts.constant_tangent, None

    with forward_ad.dual_level():
        dual = forward_ad.make_dual(tensor(X), tensor(V))
        doubled, fixed, count = Parts.apply(dual, fb.tensor(3))
        close(forward_ad.unpack_dual(doubled).tangent, 2 * V)
        assert forward_ad.unpack_dual(fixed).tangent is None and forward_ad.unpack_dual(count).tangent is None
        Parts.constant_tangent = tensor(V)
        with pytest.raises(RuntimeError, match="You should return None at that position instead"):
            Parts.apply(dual, fb.tensor(3))


class Doubled(Function):
    """Function that doubles its input in place. ``jvp`` calls ``tangent`` with the input's tangent."""

    tangent = staticmethod(lambda t: t.mul_(2))

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x.mul_(2))
        return x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient

    @classmethod
    def jvp(cls, ctx, tangent):
        return Doubled.tangent(tangent)


@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_function_in_place_changes_the_tangent_in_place(requires_grad, monkeypatch):
    with forward_ad.dual_level():
        tangent = tensor(V)
        dual = forward_ad.make_dual(tensor(X).requires_grad_(requires_grad), tangent)
        out = Doubled.apply(dual * 1 if requires_grad else dual)
        close(forward_ad.unpack_dual(out).tangent, 2 * V)
        if not requires_grad:
            assert out is dual and forward_ad.unpack_dual(out).tangent is tangent
        for wrong, message in (
            (lambda t: t, "must modify the corresponding gradient inplace"),
            (lambda t: t.mul_(2).clone(), "must modify the gradient inplace and return it as-is"),
        ):
            monkeypatch.setattr(Doubled, "tangent", staticmethod(wrong))
            with pytest.raises(RuntimeError, match=message):
                Doubled.apply(dual * 1)


class First(Function):
    """Function that returns a view of its input, and the input itself."""

    @staticmethod
    def forward(ctx, x):
        return x.narrow(0, 0, 1), x

    @staticmethod
    def vjp(ctx, gradient, whole):
        padded = fb.zeros_like(whole)
        padded[:1] = gradient
        return padded + whole

    @staticmethod
    def jvp(ctx, tangent):
        return First.views(tangent)


@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_view_returned_by_a_function_needs_a_view_of_the_tangent(requires_grad):
    with forward_ad.dual_level():
        tangent = tensor(V)
        dual = forward_ad.make_dual(tensor(X).requires_grad_(requires_grad), tangent)
        First.views = lambda t: (t.narrow(0, 0, 1), t.view_as(t))
        first, same = First.apply(dual)
        assert same is not dual and forward_ad.unpack_dual(same).tangent._base is tangent
        close(forward_ad.unpack_dual(first).tangent, V[:1])
        not_a_view = r"forward is returning a view \(or an input as-is\) but the jvp is not returning a view"
        of_another = "jvp is not returning a view of the given grad input"
        of_another_base = "jvp is not returning a view of the same base as the given grad input"
        for given, views, message in (
            (dual, lambda t: (t.narrow(0, 0, 1).clone(), t.view_as(t)), not_a_view),
            (dual, lambda t: (t.narrow(0, 0, 1), t), not_a_view),
            (dual, lambda t: (t.narrow(0, 0, 1), t * 2), not_a_view),
            (dual, lambda t: (t.clone().narrow(0, 0, 1), t.view_as(t)), of_another),
            (dual.view_as(dual), lambda t: (t.clone().narrow(0, 0, 1), t.view_as(t)), of_another_base),
        ):
            First.views = views
            with pytest.raises(RuntimeError, match=message):
                First.apply(given)


def test_a_function_returns_one_tangent_for_each_output():
    First.views = lambda t: t.view_as(t)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(tensor(X), tensor(V))
        with pytest.raises(RuntimeError, match=r"invalid number of forward gradients \(expected 2 but got 1\)"):
            First.apply(dual)


def test_dual_tensors_inside_vmap_have_batched_tangents():
    directions = fb.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]])
    x = fb.tensor([0.5, 1.5])

    def along(direction):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, direction)
            assert forward_ad.unpack_dual(direction * 2).tangent is None
            return forward_ad.unpack_dual(dual.sin()).tangent

    np.testing.assert_allclose(fb.vmap(along)(directions), directions.numpy() * np.cos(x.numpy()), rtol=1e-6)
