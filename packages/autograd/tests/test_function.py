"""autograd.Function."""

import gc

import pytest

import flambeau as fb
from flambeau.autograd import Function, grad, gradcheck, gradgradcheck
from flambeau.autograd.function import once_differentiable


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        result = x.exp()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, gradient):
        (result,) = ctx.saved_tensors
        return gradient * result


class Scaled(Function):
    """Function that computes x * y * factor, where factor is a number."""

    @staticmethod
    def forward(x, y, factor):
        return x * y * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, y, ctx.factor = inputs
        ctx.save_for_backward(x, None, y)

    @staticmethod
    def backward(ctx, gradient):
        x, nothing, y = ctx.saved_tensors
        assert nothing is None
        need_x, need_y, need_factor = ctx.needs_input_grad
        assert not need_factor
        return gradient * y * ctx.factor if need_x else None, gradient * x * ctx.factor if need_y else None, None


@pytest.fixture
def x():
    return fb.tensor([0.5, 1.0, 2.0], dtype=fb.float64, requires_grad=True)


def test_a_function_can_save_its_output_for_backward(x):
    y = Exp.apply(x)
    assert y.grad_fn.name() == "ExpBackward" and not y.is_leaf
    assert gradcheck(Exp.apply, x)
    assert gradgradcheck(Exp.apply, x)


def test_setup_context_receives_arguments_that_are_not_tensors(x):
    y = fb.tensor([3.0, 4.0, 5.0], dtype=fb.float64)
    for other in (y, y.clone().requires_grad_()):
        assert gradcheck(lambda a, b: Scaled.apply(a, b, 2.0), [x, other])
        assert gradgradcheck(lambda a, b: Scaled.apply(a, b, 2.0), [x, other])


def test_custom_functions_record_only_if_required(x):
    assert Exp.apply(fb.ones(2)).grad_fn is None
    with fb.no_grad():
        assert Exp.apply(x).is_leaf


def test_forward_runs_without_recording(x):
    class Inside(Function):
        @staticmethod
        def forward(ctx, t):
            assert not fb.is_grad_enabled()
            assert not (t * 2).requires_grad
            return t * 2

        @staticmethod
        def backward(ctx, gradient):
            assert not fb.is_grad_enabled()
            return gradient * 2

    assert grad(Inside.apply(x).sum(), x)[0].tolist() == [2, 2, 2]


class Split(Function):
    """Function with several outputs, one of which is a number: x + 1, x * 2 and the number of elements."""

    @staticmethod
    def forward(ctx, x, materialize):
        ctx.set_materialize_grads(materialize)
        return x + 1, x * 2, x.numel()

    @staticmethod
    def backward(ctx, first, second, count):
        assert count is None
        Split.seen = [None if g is None else g.tolist() for g in (first, second)]
        total = (0 if first is None else first) + (0 if second is None else second * 2)
        return total, None


def test_missing_gradients_are_zeros_or_none(x):
    first, second, count = Split.apply(x, True)
    assert count == 3
    (first + second).sum().backward()
    assert x.grad.tolist() == [3, 3, 3]
    Split.apply(x, True)[1].sum().backward()
    assert Split.seen == [[0, 0, 0], [1, 1, 1]]
    Split.apply(x, False)[1].sum().backward()
    assert Split.seen == [None, [1, 1, 1]]


def test_a_function_may_return_none_as_a_gradient(x):
    class Cut(Function):
        @staticmethod
        def forward(ctx, t):
            return t * 2

        @staticmethod
        def backward(ctx, gradient):
            return None

    Cut.apply(x).sum().backward()
    assert x.grad is None
    (Cut.apply(x) + x).sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_outputs_marked_non_differentiable_have_no_gradient(x):
    class Sort(Function):
        @staticmethod
        def forward(ctx, t):
            above = (t > 0.7).double()
            ctx.mark_non_differentiable(above)
            return t * 3, above, t.argmax()

        @staticmethod
        def backward(ctx, gradient, above, position):
            return gradient * 3

    y, above, position = Sort.apply(x)
    assert y.requires_grad and not above.requires_grad and not position.requires_grad
    assert grad(y.sum(), x)[0].tolist() == [3, 3, 3]


class DoubleInPlace(Function):
    @staticmethod
    def forward(ctx, t):
        t.mul_(2)
        ctx.mark_dirty(t)
        return t

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


def test_a_function_may_change_its_input_in_place(x):
    def function(t):
        y = t * 1
        out = DoubleInPlace.apply(y)
        assert out is y and y.grad_fn.name() == "DoubleInPlaceBackward"
        return y * t

    assert gradcheck(function, x)
    assert gradgradcheck(function, x)


def test_a_function_may_change_a_view_in_place(x):
    def function(t):
        y = t * 1
        DoubleInPlace.apply(y[1:])
        return y * t

    assert gradcheck(function, x)
    assert gradgradcheck(function, x)


def test_a_returned_input_gets_a_new_node(x):
    class Identity(Function):
        @staticmethod
        def forward(ctx, t):
            return t

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 7

    y = Identity.apply(x)
    assert y is not x and x.is_leaf and y.data_ptr() == x.data_ptr()
    assert grad(y.sum(), x)[0].tolist() == [7, 7, 7]


def test_a_custom_backward_may_run_a_nested_backward_pass(x):
    class Square(Function):
        @staticmethod
        def forward(ctx, t):
            ctx.save_for_backward(t)
            return t * t

        @staticmethod
        def backward(ctx, gradient):
            (t,) = ctx.saved_tensors
            with fb.enable_grad():
                inner = t.detach().requires_grad_()
                (local,) = grad((inner * inner).sum(), inner)
            return gradient * local

    (Square.apply(x) * 3 + x).sum().backward()
    assert x.grad.tolist() == [4, 7, 13]


def test_once_differentiable_rejects_second_derivatives(x):
    class Once(Exp):
        @staticmethod
        @once_differentiable
        def backward(ctx, gradient):
            return fb.from_numpy(gradient.detach().numpy() * ctx.saved_tensors[0].detach().numpy())

    assert gradcheck(Once.apply, x)
    (g,) = grad(Once.apply(x * 1).sum(), x, create_graph=True)
    seed = fb.ones(3, dtype=fb.float64, requires_grad=True)
    (g,) = grad(Once.apply(x), x, seed, create_graph=True)
    with pytest.raises(RuntimeError, match="@once_differentiable"):
        g.sum().backward()


def test_apply_accepts_keywords_and_defaults_with_setup_context(x):
    class Scaled(Function):
        @staticmethod
        def forward(t, scale=2.0):
            return t * scale

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.scale = inputs[1]

        @staticmethod
        def backward(ctx, gradient):
            return gradient * ctx.scale, None

    assert Scaled.apply(x, scale=3.0).tolist() == (x * 3).tolist()
    assert grad(Scaled.apply(x, scale=3.0).sum(), x)[0].tolist() == [3.0] * x.numel()
    assert grad(Scaled.apply(x).sum(), x)[0].tolist() == [2.0] * x.numel()


def test_vjp_is_an_alias_of_backward(x):
    class Double(Function):
        @staticmethod
        def forward(ctx, t):
            return t * 2

        @staticmethod
        def vjp(ctx, gradient):
            return gradient * 2

    assert grad(Double.apply(x).sum(), x)[0].tolist() == [2.0] * x.numel()

    class Both(Double):
        @staticmethod
        def backward(ctx, gradient):
            return gradient

    with pytest.raises(RuntimeError, match="both 'backward' and 'vjp'"):
        Both.apply(x).sum().backward()


def test_the_node_of_a_call_shows_its_context(x):
    class Noted(Function):
        @staticmethod
        def forward(ctx, t):
            ctx.note = "mine"
            ctx.save_for_backward(t)
            return t * 1

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    y = Noted.apply(x)
    assert y.grad_fn.name() == "NotedBackward" and y.grad_fn.note == "mine"
    assert y.grad_fn.saved_tensors == (x,)
    with pytest.raises(AttributeError):
        y.grad_fn.other  # noqa: B018


def test_a_context_that_refers_to_the_result_is_collected(allocated):
    class Referring(Function):
        @staticmethod
        def forward(ctx, t):
            ctx.result = t * 2
            return ctx.result

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 2

    Referring.apply(fb.ones(1 << 16, requires_grad=True))
    gc.collect()
    assert allocated() < 64 * 1024


def test_functions_are_not_instantiated():
    with pytest.warns(DeprecationWarning, match="should not be instantiated"):
        made = Function()
    with pytest.raises(RuntimeError, match="Legacy autograd function"):
        made(fb.ones(1))


def test_apply_accepts_keywords_if_forward_has_a_context(x):
    class Scaled(Function):
        @staticmethod
        def forward(ctx, t, weight, scale=2.0, shift=0.0):
            ctx.save_for_backward(t, weight)
            ctx.scale = scale
            return t * weight * scale + shift

        @staticmethod
        def backward(ctx, gradient):
            t, weight = ctx.saved_tensors
            return (gradient * weight * ctx.scale, gradient * t * ctx.scale, None, None)[: len(ctx.needs_input_grad)]

    weight = fb.full((x.numel(),), 3.0, dtype=x.dtype, requires_grad=True)
    for keywords, scale in (({}, 2), ({"scale": 4}, 4), ({"shift": 1.0}, 2)):
        y = Scaled.apply(x, weight=weight, **keywords)
        assert grad(y.sum(), (x, weight))[0].tolist() == [3.0 * scale] * x.numel()
    with pytest.raises(TypeError, match="weight"):
        Scaled.apply(x, wieght=weight)


def test_deprecated_names_of_function_still_work():
    from flambeau.autograd.function import InplaceFunction

    class Square(InplaceFunction):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, gradient):
            with pytest.warns(DeprecationWarning, match="'saved_variables' is deprecated"):
                (x,) = ctx.saved_variables
            return 2 * x * gradient

    x = fb.tensor([3.0], requires_grad=True)
    y = Square.apply(x)
    assert type(y.grad_fn) is Square._backward_cls and type(y.grad_fn).__name__ == "SquareBackward"
    y.backward()
    assert x.grad.item() == 6


def test_saved_outputs_have_their_history_in_backward():
    class Root(Function):
        @staticmethod
        def forward(ctx, x):
            y = x.sqrt()
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, gradient):
            x, y = ctx.saved_tensors
            assert not fb.is_grad_enabled() and x.requires_grad and y.requires_grad and y.grad_fn is not None
            with fb.enable_grad():  # the derivative of y**2 at y, by implicit differentiation
                (derivative,) = fb.autograd.grad((y**2).sum(), y)
            return gradient / derivative

    x = fb.tensor([4.0], requires_grad=True)
    Root.apply(x).sum().backward()
    assert x.grad.tolist() == [0.25]
