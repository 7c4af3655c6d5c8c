"""gradcheck and gradgradcheck detect wrong derivatives."""

import pytest

import flambeau as fb
from flambeau.autograd import Function, GradcheckError, forward_ad, gradcheck, gradgradcheck


class WrongFirst(Function):
    @staticmethod
    def forward(ctx, x):
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


class WrongSecond(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2 * ctx.saved_tensors[0].detach()


@pytest.fixture
def x():
    return fb.tensor([0.3, 0.7], dtype=fb.float64, requires_grad=True)


def test_gradcheck_finds_a_wrong_first_derivative(x):
    with pytest.raises(GradcheckError, match=r"Jacobian mismatch for output 0 with respect to input 0(.|\n)*numerical"):
        gradcheck(WrongFirst.apply, x)
    assert gradcheck(WrongFirst.apply, x, raise_exception=False) is False


def test_gradgradcheck_finds_a_wrong_second_derivative(x):
    assert gradcheck(WrongSecond.apply, x)
    with pytest.raises(GradcheckError, match="mismatch"):
        gradgradcheck(WrongSecond.apply, x)


def test_gradcheck_finds_a_missing_derivative(x):
    with pytest.raises(GradcheckError, match="mismatch"):
        gradcheck(lambda t: t.detach() * 2 + t, x)


def test_gradcheck_names_the_input_and_output_of_a_wrong_derivative(x):
    y = x.detach().clone().requires_grad_()
    with pytest.raises(GradcheckError, match="output 1 with respect to input 1"):
        gradcheck(lambda a, b: (a * b, a + WrongFirst.apply(b)), [x, y])


def test_gradcheck_rejects_nondeterministic_derivatives(x):
    class Random(Function):
        @staticmethod
        def forward(ctx, t):
            return t * 1

        @staticmethod
        def backward(ctx, gradient):
            return gradient * (1 + 1e-9 * fb.rand(2, dtype=fb.float64))

    with pytest.raises(GradcheckError, match="not reentrant"):
        gradcheck(Random.apply, x)
    assert gradcheck(Random.apply, x, nondet_tol=1e-6)


def test_gradcheck_checks_its_inputs(x):
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(fb.exp, fb.ones(2, dtype=fb.float64))
    with pytest.warns(UserWarning, match=r"Input #0 requires gradient and is not a double .*float32"):
        assert gradcheck(fb.exp, fb.ones(2, requires_grad=True), eps=1e-2, atol=1e-2)
    with pytest.raises(AssertionError, match="at least one of check_backward_ad or check_forward_ad"):
        gradcheck(fb.exp, x, check_backward_ad=False)


def test_gradcheck_passes_on_arguments_without_gradients(x):
    assert gradcheck(lambda a, n, b: (a**n * b, "no tensor", b), [x, 3, fb.ones(2, dtype=fb.float64)])
    assert gradgradcheck(lambda a, n: a**n, [x, 3])
    assert gradgradcheck(lambda a: a**3, x, fb.ones(2, dtype=fb.float64))


def test_gradcheck_does_not_change_inputs_or_their_gradients(x):
    gradcheck(fb.exp, x)
    assert x.tolist() == [0.3, 0.7] and x.grad is None


def test_gradcheck_accepts_empty_and_zero_dimensional_inputs():
    assert gradcheck(fb.exp, fb.zeros(0, 2, dtype=fb.float64, requires_grad=True))
    assert gradgradcheck(fb.exp, fb.tensor(0.5, dtype=fb.float64, requires_grad=True))


@pytest.mark.parametrize("dtype", [fb.float64, fb.complex128])
def test_fast_mode_finds_wrong_derivatives(dtype):
    x = (fb.arange(1, 5).reshape(2, 2).to(dtype) / 3).requires_grad_()
    assert gradcheck(lambda a: (a.sin() @ a, a.abs()), x, fast_mode=True)
    assert gradgradcheck(lambda a: a.sin() @ a, x, fast_mode=True, gen_non_contig_grad_outputs=True)
    with pytest.raises(GradcheckError, match=r"output 1 with respect to input 0 \(in fast mode"):
        gradcheck(lambda a: (a, WrongFirst.apply(a)), x, fast_mode=True)
    with pytest.raises(GradcheckError, match="mismatch"):
        gradgradcheck(WrongSecond.apply, x, fast_mode=True)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_second_derivatives_are_checked_forward_over_reverse(fast_mode):
    inputs = [fb.rand(2, 3, dtype=fb.float64, requires_grad=True) for _ in range(2)]
    assert gradgradcheck(lambda x, y: (x * y.exp()).sin(), inputs, check_fwd_over_rev=True, fast_mode=fast_mode)


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr", "sparse_csc"])
def test_derivatives_by_the_values_of_sparse_tensors_are_checked(layout, fast_mode):
    dense = fb.tensor([[0.5, 0.0, 2.0], [0.0, -1.0, 0.0]], dtype=fb.float64)
    x = dense.to_sparse(layout=getattr(fb, layout)).requires_grad_()
    assert gradcheck(lambda x: x.to_dense().sin(), (x,), fast_mode=fast_mode, masked=True)

    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return 3 * grad

    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        gradcheck(lambda x: Wrong.apply(x.to_dense()), (x,), fast_mode=fast_mode, masked=True)


def test_gradcheck_perturbs_inputs_nested_in_structures():
    """Check that a perturbation of ``y`` is visible in the dictionary, so that the derivative is ``d(xy)/dy = x``."""
    x, y = (fb.rand(3, dtype=fb.float64, requires_grad=True) for _ in range(2))
    before = y.tolist()
    assert gradcheck(lambda x, held, _: x * held["y"], (x, {"y": y}, y))
    assert y.tolist() == before


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize(
    ("func", "what"),
    [(lambda t: fb.cat([t, t]) if t > 1 else t, "shape"), (lambda t: t.float() if t > 1 else t, "dtype")],
)
def test_outputs_keep_their_shape_and_dtype(func, what, fast_mode):
    one = fb.ones(1, dtype=fb.float64, requires_grad=True)
    with pytest.raises(AssertionError, match=f"return outputs with the same {what} when inputs are perturbed"):
        gradcheck(func, one, fast_mode=fast_mode)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_gradcheck_finds_a_wrong_forward_mode_derivative(x, fast_mode):
    class WrongForward(Function):
        @staticmethod
        def forward(ctx, t):
            return t * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 2

        @staticmethod
        def jvp(ctx, tangent):
            return tangent * 3

    assert gradcheck(WrongForward.apply, x, fast_mode=fast_mode)
    with pytest.raises(GradcheckError, match="Jacobian computed with forward mode mismatch for output 0"):
        gradcheck(WrongForward.apply, x, check_forward_ad=True, fast_mode=fast_mode)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_gradcheck_rejects_a_function_that_cuts_the_graph(x, fast_mode):
    with pytest.raises(GradcheckError, match="Numerical gradient for function expected to be zero"):
        gradcheck(lambda t: fb.tensor(t.tolist(), dtype=fb.float64) * 2, x, fast_mode=fast_mode)
    assert gradcheck(lambda t: fb.ones(2), x, fast_mode=fast_mode) and gradcheck(lambda t: (), x, fast_mode=fast_mode)


def test_the_gradcheck_error_names_the_imaginary_part_of_an_output():
    z = fb.tensor([1 + 2j], dtype=fb.complex128, requires_grad=True)

    def wrong(z):
        y = z.clone()
        y.register_hook(lambda gradient: gradient + 0.01)
        return y

    with pytest.raises(
        GradcheckError, match=r"^While considering the imaginary part of complex outputs only, Jacobian"
    ):
        gradcheck(wrong, z)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_forward_mode_gives_all_inputs_tangents_and_records_no_graph(x, fast_mode):
    seen = []

    def function(a, b):
        if forward_ad._current_level >= 0:
            seen.append((forward_ad.unpack_dual(b).tangent is not None, a.requires_grad or b.requires_grad))
        return a * b

    inputs = (x, x.detach().clone().requires_grad_())
    assert gradcheck(function, inputs, check_forward_ad=True, check_undefined_grad=False, fast_mode=fast_mode)
    assert set(seen) == {(True, False)}


@pytest.mark.parametrize("fast_mode", [False, True])
def test_gradcheck_rejects_a_backward_not_proportional_to_grad_output(x, fast_mode):
    class Shifted(Function):
        @staticmethod
        def forward(ctx, t):
            return t * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 2 + 0.01

    with pytest.raises(GradcheckError, match="backward not multiplied by grad_output"):
        gradcheck(Shifted.apply, x, atol=0.1, fast_mode=fast_mode)
    assert not gradcheck(Shifted.apply, x, atol=0.1, raise_exception=False, fast_mode=fast_mode)


def test_gradcheck_rejects_functions_that_depend_on_which_inputs_are_dual(x):
    def function(a, b):
        duals = [forward_ad.unpack_dual(t).tangent is not None for t in (a, b)]
        return a * b if duals[0] == duals[1] else a * b + a  # a program that treats missing tangents differently

    inputs = (x, fb.tensor([0.1, 0.2], dtype=fb.float64, requires_grad=True))
    assert gradcheck(function, inputs, check_forward_ad=True, check_undefined_grad=False)
    with pytest.raises(GradcheckError, match="Mismatch in tangent values for output with index: 0 when input: 1"):
        gradcheck(function, inputs, check_forward_ad=True)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_a_function_that_returns_its_input_needs_a_view_of_the_tangent(x, fast_mode):
    class Same(Function):
        tangent = staticmethod(lambda t: t.view_as(t))

        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def vjp(ctx, gradient):
            return gradient

        @staticmethod
        def jvp(ctx, tangent):
            return Same.tangent(tangent)

    assert gradcheck(Same.apply, x, check_forward_ad=True, fast_mode=fast_mode)
    Same.tangent = staticmethod(lambda t: t)
    with pytest.raises(RuntimeError, match="the jvp is not returning a view"):
        gradcheck(Same.apply, x, check_forward_ad=True, fast_mode=fast_mode)
