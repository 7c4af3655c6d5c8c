"""Tensor.backward, autograd.backward and autograd.grad."""

import pytest

import flambeau as fb
from flambeau import autograd


@pytest.fixture
def x():
    return fb.tensor([1.0, 2.0, 3.0], requires_grad=True)


def test_is_leaf_and_requires_grad_distinguish_leaves_and_results(x):
    y = x * 2
    assert x.is_leaf and x.requires_grad and x.grad_fn is None and x.grad is None and x._grad is None
    assert not y.is_leaf and y.requires_grad and y.grad_fn.name() == "MulBackward0"
    assert fb.ones(3).is_leaf and not fb.ones(3).requires_grad


def test_gradients_accumulate_over_several_backward_passes(x):
    (x * 2).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    assert x.grad.tolist() == [4, 6, 8] and x.grad is first
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_gradients_of_a_leaf_used_several_times_are_summed(x):
    y = x * x
    (y + x * 3 + y * x).sum().backward()
    assert x.grad.tolist() == [2 * v + 3 + 3 * v * v for v in (1, 2, 3)]


def test_gradients_do_not_share_memory(x):
    seed = fb.ones(3)
    x.backward(seed)
    seed.zero_()
    assert x.grad.tolist() == [1, 1, 1]
    y = fb.zeros(3, requires_grad=True)
    z = x + y
    x.grad = None
    z.backward(fb.ones(3))
    x.grad.zero_()
    assert y.grad.tolist() == [1, 1, 1]


def test_backward_of_a_non_scalar_requires_a_gradient(x):
    with pytest.raises(RuntimeError, match=r"grad can be implicitly created only for scalar outputs.*shape"):
        (x * 2).backward()
    (x * 2).backward(fb.tensor([1.0, 10.0, 100.0]))
    assert x.grad.tolist() == [2, 20, 200]
    fb.ones(1, 1, requires_grad=True).exp().backward()


@pytest.mark.parametrize("shape", [(), (1,), (2,), (3, 1), (1, 3)])
def test_gradients_of_wrong_shape_raise(x, shape):
    with pytest.raises(RuntimeError, match=r"Mismatch in shape: grad_output\[0\] has a shape of .* and output\[0\]"):
        (x * 2).backward(fb.ones(shape))
    assert x.grad is None


def test_backward_without_a_graph_raises():
    with pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        fb.ones(()).backward()
    with pytest.raises(TypeError):
        fb.ones((), requires_grad=True).backward(3.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'keep'"):
        fb.ones((), requires_grad=True).backward(keep=True)


class Untrue:
    def __bool__(self):
        raise ZeroDivisionError("rejected")


def test_backward_reports_errors_of_converting_its_arguments(x):
    with pytest.raises(TypeError, match=r"unexpected keyword argument '\ud800'; it takes gradient, retain_graph"):
        x.sum().backward(**{"\ud800": 1})
    for option in ("create_graph", "retain_graph"):
        with pytest.raises(RuntimeError, match="Boolean value of Tensor with more than one value is ambiguous"):
            x.sum().backward(**{option: fb.ones(3)})
        with pytest.raises(ZeroDivisionError, match="rejected"):
            x.sum().backward(**{option: Untrue()})
        with pytest.raises(ZeroDivisionError, match="rejected"):
            autograd.grad(x.sum(), x, **{option: Untrue()})
    assert x.grad is None


class Emptying:
    """A number that empties a list when it is converted."""

    def __init__(self, victim):
        self.victim = victim

    def __index__(self):
        self.victim.clear()
        return 0

    __float__ = __index__


def test_backward_reads_a_copy_of_the_list_of_edges(x):
    node = x.exp().grad_fn
    edges = []
    edges += [(node, Emptying(edges)), x.exp()]
    autograd.backward(edges, [fb.ones(3), fb.ones(3)])
    assert edges == [] and x.grad is not None


def test_a_second_backward_raises_and_changes_no_gradient(x):
    w = fb.ones(3, requires_grad=True)
    y = (x * x + w).sum()
    y.backward()
    for attempt in (y.backward, lambda: autograd.grad(y, x), lambda: autograd.backward([y])):
        with pytest.raises(
            RuntimeError, match=r"backward through the graph a second time .*MulBackward0.*retain_graph"
        ):
            attempt()
    assert x.grad.tolist() == [2, 4, 6] and w.grad.tolist() == [1, 1, 1]


def test_retain_graph_allows_a_second_backward_pass(x):
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8, 12]


def test_graphs_without_saved_tensors_can_run_backward_twice(x):
    y = (x + x).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [4, 4, 4]


def test_create_graph_makes_gradients_differentiable(x):
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    assert first.requires_grad
    x.grad = None
    first.sum().backward()
    assert x.grad.tolist() == [6, 12, 18] and not x.grad.requires_grad


def test_a_gradient_penalty_can_be_differentiated(x):
    (g,) = autograd.grad((x * x).sum(), x, create_graph=True)
    (g * g).sum().backward()  # sum of 4 x**2
    assert x.grad.tolist() == [8, 16, 24]


def test_backward_with_inputs_accumulates_only_into_these_tensors(x):
    w = fb.ones(3, requires_grad=True)
    y = x * 2
    z = (y * w).sum()
    z.backward(inputs=[w], retain_graph=True)
    assert w.grad.tolist() == [2, 4, 6] and x.grad is None
    z.backward(inputs=y, retain_graph=True)
    assert y.grad.tolist() == [1, 1, 1] and x.grad is None
    z.backward(inputs=[x, x, w])
    assert x.grad.tolist() == [2, 2, 2] and w.grad.tolist() == [4, 8, 12]


def test_backward_with_invalid_inputs_raises(x):
    with pytest.raises(RuntimeError, match="cannot be empty"):
        x.sum().backward(inputs=[])
    with pytest.raises(RuntimeError, match="does not require grad"):
        x.sum().backward(inputs=[fb.ones(3)])


def test_backward_adds_the_gradients_of_several_outputs(x):
    a, b = x.sum(), x * x
    autograd.backward([a, b], [None, fb.ones(3)])
    assert x.grad.tolist() == [3, 5, 7]
    with pytest.raises(RuntimeError, match="got 2 tensors and 1 gradients"):
        autograd.backward([a, a], [None])


def test_backward_can_start_at_a_leaf_and_at_outputs_that_depend_on_each_other(x):
    leaf = fb.ones((), requires_grad=True)
    leaf.backward()
    assert leaf.grad.item() == 1
    y = x * 2
    autograd.backward([y.sum(), y], [None, fb.ones(3)])
    assert x.grad.tolist() == [4, 4, 4]


def test_grad_does_not_accumulate_into_leaves(x):
    w = fb.ones(3, requires_grad=True)
    y = x * w
    gx, gy = autograd.grad(y.sum(), (x, y))
    assert gx.tolist() == [1, 1, 1] and gy.tolist() == [1, 1, 1]
    assert x.grad is None and w.grad is None
    assert not gx.requires_grad


def test_grad_multiplies_by_grad_outputs_and_checks_their_shapes(x):
    a, b = x * 2, x * x
    (g,) = autograd.grad([a, b], x, [fb.ones(3), fb.tensor([0.0, 1.0, 0.0])])
    assert g.tolist() == [2, 6, 2]
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        autograd.grad(x * 2, x, fb.ones(2))
    with pytest.raises(RuntimeError, match="implicitly created"):
        autograd.grad(x * 2, x)


def test_grad_of_an_unused_input_raises_unless_allowed(x):
    unused = fb.ones(2, requires_grad=True)
    y = x.sum()
    with pytest.raises(RuntimeError, match=r"not have been used in the graph.*allow_unused=True"):
        autograd.grad(y, [x, unused])
    assert autograd.grad(y, [x, unused], allow_unused=True)[1] is None
    zeros = autograd.grad(y, [x, unused], materialize_grads=True)[1]
    assert zeros.tolist() == [0, 0] and not zeros.requires_grad
    slope = autograd.grad(x.sum(), x, create_graph=True)[0]
    curvature = autograd.grad(x.sum() + slope.sum(), unused, create_graph=True, materialize_grads=True)[0]
    assert autograd.grad(curvature.sum(), x, materialize_grads=True)[0].tolist() == [0] * 3
    with pytest.raises(ValueError, match="allow_unused"):
        autograd.grad(y, [unused], allow_unused=False, materialize_grads=True)
    with pytest.raises(ValueError, match="non-empty"):
        autograd.grad(y, [])
    with pytest.raises(RuntimeError, match="does not require grad"):
        autograd.grad(y, [fb.ones(3)])


def test_grad_accepts_the_same_input_twice(x):
    first, second = autograd.grad((x * x).sum(), [x, x])
    assert first.tolist() == second.tolist() == [2, 4, 6]


def test_backward_of_a_sum_passes_its_gradient_on_without_a_copy(x):
    seed = fb.ones(3)
    y = x.detach().clone().requires_grad_()
    gradients = autograd.grad(x + y, [x, y], seed)
    assert [g.data_ptr() for g in gradients] == [seed.data_ptr()] * 2
    (x + y).backward(seed)
    x.grad.add_(1)
    assert seed.tolist() == y.grad.tolist() == [1, 1, 1]


def test_detached_values_stop_the_gradient(x):
    y = x * 2
    (y.detach() * x).sum().backward()
    assert x.grad.tolist() == [2, 4, 6]
    assert y.detach().data_ptr() == y.data_ptr() and y.detach().is_leaf
    assert y.detach_() is y and not y.requires_grad and y.grad_fn is None and y.is_leaf


def test_the_tensor_constructors_keep_the_history_of_a_tensor():
    leaf = fb.tensor([1.0, 2.0], requires_grad=True)
    for make in (fb.Tensor, fb.FloatTensor, leaf.new):
        (gradient,) = fb.autograd.grad(make(leaf * 3).sum(), leaf)
        assert gradient.tolist() == [3, 3]


def test_views_are_not_detached_in_place(x):
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        (x * 2)[0].detach_()


def test_only_floating_point_and_complex_tensors_may_require_grad(x):
    for integers in (fb.tensor([1, 2]), fb.tensor([True])):
        with pytest.raises(RuntimeError, match=r"floating point.*can require gradients"):
            integers.requires_grad_()
        with pytest.raises(RuntimeError, match="can require gradients"):
            integers.requires_grad = True
        assert not integers.requires_grad
        assert integers.requires_grad_(False) is integers
    with pytest.raises(RuntimeError, match="can require gradients"):
        fb.tensor([1], requires_grad=True)
    y = x * 2
    assert y.requires_grad_() is y
    with pytest.raises(RuntimeError, match=r"leaf variables.*detach"):
        y.requires_grad_(False)
    assert y.requires_grad
    assert not x.requires_grad_(False).requires_grad


def test_retain_grad_keeps_the_gradient_of_an_intermediate_tensor(x):
    y = x * 2
    y.retain_grad()
    assert y.retains_grad and not x.retains_grad
    (y * y).sum().backward()
    assert y.grad.tolist() == [4, 8, 12] and x.grad.tolist() == [8, 16, 24]
    x.retain_grad()  # no effect: a leaf keeps its gradient in any case
    with pytest.raises(RuntimeError, match="requires_grad=False"):
        fb.ones(2).retain_grad()


def test_a_tensor_that_retains_its_gradient_can_be_deleted_before_backward(x):
    y = x * 2
    y.retain_grad()
    z = y.exp().sum()
    del y
    z.backward()
    assert x.grad is not None


def test_an_assigned_gradient_must_match_its_tensor_and_is_accumulated_into(x):
    x.grad = fb.ones(3)
    x.sum().backward()
    assert x.grad.tolist() == [2, 2, 2]
    for wrong, error in ((fb.ones(2), RuntimeError), (fb.ones(3, dtype=fb.float64), RuntimeError), (1.0, TypeError)):
        with pytest.raises(error, match="assigned grad"):
            x.grad = wrong
    assert x.grad.tolist() == [2, 2, 2]


def test_a_failed_backward_from_a_leaf_keeps_no_state():
    x = fb.ones(3, requires_grad=True)
    x.grad = fb.ones(3)
    x.data = fb.ones(3, 2)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            x.backward(fb.ones(3, 2))
    assert x.grad.tolist() == [1, 1, 1]


def test_gradients_have_the_dtype_and_shape_of_replaced_data():
    """Check this even while a graph of the former data exists."""
    x = fb.ones(2, dtype=fb.bfloat16, requires_grad=True)
    before = x * 2
    x.data = fb.ones(3, dtype=fb.float32)
    (grad,) = fb.autograd.grad((x * fb.tensor([1.0, 2.0, 1 / 3])).sum(), x)
    assert grad.dtype == fb.float32
    assert grad.tolist() == fb.tensor([1.0, 2.0, 1 / 3]).tolist()
    assert before.dtype == fb.bfloat16


def test_reading_the_gradient_of_a_non_leaf_warns():
    x = fb.ones(2, requires_grad=True)
    y = x * 2
    with pytest.warns(UserWarning, match="not a leaf Tensor"):
        assert y.grad is None
    y.retain_grad()
    assert x.grad is None and y.grad is None and y.detach().grad is None
    y.sum().backward()
    assert y.grad.tolist() == [1.0, 1.0]
