"""Optimizers in the style of other packages, derived from ``flambeau.optim.optimizer`` and compared with NumPy."""

import copy
import math
import pickle

import numpy as np
import pytest

import flambeau as fb
from flambeau import optim
from flambeau.optim.lr_scheduler import StepLR
from flambeau.optim.optimizer import Optimizer, ParamsT, required


class Decaying(Optimizer):
    """Adam with decoupled weight decay, in the style of other packages."""

    def __init__(self, params: ParamsT, lr=required, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        if lr is not required and lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super(Decaying, self).__init__(params, defaults)  # noqa: UP008

    def __setstate__(self, state):
        super(Decaying, self).__setstate__(state)  # noqa: UP008
        for group in self.param_groups:
            group.setdefault("added_later", False)

    @fb.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with fb.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["exp_avg"] = fb.zeros_like(p.data)
                    state["exp_avg_sq"] = fb.zeros_like(p.data)
                state["step"] += 1
                p.data.mul_(1 - group["lr"] * group["weight_decay"])
                state["exp_avg"].mul_(beta1).add_(p.grad, alpha=1 - beta1)
                state["exp_avg_sq"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                unbiased = math.sqrt(1 - beta2 ** state["step"]) / (1 - beta1 ** state["step"])
                denominator = state["exp_avg_sq"].sqrt().add_(group["eps"])
                p.data.addcdiv_(state["exp_avg"], denominator, value=-group["lr"] * unbiased)
        return loss


class Lookahead(Optimizer):
    """Wrapper that shares the groups and state of another optimizer. It does not call ``Optimizer.__init__``."""

    def __init__(self, base, steps=2, alpha=0.5):
        self.optimizer, self.steps, self.alpha, self.done = base, steps, alpha, 0
        self.param_groups, self.state, self.defaults = base.param_groups, base.state, base.defaults
        self.slow = [p.clone() for group in self.param_groups for p in group["params"]]

    def step(self, closure=None):
        loss = self.optimizer.step(closure)
        self.done += 1
        if self.done % self.steps == 0:
            for group in self.param_groups:
                for fast, slow in zip(group["params"], self.slow, strict=True):
                    slow.add_(fast - slow, alpha=self.alpha)
                    fast.copy_(slow)
        return loss


def reference(x, steps, lr, decay):
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t in range(1, steps + 1):
        gradient = 2 * x
        x = x * (1 - lr * decay)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        x = x - lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8)
    return x


def run(optimizer, steps=1):
    (param,) = optimizer.param_groups[0]["params"]

    def closure():
        param.grad = 2 * param
        return (param**2).sum()

    return [optimizer.step(closure) for _ in range(steps)]


def fresh(**options):
    return Decaying([fb.tensor([1.0, -2.0, 0.5], dtype=fb.float64)], **{"lr": 0.1, **options})


def test_third_party_optimizers_equal_their_reference():
    optimizer = fresh(weight_decay=0.1)
    losses = run(optimizer, 5)
    expected = reference(np.array([1.0, -2.0, 0.5]), 5, 0.1, 0.1)
    np.testing.assert_allclose(optimizer.param_groups[0]["params"][0].numpy(), expected, rtol=1e-6)
    assert losses[0].item() == 5.25 and repr(required) == "<required parameter>"


def test_the_error_names_a_missing_required_option():
    with pytest.raises(ValueError, match="didn't specify a value of required optimization parameter lr"):
        Decaying([fb.ones(1)])
    optimizer = Decaying([{"params": [fb.ones(1)], "lr": 0.1}])
    with pytest.raises(ValueError, match="lr"):
        optimizer.add_param_group({"params": [fb.ones(1)]})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_setstate_of_an_optimizer_subclass_is_called_for_copies(duplicate):
    optimizer = fresh()
    optimizer.register_step_post_hook(lambda *args: None)
    run(optimizer)
    twin = duplicate(optimizer)
    assert twin.param_groups[0]["added_later"] is False and "added_later" not in optimizer.param_groups[0]
    run(twin), run(optimizer)
    assert fb.equal(twin.param_groups[0]["params"][0], optimizer.param_groups[0]["params"][0])


def test_setstate_of_an_optimizer_subclass_is_called_by_load_state_dict():
    optimizer = fresh()
    run(optimizer)
    other = fresh()
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["added_later"] is False


def test_custom_optimizer_keeps_the_types_of_its_state_when_it_is_loaded():
    optimizer, other = fresh(), Decaying([fb.ones(3, dtype=fb.bfloat16)], lr=0.1)
    state = optimizer.state[optimizer.param_groups[0]["params"][0]]
    state |= {"step": 3, "compensation": None, "history": [fb.ones(3), 2], "nested": {"step": fb.ones(1)}}
    other.load_state_dict(optimizer.state_dict())
    loaded = other.state[other.param_groups[0]["params"][0]]
    assert loaded["step"] == 3 and isinstance(loaded["step"], int) and loaded["compensation"] is None
    assert loaded["history"][0].dtype == fb.bfloat16 and loaded["history"][1] == 2
    assert loaded["nested"]["step"].dtype == fb.float32 and loaded["nested"]["step"] is not state["nested"]["step"]


def test_hooks_run_around_a_custom_step():
    seen = []
    optimizer = fresh()
    optimizer.register_step_pre_hook(lambda *given: seen.append(("before", *given)))
    handle = optimizer.register_step_post_hook(lambda *given: seen.append(("after", *given)))
    with fb.optim.register_optimizer_step_post_hook(lambda *given: seen.append(("all", *given))):
        optimizer.step()
    assert seen == [(when, optimizer, (optimizer,), {}) for when in ("before", "after", "all")]
    handle.remove()
    optimizer.step()
    assert len(seen) == 4


def test_hooks_run_once_if_step_calls_super():
    class Counting(fb.optim.SGD):
        def step(self, closure=None):
            return super().step(closure)

    seen = []
    optimizer = Counting([fb.ones(1)], lr=0.1)
    optimizer.register_step_pre_hook(lambda *given: seen.append(given))
    run(optimizer, 2)
    assert len(seen) == 2


def test_step_hooks_run_around_a_step_inherited_from_a_mixin():
    class Steps:
        def step(self, closure=None):
            return closure()

    class Mixed(Steps, Optimizer):
        pass

    seen = []
    optimizer = Mixed([fb.ones(1)], {})
    optimizer.register_step_post_hook(lambda *given: seen.append(given))
    assert optimizer.step(lambda: 3) == 3 and len(seen) == 1


def test_an_optimizer_subclass_may_skip_the_base_constructor():
    base = fresh()
    wrapper = Lookahead(base)
    schedule = StepLR(wrapper, 1)
    run(wrapper, 2)
    schedule.step()
    fast = reference(np.array([1.0, -2.0, 0.5]), 2, 0.1, 0.0)
    expected = (np.array([1.0, -2.0, 0.5]) + fast) / 2
    np.testing.assert_allclose(base.param_groups[0]["params"][0].numpy(), expected, rtol=1e-6)
    seen = []
    wrapper.register_step_post_hook(lambda *given: seen.append(given))
    run(wrapper)
    assert len(seen) == 1


def test_a_wrapping_optimizer_shares_the_groups_of_the_wrapped_one():
    base = fresh()
    wrapper = Optimizer(base.param_groups, base.defaults)
    StepLR(wrapper, 1)
    wrapper.param_groups[0]["lr"] = 0.5
    assert base.param_groups[0] is wrapper.param_groups[0] and base.param_groups[0]["lr"] == 0.5
    given = {"params": (fb.ones(1) for _ in range(2))}
    base.add_param_group(given)
    assert base.param_groups[1] is given and len(given["params"]) == 2 and given["betas"] == (0.9, 0.999)


def test_helpers_of_functional_optimizers_can_be_imported():
    from flambeau.optim import optimizer as helpers

    @helpers._disable_dynamo_if_unsupported(single_tensor_fn=len)
    def step(params):
        """Step."""
        return params

    assert step(3) == 3 and step.__doc__ == "Step."
    names = ("params", "foreach", "fused", "maximize", "capturable", "differentiable")
    assert all(getattr(helpers, f"_{name}_doc").startswith(f"{name} (") for name in names)
    assert "cuda" in helpers._get_capturable_supported_devices()
    helpers._device_dtype_check_for_fused(fb.ones(1))
    with pytest.raises(RuntimeError, match="requires all the params to be floating point"):
        helpers._device_dtype_check_for_fused(fb.ones(1, dtype=fb.int64))


def test_scheduler_that_computes_its_rates_itself_warns_outside_of_step():
    from flambeau.optim.lr_scheduler import LRScheduler, _enable_get_lr_call, _warn_get_lr_called_within_step

    class Halved(LRScheduler):
        def get_lr(self):
            _warn_get_lr_called_within_step(self)
            return [rate / 2 for rate in self.base_lrs]

    schedule = Halved(fresh())
    with _enable_get_lr_call(schedule) as entered:
        assert entered is schedule and schedule.get_lr() == [0.05]
    with pytest.warns(UserWarning, match="get_last_lr"):
        schedule.get_lr()


def test_private_names_of_optim_can_be_imported():
    from flambeau.optim.optimizer import _default_to_fused_or_foreach, _use_grad_for_differentiable

    class Descent(Optimizer):
        @_use_grad_for_differentiable
        def step(self, closure=None):
            assert not fb.is_grad_enabled()
            params = self.param_groups[0]["params"]
            assert _default_to_fused_or_foreach(params, differentiable=False) == (False, False)
            fb._foreach_add_(params, [p.grad for p in params], alpha=-self.param_groups[0]["lr"])

    param = fb.tensor([1.0, -2.0])
    param.grad = fb.tensor([1.0, 2.0])
    Descent([param], {"lr": 0.5}).step()
    assert param.tolist() == [0.5, -3.0] and fb.is_grad_enabled()


def test_a_scheduler_step_before_the_optimizer_warns():
    schedule = StepLR(fresh(), 1)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        schedule.step()


def test_group_tensors_by_device_and_dtype_works_in_custom_steps():
    params = [fb.zeros(1), fb.zeros(2, dtype=fb.float64), fb.zeros(3)]
    grads = [fb.ones_like(param) for param in params]
    groups = Optimizer._group_tensors_by_device_and_dtype([params, grads], with_indices=True)
    assert {dtype: indices for (_, dtype), (_, indices) in groups.items()} == {fb.float32: [0, 2], fb.float64: [1]}
    assert groups[fb.device("cpu"), fb.float64][0][1][0] is grads[1]


def test_private_optimizer_helpers_work():
    from flambeau.optim.optimizer import StateDict, _get_scalar_dtype, _get_value, _to_scalar, _view_as_real

    assert StateDict.__origin__ is dict
    assert _get_value(fb.tensor(2.5)) == 2.5 and _get_value(0.1) == 0.1
    assert _to_scalar(fb.tensor([2.5])).shape == () and _to_scalar(0.1) == 0.1
    assert _get_scalar_dtype() is fb.float32
    params, grads = [fb.ones(2), fb.ones(2, dtype=fb.complex64)], [fb.zeros(2), fb.zeros(2, dtype=fb.complex64)]
    _view_as_real(params, grads)
    assert [t.shape for t in (*params, *grads)] == [(2,), (2, 2), (2,), (2, 2)]


@pytest.mark.parametrize("name", ["_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"])
def test_a_step_can_check_for_the_capture_of_graphs(name):
    pytest.importorskip("flambeau.autograd", reason="step() needs it")

    class Checked(Optimizer):
        def step(self, closure=None):
            getattr(self, name)()

    Checked([fb.ones(2, requires_grad=True)], {"capturable": False}).step()


class OwnAdam(optim.AdamW):
    """AdamW with its own step, which collects the states as libraries for PyTorch do."""

    def step(self, closure=None):
        for group in self.param_groups:
            lists = [], [], [], [], [], []
            has_complex = self._init_group(group, *lists)
            beta1, beta2 = group["betas"]
            names = "amsgrad", "lr", "weight_decay", "eps", "maximize"
            chosen = {name: group[name] for name in names}
            optim.adamw.adamw(*lists, beta1=beta1, beta2=beta2, has_complex=has_complex, **chosen)


class OwnSGD(optim.SGD):
    """SGD with its own step, which stores the momentum buffers as libraries for PyTorch do."""

    def step(self, closure=None):
        for group in self.param_groups:
            params, grads, buffers = [], [], []
            sparse = self._init_group(group, params, grads, buffers)
            names = "weight_decay", "momentum", "lr", "dampening", "nesterov", "maximize"
            chosen = {name: group[name] for name in names}
            optim.sgd.sgd(params, grads, buffers, has_sparse_grad=sparse, **chosen)
            for param, buffer in zip(params, buffers, strict=False):
                self.state[param]["momentum_buffer"] = buffer


@pytest.mark.parametrize(
    ("own", "plain", "chosen"),
    [
        (OwnAdam, optim.AdamW, {}),
        (OwnAdam, optim.AdamW, {"amsgrad": True}),
        (OwnSGD, optim.SGD, {"momentum": 0.9}),
        (OwnSGD, optim.SGD, {}),
    ],
)
@pytest.mark.parametrize("dtype", [fb.float32, fb.complex64, fb.bfloat16])
def test_a_step_of_a_subclass_gets_states_from_init_group(own, plain, chosen, dtype):
    results = []
    for kind in (own, plain):
        used, unused = fb.ones(3, dtype=dtype), fb.ones(2)
        optimizer = kind([used, unused], lr=0.1, **chosen)
        for scale in (1, -2, 3):
            used.grad = fb.full((3,), scale, dtype=dtype)
            optimizer.step()
        states = {name: (value.tolist(), value.dtype) for name, value in optimizer.state[used].items()}
        results.append((used.tolist(), states, unused in optimizer.state))
    assert results[0] == results[1]


def test_init_group_reports_sparse_gradients():
    weight = fb.zeros(3, 2)
    weight.grad = fb.sparse_coo_tensor([[1]], fb.ones(1, 2), (3, 2))
    assert optim.SGD([weight])._init_group({"params": [weight], "momentum": 0}, [], [], []) is True
    adam = optim.Adam([weight])
    with pytest.raises(RuntimeError, match="Adam does not support sparse gradients"):
        adam._init_group(adam.param_groups[0], [], [], [], [], [], [])
