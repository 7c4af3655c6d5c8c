"""Pointwise operators of programs run as one, with the results of the single operators. Note [Fusion]"""

import gc
import weakref

import pytest

import flambeau as fb
from flambeau import _core, nn
from flambeau.nn import functional as F


def plan_of(function, *example):
    """Return the traced function and its plan: a list of lists of operators that run as one."""
    traced = fb.jit.trace(function, example)
    lines = _core._program_plan(traced._program.native).splitlines()
    calls = [line.rpartition(" = ")[2] for line in lines if "check_input" not in line]
    return traced, [call.removeprefix("fused(").removesuffix(")").split(", ") for call in calls]


def chain(x, y):
    return ((x + 1) * y - x / 2).tanh().clamp(-1, 1).pow(2).sqrt().exp() * 3 - y.abs()


def test_a_chain_of_pointwise_operators_is_one_group():
    traced, plan = plan_of(chain, fb.randn(3, 4), fb.randn(3, 4))
    assert len(plan) == 1 and len(plan[0]) == 12
    for shapes in (((5, 7), (5, 7)), ((300, 129), (1, 129)), ((2, 1), (1, 5)), ((0, 4), (1, 4)), ((1, 1), (1, 1))):
        x, y = (fb.randn(*shape) for shape in shapes)
        assert fb.equal(traced(x, y), chain(x, y)), shapes


@pytest.mark.parametrize("dtype", [fb.float64, fb.float16, fb.bfloat16, fb.complex64])
def test_other_dtypes_give_the_results_of_the_operators(dtype):
    def f(x, y):
        return (x * 2 + y).exp() - y

    traced, _ = plan_of(f, fb.randn(3, 4), fb.randn(3, 4))
    x, y = fb.randn(5, 6).to(dtype), fb.randn(5, 6).to(dtype)
    result = traced(x, y)
    assert result.dtype == dtype and fb.equal(result, f(x, y))


def test_mixed_dtypes_promote_as_the_operators_do():
    def f(x, y):
        return (x + y) * 2 - x

    traced, _ = plan_of(f, fb.randn(3), fb.randn(3))
    for x, y in ((fb.randn(3), fb.randn(3).double()), (fb.arange(3), fb.randn(3)), (fb.arange(3), fb.arange(3))):
        assert traced(x, y).dtype == f(x, y).dtype and fb.equal(traced(x, y), f(x, y))
    scalar = fb.tensor(2.0, dtype=fb.float64)
    with pytest.raises(RuntimeError, match="1 dimensions"):
        traced(fb.randn(3), scalar)


def test_masks_select_between_results():
    def f(x, y):
        return fb.where(x > y, x * 2, y.masked_fill(y < 0, 0.5))

    traced, plan = plan_of(f, fb.randn(3, 4), fb.randn(3, 4))
    assert len(plan) == 1 and len(plan[0]) == 5
    x, y = fb.randn(70, 50), fb.randn(70, 50)
    assert fb.equal(traced(x, y), f(x, y))


def test_strided_and_expanded_inputs():
    traced, _ = plan_of(chain, fb.randn(3, 4), fb.randn(3, 4))
    x, y = fb.randn(60, 50).t(), fb.randn(50, 1).expand(50, 60)
    assert fb.equal(traced(x, y), chain(x, y))
    x = fb.randn(50, 120)[:, ::2]
    assert fb.equal(traced(x, y.contiguous()), chain(x, y))


def test_normalisation_activation_and_residual_are_one_group():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1)
            self.norm = nn.BatchNorm2d(8)

        def forward(self, x):
            out = self.norm(self.first(x))
            out += self.second(x)
            return F.relu(out, inplace=True)

    block = Block().eval()
    block.norm.running_mean.normal_()
    block.norm.running_var.uniform_(0.5, 2)
    for parameter in block.norm.parameters():
        nn.init.normal_(parameter)
    traced, plan = plan_of(block, fb.randn(2, 3, 8, 8))
    assert plan == [["conv2d"], ["conv2d"], ["batch_norm", "add_", "relu_"]]
    with fb.no_grad():
        for shape in ((2, 3, 9, 7), (1, 3, 40, 41), (3, 3, 1, 1)):
            x = fb.randn(*shape)
            assert fb.equal(traced(x), block(x)), shape
    assert fb.equal(traced(x), block(x))  # recorded for gradients


def test_gradients_are_those_of_the_operators():
    traced, _ = plan_of(chain, fb.randn(3, 4), fb.randn(3, 4))
    x, y = fb.randn(5, 6, requires_grad=True), fb.randn(5, 6)
    (expected,) = fb.autograd.grad(chain(x, y).sum(), x)
    (gradient,) = fb.autograd.grad(traced(x, y).sum(), x)
    assert fb.equal(gradient, expected)


def test_inputs_and_intermediate_results_that_are_returned_keep_their_values():
    def f(x):
        a = x * 2
        b = a + 1
        return a, b.relu(), x

    traced, plan = plan_of(f, fb.randn(3, 4))
    assert len(plan) == 1
    x = fb.randn(30, 40)
    before = x.clone()
    for result, expected in zip(traced(x), f(before), strict=True):
        assert fb.equal(result, expected)
    assert fb.equal(x, before)


def test_a_change_in_place_that_a_view_sees_is_not_fused():
    def f(x):
        a = x * 2
        view = a[0]
        a.relu_()
        return a + 1, view

    traced, _ = plan_of(f, fb.randn(3, 4))
    for shape in ((3, 4), (30, 40)):
        x = fb.randn(*shape)
        for result, expected in zip(traced(x), f(x), strict=True):
            assert fb.equal(result, expected)


def test_a_change_in_place_comes_after_reads_of_the_old_value():
    def f(x):
        a = x @ x
        b = a.exp()
        a.relu_()
        c = (a + 1).tanh()
        return c, b * 2

    traced, _ = plan_of(f, fb.randn(4, 4))
    for n, requires_grad in ((4, False), (40, False), (4, True)):
        x = fb.randn(n, n, requires_grad=requires_grad)
        for result, expected in zip(traced(x), f(x), strict=True):
            assert fb.equal(result, expected)


def test_a_change_in_place_keeps_the_shape():
    traced, _ = plan_of(lambda x, y: (x * 1).add_(y) * 2, fb.randn(2, 3), fb.randn(2, 3))
    for rows, columns in ((2, 3), (50, 60)):
        with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
            traced(fb.randn(1, columns), fb.randn(rows, columns))


def test_errors_are_those_of_the_operators():
    traced, _ = plan_of(chain, fb.randn(3, 4), fb.randn(3, 4))
    for rows in (3, 300):
        with pytest.raises(RuntimeError, match=r"\(in mul, test_fusion.py"):
            traced(fb.randn(rows, 40), fb.randn(rows, 50))


def test_each_pointwise_operator_gives_its_own_result():
    x, y = fb.rand(37, 41) + 0.25, fb.rand(37, 41) + 0.25  # enough elements for a chain
    known = _core._program_operators()
    checked = 0
    for row in _core.pointwise_rows():
        name, arity = row["name"], known.get(row["name"])
        operands = {1: "%0", 2: "%0, %1"}.get(arity)
        if operands is None:
            continue
        text = f"input %0 x\ninput %1 y\n%2 = {name}({operands})\n%3 = mul(%2, 1)\n%4 = neg(%3)\nreturn %2, %4\n"
        program = _core._parse_program(text)
        single = _core._parse_program(f"input %0 x\ninput %1 y\n%2 = {name}({operands})\nreturn %2\n")
        try:
            (expected,) = _core._run_program(single, [x, y], [])
        except (RuntimeError, TypeError, NotImplementedError):
            continue
        result, _ = _core._run_program(program, [x, y], [])
        assert result.dtype == expected.dtype and fb.equal(result.nan_to_num(), expected.nan_to_num()), name
        checked += 1
    assert checked > 70


def test_results_are_freed_when_they_are_dropped():
    traced, _ = plan_of(chain, fb.randn(3, 4), fb.randn(3, 4))
    gc.collect()
    gc.disable()
    try:
        result = traced(fb.randn(3, 4), fb.randn(3, 4))
        dropped = weakref.ref(result)
        del result
        assert dropped() is None
    finally:
        gc.enable()
