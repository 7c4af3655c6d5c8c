"""Nodes and edges of the graph, long graphs, and backward passes within backward passes."""

import copy
import math
import threading
import time

import pytest

import flambeau as fb
from flambeau import autograd


@pytest.fixture
def x():
    return fb.tensor([1.0, 2.0], requires_grad=True)


def test_next_functions_lead_from_a_node_to_the_nodes_of_its_inputs(x):
    w = fb.ones(2)
    y = (x * w + x).sum()
    (add, index) = y.grad_fn.next_functions[0]
    assert (y.grad_fn.name(), add.name(), index) == ("SumBackward0", "AddBackward0", 0)
    (mul, _), (leaf, _) = add.next_functions
    assert mul.name() == "MulBackward0" and leaf.name() == "torch::autograd::AccumulateGrad"
    assert leaf.variable is x and leaf.next_functions == ()
    assert mul.next_functions == ((leaf, 0), (None, 0))
    assert y.grad_fn is y.grad_fn and isinstance(add, autograd.graph.Node)
    assert repr(mul).startswith("<MulBackward0 object at 0x")
    with pytest.raises(AttributeError):
        _ = mul.variable


@pytest.mark.parametrize(
    ("compute", "name"),
    [
        (lambda x: x.view(1, 2), "ViewBackward0"),
        (lambda x: x[0], "SelectBackward0"),
        (lambda x: x.max(), "MaxBackward1"),
        (lambda x: x.max(0).values, "MaxBackward0"),
        (lambda x: x.sum(0), "SumBackward1"),
        (lambda x: x.mean(0), "MeanBackward1"),
        (lambda x: x**2, "PowBackward0"),
        (lambda x: x.clamp(0, 1), "ClampBackward1"),
        (lambda x: x.norm(), "LinalgVectorNormBackward0"),
        (lambda x: x.view(1, 2).t(), "TBackward0"),
        (lambda x: fb.cat([x, x]), "CatBackward0"),
        (lambda x: x.log_softmax(0), "LogSoftmaxBackward0"),
        (lambda x: (x * 1).add_(1), "AddBackward0"),
        (lambda x: x.atan2(x), "Atan2Backward0"),
        (lambda x: (x * 1)[:1].mul_(2)._base, "CopySlices"),
    ],
)
def test_grad_fn_has_the_name_of_its_operator(x, compute, name):
    assert compute(x).grad_fn.name() == name


def test_a_chain_of_a_million_nodes_runs_and_is_freed_without_recursion(allocated):
    x = fb.ones((), requires_grad=True)
    y = x
    for _ in range(1_000_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    del y
    y = x * 1
    for _ in range(300_000):
        y = y * 1.0
    del y  # freed without a backward pass
    y = fb.zeros(2)
    for _ in range(100_000):
        y[0] += x
    y.sum().backward()
    assert x.grad.item() == 100_001
    del x, y
    assert allocated() == 0


def test_a_wide_and_deep_graph_runs_each_node_once(x):
    runs = []
    y = x
    for _ in range(40):  # 2**40 paths
        y = y + y
        y.register_hook(lambda g: runs.append(1))
    y.sum().backward()
    assert len(runs) == 40 and x.grad.tolist() == [2.0**40] * 2


def test_backward_can_run_inside_a_hook(x):
    other = fb.ones(2, requires_grad=True)
    y = x * 2
    inner = (other * 5).sum()
    y.register_hook(lambda g: inner.backward())
    y.sum().backward()
    assert x.grad.tolist() == [2, 2] and other.grad.tolist() == [5, 5]


def test_backward_can_run_inside_a_backward_pass_of_the_same_graph(x):
    shared = x * 3
    y = shared * 1
    inner = (shared * shared).sum()
    y.register_hook(lambda g: inner.backward(retain_graph=True))
    (y + shared * 2).sum().backward()
    assert x.grad.tolist() == [9 + 18, 9 + 36]


def test_backward_passes_can_be_deeply_nested(x):
    depth = []

    def again(gradient):
        depth.append(1)
        if len(depth) < 50:
            loss.backward()

    y = x * 2
    y.register_hook(again)
    loss = y.sum()
    loss.backward()
    assert x.grad.tolist() == [100, 100]


def pause(gradient):
    time.sleep(0.001)  # let another thread run


def test_threads_build_and_run_graphs():
    shared = fb.ones(3, requires_grad=True)
    failures = []

    def work(seed):
        try:
            for i in range(50):
                own = fb.full((3,), float(seed), requires_grad=True)
                y = (own * own * shared).sum()
                y.register_hook(lambda g: None)
                own.register_hook(pause if i % 10 == 0 else lambda g: None)
                (g,) = autograd.grad(y, own, create_graph=True)
                assert g.tolist() == [2.0 * seed] * 3
                g.sum().backward(inputs=[own])
                assert own.grad.tolist() == [2.0] * 3
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and shared.grad is None


def test_several_threads_run_backward_through_one_graph():
    x = fb.ones(2, requires_grad=True)
    trunk = x * 3
    trunk.register_hook(pause)
    loss = (trunk * trunk + trunk).sum()
    threads = [threading.Thread(target=lambda: loss.backward(retain_graph=True)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert x.grad.tolist() == [8 * 21.0] * 2


def test_increment_version_invalidates_saved_tensors(x):
    y = (x * x).sum()
    autograd.graph.increment_version(x)
    with pytest.raises(RuntimeError, match="inplace"):
        y.backward()


def test_graph_nodes_cannot_be_constructed_or_copied():
    node = fb.ones(2, requires_grad=True).exp().grad_fn
    for make in (type(node), lambda: type(node).__new__(type(node)), lambda: copy.copy(node)):
        with pytest.raises(TypeError):
            make()


def test_a_node_can_be_called():
    x = fb.tensor([2.0, 3.0], requires_grad=True)
    product, chosen = (x * 2).grad_fn, x.max(0).values.grad_fn
    assert product(fb.tensor([1.0, 10.0]))[0].tolist() == [2, 20]
    assert chosen(fb.tensor(5.0)).tolist() == [0, 5]
    accumulate = product.next_functions[0][0]
    assert accumulate(fb.ones(2)) == () and x.grad.tolist() == [1, 1]
    with pytest.raises(TypeError, match="expected 1 arguments, got 2 instead"):
        product(fb.ones(2), fb.ones(2))
    with pytest.raises(TypeError, match="Tensors or None, got float"):
        product(1.0)
    with pytest.raises(RuntimeError, match=r"a gradient of shape \[2\] for output 0 of MulBackward0, got \[3\]"):
        product(fb.ones(3))


def test_calling_a_node_is_differentiable_and_keeps_its_saved_tensors():
    x = fb.tensor(0.5, requires_grad=True)
    node = x.sin().grad_fn
    second = fb.autograd.grad(node(fb.tensor(1.0)), x)[0]
    assert second.item() == pytest.approx(-math.sin(0.5))
    assert node(fb.tensor(1.0)).item() == pytest.approx(math.cos(0.5))
    with fb.no_grad():
        assert not node(fb.tensor(1.0)).requires_grad


def test_the_class_of_a_node_has_the_name_of_the_node():
    x = fb.tensor([2.0], requires_grad=True)
    product, other = x * x, x * 3
    kind = type(product.grad_fn)
    assert (
        kind.__name__ == "MulBackward0"
        and kind is type(other.grad_fn)
        and isinstance(product.grad_fn, autograd.graph.Node)
    )
    assert product.grad_fn is product.grad_fn
    assert type(product.grad_fn.next_functions[0][0]).__name__ == "AccumulateGrad"
    assert other.grad_fn._sequence_nr() > product.grad_fn._sequence_nr()
    with pytest.raises(TypeError, match="recorded operations"):
        kind()


def test_queued_callbacks_run_at_the_end_of_backward():
    queue = autograd.Variable._execution_engine.queue_callback
    x = fb.tensor([1.0], requires_grad=True)
    seen = []

    def at_end():
        seen.append(x.grad.tolist())
        if len(seen) < 2:
            queue(at_end)

    y = x * 2
    y.register_hook(lambda g: queue(at_end))
    y.backward()
    assert seen == [[2.0], [2.0]]
    with pytest.raises(RuntimeError, match="only be installed during backward"):
        queue(at_end)


def test_an_error_in_a_callback_does_not_affect_the_next_backward():
    def fail():
        raise KeyError("mine")

    x = fb.tensor([1.0], requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: autograd.Variable._execution_engine.queue_callback(fail))
    with pytest.raises(KeyError, match="mine"):
        y.backward()
    (x * 3).backward()
    assert x.grad.tolist() == [5.0]


def test_numbers_that_require_grad_are_rejected():
    x, one = fb.ones(3), fb.tensor(1.0, requires_grad=True)
    for call in (lambda: fb.celu(x, one), lambda: fb.isclose(x, x, rtol=one)):
        with pytest.raises(TypeError, match="must be float, not Tensor that requires grad"):
            call()
    assert fb.celu(x, one.detach()).tolist() == [1.0] * 3
    with fb.no_grad():
        assert fb.celu(x, one).tolist() == [1.0] * 3


def test_pack_hooks_receive_the_inputs_themselves_and_detached_outputs():
    x, given = fb.ones(2, requires_grad=True), []
    y = x * 2
    with autograd.graph.saved_tensors_hooks(lambda t: given.append(t) or t, lambda t: t):
        z = x * y
        e = x.exp()
    assert {id(t) for t in given[:2]} == {id(x), id(y)}
    assert given[2].equal(e) and not given[2].requires_grad
    (z + e).sum().backward()
    assert fb.allclose(x.grad, fb.full((2,), 4.0 + math.e))


def test_a_number_on_the_left_follows_the_tensor_in_next_functions():
    x = fb.ones(2, requires_grad=True)
    y = x * 3
    for result in (2 * y, 1 + y):
        (first, _), (second, _) = result.grad_fn.next_functions
        assert first is y.grad_fn and second is None
