"""Transforms of samples, which transform the images in any nested structure and do not change other values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from PIL import Image

import flambeau as fb
from flambeau import nn


def kind_of(value: Any) -> str | None:
    """Return the ``sample_kind`` of a ``TVTensor``, or None for other values."""
    return getattr(type(value), "sample_kind", None)


def leaves(value: Any) -> Iterator[Any]:
    """Yield the values in nested tuples, lists and dictionaries, in order."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def _is_plain_image(value: Any) -> bool:
    return isinstance(value, Image.Image) or (isinstance(value, fb.Tensor | np.ndarray) and value.ndim >= 2)


def _choice(inputs: tuple[Any, ...], maps_plane: bool) -> Callable[[Any], bool]:
    """Return a predicate that selects the parts of a sample to transform.

    The selected parts are images and, if ``maps_plane``, masks and boxes. A plain tensor or array is selected only if
    it is the first one in a sample without other images.
    """
    parts = list(leaves(inputs))
    if not any(kind_of(part) for part in parts):
        return _is_plain_image
    wanted = ("image", "mask", "boxes") if maps_plane else ("image",)
    explicit = any(isinstance(part, Image.Image) or kind_of(part) == "image" for part in parts)
    plain = [part for part in parts if kind_of(part) is None and _is_plain_image(part)]
    first = plain[0] if plain and not explicit else None

    def chosen(value: Any) -> bool:
        return kind_of(value) in wanted or isinstance(value, Image.Image) or (value is first and first is not None)

    return chosen


def _choice_of_types(
    types: tuple[type | Callable[[Any], bool], ...], takes: Callable[[Any], bool]
) -> Callable[[Any], bool]:
    """Return a predicate for values of given types. Plain tensors must also satisfy the predicate ``takes``."""

    def chosen(value: Any) -> bool:
        if not any(isinstance(value, kind) if isinstance(kind, type) else kind(value) for kind in types):
            return False
        return takes(value) or kind_of(value) is not None or not isinstance(value, fb.Tensor)

    return chosen


def _kept(result: Any, like: Any) -> Any:
    """Convert the result of a transform to the type of the input."""
    if isinstance(result, list | tuple):
        return type(result)(_kept(part, like) for part in result)
    return type(like).wrap(result, like) if isinstance(result, fb.Tensor) else result


def transform_images(
    function: Callable[[Any], Any],
    inputs: tuple[Any, ...],
    chosen: Callable[[Any], bool] | None = None,
    maps_plane: bool = False,
) -> Any:
    """Apply a function to the images in nested tuples, lists and dictionaries, with the same random numbers for all.

    Images are PIL images, ``tv_tensors.Image`` and ``Video``. In a sample without these types, the first plain tensor
    or array of at least two dimensions is the image. With ``maps_plane``, masks and boxes are also transformed. Labels,
    texts and other values do not change. The predicate ``chosen``, if given, selects the values to transform instead.
    """
    before: list[fb.Tensor] = []
    keeps_class = chosen is None
    takes = _choice(inputs, maps_plane) if chosen is None else chosen

    def apply(value: Any) -> Any:
        """Transform the chosen values of a nested structure, each with the random state of the first one."""
        if isinstance(value, Mapping):
            return type(value)({key: apply(item) for key, item in value.items()})  # type: ignore[call-arg]
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(apply, value))
        if isinstance(value, list | tuple):
            return type(value)(map(apply, value))
        if not takes(value):
            return value
        if before:
            fb.set_rng_state(before[0])
        else:
            before.append(fb.get_rng_state())
        if keeps_class and kind_of(value) == "image":
            return _kept(function(value), value)
        return function(value)

    transformed = tuple(map(apply, inputs))
    return transformed[0] if len(inputs) == 1 else transformed


class Transform(nn.Module):
    """Base class of transforms of samples. A subclass defines ``transform``, which transforms one part of a sample.

    Random numbers come from flambeau's default generator. All parts of one call use the same random parameters.

    >>> class Darker(Transform):
    ...     def transform(self, inpt, params):
    ...         return inpt // 2
    >>> Darker()({"image": fb.full((1, 2), 8), "label": 3})
    {'image': tensor([[4, 4]]), 'label': 3}
    """

    maps_plane: ClassVar[bool] = False  # True if masks and boxes are also transformed
    # Types, or predicates, of the parts to transform, as in torchvision; None selects images, masks and boxes.
    _transformed_types: ClassVar[tuple[type | Callable[[Any], bool], ...] | None] = None

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Raise an error for samples that the transform does not support."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the random parameters for all parts of a sample. ``transform`` receives them if it has two arguments."""
        return {}

    def transform(self, *args: Any, **kwargs: Any) -> Any:
        """Transform one part of a sample: ``transform(inpt)`` or ``transform(inpt, params)``.

        The second form receives the result of ``make_params``, and is also called for masks and boxes.
        """
        raise NotImplementedError(f"{type(self).__name__} must define transform(self, inpt, params)")

    def forward(self, *inputs: Any) -> Any:
        flat = list(leaves(inputs))
        self.check_inputs(flat)
        if len(inspect.signature(self.transform).parameters) < 2:
            one: Callable[[Any], Any] = self.transform
            return transform_images(one, inputs, maps_plane=self.maps_plane)
        takes = _choice(inputs, maps_plane=True)
        if self._transformed_types is not None:
            takes = _choice_of_types(self._transformed_types, takes)
        params = self.make_params([value for value in flat if takes(value)])
        return transform_images(lambda value: self.transform(value, params), inputs, takes)


def for_samples(kind: type) -> type:
    """Return a transform of samples with the name and arguments of ``kind``, a transform of images.

    It also transforms masks and boxes if ``kind`` sets ``maps_plane``.
    """
    method = "forward" if issubclass(kind, nn.Module) else "__call__"
    of_image = getattr(kind, method)
    maps_plane = getattr(kind, "maps_plane", False)

    def of_sample(self: Any, *inputs: Any) -> Any:
        return transform_images(lambda image: of_image(self, image), inputs, maps_plane=maps_plane)

    doc = _of_samples(kind.__doc__ or "", maps_plane)
    members = {method: of_sample, "of_samples": True, "__doc__": doc, "__module__": __package__}
    return type(kind.__name__, (kind,), members)


def _of_samples(doc: str, maps_plane: bool) -> str:
    """Return the docstring of a transform of images with a sentence about the parts of a sample."""
    summary, *others = inspect.cleandoc(doc).split("\n\n")
    changed = "images, masks and boxes" if maps_plane else "images"
    added = f"In a sample, {changed} are transformed with the same parameters. Other values do not change."
    return "\n\n".join([summary, added, *others])


class Lambda(Transform):
    """Apply a custom function to the parts of a sample that have given types, by default to all parts.

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
