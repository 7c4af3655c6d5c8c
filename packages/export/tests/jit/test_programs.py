"""Traced programs: decisions, state, gradients, arguments and files."""

import copy
import io
import math
import pickle
import threading

import pytest

import flambeau as fb
from flambeau import nn

F = nn.functional


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, image, scale=None):
        x = F.relu(self.norm(self.conv(image))).mean((2, 3))
        return {"scores": self.head(x), "features": (x, x.sum())} if scale is None else self.head(x) * scale


@pytest.fixture
def net():
    fb.manual_seed(0)
    return Net().eval()


def test_traced_sizes_follow_the_inputs():
    def windows(x, y):
        rows, columns = x.shape[0], x.size(-1)
        half = columns // 2
        parts = x.view(len(x), 2, half).transpose(0, 1).reshape(2 * rows, -1)
        return parts / x.shape.numel() ** 0.5 + fb.arange(half), y.new_zeros(rows, y.numel() + 1), x[: rows - 1, -half:]

    program = fb.jit.trace(windows, (fb.randn(3, 4), fb.randn(2)))
    x, y = fb.randn(5, 8), fb.randn(2)
    for mine, other in zip(program(x, y), windows(x, y), strict=True):
        assert fb.equal(mine, other)


def test_branches_on_sizes_are_checked_at_run_time():
    def decided(x):
        total = x * 0
        for i in range(x.shape[1]):
            total = total + x[:, i : i + 1]
        return total if x.shape[0] > 2 else -total

    program = fb.jit.trace(decided, fb.ones(4, 3))
    assert fb.equal(program(fb.ones(7, 3)), fb.full((7, 3), 3.0))
    with pytest.raises(RuntimeError, match=r"x.size\(0\) > 2; now the two values are 2 and 2"):
        program(fb.ones(2, 3))
    with pytest.raises(RuntimeError, match=r"x.size\(1\) == 3; now the two values are 5 and 3"):
        program(fb.ones(4, 5))
    with pytest.raises(RuntimeError, match=r"a tensor of 2 dimensions for 'x', got one of shape \[4\]"):
        program(fb.ones(4))


def test_branches_on_elements_are_checked_at_run_time():
    def decided(x):
        scale = x.abs().max().item()
        return x / scale if x.sum() > 0 else x

    program = fb.jit.trace(decided, fb.tensor([1.0, 2.0]))
    assert fb.equal(program(fb.tensor([1.0, 4.0])), fb.tensor([0.25, 1.0]))
    with pytest.raises(RuntimeError, match=r"gt\(...\).item\(\) != 0; now the two values are 0 and 0"):
        program(fb.tensor([-1.0, -2.0]))


def test_tracing_warns_if_python_reads_elements_as_constants():
    with pytest.warns(fb.jit.TracerWarning, match="test_programs.py:.*tolist gives Python a value"):
        program = fb.jit.trace(lambda x: x * x.tolist()[0], fb.tensor([3.0]))
    assert program(fb.tensor([5.0])).item() == 15


def test_tracing_warns_if_a_second_run_differs():
    calls = []

    def counted(x):
        calls.append(1)
        return x + len(calls)

    with pytest.warns(fb.jit.TracerWarning, match="the function is not deterministic"):
        fb.jit.trace(counted, fb.ones(1))
    fb.jit.trace(counted, fb.ones(1), check_trace=False)


def test_check_inputs_are_compared_with_the_traced_program():
    def hidden(x):
        return x * max(x.detach().numpy().sum(), 1)

    with pytest.warns(fb.jit.TracerWarning), pytest.raises(RuntimeError, match="check_inputs"):
        fb.jit.trace(hidden, fb.ones(2), check_inputs=[(fb.full((2,), 5.0),)])


def test_unsupported_calls_are_listed_with_their_source_lines():
    def asks(x):
        values, _ = fb.linalg.eigh(x @ x.T)
        return values.sum() + x.svd()[1].sum()

    with pytest.raises(NotImplementedError, match=r"(?s)linalg_eigh .*test_programs.py:\d+\n.*svd .*test_programs"):
        fb.jit.trace(asks, fb.ones(2, 2))
    unused = fb.jit.trace(lambda x: (fb.linalg.eigh(x @ x.T), x + 1)[1], fb.ones(2, 2))
    assert "eigh" not in unused.code


def test_programs_take_and_return_nested_structures(net):
    program = fb.jit.trace(net, fb.randn(2, 1, 6, 6))
    images = fb.randn(3, 1, 7, 7)
    made, expected = program(images), net(images)
    assert list(made) == ["scores", "features"] and isinstance(made["features"], tuple)
    assert fb.equal(made["features"][1], expected["features"][1])
    scaled = fb.jit.trace(net, example_kwarg_inputs={"image": images, "scale": fb.tensor(2.0)})
    assert fb.equal(scaled(scale=fb.tensor(3.0), image=images), net(images, fb.tensor(3.0)))
    nested = fb.jit.trace(
        lambda pair, more, flag: pair[0] + more["x"][0] if flag else None, ((fb.ones(1), 2), {"x": [fb.ones(1)]}, True)
    )
    assert nested((fb.ones(1), 2), {"x": [fb.ones(1)]}, True).item() == 2
    for wrong, message in [
        (((fb.ones(1), 3), {"x": [fb.ones(1)]}, True), r"the constant 2 for pair\[1\], got 3"),
        (((fb.ones(1), 2), {"y": [fb.ones(1)]}, True), "the keys"),
        (((fb.ones(1), 2), {"x": [fb.ones(1)] * 2}, True), "expects a list of length 1 .*, got list of length 2"),
        (((fb.ones(1), 2), {"x": [1]}, True), "expects a tensor for more"),
        ((), "is missing the argument 'pair'"),
        ((1, 2, 3, 4), "takes the arguments 'pair', 'more', 'flag', got 4 positional"),
    ]:
        with pytest.raises(TypeError, match=message):
            nested(*wrong)
    with pytest.raises(
        TypeError, match="unexpected keyword argument 'images'; it takes the arguments 'image', 'scale'"
    ):
        scaled(images=images)
    with pytest.raises(TypeError, match="outputs must be tensors"):
        fb.jit.trace(lambda x: {1: x}, fb.ones(1))
    with pytest.raises(NotImplementedError, match="contain the same tensor twice"):
        fb.jit.trace(lambda x, y: x + y, (images, images))
    with pytest.raises(RuntimeError, match="needs example_inputs"):
        fb.jit.trace(net)


def test_a_traced_program_shares_parameters_with_the_module(net):
    program = fb.jit.trace(net, fb.randn(2, 1, 6, 6))
    assert list(program.state_dict()) == list(net.state_dict())
    assert program.conv.weight is net.conv.weight and next(iter(program.parameters())) is net.conv.weight
    images = fb.randn(2, 1, 6, 6)
    program(images)["scores"].sum().backward()
    made = net.conv.weight.grad.clone()
    net.zero_grad()
    net(images)["scores"].sum().backward()
    assert fb.equal(made, net.conv.weight.grad)
    with fb.no_grad():
        for parameter in program.parameters():
            parameter -= 0.1 * (0 if parameter.grad is None else parameter.grad)
    assert fb.equal(program(images)["scores"], net(images)["scores"])
    program.double()
    assert program(images.double())["scores"].dtype == fb.float64


def test_a_traced_program_updates_buffers_like_the_module():
    modules = [nn.BatchNorm1d(3) for _ in range(2)]
    program = fb.jit.trace(modules[0], fb.randn(4, 3))
    modules[1].load_state_dict(modules[0].state_dict())
    x = fb.randn(5, 3)
    assert fb.equal(program(x), modules[1](x))
    assert fb.equal(modules[0].running_mean, modules[1].running_mean)
    assert modules[0].num_batches_tracked == modules[1].num_batches_tracked


def test_results_under_no_grad_have_no_history_in_the_program():
    def frozen(x):
        with fb.no_grad():
            scale = x.exp()
        return x * scale, x.detach() * 2, x.data + 1

    x = fb.ones(2, requires_grad=True)
    results = fb.jit.trace(frozen, fb.ones(2, requires_grad=True))(x)
    assert [r.requires_grad for r in results] == [True, False, False]
    (gradient,) = fb.autograd.grad(results[0].sum(), x)
    assert fb.equal(gradient, fb.ones(2).exp())


def test_an_unsupported_derivative_in_a_program_raises():
    program = fb.jit.trace(fb.linalg.det, fb.eye(2, requires_grad=True))
    assert program(2 * fb.eye(2)).item() == 4
    with pytest.raises(NotImplementedError, match="cannot compute the gradient of LinalgDet"):
        program(fb.eye(2, requires_grad=True))


def test_tensors_created_in_a_program_are_new_at_each_call():
    def counts(x):
        total = fb.tensor([1.0])
        total += x
        return total

    program = fb.jit.trace(counts, fb.ones(1))
    assert [program(fb.ones(1)).item() for _ in range(3)] == [2, 2, 2]


def test_traced_recurrent_layers_take_any_length():
    for layer in (nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True), nn.GRU(3, 4), nn.RNN(3, 4)):
        program = fb.jit.trace(layer, fb.randn(2, 5, 3))
        x = fb.randn(6, 9, 3)
        assert fb.equal(program(x)[0], layer(x)[0])


def test_traced_transformers_take_any_batch_and_length():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    program = fb.jit.trace(layer, fb.randn(2, 5, 8))
    x = fb.randn(3, 7, 8)
    assert fb.equal(program(x), layer(x))


def test_programs_can_be_nested_in_programs_and_modules(net):
    inner = fb.jit.trace(net, fb.randn(2, 1, 6, 6))

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x * 2)["scores"].softmax(1)

    outer = Outer()
    program = fb.jit.trace(outer, fb.randn(2, 1, 6, 6))
    x = fb.randn(5, 1, 8, 8)
    assert fb.equal(program(x), outer(x))
    assert "@inner.conv.weight" in program.code and "_run_program" not in program.code
    assert fb.jit.trace(program, x) is program


def test_vmap_and_autocast_run_programs_call_by_call(net):
    program = fb.jit.trace(lambda x: F.linear(x, net.head.weight).relu(), fb.randn(2, 4))
    x = fb.randn(5, 2, 4)
    assert fb.allclose(fb.func.vmap(program)(x), F.linear(x, net.head.weight).relu())
    with fb.autocast("cpu"):
        assert program(x[0]).dtype == fb.bfloat16
    with pytest.raises(RuntimeError, match=r"x.size\(0\) == 3"):
        fb.func.vmap(fb.jit.trace(lambda x: sum(x[i] for i in range(x.shape[0])), fb.ones(3)))(fb.ones(2, 4))


def test_a_program_that_is_traced_under_autocast_contains_the_casts(net):
    layer, x = net.head, fb.randn(2, net.head.in_features)
    with fb.autocast("cpu"):
        program, expected = fb.jit.trace(layer, x), layer(x)
    result = program(x)
    assert result.dtype == expected.dtype == fb.bfloat16 and fb.equal(result, expected)
    assert fb.jit.trace(layer, x)(x).dtype == fb.float32


def test_programs_can_be_copied_and_pickled(net):
    program = fb.jit.trace(net, fb.randn(2, 1, 6, 6))
    x = fb.randn(2, 1, 6, 6)
    for copied in (copy.deepcopy(program), pickle.loads(pickle.dumps(program))):
        assert copied.conv.weight is not program.conv.weight
        assert fb.equal(copied(x)["scores"], program(x)["scores"])


# --- files ---


def test_programs_load_from_files(net, tmp_path):
    program = fb.jit.trace(net, fb.randn(2, 1, 6, 6))
    net.head.bias.requires_grad_(False)
    path = tmp_path / "net.model"
    fb.jit.save(program, path, _extra_files={"labels": "a b c"})
    extra = {"labels": "", "none": ""}
    loaded = fb.jit.load(path, _extra_files=extra)
    assert extra == {"labels": b"a b c", "none": b""}
    x = fb.randn(3, 1, 9, 9)
    assert fb.equal(loaded(x)["scores"], net(x)["scores"]) and loaded.original_name == "Net" and not loaded.training
    assert list(loaded.state_dict()) == list(net.state_dict())
    assert [p.requires_grad for p in loaded.parameters()] == [p.requires_grad for p in net.parameters()]
    net.load_state_dict(loaded.state_dict())
    assert set(fb.load(path)) >= set(net.state_dict())  # the file can also be read as a dictionary of tensors


def test_files_contain_functions_and_constants():
    table = fb.randn(3)
    program = fb.jit.trace(lambda x: x @ table + 1, fb.randn(2, 3))
    buffer = io.BytesIO()
    program.save(buffer)
    buffer.seek(0)
    loaded = fb.jit.load(buffer, map_location="cpu")
    x = fb.randn(4, 3)
    assert isinstance(loaded, fb.jit.ScriptFunction) and fb.equal(loaded(x), x @ table + 1)


def test_tied_parameters_remain_tied(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(5, 4)
            self.head = nn.Linear(4, 5, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x):
            return self.head(self.embedding(x))

    model = Tied()
    program = fb.jit.trace(model, fb.tensor([1, 2]))
    program.save(tmp_path / "tied")
    loaded = fb.jit.load(tmp_path / "tied")
    assert loaded.head.weight is loaded.embedding.weight
    assert fb.equal(loaded(fb.tensor([3])), model(fb.tensor([3])))


def test_unsupported_files_are_rejected(net, tmp_path):
    with pytest.raises(TypeError, match="got Net: call"):
        fb.jit.save(net, tmp_path / "f")
    value = fb.ones(1, dtype=fb.complex128)
    program = fb.jit.trace(lambda x: x + value, fb.ones(1))
    with pytest.raises(NotImplementedError, match="complex128"):
        program.save(tmp_path / "f")
    fb.save(net.state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(RuntimeError, match=r"weights\.safetensors' was not written by"):
        fb.jit.load(tmp_path / "weights.safetensors")
    fb.save(net.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(RuntimeError, match=r"has no file 'constants\.pkl'"):
        fb.jit.load(tmp_path / "weights.pt")
    with pytest.raises(FileNotFoundError):
        fb.jit.load(tmp_path / "none")


# --- the text ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must end with a line"),
        ("return %0", "line 1 .*%0 is used before"),
        ("input %0 x\n%0 = relu(%0)\nreturn %0", "line 2 .*assigned twice"),
        ("input %0 x\n%1 = rely(%0)\nreturn %1", "no operator 'rely'"),
        ("input %0 x\n%1 = relu(%0, 1)\nreturn %1", "relu has 1 parameters, but got 2"),
        ("input %0 x\n%1 = relu(%0\nreturn %1", "line 2"),
        ("input %0 x\n%1 = add(%0, 1e, 1)\nreturn %1", "'1e' is not a valid value"),
        ("input %0 x\n%1 = add(%0, 'x, 1)\nreturn %1", "line 2"),
        ("input %0 x\n%1 = relu(%0) relu\nreturn %1", "after the call"),
        ("input %0 x\nreturn %0\nreturn %0", "follow 'return'"),
        ("%1 = full([1], 1, None, None)\ninput %0 x\nreturn %0", "the inputs must precede"),
        ("input %99999999999 x\nreturn", "is not a valid value"),
        ("input %0 x\n%1 = cat([" + "[" * 30 + "%0\nreturn %0", "lists are nested too deeply"),
    ],
)
def test_invalid_program_texts_raise(text, message):
    with pytest.raises(ValueError, match=message):
        fb._core._parse_program(text)


def test_programs_support_constants_of_every_type():
    def kinds(x):
        y = x.to(fb.float64, memory_format=fb.channels_last) * (1 + 2j) + float("inf")
        return F.pad(y.real, (1, 0), value=-1e-7), fb.clamp(x, max=float("nan")), F.gelu(x, approximate="tanh")

    x = fb.randn(1, 2, 3, 3)
    program = fb.jit.trace(kinds, x, check_trace=False)
    for mine, other in zip(program(x), kinds(x), strict=True):
        assert fb.allclose(mine, other, equal_nan=True) and mine.stride() == other.stride()
    assert "complex(1.0, 2.0)" in program.code and "channels_last" in program.code and "inf" in program.code


def test_bounds_of_slices_may_be_elements_of_tensors():
    program = fb.jit.trace(lambda x, n: x[: n[0], 1 : n.sum()], (fb.ones(5, 5), fb.tensor([2, 1])))
    assert program(fb.ones(5, 5), fb.tensor([4, 0])).shape == (4, 3)


def test_constants_and_buffers_may_have_equal_names(tmp_path):
    model = nn.Module()
    model.register_buffer("constant_0", fb.ones(1))
    model.forward = lambda x: x + model.constant_0 + other
    other = fb.full((1,), 5.0)
    program = fb.jit.trace(model, fb.ones(1))
    program.save(tmp_path / "model")
    assert fb.jit.load(tmp_path / "model")(fb.ones(1)).item() == 7


def test_branches_on_values_written_through_a_view_are_checked():
    def decided(x):
        marks = fb.zeros(4)
        marks.view(2, 2)[0, 0] = x.sum()
        return x if marks.max() > 0 else -x

    program = fb.jit.trace(decided, fb.ones(2))
    with pytest.raises(RuntimeError, match="traced with inputs for which"):
        program(-fb.ones(2))


def test_random_programs_are_not_compared_with_a_second_run():
    # A comparison of the results, which are random, would cause a warning.
    program = fb.jit.trace(lambda x: x + fb.poisson(fb.full((50,), 5.0)), fb.zeros(50))
    assert not fb.equal(program(fb.zeros(50)), program(fb.zeros(50)))


@pytest.mark.filterwarnings("error::flambeau.jit.TracerWarning")
def test_tensors_of_sizes_and_elements_follow_the_inputs():
    def function(x):
        height, width = x.shape
        ratios = fb.as_tensor([height / 2, 1.5]), x.new_tensor([width]), fb.tensor(x.shape)
        return *ratios, fb.tensor(height), fb.tensor([x.sum().item()], dtype=fb.float64)

    program = fb.jit.trace(function, fb.ones(2, 3))
    for shape in ((2, 3), (5, 4)):
        made = program(fb.ones(*shape))
        assert [t.tolist() for t in made] == [
            [shape[0] / 2, 1.5],
            [shape[1]],
            list(shape),
            shape[0],
            [math.prod(shape)],
        ]
        assert [t.dtype for t in made] == [fb.float32, fb.float32, fb.int64, fb.int64, fb.float64]


def test_tensors_of_different_shapes_are_not_equal():
    def f(x):
        same = fb.equal(x, x.expand(2, 3)) or fb.equal(x, x.unsqueeze(0))
        return x if same else x + 1

    traced = fb.jit.trace(f, fb.ones(1, 3))
    assert fb.equal(traced(fb.zeros(1, 3)), fb.ones(1, 3))


def test_a_comparison_of_shapes_is_required_in_all_runs():
    def f(x, y):
        return x if fb.equal(x, y) else x + 1

    compiled = fb.compile(f)
    pairs = [(2, 3), (2, 2), (4, 4), (5, 1)]
    for first, second in pairs:
        x, y = fb.ones(first), fb.ones(second)
        assert fb.equal(compiled(x, y), f(x, y))
    traced = fb.jit.trace(f, (fb.ones(2), fb.ones(3)))
    assert fb.equal(traced(fb.ones(4), fb.ones(5)), fb.ones(4) + 1)
    with pytest.raises(RuntimeError, match="traced with inputs for which"):
        traced(fb.ones(3), fb.ones(3))


def test_programs_of_pointwise_operators_and_linear_layers_accept_any_number_of_dimensions():
    f = fb.jit.trace(lambda x, y: (x.tanh() * y + 1).relu(), (fb.ones(3), fb.ones(3)))
    model = nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 1))
    traced = fb.jit.trace(model, fb.ones(4, 2))
    for shape in ((2,), (5, 2), (3, 1, 5, 2)):
        x = fb.randn(shape)
        assert fb.equal(f(x, x[0]), (x.tanh() * x[0] + 1).relu())
        fb.testing.assert_close(traced(x), model(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.sin() if x.dim() == 2 else x.cos(),
        lambda x: x.sin() if x.ndim == 2 else x.cos(),
        lambda x: x.sin() if len(x.shape) == 2 else x.cos(),
        lambda x: x.sin() if len(x.size()) == 2 else x.cos(),
        lambda x: x.sum(-1).sin(),
    ],
)
def test_programs_that_may_depend_on_the_number_of_dimensions_check_it(function):
    traced = fb.jit.trace(function, fb.ones(2, 3), check_trace=False)
    with pytest.raises(RuntimeError, match="traced with a tensor of 2 dimensions"):
        traced(fb.ones(3))


def test_overlapping_traces_in_two_threads_restore_len():
    inside, leave, original_len = threading.Event(), threading.Event(), len

    def first():
        def f(x):
            inside.set()
            leave.wait(30)
            return x * len(x)

        fb.jit.trace(f, fb.ones(3))

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(30)

    def second(x):
        leave.set()
        thread.join()
        return x * len(x)

    traced = fb.jit.trace(second, fb.ones(3), check_trace=False)
    assert traced(fb.ones(5)).tolist() == [5.0] * 5
    assert len is original_len


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.permute(dims=(1, 0)) * 2,
        lambda x: fb.permute(x, dims=(1, 0)) * 2,
        lambda x: x.view(size=(3, 2)) * 2,
        lambda x: x.expand(size=(4, 2, 3)) * 2,
        lambda x: x.repeat(repeats=(2, 1)) * 2,
        lambda x: x.flip(dims=(0,)) * 2,
        lambda x: x + x.new_zeros(size=(3,)),
    ],
)
def test_sizes_and_dimensions_can_be_keyword_arguments(function):
    x = fb.arange(6.0).reshape(2, 3)
    program = fb.jit.trace(function, x)
    assert program(x + 1).equal(function(x + 1))
