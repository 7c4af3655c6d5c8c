"""Fusion of operators in programs. The results are those of separate operators. Note [Fusion]."""

import gc
import itertools
import weakref

import pytest

import flambeau as fb
from flambeau import _core, nn
from flambeau.nn import functional as F


def plan_of(function, *example):
    """Return the traced function and its plan: lists of the operators that are fused."""
    traced = fb.jit.trace(function, example)
    lines = _core._program_plan(traced._program.native).splitlines()
    calls = [line.rpartition(" = ")[2] for line in lines if "check_input" not in line]
    return traced, [call.removeprefix("fused(").removesuffix(")").split(", ") for call in calls]


def chain(x, y):
    return ((x + 1) * y - x / 2).tanh().clamp(-1, 1).pow(2).sqrt().exp() * 3 - y.abs()


def test_a_chain_of_pointwise_operators_is_fused_into_one_group():
    traced, plan = plan_of(chain, fb.randn(3, 4), fb.randn(3, 4))
    assert len(plan) == 1 and len(plan[0]) == 12
    for shapes in (((5, 7), (5, 7)), ((300, 129), (1, 129)), ((2, 1), (1, 5)), ((0, 4), (1, 4)), ((1, 1), (1, 1))):
        x, y = (fb.randn(*shape) for shape in shapes)
        assert fb.equal(traced(x, y), chain(x, y)), shapes


@pytest.mark.parametrize("dtype", [fb.float64, fb.float16, fb.bfloat16, fb.complex64])
def test_fused_results_of_other_dtypes_equal_the_unfused_results(dtype):
    def f(x, y):
        return (x * 2 + y).exp() - y

    traced, _ = plan_of(f, fb.randn(3, 4), fb.randn(3, 4))
    x, y = fb.randn(5, 6).to(dtype), fb.randn(5, 6).to(dtype)
    result = traced(x, y)
    assert result.dtype == dtype and fb.equal(result, f(x, y))


def test_fused_groups_promote_mixed_dtypes_like_the_operators():
    def f(x, y):
        return (x + y) * 2 - x

    traced, _ = plan_of(f, fb.randn(3), fb.randn(3))
    tensors = fb.randn(3), fb.randn(2, 3).double(), fb.arange(3), fb.randn(3).half()
    scalars = fb.tensor(2.0, dtype=fb.float64), fb.tensor(3), fb.tensor(1.5)  # do not raise the dtype of a tensor
    for x, y in itertools.product(tensors + scalars, repeat=2):
        assert traced(x, y).dtype == f(x, y).dtype and fb.equal(traced(x, y), f(x, y))


def test_where_and_masked_fill_are_fused_into_a_group():
    def f(x, y):
        return fb.where(x > y, x * 2, y.masked_fill(y < 0, 0.5))

    traced, plan = plan_of(f, fb.randn(3, 4), fb.randn(3, 4))
    assert len(plan) == 1 and len(plan[0]) == 5
    x, y = fb.randn(70, 50), fb.randn(70, 50)
    assert fb.equal(traced(x, y), f(x, y))


def test_fused_groups_accept_strided_and_expanded_inputs():
    traced, _ = plan_of(chain, fb.randn(3, 4), fb.randn(3, 4))
    x, y = fb.randn(60, 50).t(), fb.randn(50, 1).expand(50, 60)
    assert fb.equal(traced(x, y), chain(x, y))
    x = fb.randn(50, 120)[:, ::2]
    assert fb.equal(traced(x, y.contiguous()), chain(x, y))


def test_convolutions_are_fused_with_normalisation_activation_and_residual():
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
    assert plan == [["conv2d", "batch_norm"], ["conv2d", "add_", "relu_"]]
    with fb.no_grad():
        for shape in ((2, 3, 9, 7), (1, 3, 40, 41), (3, 3, 1, 1)):
            x = fb.randn(*shape)
            fb.testing.assert_close(traced(x), block(x))  # folding batch_norm into a convolution changes the rounding
    assert fb.equal(traced(x), block(x))  # while gradients are recorded, it is not folded


def normalised_by_hand(x, y):
    mean = x.mean(-1, keepdim=True)
    variance = (x - mean).square().mean(-1, keepdim=True)
    return (x - mean) * fb.rsqrt(variance + 1e-5) + y


def block_of_rows(x, y):
    size = (int(x.shape[-1]),)  # a constant of the program
    h = F.gelu(F.layer_norm(x + y, size, fb.ones(size) / 3, fb.ones(size) * 2)) + x
    return h, F.softmax(h * 0.5, -1), F.rms_norm(h, size), F.log_softmax(h, dim=-1).exp()


def reductions(x, y):
    total = (x + y).sum(-1, keepdim=True)
    return total, x - total, (x * y).amax(-1) * 2, (x * 2).amin(-1, keepdim=True).neg(), (x.tanh() + 1).prod(-1, True)


@pytest.mark.parametrize("function", [normalised_by_hand, block_of_rows, reductions])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
def test_row_functions_are_fused_with_pointwise_operators(function, dtype):
    for shape in ((3, 4), (1, 7), (5, 1), (40, 31), (20, 119), (9, 768), (2, 5000), (70000, 2), (0, 4), (2, 3, 65)):
        x, y = fb.randn(*shape, dtype=dtype), fb.randn(*shape, dtype=dtype)
        traced, plan = plan_of(function, x, y)
        assert max(map(len, plan)) > 2, plan
        for result, expected in zip(traced(x, y), function(x, y), strict=True):
            assert result.dtype == expected.dtype and fb.equal(result, expected), shape


def test_fused_row_functions_may_span_several_dimensions():
    def f(x, w):
        h = F.layer_norm(x * 2, (5, 6), w, w * 0.5)
        return h - h.mean((-1, -2), keepdim=True), h.sum((2, 1)) + 1

    x, w = fb.randn(40, 5, 6), fb.randn(5, 6)
    traced, plan = plan_of(f, x, w)
    assert len(plan) == 1
    for result, expected in zip(traced(x, w), f(x, w), strict=True):
        assert fb.equal(result, expected)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.softmax(x * 2, 0) + 1,  # softmax of columns
        lambda x: (x * 2).sum(0, keepdim=True) + x,
        lambda x: F.softmax(x + 1, -1).sum((0, 1)) * 2,  # rows of different lengths
        lambda x: (x * 2).sum(-1) + x[0],  # combined along another dimension
        lambda x: F.softmax(x.t() * 2, -1) * 2,  # not contiguous
        lambda x: (x > 0).sum(-1) + (x * 2).sum(-1),  # integers
        lambda x: F.softmax(x[:, :1] * 2, -1) + (x[:, :1] + 1).mean(-1, keepdim=True),
    ],
)
def test_functions_along_other_dimensions_equal_the_operators(function):
    traced, _ = plan_of(function, fb.randn(4, 4))
    for shape in ((4, 4), (300, 300)):
        x = fb.randn(*shape)
        assert fb.equal(traced(x), function(x))


def test_fused_row_functions_raise_the_errors_of_the_operators():
    traced, _ = plan_of(lambda x, w: F.layer_norm(x * 2, (4,), w) + 1, fb.randn(3, 4), fb.randn(4))
    for x, w in ((fb.randn(3, 5), fb.randn(4)), (fb.randn(3, 4), fb.randn(5))):
        with pytest.raises(RuntimeError, match=r"layer_norm.*\(in layer_norm, test_fusion.py"):
            traced(x, w)


def test_a_fused_softmax_does_not_overwrite_its_input():
    def f(x):
        return F.softmax((x @ x) * 1, -1)

    def g(x):
        return F.softmax(x @ x, -1) * 2

    for function in (f, g):
        traced, _ = plan_of(function, fb.randn(4, 4))
        for n in (4, 600):
            x = fb.randn(n, n)
            assert fb.equal(traced(x), function(x))


def test_fusion_plans_are_cached_for_several_layouts():
    traced, _ = plan_of(chain, fb.randn(3, 4), fb.randn(3, 4))
    for _ in range(3):
        for n in range(1, 7):  # more layouts than the cache keeps
            x, y = fb.randn(n, 5), fb.randn(1, 5) if n % 2 else fb.randn(n, 5)
            assert fb.equal(traced(x, y), chain(x, y))


def test_gradients_of_fused_groups_equal_the_unfused_gradients():
    traced, _ = plan_of(chain, fb.randn(3, 4), fb.randn(3, 4))
    x, y = fb.randn(5, 6, requires_grad=True), fb.randn(5, 6)
    (expected,) = fb.autograd.grad(chain(x, y).sum(), x)
    (gradient,) = fb.autograd.grad(traced(x, y).sum(), x)
    assert fb.equal(gradient, expected)


def test_returned_inputs_and_intermediate_results_keep_their_values():
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


def test_in_place_changes_visible_through_a_view_are_not_fused():
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


def test_fused_in_place_operators_run_after_reads_of_the_old_value():
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


def test_a_fused_in_place_operator_rejects_a_change_of_shape():
    traced, _ = plan_of(lambda x, y: (x * 1).add_(y) * 2, fb.randn(2, 3), fb.randn(2, 3))
    for rows, columns in ((2, 3), (50, 60)):
        with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
            traced(fb.randn(1, columns), fb.randn(rows, columns))


def test_fused_groups_raise_the_errors_of_the_operators():
    traced, _ = plan_of(chain, fb.randn(3, 4), fb.randn(3, 4))
    for rows in (3, 300):
        with pytest.raises(RuntimeError, match=r"\(in mul, test_fusion.py"):
            traced(fb.randn(rows, 40), fb.randn(rows, 50))


def test_each_pointwise_operator_is_correct_when_fused():
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
