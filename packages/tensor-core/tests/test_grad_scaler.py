"""Tests of gradient scaling: unscaling, skipped steps, updates of the scale, and the order of calls."""

import copy
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import flambeau as fb
from flambeau.amp import GradScaler


class Optimizer:
    """Optimizer that only counts its steps. Its parameters have only a gradient."""

    def __init__(self, *gradients):
        self.param_groups = [{"params": [SimpleNamespace(grad=g) for g in gradients]}]
        self.steps = 0

    def step(self):
        self.steps += 1
        return "stepped"

    @property
    def gradients(self):
        return [p.grad for p in self.param_groups[0]["params"]]


def scaler(**options):
    return GradScaler("cpu", **{"init_scale": 4.0, "growth_interval": 2, **options})


def started(**options):
    made = scaler(**options)
    made.scale(fb.ones(()))
    return made


def test_scale_multiplies_tensors_and_containers():
    s = scaler()
    assert s.scale(fb.tensor(2.0)).item() == 8
    assert [t.item() for t in s.scale([fb.tensor(1.0), fb.tensor(2.0)])] == [4, 8]
    assert isinstance(s.scale((fb.tensor(1.0),)), tuple)
    assert [t.tolist() for t in s.scale(t for t in [fb.ones(2)])] == [[4, 4]]
    with pytest.raises(ValueError, match="iterable"):
        s.scale(3)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16, fb.complex64])
def test_step_unscales_gradients_once(dtype):
    s, o = started(), Optimizer(fb.full((3,), 8, dtype=dtype), None, fb.full((2, 2), 2, dtype=dtype).t())
    s.unscale_(o)
    assert o.gradients[0].eq(2).all() and o.gradients[2].eq(0.5).all() and o.gradients[0].dtype is dtype
    assert s.step(o) == "stepped" and o.steps == 1 and o.gradients[0].eq(2).all()
    s.update()
    assert s.get_scale() == 4 and s._get_growth_tracker() == 1


@pytest.mark.parametrize("wrong", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("place", [0, 70_000, 99_999])
def test_a_step_with_a_nonfinite_gradient_is_skipped(wrong, place):
    values = np.ones(100_000, dtype=np.float32)
    values[place] = wrong
    s, o = started(), Optimizer(fb.ones(2), fb.from_numpy(values))
    assert s.step(o) is None and o.steps == 0
    s.update()
    assert s.get_scale() == 2 and s._get_growth_tracker() == 0


def test_the_scale_grows_after_enough_finite_steps():
    s = started()
    for expected in (4, 8, 8, 16):
        s.step(Optimizer(fb.ones(2)))
        s.update()
        assert s.get_scale() == expected
    s = started(init_scale=2.0**127, growth_interval=1)
    s.step(Optimizer(fb.ones(2)))
    s.update()
    assert s.get_scale() == 2.0**127  # twice this value overflows float32


def test_several_optimizers_share_a_scale():
    s, good, bad = started(), Optimizer(fb.ones(2)), Optimizer(fb.tensor([math.inf]))
    s.step(good)
    s.step(bad)
    s.update()
    assert (good.steps, bad.steps, s.get_scale()) == (1, 0, 2)


def test_calls_in_the_wrong_order_raise():
    s, o = scaler(), Optimizer(fb.ones(2))
    for call in (lambda: s.step(o), lambda: s.unscale_(o), s.update):
        with pytest.raises(AssertionError, match=r"scaler\.scale"):
            call()
    s.scale(fb.ones(()))
    with pytest.raises(AssertionError, match="prior to update"):
        s.update()
    s.unscale_(o)
    with pytest.raises(RuntimeError, match="already been called on this optimizer"):
        s.unscale_(o)
    s.step(o)
    with pytest.raises(RuntimeError, match=r"step\(\) has already been called"):
        s.step(o)
    with pytest.raises(RuntimeError, match=r"called after step\(\)"):
        s.unscale_(o)
    with pytest.raises(AssertionError, match="pickled"):
        pickle.dumps(s)
    s.update()
    with pytest.raises(RuntimeError, match="Closure"):
        s.step(o, closure=lambda: None)
    with pytest.raises(AssertionError, match="No inf checks"):
        s.step(Optimizer(None))


def test_float16_gradients_are_rejected_unchanged():
    s, o = started(), Optimizer(fb.ones(2), fb.ones(2, dtype=fb.float16))
    with pytest.raises(ValueError, match="FP16"):
        s.unscale_(o)
    assert o.gradients[0].eq(1).all() and o.gradients[1].eq(1).all()
    with pytest.raises(NotImplementedError, match="int64"):
        fb._core._scale_gradients([fb.ones(2), fb.ones(2, dtype=fb.int64)], 0.5)


def test_check_inf_per_device_finds_infinities():
    s, o = started(), Optimizer(fb.ones(2, dtype=fb.float16))
    assert {str(d): f.item() for d, f in s._check_inf_per_device(o).items()} == {"cpu": 0}
    o.gradients[0].fill_(math.inf)
    assert [f.item() for f in s._check_inf_per_device(o).values()] == [1]


def test_update_accepts_a_new_scale():
    s = started()
    s.update(7.0)
    assert s.get_scale() == 7
    s.update(fb.tensor(3.0))
    assert s.get_scale() == 3
    for wrong in ("a", fb.ones(2)):
        with pytest.raises(AssertionError, match="new_scale"):
            s.update(wrong)


def test_the_state_of_a_grad_scaler_can_be_saved():
    s = started()
    s.step(Optimizer(fb.ones(2)))
    s.update()
    state = s.state_dict()
    assert state == {
        "scale": 4.0,
        "growth_factor": 2.0,
        "backoff_factor": 0.5,
        "growth_interval": 2,
        "_growth_tracker": 1,
    }
    for other in (scaler(init_scale=1.0), started(init_scale=1.0)):
        other.load_state_dict(state)
        assert other.state_dict() == state
    for other in (pickle.loads(pickle.dumps(s)), copy.deepcopy(s)):
        assert other.state_dict() == state and other.scale(fb.ones(())).item() == 4
    with pytest.raises(RuntimeError, match="disabled"):
        s.load_state_dict({})


def test_settings_of_a_grad_scaler_can_be_changed():
    s = scaler()
    s.set_growth_factor(3.0)
    s.set_backoff_factor(0.25)
    s.set_growth_interval(5)
    assert (s.get_growth_factor(), s.get_backoff_factor(), s.get_growth_interval()) == (3.0, 0.25, 5)
    with pytest.raises(AssertionError, match="growth"):
        scaler(growth_factor=1.0)
    with pytest.raises(AssertionError, match="backoff"):
        scaler(backoff_factor=1.0)


def test_a_disabled_scaler_does_nothing():
    s, o = scaler(enabled=False), Optimizer(fb.tensor([math.inf]))
    x = fb.ones(2)
    assert s.scale(x) is x and not s.is_enabled() and s.get_scale() == 1 and s.state_dict() == {}
    s.unscale_(o)
    assert s.step(o) == "stepped" and o.steps == 1
    s.update()
    s.load_state_dict({})
    assert not pickle.loads(pickle.dumps(s)).is_enabled()
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not GradScaler().is_enabled()
