"""The models by name, and what their builders share."""

from __future__ import annotations

import fnmatch
import functools
import importlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import flambeau as fb
from flambeau import nn

M = TypeVar("M", bound=nn.Module)

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}

# Parts of the list that load when it is asked for more than the models for classification.
_PARTS = ("detection", "segmentation")

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
        path = path_of(builder.__name__, True if weights is None and pretrained else weights)
        if path is not None and path is not weights:
            options = {**_OPTIONS.get(builder.__name__, {}), **options}
        model = builder(**options)
        if path is not None:
            model.load_state_dict(fb.load(path))
        return model

    add_model(build)
    return build


def add_model(builder: Callable[..., nn.Module]) -> None:
    """Put a builder that has the arguments that all have on the list."""
    _BUILDERS[builder.__name__] = builder


def published_names(name: str) -> set[str]:
    """How the names of the files begin that torchvision publishes for a model."""
    return {name, f"{name}_coco", _FILES.get(name, name)}


def path_of(name: str, weights: Any) -> Any:
    """The file that is meant by a model's ``weights``, or None.

    Raises: FileNotFoundError for a path where nothing is, NotImplementedError for weights that are not in the cache,
    ValueError where it has several.
    """
    if weights is None or weights is False:
        return None
    if isinstance(weights, os.PathLike) or (isinstance(weights, str) and os.path.exists(weights)):
        return weights
    if isinstance(weights, str) and (os.sep in weights or os.path.splitext(weights)[1]):
        raise FileNotFoundError(f"{name}: there is no file {weights!r} of weights")
    folder = Path(fb.hub.get_dir()) / "checkpoints"
    found = sorted(path for start in published_names(name) for path in folder.glob(f"{start}-*.pth"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"{name}: which weights are meant by {weights!r}? Pass the path of one in {folder}: {names}")
    if not found:
        raise NotImplementedError(_NO_WEIGHTS.format(name=name, asked=weights, folder=folder))
    return found[0]


def list_models(
    module: ModuleType | None = None,
    include: str | Iterable[str] | None = None,
    exclude: str | Iterable[str] | None = None,
) -> list[str]:
    """The names of the models, sorted.

    Args:
        module: only those in this package, such as ``models.detection``; ``models`` are those for classification.
        include, exclude: patterns such as ``"resnet*"``, one or several.

    >>> list_models(include="resnet*", exclude="*1*")
    ['resnet34', 'resnet50']
    """
    _load_all()

    def matching(patterns: str | Iterable[str]) -> set[str]:
        listed = [patterns] if isinstance(patterns, str) else patterns
        return {name for pattern in listed for name in fnmatch.filter(_BUILDERS, pattern)}

    names = set(_BUILDERS) if include is None else matching(include)
    if module is not None:
        names = {name for name in names if _BUILDERS[name].__module__.rpartition(".")[0] == module.__name__}
    return sorted(names - matching(exclude or ()))


def get_model_builder(name: str) -> Callable[..., nn.Module]:
    """The function that builds a model.

    Raises: ValueError if there is none of this name.
    """
    if name.lower() not in _BUILDERS:
        _load_all()
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


def _load_all() -> None:
    for part in _PARTS:
        importlib.import_module(f"{__package__}.{part}")
