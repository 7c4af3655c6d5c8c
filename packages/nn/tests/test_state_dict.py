"""`state_dict` and `load_state_dict`: round trips, and errors that name every key."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn


def model():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def values(module):
    return {name: tensor.detach().numpy().copy() for name, tensor in module.state_dict().items()}


def test_state_dict_keys_equal_those_of_pytorch():
    assert list(model().state_dict()) == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
        "3.weight",
        "3.bias",
    ]


def test_state_dict_values_share_storage_and_are_detached():
    layer = nn.Linear(2, 2)
    state = layer.state_dict(prefix="layer.")
    assert list(state) == ["layer.weight", "layer.bias"]
    assert not state["layer.weight"].requires_grad
    state["layer.weight"].fill_(7.0)
    np.testing.assert_array_equal(layer.weight.detach().numpy(), np.full((2, 2), 7.0))
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    collected = {"other": 1}
    assert layer.state_dict(destination=collected) is collected
    assert list(collected) == ["other", "weight", "bias"]


def test_load_state_dict_copies_the_values():
    source, target = model(), model()
    weight = target[0].weight
    result = target.load_state_dict(source.state_dict())
    assert repr(result) == "<All keys matched successfully>"
    assert target[0].weight is weight
    for name, value in values(source).items():
        np.testing.assert_array_equal(target.state_dict()[name].numpy(), value)
    source[0].weight.detach().zero_()
    assert weight.detach().numpy().any()


def test_load_state_dict_converts_to_the_dtype_of_the_module():
    target = nn.Linear(3, 4)
    target.load_state_dict(nn.Linear(3, 4).double().state_dict())
    assert target.weight.dtype == fb.float32


def test_load_state_dict_with_assign_replaces_the_parameters():
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    state = nn.Linear(2, 2).double().state_dict()
    layer.load_state_dict(state, assign=True)
    assert isinstance(layer.weight, nn.Parameter)
    assert layer.weight.dtype == fb.float64
    assert layer.weight.requires_grad
    assert not layer.bias.requires_grad
    assert layer.weight is layer._parameters["weight"]
    state["weight"].fill_(2.0)
    np.testing.assert_array_equal(layer.weight.detach().numpy(), np.full((2, 2), 2.0))


def test_strict_false_returns_missing_and_unexpected_keys():
    target = nn.Linear(3, 4)
    result = target.load_state_dict({"weight": fb.ones(4, 3), "other": fb.ones(1)}, strict=False)
    assert result.missing_keys == ["bias"]
    assert result.unexpected_keys == ["other"]
    assert result == (["bias"], ["other"])
    assert "missing_keys=['bias']" in repr(result)
    np.testing.assert_array_equal(target.weight.detach().numpy(), np.ones((4, 3)))


def broken(state):
    state["0.wieght"] = state.pop("0.weight")
    state["1.bias"] = fb.zeros(5)
    state["3.bias"] = [1.0, 2.0]
    state["extra"] = fb.zeros(1)
    del state["3.weight"]
    return state


def test_a_failed_load_names_every_problem_and_changes_nothing():
    target = model()
    before = values(target)
    with pytest.raises(RuntimeError) as caught:
        target.load_state_dict(broken(model().state_dict()))
    message = str(caught.value)
    assert message.startswith("Error(s) in loading state_dict for Sequential:\n\t")
    assert 'Missing key(s) in state_dict: "0.weight" (nearest: "0.wieght"), "3.weight"' in message
    assert 'Unexpected key(s) in state_dict: "extra", "0.wieght" (nearest: "0.weight").' in message
    assert "size mismatch for 1.bias: copying a param with shape flambeau.Size([5]) from checkpoint" in message
    assert "the shape in current model is flambeau.Size([4])." in message
    assert '"3.bias": expected a Tensor from the checkpoint but received list' in message
    for name, value in values(target).items():
        np.testing.assert_array_equal(value, before[name])


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.history = nn.Parameter(fb.ones(2)), ["new"]

    def get_extra_state(self):
        return self.history

    def set_extra_state(self, state):
        self.history = list(state)


INCOMPLETE = {"0.weight": fb.zeros(2), "0._extra_state": ["loaded"], "1.weight": fb.zeros(3, 2)}  # without 1.bias


def ignore(module, keys):
    assert module[0].weight.tolist() == [0, 0], "the hook must see the loaded values"


def fail(module, keys):
    raise KeyError("from the hook")


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize(("hook", "error"), [(ignore, RuntimeError), (fail, KeyError)])
def test_keys_that_a_hook_leaves_unmatched_change_nothing(hook, error, assign):
    target = nn.Sequential(Counting(), nn.Linear(2, 3))
    target.register_load_state_dict_post_hook(hook)
    weight = target[0].weight
    before = {name: p.detach().numpy().copy() for name, p in target.named_parameters()}
    with pytest.raises(error):
        target.load_state_dict(INCOMPLETE, assign=assign)
    assert target[0].weight is weight and target[0].history == ["new"]
    for name, value in target.named_parameters():
        np.testing.assert_array_equal(value.detach().numpy(), before[name])


def add_keys(module, keys):
    keys.missing_keys.append("wanted.by.the.hook")
    keys.unexpected_keys.append("rejected.by.the.hook")


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize(("hook", "error"), [(add_keys, RuntimeError), (fail, KeyError)])
def test_hooks_that_reject_a_complete_load_change_nothing(hook, error, assign):
    target = nn.Sequential(Counting(), nn.Linear(2, 3))
    target.register_load_state_dict_post_hook(hook)
    weight = target[0].weight
    before = {name: p.detach().numpy().copy() for name, p in target.named_parameters()}
    with pytest.raises(error, match="hook"):
        target.load_state_dict({**INCOMPLETE, "1.bias": fb.zeros(3)}, assign=assign)
    assert target[0].weight is weight and target[0].history == ["new"]
    for name, value in target.named_parameters():
        np.testing.assert_array_equal(value.detach().numpy(), before[name])


def test_keys_that_a_hook_adds_are_returned_if_not_strict():
    target = nn.Linear(2, 3)
    target.register_load_state_dict_post_hook(add_keys)
    keys = target.load_state_dict({"weight": fb.zeros(3, 2), "bias": fb.zeros(3)}, strict=False)
    assert keys.missing_keys == ["wanted.by.the.hook"] and target.weight.sum() == 0


def test_a_hook_that_removes_the_unmatched_keys_lets_the_load_succeed():
    target = nn.Sequential(Counting(), nn.Linear(2, 3))
    target.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    target.load_state_dict(INCOMPLETE)
    assert target[0].weight.tolist() == [0, 0] and target[0].history == ["loaded"]


def test_values_of_wrong_shape_raise_even_if_not_strict():
    target = nn.Linear(2, 2)
    before = values(target)
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        target.load_state_dict({"bias": fb.ones(2), "weight": fb.ones(3, 2)}, strict=False)
    np.testing.assert_array_equal(target.bias.detach().numpy(), before["bias"])


def test_the_error_suggests_to_remove_a_prefix_of_every_key():
    state = {"module." + name: value for name, value in model().state_dict().items()}
    with pytest.raises(RuntimeError, match=r"prefix \"module\.\".*removeprefix\('module\.'\)"):
        model().load_state_dict(state)


def prefixed(prefix):
    return {prefix + name: value for name, value in model().state_dict().items()}


def inner(state, wrapper):
    return {name.replace(".", f".{wrapper}.", 1): value for name, value in state.items()}


MISTAKES = {
    "data parallel": (lambda: prefixed("module."), r'with the prefix "module\." \(.*\), which DataParallel adds'),
    "compiled": (lambda: prefixed("_orig_mod."), r'"_orig_mod\.".*compile\(\) adds.*removeprefix\(\'_orig_mod\.\'\)'),
    "attribute": (lambda: prefixed("model."), r'"model\.".*attribute of a larger one.*removeprefix\(\'model\.\'\)'),
    "other prefix": (lambda: prefixed("net.body."), r"removeprefix\('net\.body\.'\)"),
    "compiled inside": (
        lambda: inner(model().state_dict(), "_orig_mod"),
        r'with "_orig_mod\." inside \(\'0\._orig_mod\.weight\'\).*key\.replace\(\'_orig_mod\.\', \'\'\)',
    ),
    "whole checkpoint": (
        lambda: {"epoch": 3, "state_dict": model().state_dict(), "optimizer": {}},
        r"key 'state_dict' \(other keys: 'epoch', 'optimizer'\).*load_state_dict\(checkpoint\['state_dict'\]\)",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_errors_of_common_mistakes_suggest_a_fix(what):
    state, message = MISTAKES[what]
    target = model()
    before = values(target)
    with pytest.raises(RuntimeError, match=message) as caught:
        target.load_state_dict(state())
    assert "key(s)" not in str(caught.value)
    for name, value in values(target).items():
        np.testing.assert_array_equal(value, before[name])


def test_the_error_suggests_to_add_a_missing_prefix():
    wrapped = nn.Module()
    wrapped.module = model()
    with pytest.raises(RuntimeError, match=r"without the prefix \"module\.\" .*'module\.' \+ key.*module's 'module'"):
        wrapped.load_state_dict(model().state_dict())
    wrapped.load_state_dict({"module." + key: value for key, value in model().state_dict().items()})


def test_the_error_names_other_mismatches_next_to_a_prefix():
    state = {**prefixed("model."), "loss.scale": fb.ones(1)}
    with pytest.raises(RuntimeError, match=r'prefix "model\.".*\n\tUnexpected key\(s\) in state_dict: "loss\.scale"'):
        model().load_state_dict(state)


def test_different_prefixes_are_not_reported_as_a_prefix():
    state = model().state_dict()
    state["x.0.weight"] = state.pop("0.weight")
    state["y.3.bias"] = state.pop("3.bias")
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "0\.weight" \(nearest: "x\.0\.weight"\)'):
        model().load_state_dict(state)


def test_a_state_dict_is_a_mapping():
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class 'list'>"):
        model().load_state_dict([])


def test_shared_parameters_are_saved_under_every_name():
    shared = nn.Module()
    shared.a = shared.b = nn.Linear(1, 1, bias=False)
    assert list(shared.state_dict()) == ["a.weight", "b.weight"]
    assert not shared.load_state_dict(shared.state_dict()).missing_keys


def test_incompatible_keys_are_printed_as_in_pytorch():
    keys = model().load_state_dict({}, strict=False)
    assert repr(keys).startswith("_IncompatibleKeys(missing_keys=['0.weight', ")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("model.pt", r"load the file first: load_state_dict\(flambeau\.load\('model\.pt'\)\)"),
        (nn.Linear(2, 3), r"write load_state_dict\(other\.state_dict\(\)\)"),
    ],
)
def test_other_objects_than_state_dicts_suggest_the_correct_call(given, hint):
    with pytest.raises(TypeError, match=f"Expected state_dict to be dict-like, got .*; {hint}"):
        nn.Linear(2, 3).load_state_dict(given)


def test_values_that_behave_like_tensors_are_loaded():
    class Wrapped:
        """A tensor in an object with ``__torch_function__``."""

        is_meta = False

        def __init__(self, tensor):
            self.tensor, self.shape = tensor, tensor.shape

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func(*(a.tensor if isinstance(a, cls) else a for a in args), **(kwargs or {}))

    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": Wrapped(fb.tensor([[2.0, 3.0]])), "bias": fb.ones(1)})
    assert model.weight.tolist() == [[2, 3]]


def test_libraries_can_call_the_hooks_of_the_state():
    layer = nn.Linear(1, 1)
    hooks = ["_state_dict_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"]
    assert [len(getattr(layer, name)) for name in hooks] == [0, 0, 0, 0]
    hook = lambda module, state, prefix, metadata: None  # noqa: E731
    handle = layer._register_state_dict_hook(hook)
    assert list(layer._state_dict_hooks.values()) == [hook]
    handle.remove()
    assert not layer._state_dict_hooks


def test_positional_arguments_of_state_dict_are_deprecated():
    collected = {}
    with pytest.warns(FutureWarning, match="Positional args are being deprecated"):
        nn.Linear(2, 3).state_dict(collected, "layer.")
    assert list(collected) == ["layer.weight", "layer.bias"]
