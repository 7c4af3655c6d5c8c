"""Parameters of sparse layouts."""

import copy
import io
import pickle

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn

DENSE = np.array([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]])


class Product(nn.Module):
    def __init__(self, layout):
        super().__init__()
        self.weight = nn.Parameter(getattr(fb.tensor(DENSE), f"to_sparse_{layout}")())

    def forward(self, x):
        return fb.sparse.mm(self.weight, x)


@pytest.fixture(params=["coo", "csr"])
def module(request):
    return Product(request.param)


def test_a_sparse_tensor_becomes_a_parameter(module):
    (weight,) = module.parameters()
    assert weight is module.weight and isinstance(weight, nn.Parameter) and weight.is_leaf and weight.requires_grad
    assert repr(weight).startswith("Parameter containing:\ntensor(") and weight.layout is not fb.strided
    assert not isinstance(weight.detach(), nn.Parameter) and not isinstance(weight * 2, nn.Parameter)
    assert not nn.Parameter(weight.detach(), requires_grad=False).requires_grad
    with pytest.raises(RuntimeError, match="floating point"):
        nn.Parameter(weight.detach().long())


def test_only_stored_elements_of_sparse_parameters_are_trained(module):
    x = fb.tensor(np.arange(6.0).reshape(3, 2))
    module(x).sum().backward()
    expected = np.where(DENSE != 0, np.arange(6.0).reshape(3, 2).sum(1), 0)
    assert module.weight.grad.layout is module.weight.layout
    np.testing.assert_allclose(module.weight.grad.to_dense().numpy(), expected)
    module.zero_grad(set_to_none=False)
    assert module.weight.grad.to_dense().abs().sum() == 0
    module.zero_grad()
    assert module.weight.grad is None


def test_sparse_parameters_can_be_copied_and_saved(module):
    archive = io.BytesIO()
    fb.save(module, archive)
    restored = fb.load(io.BytesIO(archive.getvalue()), weights_only=False)
    for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), restored):
        (weight,) = copied.parameters()
        assert isinstance(weight, nn.Parameter) and weight.requires_grad and weight is not module.weight
        np.testing.assert_array_equal(weight.to_dense().detach().numpy(), DENSE)


def test_sparse_parameters_can_be_loaded_and_converted(module):
    state = {name: 3 * value for name, value in module.state_dict().items()}
    weight = module.weight
    module.load_state_dict(state)
    assert module.weight is weight and weight.requires_grad and weight.is_leaf
    np.testing.assert_array_equal(weight.to_dense().detach().numpy(), 3 * DENSE)
    assert module.float().weight.dtype is fb.float32 and isinstance(module.weight, nn.Parameter)
