"""flambeau.nn.utils._named_member_accessor: replacement of tensors and submodules."""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.modules.module import _global_parameter_registration_hooks, register_module_parameter_registration_hook
from flambeau.nn.utils._named_member_accessor import set_tensor, swap_submodule, swap_tensor


def test_swap_tensor_accepts_parameters_buffers_and_attributes():
    module = nn.BatchNorm1d(2)
    module.extra = fb.zeros(1)
    for name in ("weight", "running_mean", "extra"):
        former, new = getattr(module, name), fb.full((2,), 3.0)
        assert swap_tensor(module, name, new) is former and getattr(module, name) is new
        set_tensor(module, name, former)
        assert getattr(module, name) is former
    assert list(module._parameters) == ["weight", "bias"] and "extra" not in module._buffers


def test_swap_submodule_exchanges_a_submodule():
    model, new = nn.Sequential(nn.Linear(1, 1)), nn.ReLU()
    former = model[0]
    assert swap_submodule(model, "0", new) is former and model[0] is new
    with pytest.raises(AttributeError, match="Sequential has no attribute `1`"):
        swap_submodule(model, "1", new)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((1, "weight", None), TypeError), (("layer", "weight", 3), TypeError), (("layer", "a.b", None), KeyError)],
)
def test_invalid_names_are_rejected(arguments, error):
    layer = nn.Linear(1, 1)
    module, name, value = arguments
    with pytest.raises(error):
        swap_tensor(layer if module == "layer" else module, name, value)
    with pytest.raises(AttributeError):
        swap_tensor(layer, "absent", fb.zeros(1))


def test_global_module_hooks_are_visible_to_libraries():
    handle = register_module_parameter_registration_hook(lambda module, name, parameter: None)
    assert len(_global_parameter_registration_hooks) == 1
    handle.remove()
    assert not _global_parameter_registration_hooks
