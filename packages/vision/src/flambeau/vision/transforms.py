"""From the NumPy images that datasets hold to the tensors that models take.

An image is a uint8 array, ``(H, W)`` or ``(H, W, C)``; after :class:`ToTensor` it is a float32 tensor ``(C, H, W)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import flambeau as fb


class Compose:
    """Transforms one after the other.

    >>> import numpy
    >>> to_input = Compose([ToTensor(), Normalize([0.5], [0.5])])
    >>> to_input
    Compose(
        ToTensor()
        Normalize(mean=[0.5], std=[0.5])
    )
    >>> to_input(numpy.zeros((1, 2), dtype=numpy.uint8))
    tensor([[[-1., -1.]]])
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        return "\n    ".join(["Compose(", *map(repr, self.transforms)]) + "\n)"


class ToTensor:
    """An array ``(H, W)`` or ``(H, W, C)`` as a tensor ``(C, H, W)``; uint8 becomes float32 in 0..1.

    Other dtypes keep their values and their dtype.

    Raises: TypeError for anything but an array, ValueError for one of other than 2 or 3 dimensions.

    >>> import numpy
    >>> ToTensor()(numpy.array([[0, 255]], dtype=numpy.uint8))
    tensor([[[0., 1.]]])
    """

    def __call__(self, image: np.ndarray) -> fb.Tensor:
        if not isinstance(image, np.ndarray):
            raise TypeError(f"ToTensor wants a NumPy array (H, W) or (H, W, C); got {type(image).__name__}")
        if image.ndim not in (2, 3):
            raise ValueError(f"ToTensor wants an array (H, W) or (H, W, C); got shape {image.shape}")
        planes = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
        if image.dtype == np.uint8:
            # The order is given because a division keeps the layout of its operand, here channels last.
            return fb.from_numpy(np.divide(planes, np.float32(255), dtype=np.float32, order="C"))
        return fb.from_numpy(planes.copy(order="C"))

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize:
    """``(image - mean) / std``, per channel.

    Args:
        mean, std: one value per channel, or one for all; ``std`` without zeros.
    Raises:
        ValueError: if the image has fewer than 3 dimensions or another number of channels.
        TypeError: if it is not a floating tensor.

    >>> import flambeau
    >>> Normalize(mean=[1.0, 0.0], std=[2.0, 1.0])(flambeau.ones(2, 1, 1)).flatten()
    tensor([0., 1.])
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        if not all(std):
            raise ValueError(f"std must hold no zeros; got {list(std)}")
        self.mean = mean
        self.std = std

    def __call__(self, image: fb.Tensor) -> fb.Tensor:
        if not isinstance(image, fb.Tensor) or not image.is_floating_point():
            found = image.dtype if isinstance(image, fb.Tensor) else type(image).__name__
            raise TypeError(f"Normalize wants a floating tensor; got {found}. Put ToTensor() before it.")
        if image.ndim < 3 or any(len(values) not in (1, image.shape[-3]) for values in (self.mean, self.std)):
            values = f"{len(self.mean)} means and {len(self.std)} standard deviations"
            raise ValueError(f"Normalize has {values}, which do not fit an image of shape {tuple(image.shape)}")
        mean, std = (
            fb.tensor(list(values), dtype=image.dtype, device=image.device).view(-1, 1, 1)
            for values in (self.mean, self.std)
        )
        return (image - mean) / std

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


class Lambda:
    """A function of one's own as a transform.

    Raises: TypeError if it cannot be called.

    >>> Lambda(lambda image: image[::-1])([1, 2])
    [2, 1]
    """

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda wants a function; got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)

    def __repr__(self) -> str:
        return "Lambda()"
