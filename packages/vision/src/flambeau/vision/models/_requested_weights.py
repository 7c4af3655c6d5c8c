"""Interpretation of the argument ``weights`` of model builders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flambeau as fb
from flambeau import nn

from . import _published
from ._weights import WeightsEnum

_NOT_PUBLISHED = (
    "{name}: there are no published weights for {asked}. Pass the path of a saved state_dict, or weights=None for "
    "random weights"
)


@dataclass(frozen=True)
class RequestedWeights:
    """Weights that the caller of a model builder requests.

    Attributes:
        published: the published weights, or None.
        path: path of the file, or None.
    """

    published: WeightsEnum | None
    path: Any = None

    def options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments for the builder: the given arguments, and the arguments that the weights require.

        Raises: ValueError if a given argument differs from the required value.
        """
        if self.published is None:
            return dict(options)
        wanted = dict(_published.recorded_value(self.published, "options") or {})
        if classes := self.published.meta.get("categories"):
            wanted["num_classes"] = len(classes)
        for name, value in wanted.items():
            if options.get(name) not in (None, value):
                raise ValueError(f"The parameter '{name}' expected value {value} but got {options[name]} instead.")
        return {**(_published.recorded_value(self.published, "defaults") or {}), **options, **wanted}

    def load_into(self, model: nn.Module, progress: bool = True) -> None:
        """Load the weights into a model."""
        if self.path is not None:
            model.load_state_dict(fb.load(self.path))
        elif self.published is not None:
            model.load_state_dict(self.published.get_state_dict(progress=progress, check_hash=True))

    @property
    def frozen_norm_eps(self) -> float | None:
        """The ``eps`` of frozen batch normalisation with which the weights were trained; None for the default."""
        eps: float | None = (
            None if self.published is None else _published.recorded_value(self.published, "frozen_norm_eps")
        )
        return eps


def requested_weights(name: str, weights: Any, pretrained: bool = False) -> RequestedWeights | None:
    """Interpret the weight arguments of a model's builder. Return None for random weights.

    Raises: FileNotFoundError for a path that does not exist, KeyError and TypeError for weights that are not
        published, ValueError if the model has no published weights.
    """
    kind = _published.enumeration_of(name)
    if weights is True or (weights is None and pretrained):
        return RequestedWeights(_pretrained_weights(name, kind))
    if weights is None or weights is False:
        return None
    if (file := _file(name, weights, kind)) is not None:
        return RequestedWeights(_published_as(os.path.basename(file), kind), weights)
    if kind is None:
        raise ValueError(_NOT_PUBLISHED.format(name=name, asked=f"weights={weights!r}"))
    return RequestedWeights(kind.verify(weights))


def _file(name: str, weights: Any, kind: type[WeightsEnum] | None) -> str | None:
    """Return ``weights`` as a path, or None if it is not a path."""
    if isinstance(weights, os.PathLike):
        path: str = os.fspath(weights)
        return path
    if not isinstance(weights, str) or (
        kind is not None and weights.removeprefix(f"{kind.__name__}.") in kind.__members__
    ):
        return None
    if os.path.exists(weights):
        return weights
    if os.sep in weights or os.path.splitext(weights)[1] in (".pth", ".pt", ".safetensors"):
        raise FileNotFoundError(f"{name}: the file of weights {weights!r} does not exist")
    return None


def _published_as(file: str, kind: type[WeightsEnum] | None) -> WeightsEnum | None:
    """Return the weights with the given published file name, or None."""
    return next((each for each in kind or () if each.file_name == file), None)


def _pretrained_weights(name: str, kind: type[WeightsEnum] | None) -> WeightsEnum:
    """Return the weights that the older argument ``pretrained=True`` selects."""
    member = None if kind is None else _published.table()[kind.__name__]["pretrained"]
    if kind is None or member is None:
        raise ValueError(_NOT_PUBLISHED.format(name=name, asked="pretrained=True"))
    return kind[member]
