"""Transforms of samples: of the images in any structure, with everything else passed through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

import flambeau as fb
from flambeau import nn


def _is_image(value: Any) -> bool:
    return isinstance(value, Image.Image) or (isinstance(value, fb.Tensor | np.ndarray) and value.ndim >= 2)


def transform_images(
    function: Callable[[Any], Any], inputs: tuple[Any, ...], chosen: Callable[[Any], bool] = _is_image
) -> Any:
    """Apply a function to the images in nested tuples, lists and dictionaries, all with the same random draws.

    Images are PIL images, and tensors and arrays of two dimensions and more. Labels, texts and the rest stay, unless
    they are ``chosen`` otherwise.
    """
    before: list[fb.Tensor] = []

    def apply(value: Any) -> Any:
        if isinstance(value, Mapping):
            return type(value)({key: apply(item) for key, item in value.items()})  # type: ignore[call-arg]
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(apply, value))
        if isinstance(value, list | tuple):
            return type(value)(map(apply, value))
        if not chosen(value):
            return value
        if before:
            fb.set_rng_state(before[0])
        else:
            before.append(fb.get_rng_state())
        return function(value)

    transformed = tuple(map(apply, inputs))
    return transformed[0] if len(inputs) == 1 else transformed


class Transform(nn.Module):
    """The base of transforms of samples: a subclass says what happens to one image, in ``transform``.

    Its draws come from flambeau's generator, and all images of one call get the same.

    >>> class Darker(Transform):
    ...     def transform(self, image):
    ...         return image // 2
    >>> Darker()({"image": fb.full((1, 2), 8), "label": 3})
    {'image': tensor([[4, 4]]), 'label': 3}
    """

    def transform(self, image: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no transform")

    def forward(self, *inputs: Any) -> Any:
        return transform_images(self.transform, inputs)


def for_samples(kind: type) -> type:
    """A transform of images as one of samples: same name, same arguments."""
    if issubclass(kind, nn.Module):

        def forward(self: Any, *inputs: Any) -> Any:
            return transform_images(lambda image: kind.forward(self, image), inputs)

        members: dict[str, Any] = {"forward": forward}
    else:

        def call(self: Any, *inputs: Any) -> Any:
            return transform_images(lambda image: kind.__call__(self, image), inputs)

        members = {"__call__": call}
    doc = (kind.__doc__ or "").partition("\n\n")[0]
    return type(kind.__name__, (kind,), {**members, "__doc__": doc, "__module__": __name__.rpartition(".")[0]})


class Lambda(Transform):
    """A function of one's own on every part of a sample that is of some types, by default on all parts.

    >>> Lambda(lambda number: -number, int)({"label": 3, "name": "cat"})
    {'label': -3, 'name': 'cat'}
    """

    def __init__(self, lambd: Callable[[Any], Any], *types: type) -> None:
        super().__init__()
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd
        self.types = types or (object,)

    def forward(self, *inputs: Any) -> Any:
        return transform_images(self.lambd, inputs, lambda value: isinstance(value, self.types))
