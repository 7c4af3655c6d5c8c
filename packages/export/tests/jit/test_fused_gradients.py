"""Groups of pointwise operators that are one node of the autograd graph. Note [Derivatives of groups]."""

import random

import pytest

import flambeau as fb
from flambeau import _core
from flambeau.nn import functional as F

NODE = "FusedPointwiseBackward0"


def traced(function, *example):
    return fb.jit.trace(function, example, verify=False)


def gradients(function, inputs, **options):
    """Return the result of a function and the gradients of those inputs that require one."""
    leaves = [x.detach().requires_grad_(x.requires_grad) for x in inputs]
    result = function(*leaves)
    wanted = [x for x in leaves if x.requires_grad]
    return result, fb.autograd.grad(result.square().sum(), wanted, **options)


def chain(x, y):
    return ((x + 1) * y - x / 2).tanh().clamp(-1, 1).pow(2).add(0.1).sqrt().exp() * 3 - y.sigmoid()


def swish_gate(x, y):
    return F.silu(x) * y + x


def huber(x, y):
    difference = x - y
    size = difference.abs()
    return fb.where(size < 1, 0.5 * difference * difference, size - 0.5)


@pytest.mark.parametrize("function", [chain, swish_gate, huber])
@pytest.mark.parametrize("needed", [(True, False), (False, True), (True, True)])
def test_fused_gradients_equal_the_unfused_gradients(function, needed):
    fused = traced(function, fb.randn(2, 3), fb.randn(2, 3))
    for shape in ((2, 3), (1, 1), (0, 3), (70, 90), (7,) * 2):
        inputs = [fb.randn(*shape, requires_grad=needs) for needs in needed]
        result, found = gradients(fused, inputs)
        expected_result, expected = gradients(function, inputs)
        assert result.numel() == 0 or result.grad_fn.name() == NODE
        assert fb.equal(result, expected_result)
        for a, b in zip(found, expected, strict=True):
            assert a.shape == b.shape and fb.equal(a, b)


def test_gradients_of_expanded_operands_are_summed():
    fused = traced(swish_gate, fb.randn(2, 3), fb.randn(2, 3))
    x, y = fb.randn(40, 30, requires_grad=True), fb.randn(1, 30, requires_grad=True)
    result, found = gradients(fused, [x, y])
    _, expected = gradients(swish_gate, [x, y])
    assert result.grad_fn.name() == NODE
    assert [g.shape for g in found] == [(40, 30), (1, 30)]
    assert all(fb.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("function", [chain, swish_gate])
def test_derivatives_agree_with_finite_differences(function):
    fused = traced(function, fb.randn(2, 3).double(), fb.randn(2, 3).double())
    inputs = [fb.randn(3, 2, dtype=fb.float64, requires_grad=True) for _ in range(2)]
    assert fused(*inputs).grad_fn.name() == NODE
    assert fb.autograd.gradcheck(fused, inputs) and fb.autograd.gradgradcheck(fused, inputs)


def test_second_derivatives_pass_through_intermediate_values():
    def function(x, y):  # the derivatives read both factors, which are no outputs
        return x.tanh() * y.sigmoid()

    fused = traced(function, fb.randn(2, 3), fb.randn(2, 3))
    outcomes = []
    leaves = fb.randn(5, 4), fb.randn(5, 4)
    for run in (function, fused):
        x, y = (leaf.clone().requires_grad_() for leaf in leaves)
        first = fb.autograd.grad(run(x, y).sum(), (x, y), create_graph=True)
        outcomes.append(fb.autograd.grad(sum(g.square().sum() for g in first), (x, y)))
    for a, b in zip(*outcomes, strict=True):
        fb.testing.assert_close(a, b)


def rows_with_derivatives():
    arities = _core._program_operators()
    for row in _core.pointwise_rows():
        if row["differentiable"] and row["arity"] == arities.get(row["name"]) and row["arity"] <= 2:
            takes_number = row["has_parameters"] or row["name"] in ("celu", "softshrink")
            tensors = 1 if takes_number else row["arity"]
            yield row["name"], row["arity"], [text != "none" for text in row["derivatives"][:tensors]]


@pytest.mark.parametrize(("name", "arity", "differentiable"), list(rows_with_derivatives()))
def test_each_pointwise_operator_has_its_own_derivative(name, arity, differentiable):
    tensors = len(differentiable)
    operands = ", ".join([f"%{i}" for i in range(tensors)] + ["0.5"] * (arity - tensors))
    lines = [f"input %{i} x{i}" for i in range(tensors)]
    text = "\n".join([*lines, f"%3 = {name}({operands})", "%4 = mul(%3, 0.75)", "%5 = mul(%4, %0)", "return %5", ""])
    fused, single = _core._parse_program(text), _core._parse_program(text, False)
    values = [(fb.rand(20, 30) * 0.8 + 0.1).requires_grad_(needs) for needs in differentiable]
    (result, found), (_, expected) = (
        gradients(lambda *inputs, run=run: _core._run_program(run, inputs, [])[0], values, allow_unused=True)
        for run in (fused, single)
    )
    assert result.grad_fn.name() == NODE
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        assert a is None or fb.allclose(a, b, 0, 0, equal_nan=True)


def test_a_missing_derivative_raises_an_error():
    fused = traced(lambda a, x: fb.igamma(a, x).exp() + 1, fb.rand(2, 3), fb.rand(2, 3))
    a, x = fb.rand(4, 5, requires_grad=True), fb.rand(4, 5, requires_grad=True)
    with pytest.raises(NotImplementedError, match=r"igamma\(\): the derivative for 'input' is not implemented"):
        fused(a, x).sum().backward()
    assert a.grad is None and x.grad is None
    fused(a.detach(), x).sum().backward()
    assert x.grad is not None


def test_only_results_that_depend_on_a_leaf_require_a_gradient():
    def function(x, y):
        scaled = y * 2 + 1
        return x * scaled + 1, scaled.exp(), (x * scaled + 1) > 0

    fused = traced(function, fb.randn(2, 3), fb.randn(2, 3))
    x = fb.randn(4, 5, requires_grad=True)
    product, other, mask = fused(x, fb.randn(4, 5))
    assert product.requires_grad and not other.requires_grad and not mask.requires_grad


def test_outputs_without_a_gradient_are_skipped():
    def function(x, y):
        a = x.exp() * y
        return a + 1, a.tanh() - y

    fused = traced(function, fb.randn(2, 3), fb.randn(2, 3))
    values = fb.randn(4, 5), fb.randn(4, 5)
    for chosen in (0, 1):
        for wanted in (0, 1):
            outcomes = []
            for run in (function, fused):
                leaves = [v.clone().requires_grad_() for v in values]
                outcomes.append(fb.autograd.grad(run(*leaves)[chosen].sum(), leaves[wanted])[0])
            assert fb.equal(*outcomes)


def test_a_tensor_not_saved_for_backward_may_change():
    def function(x, y):
        return (x.exp() + y).tanh()

    fused = traced(function, fb.randn(2, 3), fb.randn(2, 3))
    for run in (function, fused):
        x, y = fb.randn(3, 4, requires_grad=True) * 1, fb.randn(3, 4, requires_grad=True) * 1
        result = run(x, y)
        with fb.no_grad():
            x.mul_(2)
            y.mul_(2)
        result.sum().backward()


def test_changing_a_tensor_saved_by_a_fused_group_raises():
    fused = traced(swish_gate, fb.randn(2, 3), fb.randn(2, 3))
    x, y = fb.randn(3, 4, requires_grad=True), fb.randn(3, 4, requires_grad=True)
    result = fused(x, y)
    with fb.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match=f"modified by an inplace operation: .* which {NODE} saved"):
        result.sum().backward()


def test_a_program_that_changes_the_input_of_a_group_runs_unfused():
    def function(x, y):
        a = x * y
        b = a.exp() + y
        a.t().mul_(2)  # the derivative of exp reads its result, which stays the same
        return b.sum() + a.sum()

    fused = traced(function, fb.randn(2, 3), fb.randn(2, 3))
    inputs = [fb.randn(4, 5, requires_grad=True) for _ in range(2)]
    (_, found), (_, expected) = gradients(fused, inputs), gradients(function, inputs)
    assert all(fb.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_an_in_place_operator_that_overwrites_a_saved_tensor_raises():
    def function(x, y):
        a = (x * y).sigmoid()  # the derivative reads the result
        return a.relu_() + y

    fused = traced(function, fb.randn(2, 3), fb.randn(2, 3))
    for run in (function, fused):
        x, y = fb.randn(4, 5, requires_grad=True), fb.randn(4, 5)
        with pytest.raises(RuntimeError, match=r"modified by an inplace operation: .* which SigmoidBackward0 saved"):
            run(x, y).sum().backward()


def test_pointwise_operators_around_a_normalisation_form_groups():
    def function(x, y):
        z = F.layer_norm(x * 2 + y, (x.shape[-1],))
        return z.mul(1.5).add(0.5) * y.sigmoid() + x

    fused = traced(function, fb.randn(2, 3), fb.randn(2, 3))
    inputs = [fb.randn(40, 30, requires_grad=True) for _ in range(2)]
    (result, found), (_, expected) = gradients(fused, inputs), gradients(function, inputs)
    assert result.grad_fn.name() == NODE
    assert all(fb.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_fused_groups_give_each_leaf_a_separate_gradient():
    fused = traced(lambda x, y: (x + y) * 2, fb.randn(2, 3), fb.randn(2, 3))
    x, y = fb.randn(3, 4, requires_grad=True), fb.randn(3, 4, requires_grad=True)
    for _ in range(2):
        fused(x, y).sum().backward()
    x.grad.add_(1)
    assert fb.equal(x.grad, fb.full((3, 4), 5.0)) and fb.equal(y.grad, fb.full((3, 4), 4.0))


UNARY = [fb.neg, fb.tanh, fb.sigmoid, fb.exp, fb.sin, fb.square, fb.relu, F.silu, F.gelu, fb.erf, lambda x: x * 0.5 + 1]
BINARY = [fb.add, fb.sub, fb.mul, fb.maximum, fb.atan2, fb.hypot, lambda a, b: fb.where(a > b, a, b), fb.addcmul]


@pytest.mark.parametrize("seed", range(40))
def test_random_fused_groups_have_the_gradients_of_their_operators(seed):
    draw = random.Random(seed)
    steps = []
    for count in range(2, draw.randint(4, 14)):
        binary = draw.random() < 0.6
        steps.append((draw.choice(BINARY if binary else UNARY), binary, draw.randrange(count), draw.randrange(count)))

    def function(x, y):
        values = [x, y]
        for operator, binary, i, j in steps:
            if operator is fb.addcmul:
                values.append(operator(values[i], values[j], y))
            else:
                values.append(operator(values[i], values[j]) if binary else operator(values[i]))
        return x + sum(values[-2:])

    fb.manual_seed(seed)
    fused = traced(function, fb.randn(2, 3), fb.randn(2, 3))
    for shape in ((3, 4), (50, 60)):
        inputs = [fb.randn(*shape, requires_grad=True), fb.randn(*shape, requires_grad=draw.random() < 0.7)]
        (result, found), (_, expected) = (gradients(f, inputs, allow_unused=True) for f in (fused, function))
        assert result.grad_fn.name() == NODE
        for a, b in zip(found, expected, strict=True):
            assert (a is None) == (b is None)
            assert a is None or fb.allclose(a, b, 1e-5, 1e-5, equal_nan=True)
