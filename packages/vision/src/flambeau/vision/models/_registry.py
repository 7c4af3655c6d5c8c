"""The registry of models, and the arguments that all model builders have."""

from __future__ import annotations

import fnmatch
import functools
import importlib
import inspect
import typing
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, TypeVar

from flambeau import nn

from . import _builder_docs
from ._published import enumeration, enumeration_of, table
from ._requested_weights import requested_weights
from ._weights import WeightsEnum

M = TypeVar("M", bound=nn.Module)

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}

# Packages with further models. They are imported when an unknown model name is requested or all models are listed.
_PARTS = ("detection", "segmentation", "video")


def register_model(builder: Callable[..., M], size: str = "224, 224") -> Callable[..., M]:
    """Register the builder of a classifier, and add the common arguments to the builder and to its docstring.

    If the argument ``weights`` is a file with a published name, the file is treated as the published weights.

    Args:
        builder: the builder, which accepts the options of the model.
        size: height and width of the input in the docstring's example.
    """

    @functools.wraps(builder)
    def build(weights: Any = None, progress: bool = True, *, pretrained: bool = False, **options: Any) -> M:
        requested = requested_weights(builder.__name__, weights, pretrained)
        if requested is None:
            return builder(**options)
        model = builder(**requested.options(options))
        requested.load_into(model, progress)
        return model

    build.__doc__ = _builder_docs.of_classifier(builder, size)
    add_model(build)
    return build


def register_video_model(builder: Callable[..., M]) -> Callable[..., M]:
    """Register the builder of a classifier of videos ``(N, 3, T, H, W)``, like :func:`register_model`."""
    return register_model(builder, size="16, 224, 224")


def add_model(builder: Callable[..., nn.Module]) -> None:
    """Add a builder, which must have the common arguments, to the list of models."""
    _BUILDERS[builder.__name__] = builder


def list_models(
    module: ModuleType | None = None,
    include: str | Iterable[str] | None = None,
    exclude: str | Iterable[str] | None = None,
) -> list[str]:
    """Return the sorted names of the models.

    Args:
        module: if given, list only the models of this package, such as ``models.detection``. ``models`` itself contains
            the classifiers.
        include, exclude: one or several patterns of names, such as ``"resnet*"``.

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
    """Return the function that builds the model ``name``.

    Raises: ValueError if there is no model of this name.

    >>> get_model_builder("resnet18").__name__
    'resnet18'
    """
    if name.lower() not in _BUILDERS:
        _load_all()
    try:
        return _BUILDERS[name.lower()]
    except KeyError:
        raise ValueError(f"Unknown model {name}. Available models: {', '.join(list_models())}") from None


def get_model(name: str, **config: Any) -> nn.Module:
    """Build the model ``name``. ``config`` contains the arguments of its builder.

    Raises: ValueError if there is no model of this name.

    >>> get_model("resnet18", num_classes=10).fc
    Linear(in_features=512, out_features=10, bias=True)
    """
    return get_model_builder(name)(**config)


def get_model_weights(name: str | Callable[..., nn.Module]) -> type[WeightsEnum]:
    """Return the enumeration of published weights of a model, given its name or its builder.

    If the builder is registered by the program, the annotation of its parameter ``weights`` names the enumeration.

    Raises: ValueError if there is no model of this name, or no published weights.

    >>> get_model_weights("resnet18")["DEFAULT"]
    ResNet18_Weights.IMAGENET1K_V1
    """
    builder = get_model_builder(name) if isinstance(name, str) else name
    kind = _annotated_weights(builder) or enumeration_of(builder.__name__)
    if kind is None:
        raise ValueError(f"There are no published weights for the model {builder.__name__}")
    return kind


def _annotated_weights(builder: Callable[..., nn.Module]) -> type[WeightsEnum] | None:
    """Return the enumeration in the annotation of ``weights``, such as ``W | None``, or None if there is none."""
    parameter = inspect.signature(builder).parameters.get("weights")
    kinds = () if parameter is None else (parameter.annotation, *typing.get_args(parameter.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, WeightsEnum)), None)


def get_weight(name: str) -> WeightsEnum:
    """Return published weights by their full name.

    Raises: ValueError if no weights have this name.

    >>> get_weight("ResNet50_Weights.IMAGENET1K_V1").url
    'https://download.pytorch.org/models/resnet50-0676ba61.pth'
    """
    kind, point, member = name.partition(".")
    if not point:
        raise ValueError(f"Invalid weight name provided: '{name}'. Expected a name such as 'ResNet50_Weights.DEFAULT'.")
    if kind not in table():
        raise ValueError(f"The weight enum '{kind}' for the specific method couldn't be retrieved.")
    weights = enumeration(kind)
    if member not in weights.__members__:
        raise ValueError(
            f"The weight {name!r} does not exist. The weights of {kind} are: {', '.join(weights.__members__)}."
        )
    return weights[member]


def _load_all() -> None:
    for part in _PARTS:
        importlib.import_module(f"{__package__}.{part}")
