"""Checkpointing: the same values and gradients, less memory, and errors if the recomputation differs."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import Function, grad
from flambeau.utils.checkpoint import (
    CheckpointError,
    checkpoint,
    checkpoint_sequential,
    set_checkpoint_debug_enabled,
    set_checkpoint_early_stop,
)

N = 64 * 1024


@pytest.fixture
def x():
    return fb.tensor([0.5, 1.0, 2.0], dtype=fb.float64, requires_grad=True)


@pytest.fixture
def w():
    return fb.tensor([1.5, -1.0, 0.3], dtype=fb.float64, requires_grad=True)


def noisy(t, scale):
    return (fb.dropout(t.sin(), 0.5, True) * scale).exp()


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_has_the_gradients_and_random_numbers_of_a_plain_call(x, w, reentrant):
    fb.manual_seed(1)
    expected = grad(noisy(x, w).sum(), [x, w])
    after = fb.rand(1)
    fb.manual_seed(1)
    y = checkpoint(noisy, x, w, use_reentrant=reentrant)
    y.sum().backward()
    assert fb.equal(fb.rand(1), after)
    assert x.grad.tolist() == expected[0].tolist() and w.grad.tolist() == expected[1].tolist()


def test_recomputation_stops_early(x):
    calls = []

    def function(t):
        calls.append("begin")
        t = t.exp().sin()
        calls.append("end")
        return t

    checkpoint(function, x, use_reentrant=False).sum().backward()
    assert calls == ["begin", "end", "begin"]
    with set_checkpoint_early_stop(False):
        checkpoint(function, x, use_reentrant=False).sum().backward()
    checkpoint(function, x, use_reentrant=False, early_stop=False).sum().backward()
    assert calls[3:] == ["begin", "end"] * 4
    with fb.no_grad():
        assert not checkpoint(function, x, use_reentrant=False).requires_grad


def test_nested_checkpoints_with_keyword_arguments_have_correct_second_derivatives(x, w):
    def inner(t, *, scale):
        return (t * scale).sin()

    def outer(t, scale):
        return checkpoint(inner, t.exp(), scale=scale, use_reentrant=False) * t

    def plain(t, scale):
        return inner(t.exp(), scale=scale) * t

    results = []
    for function in (plain, lambda t, s: checkpoint(outer, t, s, use_reentrant=False)):
        first = grad(function(x, w).sum(), [x, w], create_graph=True)
        results.append([*first, *grad((first[0] * first[1]).sum(), [x, w])])
    for expected, got in zip(*results, strict=True):
        assert got.tolist() == pytest.approx(expected.tolist(), rel=1e-12)


def test_a_checkpoint_saves_only_its_arguments(allocated):
    x = fb.ones(N, requires_grad=True)

    def deep(t):
        for _ in range(10):
            t = t.sin()
        return t

    y = checkpoint(deep, x, use_reentrant=False)
    assert allocated() < 2 * 4 * N + 64 * 1024  # the memory of x and y, in float32
    y.sum().backward()
    del y
    assert allocated() < 2 * 4 * N + 64 * 1024  # x and its gradient


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoint_sequential_gives_the_gradient_of_the_plain_functions(x, reentrant):
    functions = [fb.sin, fb.exp, fb.tanh, fb.cos, fb.sigmoid]
    y = x
    for function in functions:
        y = function(y)
    (expected,) = grad(y.sum(), x)
    checkpoint_sequential(functions, 2, x, use_reentrant=reentrant).sum().backward()
    assert x.grad.tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    with pytest.raises(ValueError, match="number of functions, 5, got 6"):
        checkpoint_sequential(functions, 6, x, use_reentrant=reentrant)


def test_context_fn_wraps_forward_and_recomputation(x):
    entered = []

    class Context:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            entered.append(self.name)

        def __exit__(self, *exception):
            pass

    y = checkpoint(fb.exp, x, use_reentrant=False, context_fn=lambda: (Context("forward"), Context("again")))
    assert entered == ["forward"]
    y.sum().backward()
    assert entered == ["forward", "again"]


def differing(first, second):
    functions = iter([first, second])
    return lambda t: next(functions)(t)


def test_a_recomputation_that_differs_is_rejected(x):
    y = checkpoint(differing(lambda t: t.exp().sin(), lambda t: t + 1), x, use_reentrant=False)
    with pytest.raises(
        CheckpointError, match="saved during forward: 2\nNumber of tensors saved during recomputation: 0"
    ):
        y.sum().backward()
    shapes = differing(lambda t: t.exp().sum(), lambda t: t[:2].exp().sum())
    y = checkpoint(shapes, x, use_reentrant=False)
    with pytest.raises(CheckpointError, match=r"different metadata[\s\S]*'shape': \[3\][\s\S]*'shape': \[2\]"):
        y.backward()
    assert x.grad is None
    with set_checkpoint_debug_enabled(True):
        y = checkpoint(differing(lambda t: t.exp(), lambda t: t + 1), x, use_reentrant=False)
    with pytest.raises(CheckpointError, match="saved in forward"):
        y.sum().backward()


def test_an_argument_changed_before_recomputation_is_rejected(x):
    y = x * 1
    z = checkpoint(fb.exp, y, use_reentrant=False)
    y.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_a_saved_tensor_of_a_checkpoint_can_be_read_only_once(x):
    class Twice(Function):
        @staticmethod
        def forward(ctx, t):
            ctx.save_for_backward(t)
            return t * 2

        @staticmethod
        def backward(ctx, gradient):
            return ctx.saved_tensors[0] * ctx.saved_tensors[0]

    y = checkpoint(lambda t: Twice.apply(t.exp()), x, use_reentrant=False)
    with pytest.raises(CheckpointError, match="already unpacked once"):
        y.sum().backward()


def test_contradictory_checkpoint_arguments_raise_or_warn(x):
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
        checkpoint(fb.exp, x)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: scale"):
        checkpoint(fb.exp, x, use_reentrant=True, scale=3)
    with pytest.raises(ValueError, match="only supported when use_reentrant=False"):
        checkpoint(fb.exp, x, use_reentrant=True, debug=True)
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(fb.exp, x, use_reentrant=False, determinism_check="some")
    with pytest.raises(RuntimeError, match=r"incompatible with \.grad"):
        grad(checkpoint(fb.exp, x, use_reentrant=True).sum(), x)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        checkpoint(fb.exp, x.detach(), use_reentrant=True)


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
def test_recomputation_enters_the_autocast_regions_again(use_reentrant, enabled):
    dtypes = []

    def function(x, w):
        y = x @ w
        dtypes.append(y.dtype)
        return (y @ w).float().sum()

    x, w = (fb.arange(9.0).view(3, 3).sin().requires_grad_() for _ in range(2))
    with fb.autocast("cpu", enabled=enabled):
        checkpoint(function, x, w, use_reentrant=use_reentrant).backward()
        (wanted,) = grad(function(x, w), x)
    assert dtypes == [fb.bfloat16 if enabled else fb.float32] * 3
    np.testing.assert_array_equal(x.grad.numpy(), wanted.numpy())
    dtypes.clear()
    with fb.autocast("cpu", enabled=enabled):
        loss = checkpoint(function, x, w, use_reentrant=use_reentrant)
    loss.backward()
    assert dtypes == [fb.bfloat16 if enabled else fb.float32] * 2


@pytest.mark.parametrize("early_stop", [False, True])
def test_a_checkpointed_function_may_differentiate(early_stop):
    def gradient(x):
        (found,) = grad(checkpoint(lambda t: t.sin().exp(), x, use_reentrant=False), x, create_graph=True)
        return found

    x = fb.tensor(0.5, dtype=fb.float64, requires_grad=True)
    with set_checkpoint_early_stop(early_stop):
        (found,) = grad(checkpoint(gradient, x, use_reentrant=False), x)
    s, c = np.sin(0.5), np.cos(0.5)
    assert found.item() == pytest.approx(np.exp(s) * (c * c - s))


def test_checkpoint_warns_if_no_input_requires_grad(x):
    fb.utils.checkpoint.check_backward_validity([x, 3])
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        fb.utils.checkpoint.check_backward_validity([x.detach(), 3])


def test_detach_variable_detaches_the_tensors_of_a_tuple(x):
    detached, plain, number = fb.utils.checkpoint.detach_variable((x * 2, x.detach(), 3))
    assert detached.is_leaf and detached.requires_grad and detached.tolist() == (x * 2).tolist()
    assert not plain.requires_grad and number == 3
    with pytest.raises(RuntimeError, match="Only tuple of tensors is supported"):
        fb.utils.checkpoint.detach_variable([x])


def test_is_checkpoint_valid_is_false_within_grad(x):
    answers = []

    class Asking(Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            answers.append(fb.autograd._is_checkpoint_valid())
            return gradient

    Asking.apply(x).sum().backward()
    grad(Asking.apply(x).sum(), x)
    assert answers == [True, False]
