"""Compositions of transforms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from . import _random

Transforms = Sequence[Callable[..., Any]]


def _in_turn(transforms: Iterable[Callable[..., Any]], img: Any, parts: tuple[Any, ...]) -> Any:
    """Apply transforms in sequence to an image, or to an image and the other ``parts`` of a sample."""
    if not parts:
        for transform in transforms:
            img = transform(img)
        return img
    sample = (img, *parts)
    for transform in transforms:
        sample = transform(*sample)
    return sample


class Compose:
    """Apply transforms in sequence to an image, or to all parts of a sample (``v2``).

    >>> import numpy
    >>> from flambeau.vision.transforms import Normalize, ToTensor
    >>> to_input = Compose([ToTensor(), Normalize([0.5], [0.5])])
    >>> to_input
    Compose(
        ToTensor()
        Normalize(mean=[0.5], std=[0.5])
    )
    >>> to_input(numpy.zeros((1, 2), dtype=numpy.uint8))
    tensor([[[-1., -1.]]])
    """

    def __init__(self, transforms: Transforms) -> None:
        if not isinstance(transforms, Iterable):
            raise TypeError(f"Compose takes a list of transforms, got {transforms!r}; write Compose([...])")
        for transform in transforms if isinstance(transforms, Sequence) else ():
            if isinstance(transform, type) and transform.__module__.startswith(__package__):
                raise TypeError(f"Compose got the class {transform.__name__}; write {transform.__name__}(...)")
        self.transforms = transforms

    def __call__(self, img: Any, *parts: Any) -> Any:
        return _in_turn(self.transforms, img, parts)

    def __repr__(self) -> str:
        return _listed("Compose", map(repr, self.transforms))


def _listed(name: str, parts: Any) -> str:
    return "\n    ".join([f"{name}(", *parts]) + "\n)"


class Lambda:
    """Transform that applies a custom function.

    Raises: TypeError if the argument is not callable.

    >>> Lambda(lambda image: image[::-1])([1, 2])
    [2, 1]
    """

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return "Lambda()"


class RandomTransforms:
    """Base class of transforms that have a list of transforms. A subclass defines ``__call__``.

    Raises: TypeError if the argument is not a sequence.

    >>> class FirstOnly(RandomTransforms):
    ...     def __call__(self, img):
    ...         return self.transforms[0](img)
    >>> FirstOnly([lambda image: image + 1, lambda image: image * 2])(fb.tensor([3]))
    tensor([4])
    """

    def __init__(self, transforms: Transforms) -> None:
        if not isinstance(transforms, Sequence):
            raise TypeError(f"Argument transforms should be a sequence, got {type(transforms).__name__!r}")
        self.transforms = transforms

    def __call__(self, img: Any, *parts: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, img)")

    def __repr__(self) -> str:
        return _listed(type(self).__name__, map(repr, self.transforms))


class RandomApply(nn.Module):
    """Apply all transforms of a list in sequence with probability ``p``, otherwise none.

    Args:
        transforms: a list, or an ``nn.ModuleList``.
        p: the probability.

    >>> RandomApply([lambda image: image + 1, lambda image: image * 2], p=1.0)(fb.tensor([3]))
    tensor([8])
    """

    def __init__(self, transforms: Transforms, p: float = 0.5) -> None:
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, img: Any, *parts: Any) -> Any:
        return _in_turn(self.transforms if _random.draw_bool(self.p) else (), img, parts)

    def __repr__(self) -> str:
        return _listed("RandomApply", [f"p={self.p}", *map(repr, self.transforms)])


class RandomOrder(RandomTransforms):
    """Apply all transforms of a list in random order.

    >>> _ = fb.manual_seed(0)
    >>> augment = RandomOrder([lambda image: image + 1, lambda image: image * 2])
    >>> [augment(fb.tensor(3)).item() for _ in range(6)]
    [7, 7, 8, 8, 8, 8]
    """

    def __call__(self, img: Any, *parts: Any) -> Any:
        order = fb.randperm(len(self.transforms)).tolist()
        return _in_turn([self.transforms[index] for index in order], img, parts)


class RandomChoice(RandomTransforms):
    """Apply one random transform of a list.

    Args:
        transforms: the transforms to choose from.
        p: weights of the transforms; None for equal weights.
    Raises: TypeError if ``p`` is not a sequence, ValueError if its length differs from the number of transforms.

    >>> _ = fb.manual_seed(0)
    >>> augment = RandomChoice([lambda image: image + 1, lambda image: image * 2], p=[0.2, 0.8])
    >>> [augment(fb.tensor(3)).item() for _ in range(6)]
    [4, 4, 6, 6, 6, 6]
    """

    def __init__(self, transforms: Transforms, p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            raise TypeError(f"Argument p should be a sequence, got {type(p).__name__!r}")
        if p is not None and len(p) != len(transforms):
            raise ValueError(f"p should have a probability for each of the {len(transforms)} transforms, got {len(p)}")
        self.p = p

    def __call__(self, img: Any, *parts: Any) -> Any:
        weights = fb.ones(len(self.transforms)) if self.p is None else fb.tensor([float(p) for p in self.p])
        return self.transforms[int(fb.multinomial(weights, 1).item())](img, *parts)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"
