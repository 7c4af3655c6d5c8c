"""Every operator with a record, called under a mode and with a subclass: results and derivatives."""

from __future__ import annotations

import pytest
from sample_derivatives import differentiable, has_derivative, outputs

import flambeau as fb
from flambeau import Tensor, _core
from flambeau._samples import samples
from flambeau.autograd import gradcheck
from flambeau.overrides import _disabled_torch_function_impl
from flambeau.testing import assert_close
from flambeau.utils._python_dispatch import TorchDispatchMode
from flambeau.utils._pytree import tree_map_only

SAMPLES = list(samples())


class Passing(TorchDispatchMode):
    """Mode that counts the calls and runs them unchanged."""

    def __init__(self):
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


class Wrapped(Tensor):
    """Wrapper of a tensor. Operators are applied to the inner tensor."""

    __torch_function__ = _disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner):
        made = Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=inner.device
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        given, named = tree_map_only(cls, lambda x: x.inner, (args, kwargs or {}))
        result = func(*given, **named)
        if isinstance(result, Tensor):
            return cls(result)
        if isinstance(result, (tuple, list)):
            return type(result)([cls(x) if isinstance(x, Tensor) else x for x in result])
        return result


def unwrapped(result):
    if isinstance(result, Tensor):
        return result.inner if isinstance(result, Wrapped) else result
    return [unwrapped(item) for item in result] if isinstance(result, (tuple, list)) else result


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_mode_that_forwards_every_call_does_not_change_results(sample):
    tensors = sample.tensors()
    with Passing():
        result = sample.call(**tensors)
    if _draws_nothing(sample):
        assert_close(result, sample.call(**sample.tensors()), rtol=0, atol=0, equal_nan=True)


def _draws_nothing(sample):
    return "generator" not in sample.operator.parameters


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.tensors() and _draws_nothing(s)], ids=str)
def test_every_operator_is_dispatched_to_a_class(sample):
    wrapped = {name: Wrapped(tensor) for name, tensor in sample.tensors().items()}
    result = sample.call(**wrapped)
    assert_close(unwrapped(result), unwrapped(sample.call(**sample.tensors())), equal_nan=True)


@pytest.mark.parametrize("sample", list(filter(has_derivative, SAMPLES)), ids=str)
def test_gradcheck_passes_inside_a_dispatch_mode(sample):
    names, inputs = zip(*differentiable(sample).items(), strict=True)

    def call(*tensors):
        return outputs(sample, **dict(zip(names, tensors, strict=True)))

    with Passing() as mode:
        assert gradcheck(call, inputs)
    assert mode.calls > 0


ROWS = [
    row
    for row in _core.pointwise_rows()
    if row["differentiable"] and row["domain"] != "Select" and not row["has_parameters"] and row["name"][0] != "_"
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_gradcheck_of_pointwise_operators_passes_inside_a_dispatch_mode(row):
    function = _core._rows[row["name"]]
    inputs = tuple(
        fb.tensor([0.31 + 0.2 * i, 0.62 - 0.1 * i], dtype=fb.float64, requires_grad=text != "none")
        for i, text in enumerate(row["derivatives"])
    )
    if not function(*inputs).isfinite().all():
        inputs = tuple((each.detach() + 1).requires_grad_(each.requires_grad) for each in inputs)
    with Passing():
        assert gradcheck(lambda *tensors: function(*tensors), inputs)
