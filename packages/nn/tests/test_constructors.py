"""Constructors of layers: their names in error messages, and custom classes that derive from the base classes."""

import copy
import inspect
import pickle

import numpy as np
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


class Standardized(nn.modules.conv._ConvNd):
    """Convolution whose filters have mean 0, written like those in libraries for PyTorch."""

    def __init__(self, in_channels, out_channels, size, transposed=False):
        pair = (size, size)
        super().__init__(
            *(in_channels, out_channels, pair, (2, 2), (1, 0), (1, 1)),
            *(transposed, (0, 0), 1, True, "zeros"),
        )
        self._reversed_padding_repeated_twice = (0, 0, 1, 1)

    def forward(self, input):
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return nn.functional.conv2d(input, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def test_custom_convolutions_derive_from_the_base_class_of_convolutions():
    layer = Standardized(3, 4, 2)
    filters, image = layer.weight.detach().numpy(), np.random.default_rng(0).random((1, 3, 5, 6), dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image[0], ((0, 0), (1, 1), (0, 0))), (2, 2), axis=(1, 2))
    centred = filters - filters.mean(axis=(1, 2, 3), keepdims=True)
    expected = np.einsum("cijhw,ochw->oij", windows[:, ::2, ::2], centred) + layer.bias.detach().numpy()[:, None, None]
    np.testing.assert_allclose(layer(fb.tensor(image)).detach().numpy()[0], expected, rtol=1e-4, atol=1e-5)
    assert repr(layer) == "Standardized(3, 4, kernel_size=(2, 2), stride=(2, 2), padding=(1, 0))"
    assert layer.dimensions == 2 and layer._reversed_padding_repeated_twice == (0, 0, 1, 1)
    assert Standardized(3, 4, 2, transposed=True).weight.shape == (3, 4, 2, 2)


def test_the_base_class_can_be_called_through_a_class_of_convolutions():
    class Wide(nn.Conv1d):
        def __init__(self, channels):
            super(nn.Conv1d, self).__init__(
                channels, channels, (3,), (1,), (1,), (1,), False, (0,), 2, False, "circular"
            )

    layer = Wide(4)
    assert layer.weight.shape == (4, 2, 3) and layer.bias is None and layer.padding_mode == "circular"
    assert layer(fb.ones(1, 4, 5)).shape == (1, 4, 5)
