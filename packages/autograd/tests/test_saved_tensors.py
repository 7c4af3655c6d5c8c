"""Hooks for the tensors that the graph saves."""

import gc
import weakref

import pytest

import flambeau as fb
from flambeau.autograd import Function, grad, graph

HOOKS = graph.saved_tensors_hooks


@pytest.fixture
def x():
    return fb.tensor([1.0, 2.0], dtype=fb.float64, requires_grad=True)


def test_saved_tensors_pass_through_pack_and_unpack_hooks(x):
    packed, unpacked = [], []
    with HOOKS(lambda t: packed.append(t.tolist()) or t.numpy().copy(), lambda a: unpacked.append(1) or fb.tensor(a)):
        y = (x.exp() * fb.tensor([3.0, 4.0], dtype=fb.float64)).sum()
    assert len(packed) == 2 and not unpacked
    y.backward()
    assert len(unpacked) == 2
    assert x.grad.tolist() == pytest.approx([3 * 2.718281828, 4 * 7.389056099])


def test_only_the_innermost_saved_tensor_hooks_are_called(x):
    calls = []

    def pair(name):
        return HOOKS(lambda t: calls.append(name) or t, lambda t: t)

    with pair("outer"):
        x.sin()
        with pair("inner"):
            x.sin()
        x.sin()
    x.sin()
    assert calls == ["outer", "inner", "outer"]


def test_hooks_run_without_recording_and_see_no_history(x):
    seen = []
    with HOOKS(lambda t: seen.append((fb.is_grad_enabled(), t.requires_grad)) or t, lambda t: t):
        x.exp()
    assert seen == [(False, False)]


def test_second_derivatives_are_correct_with_packed_inputs_and_outputs(x):
    for function, second in ((fb.exp, fb.exp), (lambda t: t**3, lambda t: 6 * t)):
        with HOOKS(lambda t: t.clone(), lambda t: t.clone()):
            y = function(x * 1)
            (first,) = grad(y.sum(), x, create_graph=True)
            (got,) = grad(first.sum(), x)
        assert got.tolist() == pytest.approx(second(x).tolist())


def test_packed_tensors_may_be_changed_afterwards(x):
    y = x * 1
    with HOOKS(lambda t: t.clone(), lambda t: t):
        z = (y * y).sum()
    y.zero_()
    assert grad(z, x)[0].tolist() == [2, 4]


def test_custom_functions_save_tensors_through_the_hooks(x):
    class Square(Function):
        @staticmethod
        def forward(ctx, t):
            ctx.save_for_backward(t, None)
            return t * t

        @staticmethod
        def backward(ctx, gradient):
            t, nothing = ctx.saved_tensors
            assert nothing is None
            return 2 * t * gradient

    with HOOKS(lambda t: t * 10, lambda t: t):
        y = Square.apply(x).sum()
    assert grad(y, x)[0].tolist() == [20, 40]


def test_a_pack_hook_must_not_change_its_input(x):
    with (
        HOOKS(lambda t: t.mul_(2), lambda t: t),
        pytest.raises(RuntimeError, match="pack hook is modifying its input in place"),
    ):
        x.exp()


def test_an_unpack_hook_returns_a_tensor(x):
    with HOOKS(lambda t: t, lambda t: 3):
        y = x.exp().sum()
    with pytest.raises(TypeError, match="unpack_hook expected to be a Tensor but got result of type int"):
        y.backward()
    assert x.grad is None


def test_exceptions_in_saved_tensor_hooks_propagate(x):
    with HOOKS(lambda t: 1 / 0, lambda t: t), pytest.raises(ZeroDivisionError):
        x.exp()
    with HOOKS(lambda t: t, lambda t: 1 / 0):
        y = x.exp().sum()
    with pytest.raises(ZeroDivisionError) as caught:
        y.backward()
    assert "ExpBackward0" in "".join(caught.value.__notes__)
    x.exp().sum().backward()


def test_saved_tensors_hooks_can_be_disabled(x):
    with graph.disable_saved_tensors_hooks("not here"):
        with pytest.raises(RuntimeError, match="not here"), HOOKS(lambda t: t, lambda t: t):
            pass
        x.exp()
    rejected = pytest.raises(RuntimeError, match="too late")
    with HOOKS(lambda t: t, lambda t: t), rejected, graph.disable_saved_tensors_hooks("too late"):
        pass
    with HOOKS(lambda t: t, lambda t: t):
        pass


def test_save_on_cpu_does_not_change_gradients(x):
    with graph.save_on_cpu():
        y = (x * x).sum()
    assert grad(y, x)[0].tolist() == [2, 4]
    with graph.save_on_cpu(pin_memory=True):  # without a GPU it has no effect
        y = (x * x).sum()
    assert grad(y, x)[0].tolist() == [2, 4]


@pytest.mark.parametrize("change", [lambda y: y.zero_(), lambda y: y[:1].mul_(5), lambda y: y.view(2, 1).sin_()])
def test_allow_mutation_on_saved_tensors_copies_changed_tensors(x, change):
    with graph.allow_mutation_on_saved_tensors() as context:
        y = x * 1
        z, again = y.square().sum(), y.square().sum()
        assert not context.cloned
        change(y)
        assert len(context.cloned) == 1  # one copy for both
        assert grad(z, x)[0].tolist() == [2, 4] and grad(again, x)[0].tolist() == [2, 4]
        assert not context.cloned


def test_out_may_overwrite_a_saved_tensor_if_mutation_is_allowed(x):
    other, out = fb.tensor([3.0, 4.0], dtype=fb.float64), fb.tensor([5.0, 6.0], dtype=fb.float64)
    with graph.allow_mutation_on_saved_tensors() as context:
        z = (x * out).sum()
        fb.add(other, other, out=out)
        assert grad(z, x)[0].tolist() == [5, 6] and not context.cloned


def test_mutations_are_allowed_only_within_the_context(x):
    with graph.allow_mutation_on_saved_tensors():
        z = x.square().sum()
        y = x * 1
        changed = y.square().sum()
        graph.increment_version(y)
        with pytest.raises(RuntimeError, match="does not track"):
            changed.backward()
        with pytest.raises(RuntimeError, match="cannot be nested"), graph.allow_mutation_on_saved_tensors():
            pass
    with pytest.raises(AssertionError, match="Trying to backward outside of the 'allow_mutation_on_saved_tensors'"):
        z.backward()


def test_packed_objects_are_freed_after_the_run(x):
    class Kept:
        pass

    kept = []

    def pack(tensor):
        made = Kept()
        kept.append(weakref.ref(made))
        return made

    with HOOKS(pack, lambda made: fb.ones(2, dtype=fb.float64)):
        y = x.exp().sum()
        x.exp()  # the graph is freed immediately
    gc.collect()
    assert kept[0]() is not None and kept[1]() is None
    y.backward()
    assert kept[0]() is None


def test_saved_tensor_hooks_are_thread_local(x):
    import threading

    calls = []
    with HOOKS(lambda t: calls.append(1) or t, lambda t: t):
        thread = threading.Thread(target=lambda: x.exp())
        thread.start()
        thread.join()
    assert not calls


def test_dir_of_a_node_without_saved_tensors_lists_none(x):
    assert not [name for name in dir((x * 2).grad_fn) if name.startswith("_saved_")]


def test_saved_tensors_of_a_node_can_be_read(x):
    y = x * 2
    node = (y * x).grad_fn
    assert node._saved_other is x and node._saved_self.tolist() == [2, 4]
    assert x.exp().grad_fn._saved_result.tolist() == pytest.approx(x.exp().tolist())
    assert [t.tolist() for t in node.saved_tensors] == [[2, 4], [1, 2]]
    with pytest.raises(AttributeError, match="MulBackward0 has no attribute '_saved_weight0'"):
        node._saved_weight0  # noqa: B018
    z = x.exp().sum()
    z.backward()
    with pytest.raises(RuntimeError, match="already been freed"):
        z.grad_fn.next_functions[0][0].saved_tensors  # noqa: B018


def test_saved_tensors_of_an_operator_contain_only_what_the_gradients_need():
    x, weight = fb.ones(1, 2), fb.full((2, 3), 3.0, requires_grad=True)
    assert [t.tolist() for t in (x @ weight).grad_fn.saved_tensors] == [[[1, 1]]]


def test_saved_tensors_have_the_names_of_the_operators_arguments(x):
    node = (x * x).grad_fn
    assert node._saved_self is x and node._saved_other is x
    constant = fb.tensor([3.0, 4.0], dtype=fb.float64)
    assert (x * constant).grad_fn._saved_other is constant
    left, right = fb.ones(1, 2, requires_grad=True), fb.ones(2, 3, requires_grad=True)
    product = (left @ right).grad_fn
    assert product._saved_self is left and product._saved_mat2 is right


def test_saved_intermediate_results_have_no_argument_name():
    node = fb.layer_norm(fb.ones(2, 3, requires_grad=True), (3,), fb.ones(3, requires_grad=True)).grad_fn
    assert node._saved_weight.tolist() == [1, 1, 1]
    with pytest.raises(AttributeError, match="no attribute '_saved_bias'"):
        node._saved_bias  # noqa: B018


def test_hooks_can_be_set_once_on_one_saved_tensor(x):
    node = (y := x * x).grad_fn
    saved = node._raw_saved_self
    assert isinstance(saved, fb.autograd.SavedTensor)
    saved.register_hooks(lambda t: t * 10, lambda t: t)
    assert node._saved_self.tolist() == [10, 20] and node._saved_other is x
    with pytest.raises(RuntimeError, match="hooks have already been set"):
        saved.register_hooks(lambda t: t, lambda t: t)
    y.sum().backward()
    assert x.grad.tolist() == [11, 22]
    with pytest.raises(RuntimeError, match="after it has been freed"):
        saved.register_hooks(lambda t: t, lambda t: t)
    with pytest.raises(RuntimeError, match="already been freed"):
        node._raw_saved_self  # noqa: B018


def test_second_derivatives_are_correct_with_hooks_on_one_saved_tensor(x):
    y = (x * 1) ** 3
    y.grad_fn._raw_saved_self.register_hooks(lambda t: t.clone(), lambda t: t)
    (first,) = grad(y.sum(), x, create_graph=True)
    assert grad(first.sum(), x)[0].tolist() == [6, 12]
    z = x.exp()
    z.grad_fn._raw_saved_result.register_hooks(lambda t: t.numpy().copy(), fb.tensor)
    (first,) = grad(z.sum(), x, create_graph=True)
    assert grad(first.sum(), x)[0].tolist() == pytest.approx([2.718281828, 7.389056099])


def test_hooks_apply_to_saved_tensors_of_a_custom_function(x):
    class Square(Function):
        @staticmethod
        def forward(ctx, t):
            ctx.save_for_backward(t, None)
            return t * t

        @staticmethod
        def backward(ctx, gradient):
            return 2 * ctx.saved_tensors[0] * gradient

    y = Square.apply(x)
    saved, nothing = y.grad_fn._raw_saved_tensors
    with pytest.raises(RuntimeError, match="with value None is forbidden"):
        nothing.register_hooks(lambda t: t, lambda t: t)
    saved.register_hooks(lambda t: t * 10, lambda t: t)
    assert grad(y.sum(), x)[0].tolist() == [20, 40]
    with pytest.raises(RuntimeError, match="already been freed"):
        y.grad_fn._raw_saved_tensors  # noqa: B018


def test_hooks_that_change_their_input_and_invalid_hooks_are_rejected(x):
    saved = x.exp().grad_fn._raw_saved_result
    with pytest.raises(RuntimeError, match="pack hook is modifying its input in place"):
        saved.register_hooks(lambda t: t.mul_(2), lambda t: t)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        saved.register_hooks(1, 2)
    with pytest.raises(RuntimeError, match="from Python is forbidden"):
        fb.autograd.SavedTensor()


def test_increment_version_makes_backward_reject_the_changed_tensor(x):
    y = x * 1
    z = (y * y).sum()
    graph.increment_version([y, y])
    assert y._version == 2
    with pytest.raises(RuntimeError, match=r"version 2; expected version 0"):
        z.backward()


def test_entering_the_hooks_returns_none():
    with HOOKS(lambda t: t, lambda t: t) as entered:
        assert entered is None


def cross_entropy_of(scores, labels):
    return fb.cross_entropy(scores, labels)


def nll_of(scores, labels):
    return fb.nll_loss(scores.log_softmax(1), labels)


def half_cross_entropy_of(scores, labels):
    return fb.cross_entropy(scores.to(fb.bfloat16), labels)


@pytest.mark.parametrize("loss_of", [cross_entropy_of, nll_of, half_cross_entropy_of])
def test_changing_labels_before_backward_raises(loss_of):
    scores = fb.arange(12.0).view(4, 3).sin().requires_grad_()
    labels = fb.tensor([1, 2, 1, 0])
    loss = loss_of(scores, labels)
    (want,) = grad(loss, scores, retain_graph=True)
    kept = labels.clone()
    labels.data = fb.zeros(1, dtype=fb.int64)  # the graph keeps the former memory
    assert grad(loss, scores, retain_graph=True)[0].tolist() == want.tolist()
    loss = loss_of(scores, kept)
    kept.fill_(10**7)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_changing_lu_pivots_before_backward_raises():
    a = fb.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    lu, pivots = fb.linalg.lu_factor(a)
    x = fb.linalg.lu_solve(lu, pivots, fb.ones(2, 1))
    pivots.fill_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        x.sum().backward()


@pytest.mark.parametrize("wrong", [lambda t: t[:1], lambda t: t.to(fb.float32), lambda t: t.to("meta")])
def test_unpacked_tensors_must_have_the_packed_metadata(x, wrong):
    with HOOKS(lambda t: t, wrong):
        y = x.exp().sum()
    with pytest.raises(RuntimeError, match="unpack_hook expected to be like the tensor that was packed"):
        y.backward()


def test_unpacked_tensors_may_have_other_strides():
    x = fb.rand(3, 4, requires_grad=True)
    with HOOKS(lambda t: t, lambda t: t.t().contiguous().t() if t.dim() == 2 else t):
        y = fb.layer_norm(x, (4,))
    plain = fb.layer_norm(x, (4,))
    weights = fb.rand(3, 4)
    assert grad((y * weights).sum(), x)[0].tolist() == grad((plain * weights).sum(), x)[0].tolist()


def test_backward_of_losses_checks_unpacked_labels():
    scores = fb.rand(4, 3, requires_grad=True)
    with HOOKS(lambda t: t, lambda t: t if t.dtype is not fb.int64 else t + 10**7):
        losses = [fb.cross_entropy(scores, fb.tensor([0, 1, 2, 0])), nll_of(scores, fb.tensor([0, 1, 2, 0]))]
    for loss in losses:
        with pytest.raises(IndexError, match="out of bounds"):
            loss.backward()


@pytest.mark.parametrize(
    ("product", "shapes"),
    [
        (fb.mm, [(2, 3), (3, 4)]),
        (fb.bmm, [(2, 2, 3), (2, 3, 4)]),
        (fb.mv, [(2, 3), (3,)]),
        (fb.dot, [(3,), (3,)]),
        (fb.cross, [(2, 3), (2, 3)]),
        (fb.linear, [(2, 3), (4, 3)]),
        (fb.linear, [(2, 2, 3), (4, 3)]),
        (fb.conv1d, [(1, 2, 5), (3, 2, 2)]),
        (fb.conv_transpose1d, [(1, 2, 5), (2, 3, 2)]),
    ],
)
@pytest.mark.parametrize("differentiated", [0, 1])
def test_matrix_products_save_only_the_operands_that_backward_needs(product, shapes, differentiated):
    factors = [fb.arange(float(fb.ones(shape).numel())).reshape(shape) for shape in shapes]
    leaves = [t.clone().requires_grad_() for t in factors]
    expected = grad(product(*leaves).sum(), leaves)[differentiated]
    factors[differentiated].requires_grad_()
    saved = []
    with HOOKS(lambda t: saved.append(t.shape) or t, lambda t: t):
        result = product(*factors)
    assert saved == [shapes[1 - differentiated]]
    result = product(*factors)
    with fb.no_grad():
        factors[differentiated].zero_()  # the gradient does not depend on it
    result.sum().backward()
    assert factors[differentiated].grad.tolist() == expected.tolist()
