"""A row of the table of layers."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from flambeau import nn


class Layer(NamedTuple):
    text: str  # what repr must print, to the character
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    reference: Callable[..., np.ndarray]  # of the input and the state dict's entries
