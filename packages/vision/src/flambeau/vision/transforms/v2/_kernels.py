"""Functions of v2 for plain tensors that contain one kind of data."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import flambeau as fb

from ...tv_tensors import Mask

Kernel = Callable[..., Any]

_CONTENTS = {"image": "an image or a batch of images", "mask": "masks", "video": "a video or a batch of videos"}
_RESAMPLING = ("interpolation", "antialias")  # arguments that have no effect on masks


def for_images(function: Callable[..., Any], name: str | None = None) -> tuple[Kernel, Kernel]:
    """Return the variants of a function of samples for images ``(..., C, H, W)`` and videos ``(..., T, C, H, W)``.

    Args:
        function: function with the image as first argument.
        name: public name of the function, from which the names of the variants derive.
    """
    return _kernel(function, name, "image"), _kernel(function, name, "video")


def for_planes(function: Callable[..., Any], name: str | None = None) -> tuple[Kernel, Kernel, Kernel]:
    """Return the variants of a function of samples for images, masks ``(..., H, W)`` and videos. See `for_images`."""
    image, video = for_images(function, name)
    return image, _kernel(function, name, "mask"), video


def _kernel(function: Callable[..., Any], name: str | None, kind: str) -> Kernel:
    """Return a function of plain tensors with the arguments of ``function``; its first argument is named ``kind``."""
    name = name or function.__name__
    general = inspect.signature(function)
    first, *others = general.parameters.values()
    if kind == "mask":
        others = [parameter for parameter in others if parameter.name not in _RESAMPLING]
    returned = general.return_annotation
    returned = fb.Tensor if returned in ("Any", "ImageT") else returned  # Any and ImageT: the type of the argument
    signature = inspect.Signature([first.replace(name=kind, annotation=fb.Tensor), *others], return_annotation=returned)

    def kernel(*args: Any, **kwargs: Any) -> Any:
        arguments = signature.bind(*args, **kwargs).arguments
        data = arguments.pop(kind)
        if not isinstance(data, fb.Tensor):
            raise TypeError(f"{name}_{kind} requires a tensor, got {type(data)}; {name} accepts other types")
        plain = data.as_subclass(fb.Tensor)
        result = function(Mask(plain) if kind == "mask" else plain, **arguments)
        return result.as_subclass(fb.Tensor) if isinstance(result, Mask) else result

    kernel.__module__ = f"{__package__}.functional"
    kernel.__name__ = kernel.__qualname__ = f"{name}_{kind}"
    kernel.__doc__ = f"Apply :func:`{name}` to a plain tensor that contains {_CONTENTS[kind]}. See `{name}`."
    kernel.__signature__ = signature  # type: ignore[attr-defined]
    kernel.__annotations__ = {"return": returned}
    return kernel
