"""Tensors and graphs are freed with their last reference."""

import gc
import weakref

import pytest

import flambeau as fb
from flambeau.autograd import Function

KIB = 1024
N = 64 * KIB  # elements: 256 KiB of float32


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_dropping_a_graph_frees_its_memory(allocated, no_collector):
    x = fb.ones(N, requires_grad=True)
    y = ((x * x).exp() + x).sum()
    assert allocated() > 8 * N
    del x, y
    assert allocated() == 0


def test_backward_frees_saved_tensors(allocated, no_collector):
    x = fb.ones(N, requires_grad=True)
    y = x
    for _ in range(10):
        y = y.sin()
    loss = y.sum()
    del y
    assert allocated() > 10 * 4 * N
    loss.backward()
    assert allocated() < 2 * 4 * N + 64 * KIB  # x and its gradient
    assert loss.grad_fn.name() == "SumBackward0"


def test_backward_frees_saved_tensors_progressively(allocated, no_collector):
    x = fb.ones(N, requires_grad=True)
    y, high = x, []
    for _ in range(10):
        y = y.sin()
        y.register_hook(lambda g: high.append(allocated()))
    loss = y.sum()
    del y
    before = allocated()
    loss.backward()
    assert len(high) == 10
    assert max(high) < before + 3 * 4 * N + 64 * KIB
    assert high[-1] < high[0] - 6 * 4 * N


def test_repeated_in_place_operators_do_not_accumulate_saved_memory(allocated, no_collector):
    x = fb.ones(N, requires_grad=True)
    y = x * 1
    for i in range(10):
        y[i:].mul_(x[i:])
    loss = y.sum()
    del y
    loss.backward()
    assert allocated() < 2 * 4 * N + 64 * KIB


def test_the_first_gradient_is_not_copied(allocated, no_collector):
    x = fb.ones(N, requires_grad=True)
    (x * 2).sum().backward()
    assert allocated() < 2 * 4 * N + 64 * KIB
    pointer = x.grad.data_ptr()
    (x * 2).sum().backward()
    assert x.grad.data_ptr() == pointer


def test_retained_values_are_freed_with_the_graph(allocated, no_collector):
    x = fb.ones(N, requires_grad=True)
    loss = (x * x).exp().sum()
    for _ in range(3):
        loss.backward(retain_graph=True)
    del loss
    assert allocated() < 2 * 4 * N + 64 * KIB


def test_a_failed_backward_pass_leaks_no_memory(allocated, no_collector):
    x = fb.ones(N, requires_grad=True)
    y = x * 2
    handle = y.register_hook(lambda g: 1 / 0)
    loss = y.exp().sum()
    with pytest.raises(ZeroDivisionError):
        loss.backward(retain_graph=True)
    handle.remove()
    del y, loss
    assert allocated() < 4 * N + 64 * KIB


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        y = x**3
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        x, y = ctx.saved_tensors
        return gradient * 3 * y / x


def test_custom_functions_make_no_reference_cycles(allocated, no_collector):
    x = fb.ones(N, requires_grad=True)
    y = Cube.apply(x)
    reference = weakref.ref(y)
    (g,) = fb.autograd.grad(y.sum(), x, create_graph=True)
    g.sum().backward()
    del x, y, g
    assert reference() is None and allocated() == 0


def test_backward_frees_the_saved_tensors_of_custom_functions(allocated, no_collector):
    x = fb.ones(N, requires_grad=True)
    loss = Cube.apply(x * 1).sum()
    loss.backward()
    assert allocated() < 2 * 4 * N + 64 * KIB


class Referring:
    """Hook with a reference to its tensor."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __call__(self, argument):
        pass


@pytest.mark.parametrize("register", ["register_hook", "register_post_accumulate_grad_hook"])
def test_hooks_that_refer_to_their_leaf_are_collected(allocated, register):
    x = fb.ones(N, requires_grad=True)
    getattr(x, register)(Referring(x))
    (x * 2).sum().backward()
    del x
    gc.collect()
    assert allocated() == 0


def test_hooks_that_refer_to_their_result_are_collected(allocated):
    x = fb.ones(N, requires_grad=True)
    y = x * 2
    y.register_hook(Referring(y))
    y.sum().backward()
    del x, y
    gc.collect()
    assert allocated() == 0


def test_attributes_of_a_tensor_that_refer_back_are_collected(allocated):
    x = fb.ones(N, requires_grad=True)
    x.me = [x]
    del x
    gc.collect()
    assert allocated() == 0


def test_hooks_are_released_with_their_tensor(no_collector):
    class Callback:
        def __call__(self, gradient):
            pass

    hook, other = Callback(), Callback()
    references = [weakref.ref(hook), weakref.ref(other)]
    x = fb.ones(2, requires_grad=True)
    y = x * 2
    x.register_hook(hook)
    y.register_hook(other)
    del hook, other, x, y
    assert [r() for r in references] == [None, None]


@pytest.fixture
def one_thread():
    """Run kernels in one thread, because other threads keep scratch memory after their first use."""
    threads = fb.get_num_threads()
    fb.set_num_threads(1)
    yield
    fb.set_num_threads(threads)


def test_training_steps_do_not_increase_memory(one_thread, allocated, no_collector):
    w = fb.ones(256, 256, requires_grad=True)
    used = []
    for _ in range(5):
        h = fb.relu(fb.ones(8, 256) @ w)
        fb.cross_entropy(h, fb.zeros(8, dtype=fb.int64)).backward()
        with fb.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
        used.append(allocated())
    assert used[-1] == used[1]


def test_nested_gradients_are_freed_without_recursion():
    t = fb.ones(1)
    for _ in range(1_000_000):
        holder = fb.ones(1)
        holder.grad = t
        t = holder
    del holder, t
