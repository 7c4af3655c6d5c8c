"""Convolutions and matrix products merged with the operators that follow them.

Notes [Merged products], [Folding], [Prepared weights].
"""

import numpy as np
import pytest

import flambeau as fb
from flambeau import _core, nn
from flambeau.nn import functional as F


def plan_of(model, *example):
    """Return the traced model and the lines of its plan without the names of registers and the checks of inputs."""
    traced = fb.jit.trace(model, example)
    lines = _core._program_plan(traced._program.native).splitlines()
    return traced, [line.rpartition(" = ")[2] for line in lines if "check_input" not in line]


def plans(model, *example, monkeypatch):
    """Return the plans of a model without and with fusion."""
    monkeypatch.setenv("FLAMBEAU_FUSION", "0")
    before = plan_of(model, *example)[1]
    monkeypatch.delenv("FLAMBEAU_FUSION")
    return before, plan_of(model, *example)[1]


def randomize(model):
    """Set the statistics and parameters of normalisation layers to random values."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return model.eval()


def normalized_in_float64(x, conv, norm):
    """Compute a 1x1 convolution and its normalisation with NumPy in double precision."""
    weight = conv.weight.detach().double().numpy()[:, :, 0, 0]
    y = np.einsum("fc,nchw->nfhw", weight, x.double().numpy())
    if conv.bias is not None:
        y += conv.bias.detach().double().numpy()[:, None, None]
    of = {
        name: getattr(norm, name).detach().double().numpy()[:, None, None] for name in ("running_mean", "running_var")
    }
    scale = norm.weight.detach().double().numpy()[:, None, None] / np.sqrt(of["running_var"] + norm.eps)
    return (y - of["running_mean"]) * scale + norm.bias.detach().double().numpy()[:, None, None]


ACTIVATIONS = [
    nn.ReLU(),
    nn.ReLU(inplace=True),
    nn.ReLU6(),
    nn.Hardtanh(-0.5, 0.7),
    nn.Hardswish(),
    nn.SiLU(),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.LeakyReLU(0.1),
    nn.ELU(0.5),
    nn.Mish(),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_a_merged_product_and_activation_is_bitwise_equal_to_the_operators(activation):
    for product, example, others in (
        (nn.Linear(20, 37), (3, 20), ((1, 20), (64, 20))),
        (nn.Conv2d(16, 24, 1), (1, 16, 5, 5), ((1, 16, 40, 40), (3, 16, 7, 7))),
        (nn.Conv2d(8, 24, 3, stride=2), (1, 8, 9, 9), ((1, 8, 40, 40), (3, 8, 16, 16))),
    ):
        model = nn.Sequential(product, activation).eval()
        traced, plan = plan_of(model, fb.randn(*example))
        assert len(plan) == 1 and plan[0].startswith("fused("), plan
        with fb.no_grad():
            for shape in (example, *others):
                x = fb.randn(*shape)
                assert fb.equal(traced(x), model(x)), shape


# Every algorithm of convolutions: (channels, filters, kernel, size, options).
CONVOLUTIONS = {
    "direct": (3, 16, 3, 64, {"padding": 1}),
    "direct, many filters": (64, 64, 3, 56, {"padding": 1}),
    "implicit": (32, 50, 3, 14, {"padding": 1}),
    "implicit, stride": (16, 30, 3, 28, {"padding": 1, "stride": 2}),
    "depthwise": (24, 24, 3, 28, {"padding": 1, "groups": 24}),
    "depthwise, stride": (24, 24, 5, 29, {"padding": 2, "stride": 2, "groups": 24}),
    "depthwise, small": (24, 24, 3, 7, {"padding": 1, "groups": 24}),
    "depthwise, several filters": (8, 16, 3, 20, {"dilation": 2, "groups": 8}),
    "unfolded": (40, 50, 1, 14, {}),
    "unfolded, small": (40, 50, 1, 5, {}),
    "groups": (32, 36, 3, 14, {"padding": 1, "groups": 2}),
    "whole image": (32, 20, 4, 4, {}),
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_each_convolution_algorithm_merges_a_residual_and_an_activation(case, dtype, bias):
    channels, filters, kernel, size, options = CONVOLUTIONS[case]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(channels, filters, kernel, bias=bias, **options)

        def forward(self, x, y):
            return F.relu6(self.conv(x) + y)

    model = Model().eval().to(dtype)
    x = fb.randn(1, channels, size, size, dtype=dtype)
    y = fb.randn(*model.conv(x).shape, dtype=dtype)
    traced, plan = plan_of(model, x, y)
    assert plan == ["fused(conv2d, add, relu6)"]
    threads = fb.get_num_threads()
    with fb.no_grad():
        expected = model(x, y)
        try:
            for count in (1, 2, 3):
                fb.set_num_threads(count)
                assert fb.equal(traced(x, y), expected), count
        finally:
            fb.set_num_threads(threads)
        several = fb.randn(3, channels, size, size, dtype=dtype)
        assert fb.equal(traced(several, y.expand(3, -1, -1, -1)), model(several, y))
        copies = y.repeat(3, 1, 1, 1)
        assert fb.equal(traced(several, copies), model(several, copies))


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize("columns", [17, 33, 34, 35, 49, 50, 51, 52])
def test_columns_beyond_full_vectors_are_bitwise_equal_to_the_operators(columns, dtype):
    for channels, filters in ((3, 6), (40, 50), (300, 100)):
        for bias in (False, True):
            model = nn.Sequential(nn.Conv1d(channels, filters, 1, bias=bias), nn.ReLU6()).eval().to(dtype)
            x = fb.randn(1, channels, columns, dtype=dtype)
            traced, _ = plan_of(model, x)
            with fb.no_grad():
                assert fb.equal(traced(x), model(x)), (channels, filters, bias)


BOUNDS = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hardtanh": lambda y: F.hardtanh(y, -0.5, 0.7),
    "crossed": lambda y: fb.clamp(y, 0.7, -0.5),
    "clamp": lambda y: fb.clamp(y, -1, 2),
    "clamp_min": lambda y: y.clamp(min=0.25),
    "clamp_max": lambda y: y.clamp(max=0.25),
    "nan": lambda y: fb.clamp(y, float("nan"), 1.0),
    "infinite": lambda y: fb.clamp(y, -float("inf"), 0.5),
    "bounds": lambda y: F.relu6(F.hardtanh(y, -3, 4)),
}


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize("case", [*CONVOLUTIONS, "linear"])
def test_merged_clamps_keep_nan_and_negative_zero(case, dtype, name):
    if case == "linear":
        product, x = nn.Linear(7, 19), fb.randn(23, 7, dtype=dtype)
    else:
        channels, filters, kernel, size, options = CONVOLUTIONS[case]
        product, x = nn.Conv2d(channels, filters, kernel, **options), fb.randn(1, channels, size, size, dtype=dtype)
    for i, special in enumerate((float("nan"), float("inf"), -float("inf"))):
        x.view(-1)[5 * i + 2] = special
    with fb.no_grad():
        product.weight[0], product.bias[0] = 0, -0.0

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.product = product.to(dtype)

        def forward(self, x):
            return BOUNDS[name](self.product(x))

    model = Model().eval()
    traced, plan = plan_of(model, x)
    assert len(plan) == 1
    with fb.no_grad():
        result, expected = traced(x).numpy(), model(x).numpy()
    np.testing.assert_array_equal(result, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(result[numbers]), np.signbit(expected[numbers]))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_batch_norm_is_folded_into_a_convolution(dims, monkeypatch):
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
    norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims - 1]
    model = randomize(nn.Sequential(conv(4, 6, 3, padding=1), norm(6), nn.ReLU())).double()
    x = fb.randn(2, 4, *(9,) * dims, dtype=fb.float64)
    before, after = plans(model, x, monkeypatch=monkeypatch)
    assert before == [f"conv{dims}d", "batch_norm", "relu"]
    assert after == [f"fused(conv{dims}d, batch_norm, relu)"]
    traced, _ = plan_of(model, x)
    with fb.no_grad():
        np.testing.assert_allclose(traced(x).numpy(), model(x).numpy(), rtol=1e-12, atol=1e-12)


def test_folding_batch_norm_is_as_accurate_as_the_operators():
    conv, norm = nn.Conv2d(64, 32, 1), nn.BatchNorm2d(32)
    model = randomize(nn.Sequential(conv, norm))
    x = fb.randn(2, 64, 20, 20)
    traced, plan = plan_of(model, x)
    assert plan == ["fused(conv2d, batch_norm)"]
    with fb.no_grad():
        expected = normalized_in_float64(x, conv, norm)
        of_program, of_operators = (np.abs(f(x).numpy() - expected).max() for f in (traced, model))
        assert not fb.equal(traced(x), model(x))  # folding changes the rounding
    assert of_program <= max(2 * of_operators, np.abs(expected).max() * 1e-6)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize(("size", "padding"), [((14, 14), 1), ((15, 13), 0), ((28, 31), (2, 0)), ((11, 40), 1)])
def test_folded_3x3_convolutions_with_many_channels_are_accurate(size, padding, dtype):
    conv, norm = nn.Conv2d(32, 50, 3, padding=padding), nn.BatchNorm2d(50)
    model = randomize(nn.Sequential(conv, norm, nn.ReLU())).to(dtype)
    reference = randomize(nn.Sequential(nn.Conv2d(32, 50, 3, padding=padding), nn.BatchNorm2d(50), nn.ReLU())).double()
    reference.load_state_dict({name: tensor.double() for name, tensor in model.state_dict().items()})
    traced, plan = plan_of(model, fb.randn(1, 32, *size, dtype=dtype))
    assert plan == ["fused(conv2d, batch_norm, relu)"]
    with fb.no_grad():
        for samples in (1, 2, 3):
            x = fb.randn(samples, 32, *size, dtype=dtype)
            expected = reference(x.double()).numpy()
            tolerance = np.abs(expected).max() * (4e-6 if dtype == fb.float32 else 1e-14)
            np.testing.assert_allclose(traced(x).numpy(), expected, rtol=0, atol=tolerance)
    threads, results = fb.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            fb.set_num_threads(count)
            with fb.no_grad():
                results.append(traced(x))
    finally:
        fb.set_num_threads(threads)
    assert all(fb.equal(result, results[0]) for result in results)


def test_a_residual_block_is_two_merged_convolutions():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.norm1 = nn.Conv2d(6, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
            self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
            self.conv3, self.norm3 = nn.Conv2d(6, 8, 1, bias=False), nn.BatchNorm2d(8)

        def forward(self, x):
            y = F.relu(self.norm1(self.conv1(x)), inplace=True)
            y = self.norm2(self.conv2(y))
            y += self.norm3(self.conv3(x))
            return F.relu(y, inplace=True)

    block = randomize(Block()).double()
    traced, plan = plan_of(block, fb.randn(1, 6, 8, 8, dtype=fb.float64))
    assert plan == [
        "fused(conv2d, batch_norm, relu_)",
        "fused(conv2d, batch_norm)",
        "fused(conv2d, batch_norm, add_, relu_)",
    ]
    with fb.no_grad():
        for shape in ((1, 6, 8, 8), (3, 6, 17, 30)):
            x = fb.randn(*shape, dtype=fb.float64)
            kept = x.clone()
            np.testing.assert_allclose(traced(x).numpy(), block(x).numpy(), rtol=1e-11, atol=1e-11)
            assert fb.equal(x, kept)


def test_products_that_other_operators_read_are_not_merged_away():
    conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    randomize(norm)

    def several(x):
        y = conv(x)
        return y, norm(y)

    def product_of_results(x):
        y = conv(x)
        return y * y.sigmoid()

    x = fb.randn(1, 3, 20, 20)
    for f, expected in ((several, ["conv2d", "batch_norm"]), (product_of_results, ["conv2d", "fused(sigmoid, mul)"])):
        traced, plan = plan_of(f, x)
        assert plan == expected
        with fb.no_grad():
            results, wanted = traced(x), f(x)
            for result, want in zip(results, wanted, strict=True):
                assert fb.equal(result, want)


def test_an_in_place_write_between_merged_operators_runs_in_order():
    linear = nn.Linear(5, 5)

    def f(x):
        x = x * 1
        y = linear(x)
        x.zero_()
        return y.relu(), x

    traced, _ = plan_of(f, fb.randn(4, 5))
    with fb.no_grad():
        x = fb.randn(4, 5)
        for result, want in zip(traced(x), f(x), strict=True):
            assert fb.equal(result, want)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(16, 24, 1), nn.BatchNorm2d(24), nn.Linear(24 * 36, 18)

    def forward(self, x):
        return F.relu(self.last(F.relu(self.norm(self.conv(x))).flatten(1)))


def train(model, x):
    model.train()
    optimizer = pytest.importorskip("flambeau.optim").SGD(model.parameters(), lr=0.01)
    model(x).square().sum().backward()
    optimizer.step()
    model.eval()


def load(model, x):
    model.load_state_dict(randomize(Model()).state_dict())


def replace_tensors(model, x):
    model.load_state_dict(randomize(Model()).state_dict(), assign=True)


def edit(model, x):
    with fb.no_grad():
        model.conv.weight[3, 2] += 2
        model.last.weight.mul_(2)


def edit_data(model, x):
    model.conv.weight.data[3, 2] += 2
    model.last.weight.data.mul_(2)


def edit_statistics(model, x):
    model.norm.running_var.mul_(3)
    model.norm.running_mean.add_(1)


def edit_bias(model, x):
    with fb.no_grad():
        model.conv.bias.add_(1)
        model.last.bias.add_(1)


def edit_through_numpy(model, x):
    for parameter in (model.conv.weight, model.norm.running_mean, model.last.weight):
        array = parameter.detach().numpy()
        array += 1


KEPT = {}  # arrays that stay alive between calls, by the address of their model


def edit_through_a_kept_array(model, x):
    parameters = (model.conv.weight, model.norm.running_mean, model.last.weight)
    for array in KEPT.setdefault(id(model), [parameter.detach().numpy() for parameter in parameters]):
        array += 1


def edit_through_dlpack(model, x):
    for parameter in (model.conv.weight, model.norm.running_mean, model.last.weight):
        fb.from_dlpack(parameter.detach()).add_(1)


def edit_through_a_view(model, x):
    model.norm.running_mean[3:].add_(1)
    with fb.no_grad():
        model.conv.weight.view(-1)[::2].add_(1)
        model.last.weight.t()[1].add_(3)


def replace_data(model, x):
    for parameter in model.parameters():
        parameter.data = parameter.data + 1


def edit_in_inference_mode(model, x):
    with fb.inference_mode():
        model.conv.weight.mul_(3)
        model.last.weight.mul_(3)


CHANGES = [
    train,
    load,
    replace_tensors,
    edit,
    edit_data,
    edit_statistics,
    edit_bias,
    edit_through_numpy,
    edit_through_a_kept_array,
    edit_through_dlpack,
    edit_through_a_view,
    replace_data,
    edit_in_inference_mode,
]


@pytest.mark.parametrize("change", CHANGES)
def test_merged_products_use_changed_parameters(change):
    model = randomize(Model())
    x = fb.randn(3, 16, 6, 6)
    with fb.no_grad():
        traced, plan = plan_of(model, x)
        assert plan[0] == "fused(conv2d, batch_norm, relu)" and plan[-1] == "fused(linear, relu)"
    compiled = fb.compile(model)
    for _ in range(3):  # the second change applies to what the first change left
        with fb.no_grad():
            for _ in range(2):
                first = model(x)
                for program in (traced, compiled):
                    np.testing.assert_allclose(program(x).numpy(), first.numpy(), rtol=1e-4, atol=1e-4)
        change(model, x)
        with fb.no_grad():
            changed = model(x)
            assert not np.allclose(changed.numpy(), first.numpy(), rtol=1e-3, atol=1e-3)
            if change is not replace_tensors:  # the traced program keeps the tensors that it was made with
                np.testing.assert_allclose(traced(x).numpy(), changed.numpy(), rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(compiled(x).numpy(), changed.numpy(), rtol=1e-4, atol=1e-4)
        if change is replace_tensors:
            break


def test_gradients_of_merged_products_equal_the_unmerged_gradients():
    model = randomize(Model())
    x = fb.randn(3, 16, 6, 6, requires_grad=True)
    traced, _ = plan_of(model, x)
    with fb.no_grad():
        traced(x)
    parameters = [x, *model.parameters()]
    expected = fb.autograd.grad(model(x).square().sum(), parameters)
    given = fb.autograd.grad(traced(x).square().sum(), parameters)
    for a, b in zip(given, expected, strict=True):
        assert fb.equal(a, b)


def test_unsupported_layouts_and_dtypes_are_not_merged():
    model = randomize(nn.Sequential(nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8), nn.ReLU()))
    x = fb.randn(2, 16, 9, 9)
    traced, _ = plan_of(model, x)
    with fb.no_grad():
        for given in (
            x.contiguous(memory_format=fb.channels_last),
            x[:, :, ::2],
            x.transpose(2, 3),
            x[:0],
        ):
            result, expected = traced(given), model(given)
            assert fb.equal(result, expected) and result.stride() == expected.stride()
        model.double()
        with pytest.raises(RuntimeError, match="should be the same"):
            traced(x)
        assert fb.equal(traced(x.double()), model(x.double()))


def test_errors_name_the_operator_and_its_line():
    traced, _ = plan_of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), fb.randn(1, 3, 8, 8))
    with pytest.raises(RuntimeError, match=r"expected input.* to have 3 channels.*\(in conv2d"):
        traced(fb.randn(1, 2, 8, 8))
    traced, _ = plan_of(nn.Sequential(nn.Linear(3, 4), nn.ReLU()).eval(), fb.randn(1, 3))
    with pytest.raises(RuntimeError, match=r"cannot be multiplied.*\(in linear"):
        traced(fb.randn(2, 4))


def test_operands_that_broadcast_or_promote_run_after_the_product():
    linear = nn.Linear(6, 8)
    traced, plan = plan_of(lambda x, y: (linear(x) + y).relu(), fb.randn(4, 6), fb.randn(4, 8))
    assert plan == ["fused(linear, add, relu)"]
    with fb.no_grad():
        for y in (fb.randn(1, 8), fb.randn(4, 1), fb.randn(8, 4).t(), fb.randn(4, 8).double(), fb.ones(4, 8).int()):
            x = fb.randn(4, 6)
            result, expected = traced(x, y), (linear(x) + y).relu()
            assert result.dtype == expected.dtype and fb.equal(result, expected)


def test_threads_share_a_program():
    from concurrent.futures import ThreadPoolExecutor

    model = randomize(Model())
    x = fb.randn(2, 16, 6, 6)
    traced, _ = plan_of(model, x)
    with fb.no_grad():
        expected = model(x).numpy()

    def run(_):
        with fb.no_grad():
            return traced(x).numpy()

    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(run, range(40)):
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
