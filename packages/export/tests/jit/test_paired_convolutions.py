"""A 1x1 convolution and a depthwise convolution of its result run as one instruction: Note [Paired convolutions]."""

import pytest

import flambeau as fb
from flambeau import _core, nn
from flambeau.nn import functional as F


def plan_of(model, x):
    """Return the traced model and its plan."""
    traced = fb.jit.trace(model, (x,))
    return traced, _core._program_plan(traced._program.native)


def same_with_any_number_of_threads(traced, model, x):
    threads = fb.get_num_threads()
    try:
        with fb.no_grad():
            expected = model(x)
            for count in (1, 2, 3, 7):
                fb.set_num_threads(count)
                assert fb.equal(traced(x), expected), (count, tuple(x.shape))
    finally:
        fb.set_num_threads(threads)


def test_convolution_pairs_are_merged_only_for_large_images():
    model = nn.Sequential(nn.Conv2d(5, 40, 1), nn.ReLU6(), nn.Conv2d(40, 40, 3, groups=40)).eval()
    compiled = fb.compile(model)
    for size, as_one in ((20, False), (90, True)):
        x = fb.randn(1, 5, size, size)
        with fb.no_grad():
            compiled(x)
            part = compiled.programs.captured[0].part
            steps = _core._profile_program(part.native, (x,), part.state)
        calls, ran_as_one = steps[-1][:2]
        assert (calls, ran_as_one) == ([1, 2, 3], as_one)


# The second convolution: (kernel, options).
SECOND = {
    "3x3": (3, {"padding": 1}),
    "stride": (3, {"padding": 1, "stride": 2}),
    "strides": (3, {"padding": 1, "stride": (3, 1)}),
    "no padding": (3, {}),
    "padding of one side": (3, {"padding": (0, 2)}),
    "5x5": (5, {"padding": 2, "stride": 2}),
    "dilation": (3, {"padding": 2, "dilation": 2}),
    "wide padding": (7, {"padding": 6}),
    "rows": ((1, 5), {"padding": (0, 2)}),
    "columns": ((5, 1), {"padding": (4, 0)}),
}


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize("case", SECOND)
def test_merged_convolution_pairs_are_bitwise_equal_to_the_operators(case, dtype):
    kernel, options = SECOND[case]
    model = nn.Sequential(nn.Conv2d(5, 40, 1), nn.ReLU6(), nn.Conv2d(40, 40, kernel, groups=40, **options), nn.ReLU6())
    model = model.eval().to(dtype)
    traced, plan = plan_of(model, fb.randn(1, 5, 20, 30, dtype=dtype))
    assert "fused(conv2d, hardtanh, conv2d, hardtanh)" in plan
    # From shapes whose images run one after the other to shapes with several bands. The last has single long rows.
    for shape in ((1, 5, 20, 30), (1, 5, 90, 91), (3, 5, 400, 17), (2, 5, 7, 2000), (1, 5, 12, 4000)):
        same_with_any_number_of_threads(traced, model, fb.randn(*shape, dtype=dtype))


@pytest.mark.parametrize("first", [nn.Identity(), nn.SiLU(), nn.Hardswish(), nn.LeakyReLU(0.2)], ids=repr)
@pytest.mark.parametrize("bias", [False, True])
def test_convolution_pairs_include_the_operators_between_and_after_them(first, bias):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.expand = nn.Conv2d(8, 24, 1, bias=bias)
            self.first = first
            self.filter = nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=bias)

        def forward(self, x):
            return F.silu(self.filter(self.first(self.expand(x))) + 0.5) * 2

    block = Block().eval()
    traced, _ = plan_of(block, fb.randn(1, 8, 10, 10))
    for shape in ((1, 8, 120, 110), (2, 8, 33, 400)):
        same_with_any_number_of_threads(traced, block, fb.randn(*shape))


def test_convolution_pairs_with_batch_norm_are_accurate():
    model = nn.Sequential(
        nn.Conv2d(16, 96, 1, bias=False),
        nn.BatchNorm2d(96),
        nn.ReLU6(inplace=True),
        nn.Conv2d(96, 96, 3, 2, 1, groups=96, bias=False),
        nn.BatchNorm2d(96),
        nn.ReLU6(inplace=True),
    ).double()
    for module in model:
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    model.eval()
    traced, plan = plan_of(model, fb.randn(1, 16, 8, 8, dtype=fb.float64))
    assert "fused(conv2d, batch_norm, hardtanh_, conv2d, batch_norm, hardtanh_)" in plan
    x = fb.randn(1, 16, 112, 112, dtype=fb.float64)
    with fb.no_grad():
        assert fb.allclose(traced(x), model(x), rtol=1e-11, atol=1e-11)


class Two(nn.Module):
    """Two convolutions; the function ``use`` decides how they are called, and thus if they are a pair."""

    def __init__(self, use, groups=24):
        super().__init__()
        self.first, self.second, self.use = nn.Conv2d(8, 24, 1), nn.Conv2d(24, 24, 3, groups=groups), use

    def forward(self, x):
        return self.use(self, x)


def read_twice(model, x):
    y = model.first(x)
    return model.second(y), y


def written_between(model, x):
    x = x * 1
    y = model.first(x)
    x.zero_()
    return model.second(y), x


def added(model, x):
    return model.second(model.first(x) + model.first(2 * x))


@pytest.mark.parametrize(
    "model",
    [Two(read_twice), Two(written_between), Two(added), Two(lambda m, x: m.second(m.first(x)), groups=3)],
    ids=["read twice", "written between", "added", "groups"],
)
def test_unsuitable_convolutions_are_not_merged_into_pairs(model):
    traced, _ = plan_of(model.eval(), fb.randn(1, 8, 12, 12))
    with fb.no_grad():
        for shape in ((1, 8, 12, 12), (1, 8, 110, 120)):
            x = fb.randn(*shape)
            results, wanted = traced(x), model(x)
            for result, want in zip(results, wanted, strict=True):
                assert fb.equal(result, want)


def test_gradients_pass_through_merged_convolution_pairs():
    model = nn.Sequential(nn.Conv2d(8, 24, 1), nn.ReLU6(), nn.Conv2d(24, 24, 3, groups=24)).eval()
    traced, _ = plan_of(model, fb.randn(1, 8, 12, 12))
    x = fb.randn(1, 8, 110, 110, requires_grad=True)
    gradient = fb.autograd.grad(traced(x).sum(), x)[0]
    assert fb.equal(gradient, fb.autograd.grad(model(x).sum(), x)[0])


def test_merged_convolution_pairs_use_changed_weights():
    model = nn.Sequential(nn.Conv2d(8, 24, 1), nn.Conv2d(24, 24, 3, groups=24)).eval()
    x = fb.randn(1, 8, 110, 110)
    compiled = fb.compile(model)
    with fb.no_grad():
        for layer in (0, 1, 0):
            assert fb.equal(compiled(x), model(x))
            model[layer].weight.mul_(1.5)
        assert fb.equal(compiled(x), model(x))
