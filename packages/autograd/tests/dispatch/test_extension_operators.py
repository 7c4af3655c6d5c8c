"""``__torch_dispatch__`` of operators that are defined by ``library.extension_op``."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import Tensor
from flambeau._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from flambeau.library import extension_op
from flambeau.utils._python_dispatch import TorchDispatchMode


@extension_op("testing_extension::power")
def power(x: Tensor, exponent: float = 3.0, *, scale: float = 1.0) -> Tensor:
    return x**exponent * scale


power.register_fake(lambda x, exponent, scale: fb.empty_like(x))


class Record(TorchDispatchMode):
    """Record the names of operators."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


def test_a_mode_sees_an_extension_operator_as_one_operator():
    x = fb.tensor([1.0, 2.0])
    with Record() as record:
        result = power(x, 2.0, scale=0.5)
    assert record.names == ["testing_extension::power"]
    np.testing.assert_array_equal(result.numpy(), [0.5, 2.0])


@pytest.mark.parametrize("arguments", [{}, {"exponent": 2.0}, {"scale": 0.5}], ids=str)
def test_an_extension_operator_has_its_derivatives_under_a_mode(arguments):
    exponent, scale = arguments.get("exponent", 3.0), arguments.get("scale", 1.0)
    values = np.array([1.0, 2.0])
    x = fb.tensor(values, requires_grad=True)
    with Record():
        (first,) = fb.autograd.grad(power(x, **arguments).sum(), x, create_graph=True)
        (second,) = fb.autograd.grad(first.sum(), x)
    np.testing.assert_allclose(first.detach().numpy(), scale * exponent * values ** (exponent - 1))
    np.testing.assert_allclose(second.numpy(), scale * exponent * (exponent - 1) * values ** (exponent - 2))


def test_fake_tensors_use_the_fake_implementation_of_an_extension_operator():
    with FakeTensorMode():
        result = power(fb.ones(2, 3))
        assert isinstance(result, FakeTensor) and (result + 1).shape == (2, 3)


def test_an_extension_operator_changes_its_argument_under_a_mode():
    @extension_op("testing_extension::increase", mutates_args=("x",))
    def increase(x: Tensor, amount: float) -> None:
        x.add_(amount)

    x = fb.zeros(2)
    with Record() as record:
        increase(x, 2.0)
    assert x.tolist() == [2.0, 2.0] and record.names == ["testing_extension::increase"]
