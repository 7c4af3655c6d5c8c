"""In-place changes of saved tensors, leaves, views and their bases."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import grad, gradcheck, gradgradcheck


def leaf(*values):
    return fb.tensor(values, dtype=fb.float64, requires_grad=True)


@pytest.fixture
def x():
    return leaf(1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("compute", "name"),
    [
        (lambda y: y * y, "MulBackward0"),
        (lambda y: y.exp().add_(1), "ExpBackward0"),
        (lambda y: y.sin(), "SinBackward0"),
        (lambda y: y @ y, "DotBackward0|MmBackward0|BmmBackward0|MulBackward0"),
        (lambda y: y.std(), "StdBackward0"),
    ],
)
def test_the_error_names_the_saved_tensor_that_was_changed(x, compute, name):
    y = x * 1
    out = compute(y)
    y.add_(1)
    with pytest.raises(RuntimeError, match=f"modified by an inplace operation.*({name}).*version"):
        out.sum().backward()
    assert x.grad is None


def test_changes_through_views_and_aliases_invalidate_saved_tensors(x):
    for change in (lambda t: t[0].zero_(), lambda t: t.detach().zero_(), lambda t: t.view(3, 1).mul_(2)):
        y = x * 1
        out = (y * y).sum()
        change(y)
        with pytest.raises(RuntimeError, match="inplace"):
            out.backward()


def test_changes_under_no_grad_invalidate_saved_tensors(x):
    y = (x * x).sum()
    with fb.no_grad():
        x.add_(1)
    with pytest.raises(RuntimeError, match="inplace"):
        y.backward()


def test_a_changed_index_is_rejected(x):
    index = fb.tensor([0, 1])
    for compute in (lambda: x[index], lambda: x.gather(0, index), lambda: x.index_select(0, index)):
        out = compute().sum()
        index.add_(1).sub_(1)
        with pytest.raises(RuntimeError, match="inplace"):
            out.backward()


def test_tensors_that_are_not_saved_may_change(x):
    y = x + 1
    out = (y + y).sum()
    y.mul_(100)
    out.backward()
    assert x.grad.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.add_(1),
        lambda t: t.zero_(),
        lambda t: t.__setitem__(0, 1.0),
        lambda t: t[0].add_(1),
        lambda t: t.view(-1).mul_(2),
        lambda t: t.copy_(fb.zeros(3)),
        lambda t: t.normal_(),
        lambda t: t.clamp_(0, 1),
        lambda t: t.__iadd__(1),
    ],
)
def test_in_place_changes_of_leaves_raise(x, change):
    with pytest.raises(RuntimeError, match=r"leaf Variable that requires grad.*in-place"):
        change(x)
    assert x.tolist() == [1, 2, 3]
    with fb.no_grad():
        change(x)
    assert x.is_leaf and x.requires_grad


IN_PLACE = {
    "add_": lambda y, w: y.add_(w),
    "mul_": lambda y, w: y.mul_(w),
    "div_": lambda y, w: y.div_(w),
    "itself": lambda y, w: y.mul_(y),
    "a part of itself": lambda y, w: y.mul_(y[0]),
    "exp_": lambda y, w: y.exp_(),
    "pow_": lambda y, w: y.pow_(3),
    "sigmoid_": lambda y, w: y.mul_(w).sigmoid_(),
    "clamp_": lambda y, w: y.clamp_(1.5, 2.5),
    "cumsum_": lambda y, w: y.cumsum_(0),
    "lerp_": lambda y, w: y.lerp_(w, 0.3),
    "addcmul_": lambda y, w: y.addcmul_(y, w),
    "masked_fill_": lambda y, w: y.masked_fill_(fb.tensor([True, False, True]), 3.0),
    "fill_": lambda y, w: y.fill_(2.0).mul_(w),
    "copy_": lambda y, w: y.copy_(w),
    "eq_": lambda y, w: y.eq_(2).mul_(w),
    "view": lambda y, w: y[1:].mul_(w[1:]),
    "view twice": lambda y, w: y[1:][0].mul_(w[0]).exp_(),
    "view of itself": lambda y, w: y[:2].mul_(y[1:]),
    "setitem": lambda y, w: y.__setitem__(1, w[0] * w[2]),
    "setitem slice": lambda y, w: y.__setitem__(slice(0, 2), w[1:] * 2),
    "setitem number": lambda y, w: y.__setitem__(1, 7.0),
    "setitem mask": lambda y, w: y.__setitem__(fb.tensor([True, False, True]), w[:2]),
    "reshaped": lambda y, w: y.view(3, 1).mul_(w.view(3, 1)),
    "transposed": lambda y, w: y.view(1, 3).t()[1].mul_(w[0]),
    "index_put_": lambda y, w: y.index_put_((fb.tensor([0, 2]),), w[:2], accumulate=True),
}


@pytest.mark.parametrize("change", IN_PLACE.values(), ids=IN_PLACE)
def test_in_place_operators_pass_gradcheck_and_gradgradcheck(change):
    def function(x, w):
        y = x * 1
        change(y, w)
        return y * 2 + x

    inputs = [leaf(1.0, 2.0, 3.0), leaf(0.5, 1.5, 2.5)]
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize("change", IN_PLACE.values(), ids=IN_PLACE)
def test_in_place_operators_record_the_history_of_a_buffer(change):
    def function(w):
        y = fb.tensor([1.0, 2.0, 3.0], dtype=fb.float64)
        view = y[:2]
        change(y, w)
        return y * y + w, view * 2

    assert gradcheck(function, leaf(0.5, 1.5, 2.5))
    assert gradgradcheck(function, leaf(0.5, 1.5, 2.5))


def test_in_place_changes_of_a_base_reach_the_history_of_its_views():
    def function(x, w):
        base = x * 1
        view, other = base[0], base[1:]
        base.mul_(w)
        first = view * 3
        view.mul_(3)
        other.add_(view)
        return base, first, other, view

    assert gradcheck(function, [leaf(0.1, 0.2, 0.3), leaf(0.5, 1.5, 2.5)])
    assert gradgradcheck(function, [leaf(0.1, 0.2, 0.3), leaf(0.5, 1.5, 2.5)])


def test_a_view_receives_the_history_that_its_base_gets_later(x):
    base = fb.zeros(3, dtype=fb.float64)
    view = base[1]
    assert not view.requires_grad and view.is_leaf
    base.copy_(x)
    assert view.requires_grad and not view.is_leaf and view.grad_fn.name() == "AsStridedBackward0"
    view.backward()
    assert x.grad.tolist() == [0, 1, 0]


def test_in_place_changes_of_views_of_noncontiguous_bases_pass_gradcheck(x):
    def function(t):
        base = fb.zeros(2, 3, dtype=fb.float64).t().detach()
        base[:, 1] = t
        base[0] *= 2
        return base

    assert gradcheck(function, x)
    assert gradgradcheck(function, x)


OVERLAPPING_VIEWS = {
    "expanded": lambda t: t.expand(2, 2, 4),
    "expanded part": lambda t: t[1:].expand(3, 4),
    "windows": lambda t: t.unfold(1, 2, 1),
    "strided": lambda t: t.as_strided((3, 3), (1, 2), 1),
    "empty": lambda t: t[:0].expand(2, 0, 4),
    "expanded pairs": lambda t: fb.view_as_complex(t.view(2, 2, 2)).expand(2, 2, 2),
}


@pytest.mark.parametrize("view", OVERLAPPING_VIEWS.values(), ids=OVERLAPPING_VIEWS)
def test_overlapping_views_of_a_changed_base_pass_gradcheck_and_gradgradcheck(view):
    def function(t):
        base = t * 1
        part = view(base)
        base.mul_(2)
        return part * part

    x = fb.arange(1.0, 9.0, dtype=fb.float64).view(2, 4).clone().requires_grad_()
    assert gradcheck(function, x)
    assert gradgradcheck(function, x)


def test_a_view_made_without_recording_is_not_changed_with_recording(x):
    y = x * 1
    with fb.no_grad():
        view = y[0]
    assert not view.requires_grad
    with pytest.raises(RuntimeError, match="view was created in no_grad mode"):
        view.mul_(2)
    with fb.no_grad():
        view.mul_(2)
    assert y.tolist() == [2, 2, 3]


def test_results_that_are_internally_views_can_be_changed_in_place(x):
    for compute in (lambda t: t.max(0).values, lambda t: t.var(), lambda t: t.expand(70000, 3).sum()):
        (expected,) = grad(compute(x) * 3, x)
        (got,) = grad(compute(x).mul_(3), x)
        assert got.tolist() == expected.tolist()


def test_copies_to_integer_tensors_are_not_recorded(x):
    integers = fb.zeros(3, dtype=fb.int64)
    integers[1:] = x[1:]
    integers.copy_(x)
    assert not integers.requires_grad and integers.tolist() == [1, 2, 3]


def test_random_fills_have_no_history(x):
    y = x * 2
    y.normal_()
    assert grad(y.sum(), x)[0].tolist() == [0, 0, 0]


def test_a_retained_gradient_moves_to_the_changed_tensor(x):
    y = x * 1
    y.retain_grad()
    y.mul_(2)
    (y * 5).sum().backward()
    assert y.grad.tolist() == [5, 5, 5] and x.grad.tolist() == [10, 10, 10]
    y = x * 1
    y.retain_grad()
    y.mul_(2)
    z = y.sum()
    del y
    z.backward()


def test_a_failed_in_place_operator_changes_nothing(x):
    y = x * 1
    version, node = y._version, y.grad_fn
    for wrong in (lambda: y.add_(fb.ones(4)), lambda: y.copy_(fb.ones(2)), lambda: y.__setitem__(5, 1.0)):
        with pytest.raises((RuntimeError, IndexError)):
            wrong()
    assert y._version == version and y.grad_fn is node
    with pytest.raises(RuntimeError, match="can't be cast"):
        fb.ones(3, dtype=fb.int64).add_(x)


def test_an_assignment_to_data_keeps_the_version():
    y = fb.ones(3)
    y.add_(1).add_(1)
    y.data = fb.zeros(4)
    assert y._version == 2
    y.add_(1)
    assert y._version == 3


def test_an_assignment_to_data_does_not_change_the_version_of_shared_memory():
    y, other = fb.ones(3), fb.zeros(3)
    y.add_(1).add_(1)
    view = other[:]
    y.data = other
    assert view._version == other._version == 0


def test_a_changed_tensor_may_get_new_data_before_backward(x):
    y = fb.ones(3)
    y.add_(1)
    z = (x * y).sum()
    y.data = y.detach().clone()
    z.backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_resize_invalidates_saved_tensors():
    y = fb.ones(3)
    y.add_(1)
    versions = []
    for size in (3, 5, 5, 2):
        y.resize_(size)
        versions.append(y._version)
    assert versions == [1, 2, 2, 3]


def test_out_rejects_calls_that_record_a_graph(x):
    with pytest.raises(RuntimeError, match=r"out=.*automatic differentiation"):
        fb.exp(x, out=fb.zeros(3, dtype=fb.float64))
    with fb.no_grad():
        assert fb.exp(x, out=fb.zeros(3, dtype=fb.float64)).is_leaf


@pytest.mark.parametrize(
    "change",
    [
        lambda x, w, i: setattr(w, "data", fb.zeros(5, dtype=fb.float64)),
        lambda x, w, i: setattr(w, "data", fb.zeros(3, 2)),
        lambda x, w, i: x.resize_(1),
    ],
)
def test_changing_the_shape_of_a_saved_tensor_raises(change):
    x, w, i = fb.ones(2, 3), fb.ones(2, 3, requires_grad=True), fb.tensor([[0, 1]])
    y = (x * w * w).sum() + w.gather(0, i).sum()
    change(x, w, i)
    with pytest.raises(RuntimeError, match=r"has had its shape or dtype changed|modified by an inplace operation"):
        y.backward()
    assert w.grad is None


def test_a_saved_tensor_with_replaced_data_raises():
    other = [(getattr(fb, name), n) for name in ("float16", "bfloat16", "float32", "float64") for n in range(16)]
    for dtype, size in set(other) - {(fb.float64, 3)}:
        x = fb.ones(3, dtype=fb.float64, requires_grad=True)
        y = (x * x).sum()
        x.data = fb.zeros(size, dtype=dtype)
        with pytest.raises(RuntimeError, match="has had its shape or dtype changed"):
            y.backward()


def test_replacing_data_of_a_saved_index_does_not_affect_backward():
    w, i = fb.ones(2, 3, requires_grad=True), fb.tensor([[0, 1, 1]])
    y = w.gather(0, i).sum()
    i.data = fb.tensor([[7, 7, -7]])
    y.backward()
    assert w.grad.tolist() == [[1, 0, 0], [0, 1, 1]]


def test_the_variance_may_be_changed_after_var_mean():
    x = fb.tensor([1.0, 2.0, 4.0], dtype=fb.float64, requires_grad=True)
    variance, mean = fb.var_mean(x)
    variance.mul_(3)
    (gradient,) = grad(variance + mean, x)
    values = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(gradient.numpy(), 3 * (values - values.mean()) + 1 / 3, rtol=1e-12)


def test_a_quotient_may_be_changed_in_place():
    a, b = leaf(1.0, -2.0), leaf(2.0, 8.0)
    (a / b).clamp_(-1, 1).mul_(3).sum().backward()
    assert a.grad.tolist() == [3 / 2, 3 / 8]
    assert b.grad.tolist() == [-3 / 4, 6 / 64]
