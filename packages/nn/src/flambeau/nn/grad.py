"""Functions that compute the gradients of convolutions."""

from flambeau._core import (
    nn_conv1d_input as conv1d_input,
    nn_conv1d_weight as conv1d_weight,
    nn_conv2d_input as conv2d_input,
    nn_conv2d_weight as conv2d_weight,
    nn_conv3d_input as conv3d_input,
    nn_conv3d_weight as conv3d_weight,
)

for _function in (conv1d_input, conv1d_weight, conv2d_input, conv2d_weight, conv3d_input, conv3d_weight):
    _function.__module__ = __name__

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]
