"""Inference mode, and the tensors created in it."""

import asyncio

import pytest

import flambeau as fb


@pytest.fixture
def x():
    return fb.tensor([1.0, 2.0], requires_grad=True)


@pytest.fixture
def made():
    with fb.inference_mode():
        return fb.tensor([3.0, 4.0])


def test_tensors_created_inside_are_inference_tensors(x, made):
    assert made.is_inference() and fb.is_inference(made) and not x.is_inference()
    with fb.inference_mode():
        assert (x * 2).is_inference() and not x[0].is_inference() and not (x * 2).requires_grad
        assert not fb.is_grad_enabled()
    assert made[0].is_inference() and made.view(2, 1).is_inference()
    assert not made.clone().is_inference() and not (made * 2).is_inference()


def test_in_place_changes_in_inference_mode_do_not_increment_versions(made):
    with fb.inference_mode():
        made.add_(1)
        made[0] = 7.0
    assert made.tolist() == [7, 5]
    with pytest.raises(RuntimeError, match="Inference tensors do not track version counter"):
        made._version  # noqa: B018


@pytest.mark.parametrize("change", [lambda t: t.add_(1), lambda t: t[0].mul_(2), lambda t: t.view(2, 1).zero_()])
def test_in_place_changes_outside_inference_mode_raise(made, change):
    for mode in (fb.enable_grad, fb.no_grad):
        with mode(), pytest.raises(RuntimeError, match="Inplace update to inference tensor outside InferenceMode"):
            change(made)
    assert made.tolist() == [3, 4]


def test_inference_tensors_cannot_be_saved_for_backward(x, made):
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        x * made
    assert (x + made).requires_grad  # add saves no tensors
    assert (x * made.clone()).requires_grad
    with fb.no_grad():
        assert (x * made).tolist() == [3, 8]


def test_requires_grad_of_inference_tensors_raises_outside(made):
    with pytest.raises(RuntimeError, match="requires_grad=True on inference tensor outside InferenceMode"):
        made.requires_grad_()
    with fb.inference_mode():
        assert fb.ones(2, requires_grad=True).requires_grad


def test_a_view_made_in_inference_mode_can_be_changed_only_there(x):
    y = x * 1
    with fb.inference_mode():
        view = y[0]
        view.add_(1)
    assert not view.is_inference() and y.tolist() == [2, 2] and y._version == 1
    with pytest.raises(RuntimeError, match="view was created in inference mode"):
        view.add_(1)


@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_view_made_in_inference_mode_can_be_a_leaf_outside(requires_grad):
    y = fb.ones(1, 2, 3, requires_grad=requires_grad) * 1
    with fb.inference_mode():
        view = y.view(-1)
        again = view.view(2, 3)
        again.add_(2)
        for t in (view, again):
            assert t.is_leaf and t._is_view() and not t.is_inference() and t.requires_grad == requires_grad
    product = view * view
    assert product.requires_grad == requires_grad and view.view(2, 3).requires_grad == requires_grad
    if requires_grad:
        product.sum().backward()
        assert view.grad.tolist() == [6.0] * 6


def test_views_of_inference_tensors_have_no_graph():
    with fb.inference_mode():
        made = fb.ones(2, 3, requires_grad=True)
        numbers = fb.ones(2, dtype=fb.complex64, requires_grad=True)
    views = [made.view(-1), made[0], made.unbind()[0], made.t(), numbers.real, fb.view_as_real(numbers)]
    for view in views:
        assert view.is_inference() and view.is_leaf and not view._is_view() and not view.requires_grad


def test_shapes_of_inference_tensors_change_only_in_inference_mode(made):
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside InferenceMode"):
        made.unsqueeze_(0)
    with fb.inference_mode():
        assert made.unsqueeze_(0).shape == (1, 2)
        for change in (lambda t: t.resize_(1, 2), lambda t: t.resize_as_(fb.ones(1, 2)), lambda t: t.transpose_(0, 1)):
            t = change(fb.ones(1, 2, 3, requires_grad=True))
            assert t.is_inference() and t.requires_grad


def test_nested_inference_modes_are_restored(x):
    with fb.inference_mode():
        with fb.inference_mode(False):
            assert not fb.is_inference_mode_enabled() and (x * 2).requires_grad and not fb.ones(1).is_inference()
        assert fb.is_inference_mode_enabled() and fb.ones(1).is_inference()
    assert not fb.is_inference_mode_enabled() and not fb.ones(1).is_inference()


@pytest.mark.parametrize("decorate", [fb.inference_mode, fb.inference_mode()])
def test_inference_mode_decorates_functions_and_generators(x, decorate):
    @decorate
    def double(t):
        return t * 2

    @decorate
    def steps():
        yield fb.ones(1)
        yield fb.ones(1)

    assert double(x).is_inference() and not fb.is_inference_mode_enabled()
    for made in steps():
        assert made.is_inference() and not fb.ones(1).is_inference()


def test_inference_mode_decorates_coroutines(x):
    modes = []

    @fb.no_grad()
    async def first():
        modes.append(fb.is_grad_enabled())
        await asyncio.sleep(0)
        modes.append(fb.is_grad_enabled())
        return 3

    async def second():
        modes.append(fb.is_grad_enabled())
        await asyncio.sleep(0)
        modes.append(fb.is_grad_enabled())

    async def both():
        return await asyncio.gather(first(), second())

    assert asyncio.run(both()) == [3, None] and modes == [False, True, False, True]
    assert fb.is_grad_enabled()


@pytest.mark.parametrize("enable", [fb.enable_grad, lambda: fb.set_grad_enabled(True)], ids=["enable", "set"])
def test_grad_mode_records_nothing_in_inference_mode(x, enable):
    with fb.inference_mode():
        with enable():
            assert fb.is_grad_enabled() and fb.is_inference_mode_enabled()
            y = x * 2
            assert y.is_inference() and not y.requires_grad and y.grad_fn is None
            with fb.inference_mode(False):
                assert (x * 2).requires_grad
            with fb.no_grad():
                assert not fb.is_grad_enabled()
            assert fb.is_grad_enabled() and not (x * 2).requires_grad
        assert not fb.is_grad_enabled()
    assert fb.is_grad_enabled() and (x * 2).requires_grad


def test_leaving_inference_mode_restores_grad_mode(x):
    with fb.no_grad(), fb.inference_mode():
        with fb.enable_grad():
            pass
        with fb.inference_mode(False):
            assert (x * 2).requires_grad
    with fb.no_grad():
        with fb.inference_mode(), fb.enable_grad():
            pass
        assert not fb.is_grad_enabled() and not (x * 2).requires_grad
