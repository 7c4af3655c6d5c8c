"""autograd.Function: mistakes raise errors that name the function, and the engine stays usable."""

import pytest

import flambeau as fb
from flambeau.autograd import Function


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


class DoubleInPlace(Function):
    @staticmethod
    def forward(ctx, t):
        t.mul_(2)
        ctx.mark_dirty(t)
        return t

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


@pytest.fixture
def x():
    return fb.tensor([0.5, 1.0, 2.0], dtype=fb.float64, requires_grad=True)


def test_dirty_inputs_are_checked(x):
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        DoubleInPlace.apply(x)

    class Forgetful(DoubleInPlace):
        @staticmethod
        def forward(ctx, t):
            DoubleInPlace.forward(ctx, t)
            return t + 1

    with pytest.raises(RuntimeError, match=r"marked as dirty.*returned as output"):
        Forgetful.apply(x * 1)
    y = x * 1
    product = y * y
    DoubleInPlace.apply(y)
    with pytest.raises(RuntimeError, match="inplace"):
        product.sum().backward()


def test_only_inputs_should_be_marked_dirty(x):
    class Fresh(DoubleInPlace):
        @staticmethod
        def forward(ctx, t):
            result = 3 * t
            ctx.mark_dirty(result)
            return result

    with pytest.warns(UserWarning, match=r"Only input Tensors should be given to ctx\.mark_dirty\(\)"):
        Fresh.apply(x)


def test_a_dirty_view_must_be_the_only_output(x):
    class Two(DoubleInPlace):
        @staticmethod
        def forward(ctx, t):
            DoubleInPlace.forward(ctx, t)
            return t, t + 1

    Two.apply(x * 1)
    with pytest.raises(RuntimeError, match="your Function modifies inplace an input that is a view of another Tensor"):
        Two.apply((x * 1).view(3))


def returning(result):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, a, b):
            return a * 1

        @staticmethod
        def backward(ctx, gradient):
            return result(gradient)

    return Wrong


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (lambda g: g, RuntimeError, r"incorrect number of gradients \(expected 2, got 1\)"),
        (lambda g: (g, g, g), RuntimeError, r"incorrect number of gradients \(expected 2, got 3\)"),
        (
            lambda g: (g[:2], None),
            RuntimeError,
            r"WrongBackward returned an invalid gradient at index 0 - got .2. but expected",
        ),
        (lambda g: (g.sum(), None), RuntimeError, "invalid gradient at index 0"),
        (lambda g: (1.0, None), TypeError, "float at position 1"),
        (lambda g: (g, g), RuntimeError, "different than None at position 2"),
    ],
)
def test_invalid_gradients_returned_by_backward_raise(x, result, error, message):
    y = returning(result).apply(x, 2.0)
    with pytest.raises(error, match=message):
        y.sum().backward()
    assert x.grad is None


def test_gradients_may_be_larger_or_of_another_dtype(x):
    y = returning(lambda g: (g.float().expand(4, 3), None, None)).apply(x, 2.0)
    y.sum().backward()
    assert x.grad.tolist() == [4, 4, 4] and x.grad.dtype is fb.float64


def test_exceptions_leave_the_engine_usable(x):
    def fail(gradient):
        raise ZeroDivisionError("in backward")

    y = returning(fail).apply(x * 2, None)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="in backward"):
            (y + x).sum().backward()
    assert x.grad is None and fb.is_grad_enabled()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_saved_tensors_are_freed_and_checked(x):
    y = Exp.apply(x * 1).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"ExpBackward.*saved tensors|second time"):
        y.backward()
    z = Exp.apply(x)
    z.mul_(2)
    with pytest.raises(RuntimeError, match=r"inplace.*ExpBackward"):
        z.sum().backward()


def test_save_for_backward_rejects_objects_other_than_tensors(x):
    class Wrong(Exp):
        @staticmethod
        def forward(ctx, t):
            ctx.save_for_backward(3)

    with pytest.raises(TypeError, match="save_for_backward can only save"):
        Wrong.apply(x)


def test_functions_without_forward_or_backward_raise(x):
    with pytest.raises(NotImplementedError, match="forward"):
        Function.apply(x)

    class Half(Function):
        @staticmethod
        def forward(ctx, t):
            return t / 2

    with pytest.raises(NotImplementedError, match="backward"):
        Half.apply(x).sum().backward()
