"""Notes on errors: the node that raised, and in anomaly mode the forward call; the first NaN of either pass."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import autograd
from flambeau.autograd import Function


@pytest.fixture
def x():
    return fb.tensor([1.0, -2.0], requires_grad=True)


def notes(caught):
    return "\n".join(caught.value.__notes__)


def the_forward_line(t):
    return t.sqrt()


def test_nan_in_a_gradient_reports_the_forward_line(x):
    zero = fb.zeros(2, requires_grad=True)
    with autograd.detect_anomaly():
        y = the_forward_line(zero) * 0
        with pytest.raises(
            RuntimeError, match=r"Function 'SqrtBackward0' returned nan values in its 0th output"
        ) as caught:
            y.sum().backward()
    assert "in the_forward_line\n    return t.sqrt()" in notes(caught)
    assert zero.grad is None and not fb.is_anomaly_enabled()
    with autograd.detect_anomaly(check_nan=False):
        the_forward_line(x).sum().backward()
    with (
        autograd.detect_anomaly(check_forward=False),
        pytest.raises(RuntimeError, match="Function 'SqrtBackward0' returned nan"),
    ):
        the_forward_line(x).sum().backward()


class Root(Function):
    @staticmethod
    def forward(ctx, t):
        return t.sqrt() * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient


MAKES_A_NAN = {
    "log": lambda x: x.log().mean(),
    "sqrt": lambda x: fb.sqrt(input=x),
    "pow": lambda x: x**0.5,
    "__ipow__|pow_": lambda x: (x * 1).__ipow__(0.5),
    "log_": lambda x: (x * 1).log_(),
    "mean": lambda x: x[:0].mean(),
    "unbind|log": lambda x: fb.stack(x.unbind(), 0).log(),
    "sub|__sub__": lambda x: (x / 0) - (x / 0),
    "logdet": lambda x: fb.logdet(fb.diag(x)),
    "the forward of RootBackward": Root.apply,
}


@pytest.mark.parametrize("name", MAKES_A_NAN)
def test_the_error_names_the_forward_call_that_produces_nan(x, name):
    with autograd.detect_anomaly(), pytest.raises(RuntimeError, match=rf"^({name}) gave nan in .*{__file__}, line "):
        MAKES_A_NAN[name](x)
    assert not fb.is_anomaly_enabled()
    MAKES_A_NAN[name](x)
    with autograd.set_detect_anomaly(True, check_forward=False):
        MAKES_A_NAN[name](x)


def test_nan_in_the_inputs_of_an_operator_is_not_reported(x):
    nan = fb.tensor([float("nan"), 1.0])
    with autograd.detect_anomaly():
        given = fb.tensor([[[float("nan"), 1.0]]], requires_grad=True)
        (given * 2).log().sum()
        x + nan
        x * float("nan")
        x.masked_fill(x < 0, float("nan"))
        fb.where(x < 0, complex("nan"), x)
        x * np.float32(np.nan)
        x * np.float64(np.nan)
        (x * 1).add_(nan)
        fb.stack([x, nan])
        (x.detach() - 5).log()  # has no autograd graph
        with fb.no_grad():
            x.log()
        with pytest.raises(RuntimeError, match="log gave nan"):
            x.log()


def test_nan_that_an_operator_masks_is_not_reported():
    x = fb.tensor([0.0, -1.0], requires_grad=True)

    class Masked(Function):
        @staticmethod
        def forward(ctx, t):
            return fb.where(t > 0, t.log(), 0)

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    with autograd.detect_anomaly():
        assert Masked.apply(x).tolist() == [0, 0]
        assert fb.xlogy(fb.zeros(2), x.abs()).tolist() == [0, 0]


def test_the_forward_check_works_inside_other_modes(x):
    class Mode(fb.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    with autograd.detect_anomaly():
        with fb.autocast("cpu"), pytest.raises(RuntimeError, match="log gave nan"):
            x.log()
        with Mode(), pytest.raises(RuntimeError, match="log gave nan"):
            x.log()
        with pytest.raises(RuntimeError, match="log gave nan"):
            fb.func.vmap(fb.log)(x)
        with pytest.raises(RuntimeError, match="log gave nan"):
            fb.func.grad(lambda t: t.log().sum())(x.detach())


def test_set_anomaly_enabled_changes_the_global_mode(x):
    fb.set_anomaly_enabled(True, check_nan=False)
    assert fb.is_anomaly_enabled() and not fb.is_anomaly_check_nan_enabled()
    x.log()
    fb.set_anomaly_enabled(False)
    assert not fb.is_anomaly_enabled() and fb.is_anomaly_check_nan_enabled()
    with autograd.set_detect_anomaly(True):
        assert fb.is_anomaly_enabled()
        node = (x * 2).grad_fn
    assert not fb.is_anomaly_enabled()
    assert "x * 2" in node.metadata["traceback_"][-1]


def test_metadata_of_a_double_backward_node_has_its_parent_node(x):
    with autograd.detect_anomaly():
        y = the_forward_line(x.abs() + 1)
        (g,) = autograd.grad(y.sum(), x, create_graph=True)
    assert g.grad_fn.metadata["parent_"].name() == "AbsBackward0"


def test_changing_a_saved_tensor_reports_the_forward_call(x):
    def changed():
        y = x * 1
        z = y.exp()
        z.add_(1)
        return z.sum()

    with pytest.raises(RuntimeError, match="Hint: enable anomaly detection"):
        changed().backward()
    with autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"ExpBackward0[\s\S]*z = y\.exp\(\)"):
        changed().backward()


def test_exceptions_of_backward_propagate_with_a_note(x):
    error = KeyError("mine")

    def fail(gradient):
        raise error

    y = x.exp()
    with y.register_hook(fail), pytest.raises(KeyError) as caught:
        y.sum().backward(retain_graph=True)
    assert caught.value is error and notes(caught) == "in a hook of ExpBackward0"
    assert autograd.grad(y.sum(), x)[0].tolist() == y.tolist()


class Failing(Function):
    @staticmethod
    def forward(ctx, t):
        return t * 1

    @staticmethod
    def backward(ctx, gradient):
        raise ZeroDivisionError("in backward")


def test_a_failed_backward_pass_changes_no_gradient(x):
    w = fb.ones(2, requires_grad=True)
    y = w * 3
    y.retain_grad()
    with pytest.raises(ZeroDivisionError) as caught:
        (y + Failing.apply(x)).sum().backward()
    assert notes(caught) == "in the backward of FailingBackward"
    assert w.grad is None and x.grad is None and y.grad is None
    with x.register_hook(lambda g: 1 / 0), pytest.raises(ZeroDivisionError):
        (w * x).sum().backward()
    assert w.grad is None and x.grad is None


def test_detect_nonfinite_names_the_first_nonfinite_result(x):
    def compute():
        with autograd.detect_nonfinite():
            y = x.abs() + 1
            return y * x.log()

    with pytest.raises(
        autograd.NonfiniteError, match=r"log gave nan in 1 of the 2 elements of its result of shape \[2\]"
    ):
        compute()
    with pytest.raises(
        autograd.NonfiniteError, match=rf"first at index \[1\], called in .*{__file__.rsplit('/', 1)[-1]}"
    ):
        compute()
    assert x.log()[1].isnan()
    with autograd.detect_nonfinite(inf=False):
        x / 0
    with autograd.detect_nonfinite(), pytest.raises(autograd.NonfiniteError, match="div gave inf in 2"):
        x / 0
