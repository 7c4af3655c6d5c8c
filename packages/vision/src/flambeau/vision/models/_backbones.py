"""Registration of builders for models whose backbone is a classification network."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flambeau import nn

from ..ops import FrozenBatchNorm2d
from . import _builder_docs
from ._registry import add_model, get_model_builder
from ._requested_weights import requested_weights

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Backbone:
    """Description of the classification network on which a model is built.

    Attributes:
        name: name of the network's builder.
        norm_layer: normalisation of the network; None for the builder's default.
        freezes_norm: if True, a pretrained network has frozen batch normalisation.
        options: further arguments of the builder.
        untrained_options: further arguments for a network without pretrained weights.
        prepare_untrained: function that is applied to a network without pretrained weights.
    """

    name: str
    norm_layer: Callable[..., nn.Module] | None = nn.BatchNorm2d
    freezes_norm: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    untrained_options: Mapping[str, Any] = field(default_factory=dict)
    prepare_untrained: Callable[[nn.Module], Any] | None = None

    def create(self, weights: Any, is_trained: bool, progress: bool) -> nn.Module:
        """Return the network with these weights. ``is_trained``: the model or the network has pretrained weights."""
        is_pretrained = weights not in (None, False)
        norm_layer = FrozenBatchNorm2d if self.freezes_norm and is_trained else self.norm_layer
        options = {
            **({} if norm_layer is None else {"norm_layer": norm_layer}),
            **self.options,
            **({} if is_pretrained else self.untrained_options),
        }
        network = get_model_builder(self.name)(weights=weights, progress=progress, **options)
        if not is_pretrained and self.prepare_untrained is not None:
            self.prepare_untrained(network)
        return network


def register_on_backbone(
    backbone: Backbone,
    weights_backbone: str | None,
    stages: int | None = None,
    num_classes: int = 91,
    learning: int = 3,
) -> Callable[[Callable[..., M]], Callable[..., M]]:
    """Return a decorator that registers a function that builds a model from a backbone.

    The registered builder also creates the backbone. ``_builder_docs`` describes the arguments that it adds.

    Args:
        backbone: description of the backbone.
        weights_backbone: default weights of the backbone.
        stages: number of stages of the backbone; None for a builder without ``trainable_backbone_layers``.
        num_classes: default number of classes.
        learning: default number of trainable stages of a pretrained backbone.
    """
    default, default_classes = weights_backbone, num_classes

    def register(builder: Callable[..., M]) -> Callable[..., M]:
        name = builder.__name__

        @functools.wraps(builder)
        def build(
            weights: Any = None,
            progress: bool = True,
            num_classes: int | None = None,
            weights_backbone: Any = default,
            trainable_backbone_layers: int | None = None,
            *,
            pretrained: bool = False,
            pretrained_backbone: bool | None = None,
            **options: Any,
        ) -> M:
            if stages is None and trainable_backbone_layers is not None:
                raise TypeError(f"{name}() got an unexpected keyword argument 'trainable_backbone_layers'")
            requested = requested_weights(name, weights, pretrained)
            if requested is not None:
                options = requested.options({**options, "num_classes": num_classes})
                num_classes = options.pop("num_classes")
                weights_backbone = None
            elif pretrained_backbone is not None:
                weights_backbone = (default or True) if pretrained_backbone else None
            is_trained = requested is not None or weights_backbone not in (None, False)
            network = backbone.create(weights_backbone, is_trained, progress)
            if stages is not None:
                trainable = _validate_trainable_layers(is_trained, trainable_backbone_layers, stages, learning)
                options["trainable_layers"] = trainable
            model = builder(network, num_classes or default_classes, **options)
            if requested is not None:
                requested.load_into(model, progress)
                _set_eps(model, requested.frozen_norm_eps)
            return model

        if stages is None:  # only the builders of segmentation models have no trainable_backbone_layers
            build.__doc__ = _builder_docs.of_segmentation(builder, default_classes)
        else:
            build.__doc__ = _builder_docs.of_detector(builder, default_classes, stages, learning)
        add_model(build)
        return build

    return register


def _set_eps(model: nn.Module, eps: float | None) -> None:
    for module in model.modules():
        if eps is not None and isinstance(module, FrozenBatchNorm2d):
            module.eps = eps


def _validate_trainable_layers(
    is_trained: bool, trainable_backbone_layers: int | None, max_value: int, default_value: int
) -> int:
    """Return the number of trainable stages of a backbone. A backbone without trained weights trains all stages."""
    if not is_trained and trainable_backbone_layers is not None:
        warnings.warn(
            "Changing trainable_backbone_layers has no effect if neither pretrained nor pretrained_backbone have been "
            f"set to True, falling back to trainable_backbone_layers={max_value} so that all layers are trainable",
            stacklevel=3,
        )
    usual = default_value if trainable_backbone_layers is None else trainable_backbone_layers
    layers = usual if is_trained else max_value
    if not 0 <= layers <= max_value:
        raise ValueError(f"Trainable backbone layers should be in the range [0,{max_value}], got {layers}")
    return layers
