"""Forward and backward hooks."""

from collections import OrderedDict

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn


class Affine(nn.Module):
    def forward(self, input, scale=1.0):
        return input * scale


def test_forward_hooks_run_in_order_and_replace_the_output():
    layer, calls = Affine(), []
    layer.register_forward_pre_hook(lambda module, args: calls.append("pre") or (args[0] + 1,))
    layer.register_forward_pre_hook(lambda module, args: calls.append("first"), prepend=True)
    layer.register_forward_hook(lambda module, args, output: calls.append("post") or output * 10)
    assert layer(fb.ones(1)).item() == 20
    assert calls == ["first", "pre", "post"]


def test_a_forward_pre_hook_may_return_a_single_argument():
    layer = Affine()
    layer.register_forward_pre_hook(lambda module, args: args[0] + 1)
    assert layer(fb.ones(1)).item() == 2


def test_hooks_with_kwargs_receive_and_replace_keyword_arguments():
    layer, seen = Affine(), []
    layer.register_forward_pre_hook(lambda module, args, kwargs: (args, {"scale": 3.0}), with_kwargs=True)
    layer.register_forward_hook(lambda module, args, kwargs, output: seen.append(kwargs), with_kwargs=True)
    assert layer(fb.ones(1), scale=2.0).item() == 3
    assert seen == [{"scale": 3.0}]


def test_a_forward_pre_hook_with_keywords_returns_args_and_kwargs():
    layer = Affine()
    layer.register_forward_pre_hook(lambda module, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"tuple of \(new_args, new_kwargs\)"):
        layer(fb.ones(1))


def test_hook_handles_remove_their_hook():
    layer = Affine()
    handle = layer.register_forward_hook(lambda module, args, output: output + 1)
    with layer.register_forward_hook(lambda module, args, output: output + 10):
        assert layer(fb.ones(1)).item() == 12
    assert layer(fb.ones(1)).item() == 2
    handle.remove()
    handle.remove()
    assert layer(fb.ones(1)).item() == 1


def test_a_hook_may_remove_itself():
    layer, calls = Affine(), []

    def once(module, args, output):
        calls.append(output)
        handle.remove()

    handle = layer.register_forward_hook(once)
    layer(fb.ones(1))
    layer(fb.ones(1))
    assert len(calls) == 1


def test_always_called_hooks_run_after_exceptions():
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_hook(lambda module, args, output: seen.append("usual"))
    layer.register_forward_hook(lambda module, args, output: seen.append(output), always_call=True)
    with pytest.raises(RuntimeError):
        layer(fb.ones(3))
    assert seen == [None]


def linear(weight):
    layer = nn.Linear(2, 1, bias=False)
    layer.load_state_dict({"weight": fb.tensor([weight])})
    return layer


def test_backward_hooks_see_and_replace_gradients():
    layer, seen = linear([2.0, 3.0]), []
    layer.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 10,))
    layer.register_full_backward_hook(
        lambda module, grad_input, grad_output: seen.append((module, grad_input[0].numpy(), grad_output[0].numpy()))
    )
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: (grad_input[0] + 1,))
    x = fb.tensor([[1.0, 1.0]], requires_grad=True)
    layer(x).sum().backward()
    ((module, grad_input, grad_output),) = seen
    assert module is layer
    np.testing.assert_array_equal(grad_output, [[10]])
    np.testing.assert_array_equal(grad_input, [[20, 30]])
    np.testing.assert_array_equal(x.grad.numpy(), [[21, 31]])
    np.testing.assert_array_equal(layer.weight.grad.numpy(), [[10, 10]])


def test_backward_hooks_run_where_no_input_needs_a_gradient():
    layer, seen = linear([2.0, 3.0]), []
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append((grad_input, grad_output)))
    layer(fb.ones(1, 2)).sum().backward()
    ((grad_input, grad_output),) = seen
    assert grad_input == (None,)
    np.testing.assert_array_equal(grad_output[0].numpy(), [[1]])
    np.testing.assert_array_equal(layer.weight.grad.numpy(), [[1, 1]])


class TwoOutputs(nn.Module):
    def forward(self, input, name):
        return input * 2, name, input * 3


def test_backward_hooks_receive_none_for_outputs_that_are_not_tensors():
    module, seen = TwoOutputs(), []
    module.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append((grad_input, grad_output)))
    x = fb.ones(1, requires_grad=True)
    double, name, triple = module(x, "name")
    assert name == "name"
    (double + 5 * triple).sum().backward()
    ((grad_input, grad_output),) = seen
    assert [each if each is None else each.item() for each in grad_input] == [17, None]
    assert [each if each is None else each.item() for each in grad_output] == [1, None, 5]
    assert x.grad.item() == 17


def test_a_backward_hook_that_returns_too_many_gradients_raises():
    layer = linear([1.0, 1.0])
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: (None, None))
    out = layer(fb.ones(1, 2, requires_grad=True))
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
        out.sum().backward()


def test_without_gradients_backward_hooks_change_nothing():
    layer = linear([2.0, 3.0])
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: pytest.fail("no backward pass"))
    with fb.no_grad():
        assert layer(fb.ones(1, 2)).item() == 5


def test_backward_hooks_ignore_inputs_without_gradients():
    class Sum(nn.Module):
        def forward(self, first, second):
            self.needed = first.requires_grad, second.requires_grad
            return first + second

    module = Sum()
    module.register_full_backward_hook(lambda *args: None)
    module(fb.ones(2, requires_grad=True), fb.ones(2))
    assert module.needed == (True, False)


def test_a_hook_may_not_return_a_gradient_for_inputs_that_need_none():
    layer = nn.Linear(2, 3)
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: fb.ones(1, 2))
    with pytest.raises(RuntimeError, match="where no input requires gradient"):
        layer(fb.ones(1, 2)).sum().backward()


def test_removing_a_hook_removes_its_options():
    layer = nn.Linear(2, 2)
    handle = layer.register_forward_hook(lambda *args, **kwargs: None, with_kwargs=True, always_call=True)
    before = layer.register_forward_pre_hook(lambda *args: None, with_kwargs=False)
    assert list(layer._forward_hooks_with_kwargs) == list(layer._forward_hooks_always_called) == [handle.id]
    assert before.id not in layer._forward_pre_hooks_with_kwargs
    handle.remove()
    assert not layer._forward_hooks_with_kwargs
    assert not layer._forward_hooks_always_called


def test_the_hooks_of_every_module_can_be_replaced_by_assignment():
    from collections import OrderedDict

    place, calls = nn.modules.module, []
    place.register_module_forward_hook(lambda module, args, output: calls.append("forward"))
    place.register_module_forward_pre_hook(lambda module, args: calls.append("before"))
    layer = nn.Identity()
    layer(1)
    assert calls == ["before", "forward"]
    assert len(place._global_forward_hooks) == len(place._global_forward_pre_hooks) == 1
    place._global_forward_hooks = OrderedDict()
    place._global_forward_pre_hooks = OrderedDict()
    place._global_backward_hooks = OrderedDict()
    layer(1)
    assert calls == ["before", "forward"]


def test_a_load_state_dict_pre_hook_does_not_keep_its_module_alive():
    import gc
    import weakref

    gc.disable()
    try:
        layer = nn.Linear(1, 1)
        layer.register_load_state_dict_pre_hook(lambda module, *args: None)
        alive = weakref.ref(layer)
        del layer
        assert alive() is None
    finally:
        gc.enable()


def test_programs_may_change_and_replace_the_tables_of_hooks():
    seen = []
    layer = nn.Linear(2, 2)
    layer._forward_hooks[77] = lambda module, args, output: seen.append("forward")
    layer._forward_pre_hooks[78] = lambda module, args: seen.append("before")
    layer(fb.ones(1, 2))
    assert seen == ["before", "forward"]
    layer._forward_hooks = OrderedDict()
    layer._forward_pre_hooks = OrderedDict()
    layer.register_full_backward_hook(lambda *_: seen.append("backward"))
    layer._backward_hooks = OrderedDict()
    layer(fb.ones(1, 2)).sum().backward()
    assert seen == ["before", "forward"]
    layer.register_forward_hook(lambda module, args, output: output + 1, with_kwargs=False)
    assert not layer._forward_hooks_with_kwargs
