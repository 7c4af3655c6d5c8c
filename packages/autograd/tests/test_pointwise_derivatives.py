"""First and second derivatives of every pointwise operator, compared with finite differences."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import _core
from flambeau.autograd import gradcheck, gradgradcheck

ROWS = {row["name"]: row for row in _core.pointwise_rows()}
DIFFERENTIABLE = [name for name, row in ROWS.items() if row["differentiable"]]

# Operators that Python calls under another name or with other arguments.
CALLS = {
    "_trunc_divide": lambda x, y: fb.div(x, y, rounding_mode="trunc"),
    "_add_scaled": lambda x, y: fb.add(x, y, alpha=0.7),
    "_clip": lambda x, y, z: fb.clamp(x, y, z),
    "_gelu_erf": lambda x: fb.gelu(x),
    "_gelu_tanh": lambda x: fb.gelu(x, approximate="tanh"),
    "_round_decimals": lambda x: fb.round(x, decimals=1),
    "_round_tens": lambda x: fb.round(x, decimals=-1),
    "_frexp_mantissa": lambda x: fb.frexp(x)[0],
    "_replace_nan_and_infinity": lambda x: fb.nan_to_num(x),
    "_cube": lambda x: x**3,
    "_huber": lambda x, y: _core._rows["_huber"](x, y, 1.3),
    "celu": lambda x: fb.celu(x, 1.3),
    "softshrink": lambda x: fb.softshrink(x, 0.3),
    "_polygamma": lambda x: fb.polygamma(2, x),
    "igamma": lambda x: fb.igamma(fb.full_like(x.detach(), 1.7), x),
    "igammac": lambda x: fb.igammac(fb.full_like(x.detach(), 1.7), x),
    "special_zeta": lambda q: fb.special.zeta(2.3, q),
    "where": lambda y, z: fb.where(y > z, y, z),
}
NUMBERS = (0.7, 1.3)  # values of parameters that are numbers
# Operators that only other operators use, such as the normal density in higher derivatives of GELU.
INTERNAL = {"_normal_cdf", "_normal_pdf", "_frexp_exponent"}


def call_of(name):
    if name in CALLS:
        return CALLS[name]
    function = _core._rows[name]
    if ROWS[name]["has_parameters"]:
        return lambda x: function(x, *NUMBERS[: ROWS[name]["arity"] - 1])
    return function


def arity_of(name):
    if name in CALLS:
        return CALLS[name].__code__.co_argcount
    return 1 if ROWS[name]["has_parameters"] else ROWS[name]["arity"]


def in_domain(name, candidates):
    """Select the points where finite differences agree at two step sizes, which excludes kinks."""
    call = call_of(name)

    def value(arrays):
        return call(*(fb.tensor(a) for a in arrays)).numpy()

    def slopes(step):
        found = []
        for i in range(len(candidates)):
            up, middle, down = (value([a + s * step * (k == i) for k, a in enumerate(candidates)]) for s in (1, 0, -1))
            found += [(up - down) / (2 * step), (up - middle) / step, (middle - down) / step]
        return np.array(found)

    with np.errstate(all="ignore"):
        fine, coarse = slopes(1e-6), slopes(1e-3)
    near = np.abs(fine - coarse) < 0.02 * (1 + np.abs(coarse))
    smooth = np.all(np.isfinite(fine) & (np.abs(coarse) < 100) & near, axis=0)
    return [a[smooth] for a in candidates]


def points(name, count=6, samples=400):
    generator = np.random.default_rng(len(name))
    drawn = [generator.uniform(-3, 3, samples) for _ in range(arity_of(name))]
    if name == "pow":
        drawn[0] = np.abs(drawn[0])
    chosen = in_domain(name, drawn)
    assert len(chosen[0]) >= count, f"{name}: too few smooth points"
    return [a[:count] for a in chosen]


def leaf(array):
    return fb.tensor(array, requires_grad=True)


@pytest.mark.parametrize("name", [n for n in DIFFERENTIABLE if n not in INTERNAL])
def test_pointwise_operators_pass_gradcheck(name):
    inputs = [leaf(a) for a in points(name)]
    assert gradcheck(call_of(name), inputs)
    assert gradgradcheck(call_of(name), inputs)


@pytest.mark.parametrize("name", [n for n in DIFFERENTIABLE if n not in INTERNAL and arity_of(n) == 2])
def test_derivatives_of_broadcast_operands_match_finite_differences(name):
    x, y = points(name, count=2)
    grid_x, grid_y = np.repeat(x[:1], 3)[:, None], y[:1]  # (3, 1) and (1,): every pair is a smooth point
    assert gradcheck(call_of(name), [leaf(grid_x), leaf(grid_y)])
    assert gradgradcheck(call_of(name), [leaf(grid_x), leaf(grid_y)])


def accepts_numbers(name):
    """Return, for the first and the second operand of a pointwise operator, whether it may be a number."""
    first, second = ROWS[name]["signature"].split(", ")[:2]
    return ["Number" in first, not second.endswith(": Tensor")]


@pytest.mark.parametrize(
    "name", [n for n in DIFFERENTIABLE if n not in INTERNAL and arity_of(n) == 2 and any(accepts_numbers(n))]
)
def test_derivatives_are_correct_if_one_operand_is_a_number(name):
    x, y = (float(a[0]) for a in points(name))
    call = call_of(name)
    first, second = accepts_numbers(name)
    if second:
        assert gradcheck(lambda t: call(t, y), leaf(np.array([x])))
        assert gradgradcheck(lambda t: call(t, y), leaf(np.array([x])))
    if first:
        assert gradcheck(lambda t: call(x, t), leaf(np.array([y])))
        assert gradgradcheck(lambda t: call(x, t), leaf(np.array([y])))


@pytest.mark.parametrize(
    "name",
    [n for n in DIFFERENTIABLE if hasattr(fb.Tensor, f"{n}_") and n not in CALLS and arity_of(n) == ROWS[n]["arity"]],
)
def test_in_place_form_has_the_same_derivatives(name):
    inputs = [leaf(a) for a in points(name)]
    method = getattr(fb.Tensor, f"{name}_")

    def in_place(first, *others):
        return method(first * 1, *others)

    assert gradcheck(in_place, inputs)
    assert gradgradcheck(in_place, inputs)


def test_the_normal_distribution_is_differentiated_in_the_fourth_derivative_of_gelu():
    x = leaf(np.array([-1.2, 0.3, 0.9]))
    derivative = fb.gelu(x)
    for _ in range(4):
        (derivative,) = fb.autograd.grad(derivative.sum(), x, create_graph=True)
    v = x.detach().numpy()
    density = np.exp(-v * v / 2) / np.sqrt(2 * np.pi)
    # d4/dx4 x Phi(x) = density * (-x**4 + 7 x**2 - 4)
    np.testing.assert_allclose(derivative.detach().numpy(), density * (-(v**4) + 7 * v**2 - 4), rtol=1e-12)


@pytest.mark.parametrize("exponent", [2, 3, 0.5, -1, 1, 0, 2.5])
def test_derivatives_of_powers_with_a_number_as_exponent_are_correct(exponent):
    assert gradcheck(lambda x: x**exponent, leaf(np.array([0.3, 1.7])))
    assert gradgradcheck(lambda x: x**exponent, leaf(np.array([0.3, 1.7])))


def test_prelu_and_softplus_have_derivatives_in_their_parameters():
    x, slopes = leaf(np.array([[-1.5, 0.4], [0.7, -0.2]])), leaf(np.array([0.1, 0.3]))
    assert gradcheck(fb.prelu, [x, slopes])
    assert gradgradcheck(fb.prelu, [x, slopes])
    assert gradcheck(lambda x, beta: fb.softplus(x, beta, 9.0), [x, leaf(np.array(1.3))])


def test_derivative_of_where_is_correct_if_one_case_is_a_number():
    mask = fb.tensor([True, False, True])
    x = leaf(np.array([1.0, 2.0, 3.0]))
    assert gradcheck(lambda t: fb.where(mask, t, 0.5), x)
    assert gradcheck(lambda t: fb.where(mask, 0.5, t), x)


@pytest.mark.parametrize(
    ("call", "at", "expected"),
    [
        (fb.abs, 0.0, 0.0),
        (fb.relu, 0.0, 0.0),
        (lambda x: fb.clamp(x, 0.0, 1.0), 0.0, 1.0),
        (lambda x: fb.maximum(x, fb.zeros((), dtype=fb.float64)), 0.0, 0.5),
        (lambda x: x**0, 0.0, 0.0),
        (lambda x: x**2, 0.0, 0.0),
        (lambda x: 0.0**x, 2.0, 0.0),
        (lambda x: fb.leaky_relu(x, 0.1), 0.0, 0.1),
        (fb.sigmoid, 800.0, 0.0),
        (fb.sigmoid, -800.0, 0.0),
        (fb.softplus, 1000.0, 1.0),
        (fb.tanh, 400.0, 0.0),
        (fb.silu, -1000.0, 0.0),
        (fb.gelu, -1000.0, 0.0),
        (lambda x: fb.gelu(x, approximate="tanh"), -1000.0, 0.0),
        (fb.erf, 40.0, 0.0),
        (fb.log1p, 0.0, 1.0),
        (fb.expm1, 0.0, 1.0),
    ],
)
def test_derivatives_at_kinks_and_extreme_arguments_have_the_expected_values(call, at, expected):
    x = fb.tensor(at, dtype=fb.float64, requires_grad=True)
    call(x).backward()
    assert x.grad.item() == pytest.approx(expected, abs=1e-300)


@pytest.mark.parametrize("function", [fb.special.i1, fb.special.i1e, fb.special.bessel_j1])
def test_derivatives_of_odd_bessel_functions_at_zero_are_the_limits(function):
    """Check the derivatives at 0, where a quotient by x is replaced by its limit."""
    x = fb.zeros(2, dtype=fb.float64, requires_grad=True)
    (slope,) = fb.autograd.grad(function(x).sum(), x, create_graph=True)
    assert slope.tolist() == [0.5, 0.5]
    (curvature,) = fb.autograd.grad(slope.sum(), x)
    assert curvature.tolist() == [0, 0]


def operands_without_derivative():
    for name, row in ROWS.items():
        if name[0] != "_" and row["domain"] not in ("Comparison", "Logical", "Integral", "Whole", "Select"):
            tensors = 1 if row["has_parameters"] or name in ("celu", "softshrink") else row["arity"]
            yield from ((name, k) for k in range(tensors) if row["derivatives"][k] == "none")


@pytest.mark.parametrize(("name", "operand"), list(operands_without_derivative()))
def test_a_missing_derivative_raises_an_error(name, operand):
    operands = [fb.full((3,), 0.5, dtype=fb.float64) for _ in range(ROWS[name]["arity"])]
    missing, x = operands[operand].requires_grad_(), fb.ones(3, dtype=fb.float64, requires_grad=True)
    result = _core._rows[name](*operands)
    with pytest.raises(NotImplementedError, match=rf"{name}\(\): the derivative for '\w+' is not implemented"):
        (result + x).sum().backward()
    assert missing.grad is None and x.grad is None
    with fb.no_grad():
        assert not _core._rows[name](*operands).requires_grad


def test_igamma_has_a_derivative_in_its_second_operand():
    a, x = (fb.full((3,), 0.5, dtype=fb.float64, requires_grad=True) for _ in range(2))
    (slope,) = fb.autograd.grad(fb.igamma(a, x).sum(), x)
    assert slope.equal(fb.autograd.grad(fb.igamma(a.detach(), x).sum(), x)[0])


@pytest.mark.parametrize(
    "name", [name for name, row in ROWS.items() if row["has_parameters"] and row["derivatives"][1] == "none"]
)
def test_a_parameter_without_derivative_must_not_require_grad(name):
    x, number = fb.ones(3), fb.tensor(0.5, requires_grad=True)
    more = [1.0] * (ROWS[name]["arity"] - 2)
    with pytest.raises(TypeError, match="must be Number, not Tensor that requires grad"):
        getattr(fb, name)(x, number, *more)
    assert getattr(fb, name)(x, number.detach(), *more).shape == (3,)


def test_the_gradient_of_atan2_at_the_origin_is_zero():
    y, x = fb.zeros(2, requires_grad=True), fb.tensor([0.0, 1.0], requires_grad=True)
    fb.atan2(y, x).sum().backward()
    assert y.grad.tolist() == [0.0, 1.0] and x.grad.tolist() == [0.0, 0.0]
