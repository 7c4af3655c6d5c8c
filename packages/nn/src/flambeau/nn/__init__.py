"""Neural networks: modules, layers, losses, and the functions behind them."""

from . import functional, init, utils
from ._activations import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from ._containers import ModuleDict, ModuleList, Sequential
from ._convolution import Conv2d
from ._dropout import Dropout
from ._flatten import Flatten, Unflatten
from ._linear import Identity, Linear
from ._losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from ._module import Module
from ._normalization import BatchNorm1d, BatchNorm2d
from ._pooling import AvgPool2d, MaxPool2d
from .parameter import Buffer, Parameter

__all__ = [
    # the tree
    "Module",
    "Parameter",
    "Buffer",
    "Sequential",
    "ModuleList",
    "ModuleDict",
    # layers
    "Identity",
    "Linear",
    "Conv2d",
    "MaxPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Dropout",
    "Flatten",
    "Unflatten",
    # activations
    "ReLU",
    "LeakyReLU",
    "GELU",
    "SiLU",
    "Softplus",
    "Sigmoid",
    "Tanh",
    "Softmax",
    "LogSoftmax",
    # losses
    "CrossEntropyLoss",
    "NLLLoss",
    "MSELoss",
    "L1Loss",
    "BCELoss",
    "BCEWithLogitsLoss",
    # submodules
    "functional",
    "init",
    "utils",
]
