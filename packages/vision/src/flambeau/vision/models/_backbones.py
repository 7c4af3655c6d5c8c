"""Builders of models that stand on a network for classification."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import flambeau as fb
from flambeau import nn

from ..ops import FrozenBatchNorm2d
from ._registry import add_model, get_model_builder, path_of, published_names

M = TypeVar("M", bound=nn.Module)


def register_on_backbone(
    backbone: str,
    weights_backbone: str | None,
    stages: int | None = None,
    norm_layer: Callable[..., nn.Module] | None = nn.BatchNorm2d,
    freezes_norm: bool = False,
    num_classes: int = 91,
    published_eps: float | None = None,
    published_options: Mapping[str, Any] | None = None,
    **backbone_options: Any,
) -> Callable[[Callable[..., M]], Callable[..., M]]:
    """Put a builder on the list of models; it is called with the backbone that it asks for, and gets these arguments.

    ``weights`` and ``pretrained``: as of all models, for the whole one. What torchvision publishes has ``num_classes``
    classes, which no other number may then be given for.
    ``weights_backbone`` and ``pretrained_backbone``: the same for the backbone, where the whole model has none.
    ``trainable_backbone_layers``: how many of the backbone's stages go on learning, from the last, 3 by default. If
    nothing was trained before, all do.
    ``num_classes``: the background included.

    Args of this function:
        backbone: its name, and its further options.
        weights_backbone: what is asked for by default.
        stages: how many the backbone has; None for a builder that takes no ``trainable_backbone_layers``.
        norm_layer: the backbone's; None for its own.
        freezes_norm: a trained backbone gets frozen normalisation.
        num_classes: of the published weights, and by default.
        published_options: of the builder, that the published weights are for.
        published_eps: of the frozen normalisation that the published weights were trained with.
    """

    def register(builder: Callable[..., M]) -> Callable[..., M]:
        name, default = builder.__name__, weights_backbone
        classes = num_classes

        @functools.wraps(builder)
        def build(
            *,
            weights: Any = None,
            pretrained: bool = False,
            progress: bool = True,
            num_classes: int | None = None,
            weights_backbone: Any = default,
            pretrained_backbone: bool | None = None,
            trainable_backbone_layers: int | None = None,
            **options: Any,
        ) -> M:
            path = path_of(name, True if weights is None and pretrained else weights)
            if is_published(path, name) and num_classes not in (None, classes):
                raise ValueError(f"The parameter 'num_classes' expected value {classes} but got {num_classes} instead.")
            if is_published(path, name):
                options = {**options, **_agreed(options, published_options or {})}
            if stages is None and trainable_backbone_layers is not None:
                raise TypeError(f"{name}() got an unexpected keyword argument 'trainable_backbone_layers'")
            asked = default or True if pretrained_backbone else weights_backbone
            below = None if path is not None or pretrained_backbone is False else path_of(backbone, asked)
            trained = path is not None or below is not None
            norm = FrozenBatchNorm2d if freezes_norm and trained else norm_layer
            norm_options = {} if norm is None else {"norm_layer": norm}
            network = get_model_builder(backbone)(weights=below, **norm_options, **backbone_options)
            if stages is not None:
                options["trainable_layers"] = _trainable(trained, trainable_backbone_layers, stages)
            model = builder(network, num_classes or classes, **options)
            if path is not None:
                model.load_state_dict(fb.load(path))
            if published_eps is not None and is_published(path, name):
                for module in model.modules():
                    if isinstance(module, FrozenBatchNorm2d):
                        module.eps = published_eps
            return model

        add_model(build)
        return build

    return register


def is_published(path: Any, name: str) -> bool:
    """Whether a file of weights is one that torchvision publishes for a model, by its name."""
    return path is not None and Path(path).name.startswith(tuple(f"{start}-" for start in published_names(name)))


def _agreed(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in wanted.items():
        if given.get(name) not in (None, value):
            raise ValueError(f"The parameter '{name}' expected value {value} but got {given[name]} instead.")
    return wanted


def _trainable(trained: bool, asked: int | None, stages: int) -> int:
    if not trained and asked is not None:
        warnings.warn(
            "Changing trainable_backbone_layers has no effect if neither pretrained nor pretrained_backbone have been "
            f"set to True, falling back to trainable_backbone_layers={stages} so that all layers are trainable",
            stacklevel=3,
        )
    layers = stages if not trained else 3 if asked is None else asked
    if not 0 <= layers <= stages:
        raise ValueError(f"Trainable backbone layers should be in the range [0,{stages}], got {layers}")
    return layers
