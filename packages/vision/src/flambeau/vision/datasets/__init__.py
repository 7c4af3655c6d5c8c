"""Image datasets. A sample is ``(image, label)``: a uint8 array ``(H, W)`` and an int, each through its transform."""

from .digits import Digits
from .mnist import MNIST

__all__ = ["MNIST", "Digits"]
