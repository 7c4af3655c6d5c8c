"""The models by name, and what their builders share."""

from __future__ import annotations

import fnmatch
import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import flambeau as fb
from flambeau import nn

M = TypeVar("M", bound=nn.Module)

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}

# How published files begin that are not called as their models are, and what models are for those weights.
_FILES = {
    **{f"efficientnet_b{size}": f"efficientnet_b{size}_rwightman" for size in range(5)},
    **{f"efficientnet_b{size}": f"efficientnet_b{size}_lukemelas" for size in range(5, 8)},
    "inception_v3": "inception_v3_google",
    "mnasnet0_5": "mnasnet0.5_top1_67.823",
    "mnasnet1_0": "mnasnet1.0_top1_73.512",
    "shufflenet_v2_x0_5": "shufflenetv2_x0.5",
    "shufflenet_v2_x1_0": "shufflenetv2_x1",
    "shufflenet_v2_x1_5": "shufflenetv2_x1_5",
    "shufflenet_v2_x2_0": "shufflenetv2_x2_0",
}
_OPTIONS: dict[str, dict[str, Any]] = {name: {"transform_input": True} for name in ("googlenet", "inception_v3")}

_NO_WEIGHTS = (
    "flambeau does not publish weights ({asked!r}), and PyTorch has left none for {name} in {folder}. Fetch the file "
    'that torchvision publishes and pass its path, {name}(weights="{name}.pth")'
)


def register_model(builder: Callable[..., M]) -> Callable[..., M]:
    """Put a builder on the list, and give it the arguments that all have.

    ``weights`` is None for random ones or the path of a saved ``state_dict``, PyTorch's ``.pth`` included. Another
    text, such as "DEFAULT", asks for what torchvision publishes and has left in its cache on this machine; a model is
    then made as it is there for those weights.
    ``pretrained`` is the older name for asking for that; ``progress`` is accepted and not used.
    """

    @functools.wraps(builder)
    def build(*, weights: Any = None, pretrained: bool = False, progress: bool = True, **options: Any) -> M:
        path = _path_of(builder.__name__, True if weights is None and pretrained else weights)
        if path is not None and path is not weights:
            options = {**_OPTIONS.get(builder.__name__, {}), **options}
        model = builder(**options)
        if path is not None:
            model.load_state_dict(fb.load(path))
        return model

    _BUILDERS[builder.__name__] = build
    return build


def _path_of(name: str, weights: Any) -> Any:
    if weights is None or weights is False:
        return None
    if isinstance(weights, os.PathLike) or (isinstance(weights, str) and os.path.exists(weights)):
        return weights
    if isinstance(weights, str) and (os.sep in weights or os.path.splitext(weights)[1]):
        raise FileNotFoundError(f"{name}: there is no file {weights!r} of weights")
    folder = Path(fb.hub.get_dir()) / "checkpoints"
    found = sorted(path for start in {name, _FILES.get(name, name)} for path in folder.glob(f"{start}-*.pth"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"{name}: which weights are meant by {weights!r}? Pass the path of one in {folder}: {names}")
    if not found:
        raise NotImplementedError(_NO_WEIGHTS.format(name=name, asked=weights, folder=folder))
    return found[0]


def list_models(include: str | Iterable[str] | None = None, exclude: str | Iterable[str] | None = None) -> list[str]:
    """The names of the models, sorted.

    Args:
        include, exclude: patterns such as ``"resnet*"``, one or several.

    >>> list_models("resnet*", exclude="*1*")
    ['resnet34', 'resnet50']
    """

    def matching(patterns: str | Iterable[str]) -> set[str]:
        listed = [patterns] if isinstance(patterns, str) else patterns
        return {name for pattern in listed for name in fnmatch.filter(_BUILDERS, pattern)}

    names = set(_BUILDERS) if include is None else matching(include)
    return sorted(names - matching(exclude or ()))


def get_model_builder(name: str) -> Callable[..., nn.Module]:
    """The function that builds a model.

    Raises: ValueError if there is none of this name.
    """
    try:
        return _BUILDERS[name.lower()]
    except KeyError:
        raise ValueError(f"Unknown model {name}. There are: {', '.join(list_models())}") from None


def get_model(name: str, **config: Any) -> nn.Module:
    """A model by its name, with the arguments of its builder.

    Raises: ValueError if there is none of this name.

    >>> get_model("resnet18", num_classes=10).fc
    Linear(in_features=512, out_features=10, bias=True)
    """
    return get_model_builder(name)(**config)
