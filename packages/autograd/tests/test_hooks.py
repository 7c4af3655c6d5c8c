"""Hooks on tensors and on nodes."""

import copy

import pytest

import flambeau as fb
from flambeau import autograd
from flambeau.utils.hooks import RemovableHandle


@pytest.fixture
def x():
    return fb.tensor([1.0, 2.0], requires_grad=True)


def test_a_hook_sees_the_gradient_of_a_result(x):
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 3).sum().backward()
    assert seen == [[3, 3]] and x.grad.tolist() == [6, 6]


def test_hooks_receive_the_summed_gradient_once(x):
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    y = x * 1
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * y + y + x).sum().backward()
    assert seen == [[3, 5], [4, 6]]


def test_tensor_hooks_run_in_order_and_replace_the_gradient(x):
    y = x * 1
    for t in (x, y):
        t.register_hook(lambda g: g + 1)
        t.register_hook(lambda g: None)
        t.register_hook(lambda g: g * 10)
    y.sum().backward()
    assert x.grad.tolist() == [210, 210]  # ((1 + 1) * 10 + 1) * 10


def test_hooks_can_be_removed(x):
    y = x * 1
    for t in (x, y):
        handle = t.register_hook(lambda g: g * 100)
        handle.remove()
        handle.remove()
        with t.register_hook(lambda g: g * 100):
            pass
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_a_tensor_hook_may_remove_itself_and_other_hooks(x):
    seen = []
    handles = []

    def first(gradient):
        seen.append("first")
        for handle in handles:
            handle.remove()

    handles.append(x.register_hook(first))
    handles.append(x.register_hook(lambda g: seen.append("second")))
    handles.append(x.register_post_accumulate_grad_hook(lambda t: seen.append("third")))
    x.sum().backward()
    x.sum().backward()
    assert seen == ["first", "second"]


def test_a_retained_gradient_shares_no_memory(x):
    y = x + fb.zeros(2)
    y.retain_grad()
    seed = fb.ones(2)
    y.backward(seed)
    y.grad.mul_(5)
    assert seed.tolist() == x.grad.tolist() == [1, 1]
    z = x * 2
    part = z.view(2)
    z.retain_grad()
    part.retain_grad()
    part.sum().backward()  # expands the gradient
    z.grad.mul_(5)
    assert z.grad.tolist() == [5, 5] and part.grad.mul_(3).tolist() == [3, 3]


def test_hooks_apply_to_grad_and_to_retained_gradients(x):
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    gx, gy = autograd.grad(y.sum(), [x, y], retain_graph=True)
    assert gx.tolist() == [20, 20] and gy.tolist() == [10, 10]
    y.sum().backward()
    assert y.grad.tolist() == [20, 20]  # once for each run


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (lambda g: g[0], RuntimeError, "hook '<lambda>' has changed the size of value"),
        (lambda g: g.double(), RuntimeError, "hook '<lambda>' has changed the type of value"),
        (lambda g: 3, TypeError, "hooks must return None or a Tensor, got int"),
    ],
)
def test_invalid_hook_results_raise(x, result, error, message):
    y = x * 1
    for t in (x, y):
        with t.register_hook(result), pytest.raises(error, match=message):
            y.sum().backward()
    assert x.grad is None
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_registering_an_invalid_hook_raises(x):
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        fb.ones(2).register_hook(print)
    with pytest.raises(RuntimeError, match="non-leaf"):
        (x * 2).register_post_accumulate_grad_hook(print)
    with pytest.raises(TypeError, match="callable"):
        x.register_hook(3)


def test_post_accumulate_grad_hooks_are_called_once_per_backward_pass(x):
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append((t is x, t.grad.tolist())))
    (x * x + x).sum().backward()
    x.sum().backward()
    x.sum().backward(inputs=[x])
    autograd.grad(x.sum(), x)
    assert seen == [(True, [3, 5]), (True, [4, 6]), (True, [5, 7])]


def test_a_hook_can_update_its_leaf(x):
    def step(leaf):
        with fb.no_grad():
            leaf -= leaf.grad
        leaf.grad = None

    x.register_post_accumulate_grad_hook(step)
    (x * 3).sum().backward()
    assert x.tolist() == [-2, -1] and x.grad is None


def test_gradients_are_recorded_in_hooks_only_with_create_graph(x):
    modes = []
    y = (x * x).sum()
    y.register_hook(lambda g: modes.append(fb.is_grad_enabled()))
    y.backward(retain_graph=True)
    y.backward(create_graph=True)
    assert modes == [False, True]
    x.grad = None


def test_prehooks_of_nodes_replace_gradients_and_removed_hooks_are_not_called(x):
    calls = []
    node = (y := x * fb.tensor([2.0, 3.0])).grad_fn
    before = node.register_prehook(lambda outputs: calls.append(len(outputs)) or (outputs[0] * 10,))
    after = node.register_hook(lambda inputs, outputs: calls.append((len(inputs), outputs[0].tolist())))
    y.sum().backward(retain_graph=True)
    assert calls == [1, (2, [10, 10])] and x.grad.tolist() == [20, 30]
    before.remove()
    after.remove()
    y.sum().backward()
    assert len(calls) == 2 and x.grad.tolist() == [22, 33]


def test_a_node_hook_that_returns_the_wrong_number_of_gradients_raises(x):
    y = x * 2
    with (
        y.grad_fn.register_hook(lambda inputs, outputs: (None, None, None)),
        pytest.raises(RuntimeError, match=r"incorrect number of values \(got 3, but expected"),
    ):
        y.sum().backward()


def test_exceptions_in_hooks_leave_the_engine_usable(x):
    y = x * 2
    z = (y * y).sum()

    def fail(gradient):
        raise ZeroDivisionError("in a hook")

    for t in (x, y):
        with t.register_hook(fail), pytest.raises(ZeroDivisionError, match="in a hook"):
            z.backward(retain_graph=True)
        assert fb.is_grad_enabled()
        x.grad = None
    z.backward()
    assert x.grad.tolist() == [8, 16]


@pytest.mark.parametrize("shape", [(), (7,), (3, 2)])
def test_a_hook_that_changes_the_shape_of_a_gradient_raises(shape):
    x = fb.ones(2, 3, requires_grad=True)
    y = x.exp()
    y.grad_fn.register_prehook(lambda gradients: (fb.ones(shape),))
    with pytest.raises(RuntimeError, match="changed the size of value"):
        y.sum().backward()
    z = x.exp()
    z.register_hook(lambda gradient: setattr(gradient, "data", fb.ones(shape)))
    with pytest.raises(RuntimeError, match="changed the size or type"):
        z.backward(fb.ones(2, 3))
    assert x.grad is None


def test_copies_of_hook_handles_do_not_remove_the_hook():
    x = fb.ones(3, requires_grad=True)
    y = x * 2
    handles = [
        x.register_hook(lambda gradient: gradient * 2),
        y.grad_fn.register_hook(lambda inputs, outputs: None),
        autograd.graph.register_multi_grad_hook([x], lambda gradients: None),
    ]
    assert all(isinstance(handle, RemovableHandle) for handle in handles)
    copy.deepcopy(handles[0]).remove()
    y.sum().backward()
    assert x.grad.tolist() == [4, 4, 4]


def test_leaves_accumulate_as_soon_as_their_gradient_is_complete():
    def graph():
        hidden = fb.ones(2) * first
        hidden = (hidden * shared).sin()
        return ((hidden * last).exp() * shared).sum()

    first, shared, last = (fb.ones(2, requires_grad=True) for _ in range(3))
    seen = []
    for name, leaf in (("first", first), ("shared", shared), ("last", last)):
        leaf.register_post_accumulate_grad_hook(lambda _, name=name: seen.append(name))
    for _ in range(3):
        loss = graph()  # while ``loss`` still refers to the previous loss
        loss.grad_fn.next_functions[0][0].register_hook(lambda *_: seen.append("product"))
        hidden = loss.grad_fn.next_functions[0][0].next_functions[0][0].next_functions[0][0].next_functions[0][0]
        hidden.register_hook(lambda *_: seen.append("hidden"))
        loss.backward()
        assert seen == ["product", "last", "hidden", "shared", "first"]
        seen.clear()


class Stopping(fb.autograd.Function):
    """Identity whose backward returns no gradient."""

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, gradient):
        return None


class Identity(fb.autograd.Function):
    """Identity whose backward returns the gradient."""

    @staticmethod
    def forward(ctx, x, materialize):
        ctx.set_materialize_grads(materialize)
        return x * 1

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def numbers(value):
    if isinstance(value, tuple):
        return [numbers(item) for item in value]
    return value if value is None else value.tolist()


def observe(x, y, calls):
    """Register every type of hook for a leaf x and a result y, and record the calls."""
    x.register_hook(lambda gradient: calls.append(("x", numbers(gradient))))
    x.register_post_accumulate_grad_hook(lambda _: calls.append(("accumulated",)))
    y.register_hook(lambda gradient: calls.append(("y", numbers(gradient))))
    y.grad_fn.register_prehook(lambda gradients: calls.append(("before", numbers(gradients))))
    y.grad_fn.register_hook(lambda inputs, outputs: calls.append(("after", numbers(inputs), numbers(outputs))))


@pytest.mark.parametrize(
    ("function", "inputs", "arrives"),
    [
        (lambda x: x * 2, [None, None], None),
        (fb.sum, [None], None),
        (lambda x: Identity.apply(x, False), [None, None], None),
        (lambda x: Identity.apply(x, True), [[0.0, 0.0], None], [0.0, 0.0]),
    ],
    ids=["multiplication", "sum", "function", "function with zeros"],
)
def test_hooks_are_called_without_a_gradient(function, inputs, arrives):
    x = fb.ones(2, requires_grad=True)
    y, calls = function(x), []
    observe(x, y, calls)
    Stopping.apply(y).sum().backward()
    assert calls == [
        ("y", None),
        ("before", [None]),
        ("after", inputs, [None]),
        ("x", arrives),
        ("accumulated",),
    ]
    assert numbers(x.grad) == arrives


def test_hooks_of_a_leaf_node_are_called_without_a_gradient():
    x, calls = fb.ones(2, requires_grad=True), []
    z = Stopping.apply(x)
    node = z.grad_fn.next_functions[0][0]
    node.register_prehook(lambda gradients: calls.append(("before", numbers(gradients))))
    node.register_hook(lambda inputs, outputs: calls.append(("after", numbers(inputs), numbers(outputs))))
    z.sum().backward()
    assert calls == [("before", [None]), ("after", [], [None])]
    assert x.grad is None


@pytest.mark.parametrize("register", ["register_hook", "register_prehook"])
def test_a_hook_cannot_replace_a_missing_gradient(register):
    x = fb.ones(2, requires_grad=True)
    y = x * 2
    getattr(y if register == "register_hook" else y.grad_fn, register)(lambda _: fb.ones(2))
    with pytest.raises(RuntimeError, match="can't replace a None gradient with a non-None value"):
        Stopping.apply(y).sum().backward()


def test_hooks_of_a_node_receive_none_for_an_output_without_a_gradient():
    x, calls = fb.ones(4, requires_grad=True), []
    first, second = x.chunk(2)
    second.register_hook(lambda gradient: calls.append(("second", numbers(gradient))))
    first.grad_fn.register_prehook(lambda gradients: calls.append(("before", numbers(gradients))))
    first.grad_fn.register_hook(lambda inputs, outputs: calls.append(("after", numbers(inputs), numbers(outputs))))
    first.sum().backward()
    gradients = [[1, 1], None]
    assert calls == [("second", None), ("before", gradients), ("after", [[1, 1, 0, 0]], gradients)]


@pytest.mark.parametrize(("mode", "expected"), [("all", [[None, None]]), ("any", [None])])
def test_a_hook_of_several_tensors_is_called_without_gradients(mode, expected):
    x, calls = fb.ones(2, requires_grad=True), []
    y = x * 2
    fb.autograd.graph.register_multi_grad_hook([x, y], calls.append, mode=mode)
    Stopping.apply(y).sum().backward()
    assert calls == expected


def test_autograd_grad_calls_only_the_tensor_hooks_of_a_returned_gradient():
    x, calls = fb.ones(2, requires_grad=True), []
    y = x * 2
    observe(x, y, calls)
    assert numbers(fb.autograd.grad((y * 3).sum(), y)) == [[3, 3]]
    assert calls == [("y", [3, 3])]
    calls.clear()
    assert numbers(fb.autograd.grad(Stopping.apply(x * 2).sum(), x, allow_unused=True)) == [None]
    assert calls == [("x", None)]


def test_hooks_of_a_node_at_which_backward_stops_are_called():
    x, calls = fb.ones(2, requires_grad=True), []
    y = x * 3
    observe(x, y, calls)
    (y * 2).sum().backward(inputs=(y,))
    assert calls == [("y", [2, 2]), ("before", [[2, 2]]), ("after", [None, None], [[2, 2]])]
    assert y.grad.tolist() == [2, 2]
