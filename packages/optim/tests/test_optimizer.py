"""The base class: groups, closures, errors, and the structure of the state dict."""

import copy
import pickle

import numpy as np
import pytest

import flambeau as fb
from flambeau import optim


def parameter(*shape):
    return fb.ones(*shape)


def stepped(kind=optim.Adam, shapes=((2, 3), (4,)), **options):
    params = [parameter(*shape) for shape in shapes]
    for param in params:
        param.grad = fb.ones(*param.shape)
    optimizer = kind(params, **options)
    optimizer.step()
    return optimizer


# Groups


def test_parameter_groups_inherit_default_options():
    weight, bias, late = parameter(2), parameter(1), parameter(3)
    optimizer = optim.SGD([{"params": [weight], "lr": 0.5}, {"params": bias}], lr=0.1)
    optimizer.add_param_group({"params": iter([late]), "momentum": 0.9})
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1, 0.1]
    assert [group["momentum"] for group in optimizer.param_groups] == [0, 0, 0.9]
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1, 1]
    assert optimizer.param_groups[1]["params"][0] is bias
    assert optimizer.param_groups[2]["params"][0] is late
    assert optimizer.defaults["lr"] == 0.1


def test_add_param_group_stores_the_given_dictionary():
    group = {"params": (each for each in [parameter(1)])}
    optimizer = optim.SGD([group], lr=0.1)
    assert optimizer.param_groups[0] is group and group["lr"] == 0.1 and len(group["params"]) == 1
    rejected = {"params": [parameter(1), 3]}
    with pytest.raises(TypeError):
        optimizer.add_param_group(rejected)
    assert list(rejected) == ["params"]


def test_parameters_can_have_names():
    weight = parameter(1)
    optimizer = optim.SGD([("weight", weight)], lr=0.1)
    assert optimizer.param_groups[0]["params"][0] is weight
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight"]
    with pytest.raises(ValueError, match="Cannot add a param group without names to an optimizer with names"):
        optimizer.add_param_group({"params": parameter(1)})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: optim.SGD([], lr=0.1), ValueError, "empty parameter list"),
        (lambda p: optim.SGD(p, lr=0.1), TypeError, "iterable of Tensors or dicts, but got a Tensor"),
        (lambda p: optim.SGD([3], lr=0.1), TypeError, "one of the params is int"),
        (lambda p: optim.SGD([{"params": {p}}], lr=0.1), TypeError, "ordered collections"),
        (lambda p: optim.SGD([{"params": p}, 3], lr=0.1), TypeError, "must be a dict, but got <class 'int'>"),
        (lambda p: optim.SGD([{"parameters": p}], lr=0.1), KeyError, r"needs the key 'params', but has .*'parameters'"),
        (lambda p: optim.SGD([{"params": p}, {"params": p}], lr=0.1), ValueError, "more than one parameter group"),
        (lambda p: optim.SGD([("a", p), parameter(1)], lr=0.1), ValueError, "Some param names are missing"),
        (lambda p: optim.SGD([p], lr=-1.0), ValueError, r"Invalid learning rate: -1\.0"),
        (lambda p: optim.SGD([p], lr=float("nan")), ValueError, "Invalid learning rate: nan"),
        (lambda p: optim.SGD([p], lr=fb.ones(2)), ValueError, r"Tensor lr must be 1-element, but its shape is \[2\]"),
        (lambda p: optim.LBFGS([p], lr=fb.ones(2)), ValueError, "Tensor lr must be 1-element"),
        (lambda p: optim.SGD([p], momentum=-1.0), ValueError, r"Invalid momentum value: -1\.0"),
        (lambda p: optim.SGD([p], weight_decay=-1.0), ValueError, r"Invalid weight_decay value: -1\.0"),
        (lambda p: optim.SGD([p], nesterov=True), ValueError, "Nesterov momentum requires a momentum"),
        (lambda p: optim.SGD([p], momentum=1, dampening=1, nesterov=True), ValueError, "zero dampening"),
        (lambda p: optim.Adam([p], lr=-1.0), ValueError, "Invalid learning rate"),
        (lambda p: optim.Adam([p], eps=-1.0), ValueError, r"Invalid epsilon value: -1\.0"),
        (lambda p: optim.Adam([p], betas=(1.0, 0.9)), ValueError, r"Invalid beta parameter at index 0: 1\.0"),
        (lambda p: optim.AdamW([p], betas=(0.9, -0.1)), ValueError, r"Invalid beta parameter at index 1: -0\.1"),
        (lambda p: optim.AdamW([p], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
    ],
)
def test_optimizers_reject_invalid_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make(parameter(2))


def test_duplicate_parameters_warn():
    weight = parameter(1)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([weight, weight], lr=0.1)


def test_zero_grad_deletes_gradients_or_fills_them_with_zeros():
    optimizer = stepped()
    params = optimizer.param_groups[0]["params"]
    gradient = params[0].grad
    optimizer.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(gradient.numpy(), np.zeros((2, 3)))
    assert params[0].grad is gradient
    optimizer.zero_grad()
    assert all(param.grad is None for param in params)


def test_step_calls_the_closure_first():
    weight = parameter(1)
    optimizer = optim.SGD([weight], lr=0.25)

    def closure():
        weight.grad = fb.tensor([2.0])
        return "loss"

    assert optimizer.step(closure) == "loss"
    assert weight.detach().item() == 0.5


def test_a_step_without_gradients_does_nothing():
    optimizer = optim.Adam([parameter(2)])
    optimizer.step()
    assert not optimizer.state


def test_repr_of_an_optimizer_lists_the_options_of_its_groups():
    assert repr(optim.SGD([parameter(1)], lr=0.1)) == (
        "SGD (\n"
        "Parameter Group 0\n"
        "    dampening: 0\n"
        "    differentiable: False\n"
        "    foreach: None\n"
        "    fused: None\n"
        "    lr: 0.1\n"
        "    maximize: False\n"
        "    momentum: 0\n"
        "    nesterov: False\n"
        "    weight_decay: 0\n"
        ")"
    )


def test_custom_optimizers_need_to_define_only_one_method():
    class SignDescent(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def _update(self, group, params, grads):
            for param, grad in zip(params, grads, strict=True):
                self.state[param]["count"] = self.state[param].get("count", 0) + 1
                param.data = param.detach() - group["lr"] * grad.sign()

    optimizer = stepped(SignDescent, lr=0.25)
    params = optimizer.param_groups[0]["params"]
    np.testing.assert_array_equal(params[1].detach().numpy(), np.full(4, 0.75))
    assert optimizer.state_dict()["state"] == {0: {"count": 1}, 1: {"count": 1}}
    with pytest.raises(NotImplementedError, match=r"neither _update\(\) nor step\(\)"):
        stepped(type("Empty", (optim.Optimizer,), {}), defaults={})


# State


def test_state_dict_has_the_structure_of_pytorch():
    optimizer = stepped(optim.Adam, lr=0.1, amsgrad=True)
    saved = optimizer.state_dict()
    assert list(saved) == ["state", "param_groups"]
    assert list(saved["state"]) == [0, 1]
    assert list(saved["state"][0]) == ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    step = saved["state"][1]["step"]
    assert (step.dtype, tuple(step.shape), step.item()) == (fb.float32, (), 1.0)
    assert tuple(saved["state"][0]["exp_avg"].shape) == (2, 3)
    (group,) = saved["param_groups"]
    assert group["params"] == [0, 1]
    assert {"lr", "betas", "eps", "weight_decay", "amsgrad", "maximize"} <= set(group)
    assert list(stepped(optim.SGD, momentum=0.9).state_dict()["state"][0]) == ["momentum_buffer"]
    assert stepped(optim.SGD).state_dict()["state"] == {}


def written_by_pytorch():
    """Return the state of `torch.optim.Adam` after one step in the format of 2.13, with ``step`` as in 1.11."""
    options = {
        "lr": 0.5, "betas": (0.8, 0.9), "eps": 1e-8, "weight_decay": 0, "amsgrad": False, "maximize": False,
        "foreach": None, "capturable": False, "differentiable": False, "fused": None, "decoupled_weight_decay": False,
        "params": [0, 1],
    }  # fmt: skip
    state = {
        number: {"step": 3, "exp_avg": fb.full(shape, 2.0), "exp_avg_sq": fb.full(shape, 4.0)}
        for number, shape in enumerate([(2, 3), (4,)])
    }
    return {"state": state, "param_groups": [options]}


def test_a_state_dict_of_pytorch_can_be_loaded():
    optimizer = stepped(optim.Adam)
    saved = written_by_pytorch()
    optimizer.load_state_dict(saved)
    params = optimizer.param_groups[0]["params"]
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert optimizer.state[params[1]]["step"].item() == 3
    assert optimizer.state[params[1]]["step"].dtype == fb.float32
    before = params[1].detach().numpy().copy()
    optimizer.step()
    m, v = 0.8 * 2 + 0.2 * 1, 0.9 * 4 + 0.1 * 1
    change = 0.5 * m / (1 - 0.8**4) / (np.sqrt(v / (1 - 0.9**4)) + 1e-8)
    np.testing.assert_allclose(params[1].detach().numpy(), before - change, rtol=1e-6)
    assert saved["state"][1]["exp_avg"].numpy()[0] == 2, "what was loaded belongs to the caller"


def test_adamw_keeps_decoupled_weight_decay_when_loading():
    optimizer = stepped(optim.AdamW)
    optimizer.load_state_dict(written_by_pytorch())
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is True


def test_loaded_state_takes_the_dtype_of_the_parameters():
    source = stepped(optim.Adam)
    params = [fb.ones(*shape, dtype=fb.float64) for shape in ((2, 3), (4,))]
    target = optim.Adam(params)
    target.load_state_dict(source.state_dict())
    assert target.state[params[0]]["exp_avg"].dtype == fb.float64
    assert target.state[params[0]]["step"].dtype == fb.float32


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda saved: saved["param_groups"].append(saved["param_groups"][0]), "groups: 2, but the optimizer has 1"),
        (
            lambda saved: saved["param_groups"][0]["params"].pop(),
            "group 0 has 1 parameters in the state dict, but 2 in the optimizer",
        ),
    ],
)
def test_mismatched_state_dicts_change_nothing(spoil, message):
    optimizer = stepped(optim.Adam, lr=0.1)
    saved = stepped(optim.Adam, lr=0.9).state_dict()
    spoil(saved)
    state, groups = dict(optimizer.state), list(optimizer.param_groups)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(saved)
    assert dict(optimizer.state) == state
    assert optimizer.param_groups == groups
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_a_step_names_loaded_state_of_an_unusable_shape():
    optimizer = stepped(optim.Adam, lr=0.1)
    saved = optimizer.state_dict()
    saved["state"][1].update(exp_avg=fb.zeros(3), history=fb.zeros(2, 2))
    optimizer.load_state_dict(saved)
    param = optimizer.param_groups[0]["params"][1]
    assert optimizer.state[param]["history"].shape == (2, 2)
    before = param.detach().clone()
    with pytest.raises(RuntimeError, match=r"exp_avg has shape \[3\], its parameter \[4\]"):
        optimizer.step()
    assert fb.equal(param, before)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({}, KeyError, "the dictionary has no keys"),
        ({"weight": fb.ones(1)}, KeyError, r"has 'weight'; it seems .* module: write module\.load_state_dict"),
        (
            {"model": {}, "optimizer": {"state": {}, "param_groups": []}},
            KeyError,
            r"has 'model', 'optimizer'; it seems .* checkpoint: write load_state_dict\(checkpoint\['optimizer'\]\)",
        ),
        ([], TypeError, "Expected state_dict to be dict-like, got <class 'list'>"),
    ],
)
def test_invalid_state_dicts_are_rejected(state, error, message):
    optimizer = stepped(optim.Adam, lr=0.1)
    with pytest.raises(error, match=message):
        optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copied_optimizer_has_its_own_parameters(duplicate):
    optimizer = stepped(optim.Adam, lr=0.1)
    twin = duplicate(optimizer)
    (group,) = twin.param_groups
    assert twin.state[group["params"][0]]["step"].item() == 1
    group["params"][0].grad = fb.ones(2, 3)
    twin.step()
    assert optimizer.state[optimizer.param_groups[0]["params"][0]]["step"].item() == 1


def test_passing_a_module_as_parameters_suggests_the_correct_call():
    class Model:
        def parameters(self):
            return [parameter(2)]

    class Models(list):
        parameters = Model.parameters

    for optimizer in (optim.SGD, optim.AdamW):
        with pytest.raises(TypeError, match=r"'Model' object is not iterable: .*; pass model\.parameters\(\) instead"):
            optimizer(Model(), lr=0.1)
        with pytest.raises(TypeError, match=r"one of the params is Model; pass its parameters\(\)"):
            optimizer(Models([Model()]), lr=0.1)


def test_repr_separates_parameter_groups_by_a_blank_line():
    first, second = parameter(1), parameter(1)
    text = repr(optim.SGD([{"params": [first]}, {"params": [second], "lr": 0.5}], lr=0.1))
    assert "    weight_decay: 0\n\nParameter Group 1\n    dampening: 0\n" in text and text.endswith("0\n)")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda model: optim.SGD(model.parameters),
            r"'method' object is not iterable: .*; call it, as in model\.param",
        ),
        (lambda model: optim.SGD({"weight": fb.ones(1)}), r"got a dict; write model\.parameters\(\)"),
        (lambda model: optim.SGD(5), "'int' object is not iterable: params must be an iterable of Tensors"),
        (lambda model: optim.SGD([fb.ones(1)], lr="0.1"), "lr must be a number, got the str '0.1'"),
        (lambda model: optim.Adam([fb.ones(1)], betas=0.9), r"betas must be two numbers, .* got 0\.9"),
        (lambda model: optim.SGD([fb.ones(1)]).step(fb.ones(1)), r"got a Tensor; call loss\.backward\(\) first"),
    ],
)
def test_errors_suggest_the_corrected_call(make, message):
    class Model:
        def parameters(self):
            return [fb.ones(1)]

    with pytest.raises(TypeError, match=message):
        make(Model())


@pytest.mark.parametrize(("owner", "name", "meant"), [(optim, "Adm", "Adam"), (optim.lr_scheduler, "StepLr", "StepLR")])
def test_unknown_names_suggest_the_closest_match(owner, name, meant):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; did you mean '{meant}'\\?$"):
        getattr(owner, name)


def test_adagrad_has_its_state_before_the_first_step():
    real, complex_ = fb.ones(2), fb.ones(2, dtype=fb.complex64)
    optimizer = optim.Adagrad([real, complex_], initial_accumulator_value=0.5)
    assert [optimizer.state[param]["step"].item() for param in (real, complex_)] == [0.0, 0.0]
    assert optimizer.state[real]["sum"].tolist() == [0.5, 0.5]
    assert optimizer.state[complex_]["sum"].tolist() == [0.5 + 0.5j] * 2
    optimizer.share_memory()
    assert optimizer.state[real]["sum"].is_shared()
    real.grad = fb.ones(2)
    optimizer.step()
    assert optimizer.state_dict()["state"][0]["step"].item() == 1.0
    assert optimizer.state_dict()["state"][1]["step"].item() == 0.0


def test_adagrad_accepts_uninitialized_parameters():
    weight = fb.zeros(0)
    optimizer = optim.Adagrad([weight])
    weight.data = fb.ones(2)
    weight.grad = fb.ones(2)
    optimizer.step()
    assert optimizer.state[weight]["sum"].tolist() == [1.0, 1.0]


ADAM = "lr betas eps weight_decay amsgrad maximize foreach capturable differentiable fused decoupled_weight_decay"
ORDER_OF_PYTORCH = {
    optim.Adadelta: "lr rho eps weight_decay maximize capturable foreach differentiable",
    optim.Adagrad: "lr lr_decay eps weight_decay initial_accumulator_value foreach maximize differentiable fused",
    optim.Adam: ADAM,
    optim.AdamW: ADAM,
    optim.NAdam: "lr betas eps weight_decay momentum_decay decoupled_weight_decay maximize foreach capturable "
    "differentiable",
    optim.RAdam: "lr betas eps weight_decay maximize foreach capturable decoupled_weight_decay differentiable",
    optim.RMSprop: "lr momentum alpha eps centered weight_decay capturable foreach maximize differentiable",
    optim.Rprop: "lr etas step_sizes foreach maximize differentiable capturable",
}


@pytest.mark.parametrize(("kind", "names"), ORDER_OF_PYTORCH.items())
def test_options_are_in_the_order_of_pytorch(kind, names):
    optimizer = kind([parameter(2)])
    assert list(optimizer.defaults) == names.split()
    assert list(optimizer.param_groups[0]) == ["params", *names.split()]
