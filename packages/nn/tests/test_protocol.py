"""Extension points of modules: states of older versions, extra state, global hooks, lists of parameters."""

import os
import warnings
from collections import OrderedDict

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.modules import module as hooks


class Renamed(nn.Module):
    """A module whose parameter had another name in version 1."""

    _version = 2

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(fb.ones(2))

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *others):
        if local_metadata.get("version", 1) < 2:
            state_dict[prefix + "gain"] = state_dict.pop(prefix + "scale")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)


def test_load_from_state_dict_can_convert_older_states():
    model = nn.Sequential(Renamed(), nn.Linear(2, 2))
    state = dict(model.state_dict())
    state["0.scale"] = 3 * state.pop("0.gain")
    model.load_state_dict(state)
    assert model[0].gain.tolist() == [3, 3]
    assert list(state) == ["1.weight", "1.bias", "0.scale"]
    assert model.state_dict()._metadata["0"] == {"version": 2}
    model.load_state_dict(model.state_dict())


def test_batch_norm_loads_states_without_num_batches_tracked():
    module = nn.BatchNorm1d(2)
    state = {name: value for name, value in module.state_dict().items() if name != "num_batches_tracked"}
    assert str(module.load_state_dict(state)) == "<All keys matched successfully>"


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 0

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state):
        self.count = state["count"]


def test_extra_state_is_saved_and_loaded():
    model = nn.Sequential(Counter())
    model[0].count = 7
    state = model.state_dict()
    assert state == {"0._extra_state": {"count": 7}}
    twin = nn.Sequential(Counter())
    twin.load_state_dict(state)
    assert twin[0].count == 7
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "0._extra_state"'):
        twin.load_state_dict({})
    with pytest.raises(RuntimeError, match=r"Unexpected key\(s\) in state_dict: \"_extra_state\""):
        nn.Module().load_state_dict({"_extra_state": 1})


def test_state_dict_hooks_run_around_saving_and_loading():
    calls = []
    layer = nn.Linear(1, 1)
    layer.register_state_dict_pre_hook(lambda module, prefix, keep_vars: calls.append(("save", prefix)))
    layer.register_state_dict_post_hook(lambda module, state, prefix, local: state.update({prefix + "note": 1}))
    layer.register_load_state_dict_pre_hook(lambda module, state, prefix, *others: state.pop(prefix + "note", None))

    def forgive(module, keys):
        calls.append(("loaded", list(keys.missing_keys)))
        keys.missing_keys.clear()

    layer.register_load_state_dict_post_hook(forgive)
    model = nn.Sequential(layer)
    state = model.state_dict()
    assert list(state) == ["0.weight", "0.bias", "0.note"]
    del state["0.bias"]
    model.load_state_dict(state)
    assert calls == [("save", "0."), ("loaded", ["0.bias"])]
    layer.register_state_dict_post_hook(lambda *args: 1)
    with pytest.raises(RuntimeError, match="post-hook must return None"):
        model.state_dict()


def test_assign_replaces_the_parameters():
    layer = nn.Linear(1, 1)
    weight = fb.ones(1, 1)
    layer.load_state_dict({"weight": weight, "bias": nn.Parameter(fb.ones(1), requires_grad=False)}, assign=True)
    assert isinstance(layer.weight, nn.Parameter)
    assert layer.weight.data_ptr() == weight.data_ptr()
    assert layer.bias.requires_grad


def test_global_module_hooks_are_called_for_every_module_until_removed():
    seen = []
    handles = [
        hooks.register_module_forward_pre_hook(lambda module, args: seen.append(("before", type(module).__name__))),
        hooks.register_module_forward_hook(lambda module, args, output: seen.append("after")),
        hooks.register_module_full_backward_hook(lambda module, inputs, outputs: seen.append("backward")),
    ]
    try:
        layer = nn.Linear(1, 1)
        layer.register_forward_pre_hook(lambda module, args: seen.append("own"))
        layer(fb.ones(1, 1)).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    assert seen == [("before", "Linear"), "own", "after", "backward"]
    layer(fb.ones(1, 1)).sum().backward()
    assert seen[4:] == ["own"]


def test_global_registration_hooks_see_and_replace_what_is_registered():
    names = []
    double = hooks.register_module_parameter_registration_hook(lambda module, name, p: nn.Parameter(2 * p.detach()))
    listen = hooks.register_module_module_registration_hook(lambda module, name, child: names.append(name))
    with double, listen:
        layer = nn.PReLU(init=1.0)
        model = nn.Sequential(layer)
    assert names == ["0"]
    model.weight = nn.Parameter(fb.ones(1))
    assert model.weight.item() == 1


def test_legacy_backward_hooks_receive_gradients_of_the_last_operation():
    seen = []
    layer = nn.Linear(2, 1)
    layer.register_backward_hook(lambda module, inputs, outputs: seen.append([tuple(g.shape) for g in outputs]))
    layer(fb.ones(3, 2)).sum().backward()
    assert seen == [[(3, 1)]]
    with pytest.raises(RuntimeError, match="Cannot use both regular backward hooks and full"):
        layer.register_full_backward_hook(lambda *args: None)


def test_set_submodule_replaces_a_submodule_by_path():
    model = nn.Sequential(nn.Sequential(nn.ReLU()))
    model.set_submodule("0.0", nn.Tanh())
    assert repr(model[0][0]) == "Tanh()"
    with pytest.raises(AttributeError, match="has no attribute `1`"):
        model.set_submodule("1.0", nn.Tanh())
    with pytest.raises(AttributeError, match="has no attribute `fc`"):
        model.set_submodule("0.fc", nn.Tanh(), strict=True)
    with pytest.raises(ValueError, match="without a target name"):
        model.set_submodule("", nn.Tanh())


def test_to_empty_allocates_new_memory():
    layer = nn.Linear(2, 3)
    before = layer.weight.data_ptr()
    assert layer.to_empty(device="cpu") is layer
    assert layer.weight.data_ptr() != before
    with pytest.raises(NotImplementedError, match="mps"):
        layer.to_empty(device="mps")


def test_share_memory_shares_parameters_with_forked_processes():
    layer = nn.BatchNorm1d(2)
    assert layer.share_memory() is layer
    assert all(tensor.is_shared() for tensor in layer.state_dict().values())
    child = os.fork()
    if child == 0:
        with fb.no_grad():
            layer.weight.fill_(3.0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert layer.weight.tolist() == [3, 3]


def test_unknown_keyword_arguments_are_rejected():
    class Plain(nn.Module):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)

    with pytest.raises(TypeError, match=r"Plain.__init__\(\) got an unexpected keyword argument 'size'"):
        Plain(size=3)


def test_parameter_list_has_the_methods_of_a_list():
    held = nn.ParameterList([fb.zeros(2), nn.Parameter(fb.ones(1))])
    assert [name for name, _ in held.named_parameters()] == ["0", "1"]
    held.append(fb.ones(3))
    assert held.pop(0).shape == (2,)
    assert [tuple(p.shape) for p in held[:]] == [(1,), (3,)]
    held[0] = fb.zeros(4)
    assert isinstance(held[0], nn.Parameter)
    with pytest.raises(IndexError):
        held[2]
    with pytest.raises(RuntimeError, match="should not be called"):
        held(1)


def test_parameter_dict_has_the_methods_of_a_dictionary():
    held = nn.ParameterDict({"a": fb.zeros(2)}) | nn.ParameterDict([("b", fb.ones(1))])
    assert list(held.state_dict()) == ["a", "b"]
    assert held.get("c") is None
    assert held.setdefault("c", fb.ones(1)) is held["c"]
    assert held.popitem()[0] == "c"
    del held["a"]
    assert list(held) == ["b"]
    assert "a" not in held
    with pytest.raises(TypeError, match="not a string"):
        held[1] = fb.ones(1)
    with pytest.raises(KeyError):
        held["a"]


def test_summary_counts_parameters_operations_and_bytes():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3), nn.Linear(3, 3, bias=False))
    model[3].weight.requires_grad_(False)
    found = nn.summary(model, fb.zeros(5, 1, 4, 4))
    assert [row.outputs for row in found.rows[1:]] == [[(5, 2, 2, 2)], [(5, 8)], [(5, 3)], [(5, 3)]]
    assert (found.parameters, found.trainable) == (20 + 27 + 9, 47)
    assert found.multiply_adds == 5 * (8 * 9 + 24 + 9)
    assert found.state_bytes == 4 * 56
    assert found.output_bytes == 4 * 5 * (8 + 8 + 3 + 3)
    assert model._hooks is None or not model._hooks.forward


def test_deprecated_names_and_options_of_nn_warn():
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert nn.MSELoss(size_average=False).reduction == "sum"
    with pytest.warns(FutureWarning, match="nn.init.uniform_"):
        nn.init.uniform(fb.zeros(2))
    with pytest.warns(UserWarning, match=r"nn\.Container is deprecated"):
        assert [name for name, _ in nn.Container(head=nn.ReLU()).named_children()] == ["head"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.MSELoss(reduction="sum")


def test_fused_layers_compute_the_same_result():
    fb.manual_seed(0)
    for layer, norm, shape in (
        (nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), (2, 2, 4, 4)),
        (nn.Linear(4, 3), nn.BatchNorm1d(3), (5, 4)),
    ):
        norm(layer(fb.randn(shape)))
        nn.init.uniform_(norm.weight, 0.5, 2)
        layer.eval(), norm.eval()
        fuse = nn.utils.fuse_linear_bn_eval if isinstance(layer, nn.Linear) else nn.utils.fuse_conv_bn_eval
        x = fb.randn(shape)
        np.testing.assert_allclose(
            fuse(layer, norm)(x).detach().numpy(), norm(layer(x)).detach().numpy(), rtol=1e-4, atol=1e-5
        )
        with pytest.raises(AssertionError, match="only for eval"):
            fuse(layer.train(), norm)


def test_parameter_dict_sorts_the_names_of_a_dict():
    b, a = fb.zeros(1), fb.ones(2)
    assert list(nn.ParameterDict({"b": b, "a": a})) == ["a", "b"]
    for kept in (OrderedDict(b=b, a=a), [("b", b), ("a", a)], nn.ParameterDict([("b", b), ("a", a)])):
        held = nn.ParameterDict(kept)
        assert list(held) == list(held.copy()) == [name for name, _ in held.named_parameters()] == ["b", "a"]
    assert list(held.fromkeys(["d", "c"], fb.zeros(1))) == ["d", "c"]


def test_slow_forward_calls_only_forward():
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda *_: 0)
    x = fb.ones(1, 2)
    assert fb.equal(layer._slow_forward(x), layer.forward(x)) and layer(x) == 0
