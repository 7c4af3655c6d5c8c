"""What a builder's argument ``weights`` means, and what follows from it for the model."""

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
    "{name}: nothing is published for it that {asked!r} could mean. Pass the path of a saved state_dict, or None for "
    "random weights"
)


@dataclass(frozen=True)
class AskedWeights:
    """Weights for a model.

    Attributes:
        published: which, if it is published ones.
        path: the file, if it was named.
    """

    published: WeightsEnum | None
    path: Any = None

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the builder: those given and those that the weights are for.

        Raises: ValueError where they contradict each other.
        """
        if self.published is None:
            return dict(given)
        wanted = dict(_published.recorded(self.published, "options") or {})
        if classes := self.published.meta.get("categories"):
            wanted["num_classes"] = len(classes)
        for name, value in wanted.items():
            if given.get(name) not in (None, value):
                raise ValueError(f"The parameter '{name}' expected value {value} but got {given[name]} instead.")
        return {**(_published.recorded(self.published, "defaults") or {}), **given, **wanted}

    def load_into(self, model: nn.Module, progress: bool = True) -> None:
        """Give a model the weights."""
        if self.path is not None:
            model.load_state_dict(fb.load(self.path))
        elif self.published is not None:
            model.load_state_dict(self.published.get_state_dict(progress=progress, check_hash=True))

    @property
    def frozen_norm_eps(self) -> float | None:
        """The ``eps`` of frozen batch normalisation that the weights were trained with; None for the usual one."""
        eps: float | None = None if self.published is None else _published.recorded(self.published, "frozen_norm_eps")
        return eps


def asked_weights(name: str, weights: Any, pretrained: bool = False) -> AskedWeights | None:
    """What is meant by the arguments of a model's builder; None for random weights.

    Raises: FileNotFoundError for a path where nothing is, KeyError and TypeError for what is not among the published
        ones, ValueError where none are.
    """
    kind = _published.enumeration_of(name)
    if weights is True or (weights is None and pretrained):
        return AskedWeights(_before_enumerations(name, kind))
    if weights is None or weights is False:
        return None
    if (file := _file(name, weights, kind)) is not None:
        return AskedWeights(_published_as(os.path.basename(file), kind), weights)
    if kind is None:
        raise ValueError(_NOT_PUBLISHED.format(name=name, asked=weights))
    return AskedWeights(kind.verify(weights))


def _file(name: str, weights: Any, kind: type[WeightsEnum] | None) -> str | None:
    """The path that ``weights`` are; None where it is something else."""
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
        raise FileNotFoundError(f"{name}: there is no file {weights!r} of weights")
    return None


def _published_as(file: str, kind: type[WeightsEnum] | None) -> WeightsEnum | None:
    """The weights whose published file has a name."""
    return next((each for each in kind or () if each.file_name == file), None)


def _before_enumerations(name: str, kind: type[WeightsEnum] | None) -> WeightsEnum:
    """What ``pretrained=True`` meant."""
    member = None if kind is None else _published.table()[kind.__name__]["pretrained"]
    if kind is None or member is None:
        raise ValueError(_NOT_PUBLISHED.format(name=name, asked="pretrained=True"))
    return kind[member]
