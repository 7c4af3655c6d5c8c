"""autograd.Function under vmap: its own ``vmap`` method, or a generated one."""

import pytest

import flambeau as fb
from flambeau.autograd import Function
from flambeau.func import grad, vmap


class Product(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, y, factor):
        assert x.ndim == 1
        return x * y * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, y, ctx.factor = inputs
        ctx.save_for_backward(x, y)

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        assert g.ndim == 1
        return g * y * ctx.factor, g * x * ctx.factor, None


class Sine(Function):
    @staticmethod
    def forward(x):
        return x.sin(), x.cos()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*output)

    @staticmethod
    def backward(ctx, g, h):
        sine, cosine = ctx.saved_tensors
        return g * cosine - h * sine

    @staticmethod
    def vmap(info, in_dims, x):
        assert (info.batch_size, info.randomness, in_dims) == (4, "error", (0,))
        return Sine.apply(x), (0, 0)


def test_vmap_of_a_custom_function_with_a_generated_rule_has_correct_gradients():
    x, y = fb.randn(4, 3), fb.randn(3)
    mapped = vmap(lambda x: Product.apply(x, factor=2.0, y=y))
    assert fb.allclose(mapped(x), x * y * 2)
    x.requires_grad_()
    y.requires_grad_()
    gx, gy = fb.autograd.grad(mapped(x).square().sum(), (x, y))
    wx, wy = fb.autograd.grad((x * y * 2).square().sum(), (x, y))
    assert fb.allclose(gx, wx)
    assert fb.allclose(gy, wy)


def test_per_sample_gradients_through_a_generated_rule_are_correct():
    x, y = fb.randn(4, 3), fb.randn(3)
    found = vmap(grad(lambda y, x: Product.apply(x, y, 2.0).square().sum()), (None, 0))(y, x)
    assert fb.allclose(found, 8 * x * x * y, atol=1e-5)


def test_vmap_calls_the_vmap_method_of_a_custom_function():
    x = fb.randn(4, 3, requires_grad=True)
    sine, cosine = vmap(Sine.apply)(x)
    assert fb.allclose(sine, x.sin())
    assert fb.allclose(cosine, x.cos())
    (g,) = fb.autograd.grad(sine.sum(), x)
    assert fb.allclose(g, x.cos())


def test_vmap_of_a_custom_function_without_a_rule_raises():
    class Neither(Function):
        @staticmethod
        def forward(x):
            return x

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

    with pytest.raises(RuntimeError, match="does not have vmap support"):
        vmap(Neither.apply)(fb.ones(3))


def test_a_custom_function_with_two_vmap_rules_raises():
    class Both(Sine):
        generate_vmap_rule = True

    with pytest.raises(RuntimeError, match="both generate_vmap_rule=True and an overridden"):
        vmap(Both.apply)(fb.ones(3))
