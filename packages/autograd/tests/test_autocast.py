"""Gradients through autocast: they have the parameters' dtype, and a region casts each parameter once."""

import pytest

import flambeau as fb


def node_count(node, seen):
    if node is None or node in seen:
        return
    seen.add(node)
    for following, _ in node.next_functions:
        node_count(following, seen)


@pytest.fixture
def weight():
    return fb.randn(4, 3, requires_grad=True)


def test_gradients_have_the_dtype_of_the_parameter(weight):
    x = fb.randn(5, 3)
    with fb.autocast("cpu"):
        y = fb.linear(x, weight)
        assert y.dtype is fb.bfloat16
        loss = fb.mse_loss(y, fb.zeros(5, 4))
    loss.backward()
    low = weight.detach().bfloat16().requires_grad_()
    fb.mse_loss(fb.linear(x.bfloat16(), low).float(), fb.zeros(5, 4)).backward()
    assert weight.grad.dtype is fb.float32 and weight.grad.equal(low.grad.float())


@pytest.mark.parametrize(("cache", "casts"), [(True, 1), (False, 3)])
def test_autocast_casts_a_parameter_once_per_region(weight, cache, casts):
    x = fb.randn(5, 3)
    with fb.autocast("cpu", cache_enabled=cache):
        with fb.autocast("cpu"):
            total = fb.linear(x, weight).sum()
        total = total + fb.linear(x, weight).sum() + fb.linear(x, weight).sum()
    seen = set()
    node_count(total.grad_fn, seen)
    assert sum(node.name().startswith("To") for node in seen) == casts, sorted(n.name() for n in seen)
    total.backward()
    assert weight.grad.allclose(3 * x.bfloat16().float().sum(0).expand(4, 3), rtol=1e-2, atol=1e-1)


def test_two_losses_of_one_region_run_backward_separately(weight):
    x = fb.randn(5, 3)
    with fb.autocast("cpu"):
        first, second = fb.linear(x, weight).sum(), fb.linear(x, weight).sum()
    first.backward()
    once = weight.grad.clone()
    second.backward()
    assert weight.grad.equal(2 * once)


def test_a_cast_made_without_recording_is_not_reused(weight):
    x = fb.randn(5, 3)
    with fb.autocast("cpu"):
        with fb.no_grad():
            assert not fb.linear(x, weight).requires_grad
        with fb.inference_mode():
            fb.linear(x, weight)
        assert fb.linear(x, weight).requires_grad


def test_a_cached_cast_is_not_reused_after_an_in_place_change(weight):
    x = fb.eye(3)
    with fb.autocast("cpu"):
        fb.linear(x, weight)
        with fb.no_grad():
            weight.fill_(2)
        assert fb.linear(x, weight).eq(2).all()


def test_the_cast_cache_is_cleared_at_the_end_of_the_outermost_region(weight):
    x = fb.eye(3)
    with fb.autocast("cpu"):
        first = fb.linear(x, weight)
    weight.data.fill_(2)
    with fb.autocast("cpu"):
        assert fb.linear(x, weight).eq(2).all()
    assert first.dtype is fb.bfloat16


def test_custom_fwd_and_custom_bwd_set_the_autocast_mode_of_a_custom_function():
    class Product(fb.autograd.Function):
        @staticmethod
        @fb.amp.custom_fwd(device_type="cpu")
        def forward(context, a, b):
            context.save_for_backward(a, b)
            return a.mm(b)

        @staticmethod
        @fb.amp.custom_bwd(device_type="cpu")
        def backward(context, grad):
            a, b = context.saved_tensors
            assert fb.is_autocast_enabled("cpu")
            return grad.mm(b.t()), a.t().mm(grad)

    a, b = fb.randn(2, 3, requires_grad=True), fb.randn(3, 2, requires_grad=True)
    with fb.autocast("cpu"):
        out = Product.apply(a, b)
    assert out.dtype is fb.bfloat16
    out.sum().backward()
    assert a.grad.dtype is b.grad.dtype is fb.float32


def test_vmap_applies_the_autocast_policy_of_an_operator():
    a, b = fb.randn(5, 2, 3), fb.randn(3, 4)
    with fb.autocast("cpu"):
        mapped = fb.func.vmap(lambda m: m @ b)(a)
    assert mapped.dtype is fb.bfloat16 and mapped.equal(a.bfloat16() @ b.bfloat16())
