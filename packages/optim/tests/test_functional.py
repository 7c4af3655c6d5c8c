"""Functional optimizer steps, compared with the classes, which test_updates.py tests."""

import pytest

import flambeau as fb
from flambeau import optim
from flambeau.optim import _functional

SHAPES = [(3, 4), (5,), ()]
ADAM = {"lr": 0.1, "weight_decay": 0.01, "eps": 1e-6, "maximize": True}
BETAS = {"beta1": 0.8, "beta2": 0.9}

# function: (class, options of both, options of the class only, options of the function only, state entries of lists)
STEPS = {
    "sgd": (
        optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01, "nesterov": False, "maximize": True},
        {},
        {},
        ["momentum_buffer"],
    ),
    "adam": (
        optim.Adam,
        {**ADAM, "amsgrad": True},
        {"betas": (0.8, 0.9)},
        BETAS,
        ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step"],
    ),
    "adamw": (
        optim.AdamW,
        {**ADAM, "amsgrad": False},
        {"betas": (0.8, 0.9)},
        BETAS,
        ["exp_avg", "exp_avg_sq", None, "step"],
    ),
    "adamax": (optim.Adamax, ADAM, {"betas": (0.8, 0.9)}, BETAS, ["exp_avg", "exp_inf", "step"]),
    "nadam": (
        optim.NAdam,
        {**ADAM, "momentum_decay": 0.01, "decoupled_weight_decay": True},
        {"betas": (0.8, 0.9)},
        BETAS,
        ["exp_avg", "exp_avg_sq", "mu_product", "step"],
    ),
    "radam": (
        optim.RAdam,
        {**ADAM, "decoupled_weight_decay": False},
        {"betas": (0.8, 0.9)},
        BETAS,
        ["exp_avg", "exp_avg_sq", "step"],
    ),
    "adagrad": (optim.Adagrad, {**ADAM, "lr_decay": 0.2}, {}, {}, ["sum", "step"]),
    "adadelta": (optim.Adadelta, {**ADAM, "rho": 0.8}, {}, {}, ["square_avg", "acc_delta", "step"]),
    "rmsprop": (
        optim.RMSprop,
        {**ADAM, "alpha": 0.9, "momentum": 0.5, "centered": True},
        {},
        {},
        ["square_avg", "grad_avg", "momentum_buffer", "step"],
    ),
    "asgd": (
        optim.ASGD,
        {"lr": 0.1, "lambd": 0.01, "alpha": 0.7, "t0": 1.0, "weight_decay": 0.01, "maximize": True},
        {},
        {},
        ["ax", "mu", "eta", "step"],
    ),
    "rprop": (
        optim.Rprop,
        {"maximize": True},
        {"lr": 0.1, "etas": (0.4, 1.3), "step_sizes": (1e-3, 2.0)},
        {"etaminus": 0.4, "etaplus": 1.3, "step_size_min": 1e-3, "step_size_max": 2.0},
        ["prev", "step_size", "step"],
    ),
}


def parameters():
    fb.manual_seed(0)
    return [fb.randn(shape) for shape in SHAPES]


def set_gradients(params, step):
    fb.manual_seed(step)
    for param in params:
        param.grad = fb.randn_like(param)


def grads_of(params):
    return [param.grad for param in params]


@pytest.mark.parametrize("name", STEPS)
def test_functional_optimizers_equal_the_optimizer_classes(name):
    kind, shared, of_class, of_function, lists = STEPS[name]
    params, expected = parameters(), parameters()
    optimizer, reference = (kind(each, **shared, **of_class) for each in (params, expected))
    for each, stepped in ((params, optimizer), (expected, reference)):
        set_gradients(each, 1)
        stepped.step()
    state = [[] if entry is None else [optimizer.state[param][entry] for param in params] for entry in lists]
    for step in (2, 3):
        for each in (params, expected):
            set_gradients(each, step)
        reference.step()
        getattr(_functional, name)(params, grads_of(params), *state, **shared, **of_function)
    for param, other in zip(params, expected, strict=True):
        assert fb.equal(param, other)
    for values, entry in zip(state, lists, strict=True):
        for value, other in zip(values, expected, strict=False):
            assert fb.equal(value, reference.state[other][entry])


def sgd(params, grads, buffers, momentum=0.5, **options):
    options = {"lr": 0.1, "dampening": 0, "weight_decay": 0, "nesterov": False, "maximize": False, **options}
    _functional.sgd(params, grads, buffers, momentum=momentum, **options)


def test_functional_sgd_creates_missing_momentum_buffers():
    buffers = [None, fb.ones(2)]
    sgd([fb.zeros(2), fb.zeros(2)], [fb.ones(2), fb.ones(2)], buffers)
    assert [buffer.tolist() for buffer in buffers] == [[1.0, 1.0], [1.5, 1.5]]
    unused = [None]
    sgd([fb.zeros(2)], [fb.ones(2)], unused, momentum=0)
    assert unused == [None]


def test_sparse_gradients_update_only_their_rows():
    param, buffers = fb.ones(3, 1), [None]
    sgd([param], [fb.sparse_coo_tensor([[1]], [[2.0]], (3, 1))], buffers, momentum=0)
    assert param.flatten().tolist() == pytest.approx([1.0, 0.8, 1.0])
    lists = [fb.zeros(3, 1)], [fb.zeros(3, 1)], [1]
    _functional.sparse_adam(
        [param], [fb.sparse_coo_tensor([[2]], [[2.0]], (3, 1))], *lists, eps=1e-8, lr=0.1, maximize=False, **BETAS
    )
    assert param.flatten().tolist() == pytest.approx([1.0, 0.8, 0.9])


def adam(param, step, **options):
    lists = [[fb.zeros_like(param)] for _ in range(2)]
    options = {**ADAM, **BETAS, "amsgrad": False, **options}
    _functional.adam([param], [fb.ones_like(param)], *lists, [], [step], **options)


def test_functional_optimizers_keep_the_dtype_of_the_step_count():
    step = fb.tensor(4, dtype=fb.int64)
    adam(fb.ones(2), step)
    assert step.item() == 5 and step.dtype is fb.int64


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"differentiable": True, "fused": True}, RuntimeError, "does not support `differentiable`"),
        ({"grad_scale": fb.tensor(2.0)}, NotImplementedError, "unscale the gradients first"),
        ({"foreach": True, "fused": True}, RuntimeError, "cannot be `True` together"),
    ],
)
def test_unsupported_options_are_rejected(options, error, message):
    param = fb.ones(2)
    with pytest.raises(error, match=message):
        adam(param, fb.tensor(0.0), **options)
    assert param.tolist() == [1.0, 1.0]


def test_wrong_arguments_are_rejected():
    with pytest.raises(RuntimeError, match="must contain a list of singleton tensors"):
        adam(fb.ones(2), 0)
    param = fb.ones(2)
    with pytest.raises(ValueError, match="each parameter can occur only once"):
        sgd([param, param], [fb.ones(2), fb.ones(2)], [None, None])
    sparse = fb.sparse_coo_tensor([[1]], [[2.0]], (3, 1))
    with pytest.raises(RuntimeError, match="rprop does not support sparse gradients"):
        _functional.rprop([fb.ones(3, 1)], [sparse], [], [], [fb.tensor(0.0)], **STEPS["rprop"][3])


def test_multi_tensor_optimizers_use_foreach_by_default():
    from flambeau.optim import _multi_tensor

    optimizer = _multi_tensor.AdamW([fb.ones(2)], lr=0.5)
    assert (
        isinstance(optimizer, optim.AdamW) and optimizer.defaults["foreach"] is True and optimizer.defaults["lr"] == 0.5
    )


def stepped(param, **options):
    optimizer = optim.SGD([param], momentum=0.5, **options)
    param.grad = fb.ones_like(param)
    optimizer.step()
    return optimizer


def test_swap_in_optimizer_params_and_state_restores_the_optimizer():
    from flambeau.optim._stateless import swap_in_optimizer_params_and_state

    own, other = fb.zeros(2), fb.zeros(2)
    optimizer, source = stepped(own, lr=1.0), stepped(other, lr=0.1)
    state = source.state_dict()
    with swap_in_optimizer_params_and_state(optimizer, {"weight": other}, state):
        optimizer.step()
    assert own.tolist() == [-1.0, -1.0] and optimizer.param_groups[0]["lr"] == 1.0
    assert optimizer.state[own]["momentum_buffer"].tolist() == [1.0, 1.0]
    assert other.tolist() == pytest.approx([-0.25, -0.25])
    assert state["state"][0]["momentum_buffer"].tolist() == [1.5, 1.5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state["param_groups"].append({}), "2 parameter groups, but the optimizer has 1"),
        (lambda state: state["param_groups"][0].pop("lr"), "the options of param group 0 differ: .* has .'lr'"),
        (
            lambda state: state["param_groups"][0]["params"].append(1),
            "has 2 parameters, but the optimizer's group has 1",
        ),
        (lambda state: state["state"].update({7: {}}), r"unknown parameters: \[7\]"),
    ],
)
def test_a_state_that_does_not_match_the_optimizer_is_rejected(change, message):
    from flambeau.optim._stateless import swap_in_optimizer_params_and_state

    own = fb.zeros(2)
    optimizer = stepped(own, lr=1.0)
    state = optimizer.state_dict()
    change(state)
    with (
        pytest.raises(RuntimeError, match=message),
        swap_in_optimizer_params_and_state(optimizer, {"weight": fb.zeros(2)}, state),
    ):
        pass
    assert optimizer.param_groups[0]["params"][0] is own
