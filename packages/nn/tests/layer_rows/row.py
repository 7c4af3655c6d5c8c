"""Type of a row in the table of layers."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from flambeau import nn


class Layer(NamedTuple):
    text: str  # the exact repr of the layer
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    reference: Callable[..., np.ndarray]  # function of the input and the entries of the state dict
