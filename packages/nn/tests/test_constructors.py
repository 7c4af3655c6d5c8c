"""Constructors that layers inherit: their names in error messages."""

import copy
import inspect
import pickle

import pytest

import flambeau as fb
from flambeau import nn


@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose1d, nn.BatchNorm2d, nn.MaxPool3d, nn.LSTM, nn.L1Loss])
def test_errors_of_constructor_arguments_name_the_layer(layer):
    with pytest.raises(TypeError, match=rf"^{layer.__name__}\.__init__\(\) got an unexpected keyword argument 'siez'"):
        layer(siez=3)


def test_layers_accept_keywords_and_can_be_copied():
    layer = nn.Conv2d(2, 4, kernel_size=3, bias=False)
    assert tuple(layer(fb.zeros(1, 2, 5, 5)).shape) == (1, 4, 3, 3)
    assert "kernel_size" in inspect.signature(nn.Conv2d).parameters
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert twin.kernel_size == (3, 3)


def test_custom_classes_keep_their_constructor():
    class _Base(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.size = size

    class Derived(_Base):
        pass

    assert Derived.__init__ is _Base.__init__
    assert Derived(3).size == 3
