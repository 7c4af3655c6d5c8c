"""In-place changes of views that are not allowed. The error leaves the tensors unchanged."""

import pytest

import flambeau as fb
from flambeau.autograd import Function, grad, gradcheck

PARTS = {
    "unbind": lambda t: t.unbind(),
    "split": lambda t: t.split(1),
    "split_with_sizes": lambda t: t.split([1, 1, 1]),
    "chunk": lambda t: t.chunk(3),
    "tensor_split": lambda t: t.tensor_split(3),
    "hsplit": lambda t: t.hsplit(3),
    "iteration": lambda t: tuple(t),
}


@pytest.fixture
def y():
    return fb.tensor([1.0, 2.0, 3.0], dtype=fb.float64, requires_grad=True) * 1


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_changing_one_of_several_views_in_place_raises(y, parts):
    part = parts(y)[1]
    name = part.grad_fn.name()
    with pytest.raises(
        RuntimeError, match=f"Output 1 of {name} is a view and is being modified inplace.*multiple views"
    ):
        part.mul_(2)
    with pytest.raises(RuntimeError, match="multiple views"):
        part.view(-1).zero_()
    assert y.tolist() == [1, 2, 3] and y._version == 0 and part.grad_fn.name() == name
    with fb.no_grad():
        part.mul_(2)
    assert y.tolist() == [1, 4, 3]


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_parts_of_a_tensor_without_a_graph_may_change_in_place(parts):
    base = fb.ones(3)
    for part in parts(base):
        part.add_(1)
    assert base.tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match="multiple views"):
        parts(base)[0].mul_(fb.ones(1, requires_grad=True)[0])
    assert base.tolist() == [2, 2, 2]


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_split_and_unbind_pass_gradcheck(parts):
    def function(t):
        first, _, third = parts(t)
        return first * third + t

    assert gradcheck(function, fb.tensor([1.0, 2.0, 3.0], dtype=fb.float64, requires_grad=True))


def test_the_results_of_split_and_unbind_share_one_node(y):
    rows = y.unbind()
    assert {part.grad_fn for part in rows} == {rows[0].grad_fn} and [p.output_nr for p in rows] == [0, 1, 2]


@pytest.mark.parametrize("parts", [lambda t: t.unsafe_split(1), lambda t: t.unsafe_chunk(3)])
def test_results_of_unsafe_split_may_change_in_place(y, parts):
    part = parts(y)[0]
    part.mul_(5)
    assert grad(y.sum() + part.sum(), y, allow_unused=True) is not None


def test_changing_a_view_made_under_no_grad_raises(y):
    with fb.no_grad():
        view = y[0]
    for changed in (view, view.view(1)):
        with pytest.raises(RuntimeError, match="A view was created in no_grad mode and is being modified inplace"):
            changed.add_(1)
    base = fb.zeros(2)
    with fb.no_grad():
        view = base[0]
    with pytest.raises(RuntimeError, match="no_grad mode"):
        view.copy_(fb.ones((), requires_grad=True))
    assert base.tolist() == [0, 0]
    view.fill_(3)
    assert base.tolist() == [3, 0]


class Same(Function):
    @staticmethod
    def forward(ctx, t):
        return t

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Reshaped(Same):
    @staticmethod
    def forward(ctx, t):
        return t.view(-1, 1)


@pytest.mark.parametrize("function", [Same, Reshaped])
def test_changing_a_view_made_by_a_custom_function_raises(y, function):
    z = function.apply(y)
    with pytest.raises(RuntimeError, match=f"Output 0 of {function.__name__}Backward.*custom Function"):
        z.mul_(2)
    function.apply(fb.ones(3)).mul_(2)


def test_scatters_change_leaves_under_no_grad():
    x = fb.zeros(3, requires_grad=True)
    with fb.no_grad():
        x.scatter_(0, fb.tensor([1]), fb.ones(1))
        x.index_add_(0, fb.tensor([2]), fb.ones(1))
    assert x.tolist() == [0, 1, 1] and x.is_leaf
    with pytest.raises(RuntimeError, match="leaf Variable"):
        x.scatter_(0, fb.tensor([1]), fb.ones(1))


@pytest.mark.parametrize("change", [lambda view, b: view.add_(b), lambda view, b: view.copy_(b)])
def test_recording_a_change_of_a_view_made_by_a_custom_function_raises(change):
    base = fb.zeros(3)
    with pytest.raises(RuntimeError, match="This view was created inside a custom Function"):
        change(Reshaped.apply(base), fb.ones(1, requires_grad=True))
    assert base.tolist() == [0, 0, 0]


RESHAPED_IN_PLACE = {
    "transpose_": lambda t: t.transpose_(0, 1),
    "t_": lambda t: t.t_(),
    "squeeze_": lambda t: t.squeeze_(0),
    "unsqueeze_": lambda t: t.unsqueeze_(0),
    "as_strided_": lambda t: t.as_strided_((1, 0), (2, 2)),
}


@pytest.mark.parametrize("change", RESHAPED_IN_PLACE.values(), ids=RESHAPED_IN_PLACE)
def test_changing_the_shape_of_a_view_made_under_no_grad_raises(change):
    base = fb.ones(2, 2, requires_grad=True) * 1
    with fb.no_grad():
        view = base.view(2, 2)
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode and is being modified inplace"):
        change(view)
    assert view.shape == (2, 2)
    with fb.no_grad():
        change(view)
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode"):
        view.add_(1)
    with pytest.raises(RuntimeError, match="function that returns multiple views"):
        change(base.unbind()[0].view(2, 1))


def test_views_of_views_raise_the_error_of_the_first_view(y):
    with fb.no_grad():
        part = y.unbind()[0].view(1)
    with pytest.raises(RuntimeError, match="no_grad mode"):
        part.add_(1)
    part = y.unbind()[0]
    with fb.no_grad():
        part = part.view(1)
    with pytest.raises(RuntimeError, match="function that returns multiple views"):
        part.add_(1)


@pytest.mark.parametrize(("mode", "block"), [(fb.no_grad, "no_grad"), (fb.inference_mode, "inference_mode")])
def test_the_error_names_the_node_of_a_view_of_a_view(mode, block):
    base = fb.zeros(2)
    with mode():
        leaf = base.view(2)
    view = leaf.requires_grad_().view(2)
    with pytest.raises(
        RuntimeError, match=f"Output 0 of ViewBackward0 is a view of a view which was created in .* the {block} block"
    ):
        view.div_(2)
    assert view.tolist() == [0, 0]


def test_changing_a_view_of_a_leaf_reports_how_the_view_was_made():
    leaf = fb.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="multiple views"):
        leaf.unbind()[0].add_(1)
    with fb.no_grad():
        view = Reshaped.apply(leaf)
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode and is being modified inplace"):
        view.zero_()
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        leaf[0].add_(1)


def test_a_leaf_that_is_a_view_cannot_be_changed_through_its_own_views():
    leaf = fb.ones(2, 2).view(4).requires_grad_()
    view = leaf[0]
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        view.mul_(5)
    leaf.square().sum().backward()
    assert leaf.grad.tolist() == [2, 2, 2, 2]
