"""Transforms made of transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from . import _random


class Compose:
    """Transforms one after the other.

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

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return _listed("Compose", map(repr, self.transforms))


def _listed(name: str, parts: Any) -> str:
    return "\n    ".join([f"{name}(", *parts]) + "\n)"


class Lambda:
    """A function of one's own as a transform.

    Raises: TypeError if it cannot be called.

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
    """The base of those that choose among a list of transforms.

    Raises: TypeError if it is given no sequence.
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        if not isinstance(transforms, Sequence):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def __repr__(self) -> str:
        return _listed(type(self).__name__, map(repr, self.transforms))


class RandomApply(nn.Module):
    """All of a list of transforms, one after the other, with a probability, else none.

    Args:
        transforms: a list, or an ``nn.ModuleList``.
        p: the probability.
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, img: Any) -> Any:
        if _random.happens(self.p):
            for transform in self.transforms:
                img = transform(img)
        return img

    def __repr__(self) -> str:
        return _listed("RandomApply", [f"p={self.p}", *map(repr, self.transforms)])


class RandomOrder(RandomTransforms):
    """All of a list of transforms, in random order."""

    def __call__(self, img: Any) -> Any:
        for index in fb.randperm(len(self.transforms)).tolist():
            img = self.transforms[index](img)
        return img


class RandomChoice(RandomTransforms):
    """One of a list of transforms.

    Args:
        transforms: to choose from.
        p: how probable each is, in proportion; None for equally.
    Raises: TypeError if ``p`` is no sequence, ValueError if its length is another.
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            raise TypeError("Argument p should be a sequence")
        if p is not None and len(p) != len(transforms):
            raise ValueError(f"p has {len(p)} probabilities for {len(transforms)} transforms")
        self.p = p

    def __call__(self, img: Any) -> Any:
        weights = fb.ones(len(self.transforms)) if self.p is None else fb.tensor([float(p) for p in self.p])
        return self.transforms[int(fb.multinomial(weights, 1).item())](img)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"
