"""Complete modules pickled by PyTorch: their attributes are converted to the attributes of flambeau modules."""

import collections

import pytest

import flambeau as fb
from flambeau import nn

TABLES = (
    *("_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks"),
    *("_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs", "_state_dict_hooks", "_state_dict_pre_hooks"),
    *("_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"),
)


def written_by_pytorch(parameters=(), buffers=(), modules=(), **attributes):
    return {
        "training": False,
        "_parameters": dict(parameters),
        "_buffers": dict(buffers),
        "_non_persistent_buffers_set": {"mask"},
        "_is_full_backward_hook": None,
        **{table: collections.OrderedDict() for table in TABLES},
        "_modules": dict(modules),
        **attributes,
    }


def restored(kind, state):
    module = kind.__new__(kind)
    module.__setstate__(state)
    return module


def test_modules_pickled_by_pytorch_are_restored():
    parameters = {"weight": nn.Parameter(fb.full((1, 2), 3.0)), "bias": None}
    linear = restored(nn.Linear, written_by_pytorch(parameters, in_features=2, out_features=1))
    assert linear(fb.ones(1, 2)).tolist() == [[6.0]]
    assert repr(linear) == "Linear(in_features=2, out_features=1, bias=False)"
    assert not linear.training
    whole = restored(nn.Sequential, written_by_pytorch(modules={"0": linear}, buffers={"mask": fb.ones(1)}))
    assert whole(fb.ones(1, 2)).tolist() == [[6.0]]
    assert list(whole.state_dict()) == ["0.weight"]
    assert "_forward_hooks" not in vars(whole)
    whole.register_forward_hook(lambda module, args, output: output + 1)
    assert whole(fb.ones(1, 2)).tolist() == [[7.0]]


def test_modules_pickled_by_pytorch_with_hooks_are_rejected():
    state = written_by_pytorch()
    state["_forward_hooks"][0] = print
    with pytest.raises(RuntimeError, match=r"Identity: .* saved by PyTorch with hooks \('_forward_hooks'\)"):
        restored(nn.Identity, state)
