"""Erasing of rectangles in images."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar, overload

import numpy as np

import flambeau as fb
from flambeau import nn

from . import _random
from ._arguments import check_probability
from ._image import get_dimensions

__all__ = ["erase"]

TensorT = TypeVar("TensorT", bound=fb.Tensor)


@overload
def erase(img: np.ndarray, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> np.ndarray: ...


@overload
def erase(img: TensorT, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> TensorT: ...


def erase(img: Any, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Any:
    """Overwrite a rectangle of an image.

    Args:
        img: an array or a tensor.
        i, j, h, w: top, left, height and width of the rectangle.
        v: the new content: a number, or a tensor ``(C, 1, 1)`` or ``(C, h, w)``.
        inplace: if True, write to ``img``.
    Raises: TypeError if ``img`` is not an array or a tensor.

    >>> erase(fb.zeros(1, 2, 2), 0, 1, 1, 1, 5.0)
    tensor([[[0., 5.],
             [0., 0.]]])
    """
    if isinstance(img, np.ndarray):
        array = img if inplace else img.copy()
        erase(fb.from_numpy(array if img.ndim == 2 else array.transpose(2, 0, 1)), i, j, h, w, v, inplace=True)
        return array
    if not isinstance(img, fb.Tensor):
        raise TypeError(f"img should be a tensor or an array. Got {type(img)}; put ToTensor() before it.")
    result = img if inplace else img.clone()
    result[..., i : i + h, j : j + w] = v
    return result


class RandomErasing(nn.Module):
    """Overwrite a random rectangle of a tensor with probability ``p``.

    Args:
        p: the probability.
        scale: minimum and maximum area of the rectangle, as a fraction of the image's area.
        ratio: minimum and maximum ratio of height to width.
        value: a number, one number per channel, or ``"random"`` for normal noise.
        inplace: if True, write to the image.
    Raises: TypeError or ValueError for invalid arguments, or if the number of channels does not match ``value``.

    Source: Zhong et al. 2017, arXiv:1708.04896.

    >>> RandomErasing(p=1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0))(fb.ones(1, 4, 4)).sum()
    tensor(12.)
    """

    _erase: ClassVar[Callable[..., Any]] = staticmethod(erase)

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | str | Sequence[float] = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(value, numbers.Number | str | tuple | list):
            raise TypeError(
                f"Argument value should be either a number or str or a sequence, got {type(value).__name__!r}"
            )
        if isinstance(value, str) and value != "random":
            raise ValueError(f"If value is str, it should be 'random', got {value!r}")
        for name, bounds in (("Scale", scale), ("Ratio", ratio)):
            if not isinstance(bounds, Sequence):
                raise TypeError(f"{name} should be a sequence, got {bounds!r}")
            if len(bounds) != 2 or not 0 <= bounds[0] <= bounds[1]:
                raise ValueError(f"{name} should be of kind (min, max), got {bounds}")
        if scale[1] > 1:
            raise ValueError(f"Scale should be between 0 and 1, got {scale}")
        self.p = check_probability(p)
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    @staticmethod
    def get_params(
        img: Any, scale: Sequence[float], ratio: Sequence[float], value: list[float] | None = None
    ) -> tuple[int, int, int, int, Any]:
        """Draw top, left, height, width and content of a rectangle.

        After ten unsuccessful trials, return the position and the content of the full image.
        """
        channels, height, width = get_dimensions(img)
        for _ in range(10):
            area = height * width * _random.uniform(*scale)
            proportion = math.exp(_random.uniform(math.log(ratio[0]), math.log(ratio[1])))
            h, w = round(math.sqrt(area * proportion)), round(math.sqrt(area / proportion))
            if h < height and w < width:
                content = fb.randn(channels, h, w) if value is None else fb.tensor(value)[:, None, None]
                return _random.integer(0, height - h + 1), _random.integer(0, width - w + 1), h, w, content
        return 0, 0, height, width, img

    def forward(self, img: Any) -> Any:
        if not _random.draw_bool(self.p):
            return img
        value = None
        if not isinstance(self.value, str):
            value = [float(x) for x in (self.value if isinstance(self.value, tuple | list) else (self.value,))]
            channels = get_dimensions(img)[0]
            if len(value) not in (1, channels):
                raise ValueError(
                    f"value should be a number or a sequence of {channels} numbers, one per channel, got {value}"
                )
        i, j, h, w, content = self.get_params(img, self.scale, self.ratio, value)
        return img if content is img else self._erase(img, i, j, h, w, content, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, inplace={self.inplace}"
