"""Sizes of arguments under `flambeau.compile`: one program serves many sizes."""

import functools
import pickle

import pytest

import flambeau as fb
from flambeau import nn

from .captured_programs import captures, programs_of


def test_a_branch_on_a_size_is_captured_for_each_outcome():
    def f(x):
        return x * 2 if x.shape[0] > 4 else x + x.shape[0]

    compiled = fb.compile(f, fullgraph=True)
    for n in (3, 5, 2, 7, 4):
        x = fb.randn(n)
        assert fb.equal(compiled(x), f(x))
    assert captures(compiled) == 2


def test_recapturing_a_branch_on_a_size_does_not_repeat_in_place_changes():
    def f(x):
        x.add_(1)
        return x * 2 if x.shape[0] > 4 else x + 1

    compiled = fb.compile(f, fullgraph=True)
    for n in (3, 5, 3, 7):
        x = fb.zeros(n)
        compiled(x)
        assert fb.equal(x, fb.ones(n))


def test_a_traced_size_that_the_function_stores_is_an_int():
    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.sizes = []

        def forward(self, x):
            self.sizes.append(x.shape[0])
            self.last = x.shape
            return x * 2

    model = Recorder()
    compiled = fb.compile(model)
    compiled(fb.zeros(3))
    compiled(fb.zeros(4))
    assert model.sizes == [3, 4] and [type(size) for size in model.sizes] == [int, int]
    assert type(model.last) is fb.Size and tuple(model.last) == (4,)


def test_without_dynamic_sizes_each_size_is_compiled_separately():
    for dynamic, count in ((None, 1), (True, 1), (False, 3)):
        compiled = fb.compile(lambda x: x * 2, dynamic=dynamic)
        model = fb.compile(nn.Linear(2, 2), dynamic=dynamic)
        for n in (1, 2, 3, 1, 2):
            assert fb.equal(compiled(fb.ones(n)), fb.full((n,), 2.0))
            model(fb.ones(n, 2))
        assert captures(compiled) == count and len(programs_of(model)) == count
        assert pickle.loads(pickle.dumps(model)).programs.all_sizes == (dynamic is not False)


SIZES = {
    "convolutions": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2)),
        [(2, 3, 8, 8), (1, 3, 8, 8), (5, 3, 6, 9)],
    ),
    "attention": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        [(2, 5, 8), (1, 5, 8), (3, 7, 8)],
    ),
    "recurrence": (lambda: nn.LSTM(4, 6, num_layers=2, batch_first=True), [(2, 5, 4), (1, 5, 4), (3, 7, 4)]),
}


@pytest.mark.parametrize("name", SIZES)
def test_one_dynamic_program_serves_all_sizes(name):
    make, shapes = SIZES[name]
    model = make().eval()
    compiled = fb.compile(model, fullgraph=True)
    with fb.no_grad():
        for shape in shapes:
            x = fb.randn(*shape)
            expected, found = (fb.utils._pytree.tree_leaves(run(x)) for run in (model, compiled))
            fb.testing.assert_close(found, expected)  # folding batch_norm into a convolution changes the rounding
    assert len(programs_of(compiled)) == 1


def test_changing_a_local_tensor_keeps_sizes_dynamic():
    def f(x):
        y = x * 2
        y += 1
        y[0] = 7
        return y * 3 if x.shape[0] > 2 else y

    compiled = fb.compile(f, fullgraph=True)
    for n in (3, 4, 2, 5, 1):
        x = fb.randn(n, 2)
        assert fb.equal(compiled(x), f(x))
    assert captures(compiled) == 2


def test_a_size_cached_during_an_earlier_capture_is_a_constant():
    @functools.lru_cache
    def doubled(n):
        return n * 2

    def scaled(x):
        return x * doubled(x.shape[0])

    def padded(x):
        n = doubled(x.shape[0])
        return x.sum() + x.shape[1], x.new_zeros(n - x.shape[1]), n, x.shape[0] * 3 - n, n > x.shape[1]

    x = fb.ones(3, 4)
    assert fb.equal(fb.compile(scaled, fullgraph=True)(x), scaled(x))
    compiled = fb.compile(padded, fullgraph=True)
    for shape in ((3, 4), (3, 5), (4, 2), (3, 1), (3, 6)):
        x = fb.ones(shape)
        found, expected = compiled(x), padded(x)
        assert str(found) == str(expected)
        assert [type(item) for item in found] == [fb.Tensor, fb.Tensor, int, int, bool]


def test_programs_compute_with_the_strides_of_each_call():
    def f(x):
        y = (x * 2).T
        return y.as_strided((2, 2), (y.stride(0), y.stride(1))) + x.stride(0) * y.stride(-1), y.stride()

    compiled, traced = fb.compile(f, fullgraph=True), fb.jit.trace(lambda x: f(x)[0], fb.ones(3, 3))
    for x in (fb.rand(2, 3), fb.rand(4, 5), fb.rand(4, 5).T, fb.rand(3, 8)[:, ::2], fb.rand(5, 2)):
        (found, strides), (expected, of_expected) = compiled(x), f(x)
        assert fb.equal(found, expected) and fb.equal(traced(x), expected) and strides == of_expected
    with pytest.raises(IndexError, match="Dimension out of range"):
        fb.compile(lambda x: x + x.stride(2))(fb.ones(2, 2))


@pytest.mark.parametrize("divide", [lambda x: x.split(2), lambda x: x.unbind(), lambda x: x.chunk(3)])
def test_a_split_into_another_number_of_parts_is_captured_again(divide):
    compiled = fb.compile(divide)
    for size in (4, 5, 2, 4):
        x = fb.arange(size)
        assert [part.tolist() for part in compiled(x)] == [part.tolist() for part in divide(x)]


def test_capturing_another_number_of_parts_does_not_repeat_a_side_effect():
    total = fb.zeros(())

    def f(x):
        total.add_(1)
        return len(x.split(2))

    compiled = fb.compile(f)
    assert [compiled(fb.ones(size)) for size in (4, 5, 2, 4)] == [2, 3, 1, 2]
    assert total.item() == 4


@pytest.mark.parametrize(
    "of",
    [
        lambda x: x.shape, lambda x: {"shape": x.size()}, lambda x: x.t().shape, lambda x: (*x.shape, 1),
        lambda x: x.shape + (1,), lambda x: slice(x.shape[0]), lambda x: [x.shape[0] + 1, x.numel()],
    ],
)  # fmt: skip
def test_shapes_in_the_result_are_those_of_the_call(of):
    compiled = fb.compile(lambda x: (x * 2, of(x)))
    for size in (2, 3, 4):
        x = fb.ones(size, 2)
        assert repr(compiled(x)[1]) == repr(of(x)) and type(compiled(x)[1]) is type(of(x))
    assert len(compiled.captured) == 1
