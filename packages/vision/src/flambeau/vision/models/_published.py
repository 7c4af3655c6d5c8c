"""Metadata of the weights that torchvision publishes: the tables in ``published``, read at first use."""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from flambeau import _suggestions

from ._weights import Weights, WeightsEnum

_SITE = "https://download.pytorch.org/models/"
_PARTS = ("classification", "detection", "segmentation", "video")
_LISTS = ("categories", "keypoint_names")  # keys of ``meta`` whose values are names of lists


@functools.cache
def _read(name: str) -> dict[str, Any]:
    folder = resources.files(__package__).joinpath("published")
    packed = folder.joinpath(f"{name}.json.gz")
    text = gzip.decompress(packed.read_bytes()) if packed.is_file() else folder.joinpath(f"{name}.json").read_bytes()
    table: dict[str, Any] = json.loads(text)
    return table


@functools.cache
def table() -> dict[str, dict[str, Any]]:
    """Return the entries of all enumerations by name; ``published/README.md`` describes them."""
    return {name: entry for part in _PARTS for name, entry in _read(part).items()}


@functools.cache
def _names() -> dict[str, str]:
    """Return a dictionary that maps the name of each model to the name of its enumeration."""
    return {entry["model"]: name for name, entry in table().items()}


def categories(name: str) -> list[str]:
    """Return the list of class names ``name``, such as ``"imagenet"``, ``"coco"`` or ``"voc"``.

    All calls return the same list object.
    """
    names: list[str] = _read("categories")[name]
    return names


@functools.cache
def enumeration(name: str) -> type[WeightsEnum]:
    """Return the enumeration of published weights with the given name, such as ``"ResNet50_Weights"``."""
    entry = table()[name]
    members = {member: _weights(entry, member) for member in entry["weights"]}
    members["DEFAULT"] = members[entry["default"]]
    module = f"{__package__}.{entry['module']}"
    # mypy assumes that the call of an enumeration class returns a member.
    created: type[WeightsEnum] = WeightsEnum(name, members, module=module, qualname=name)  # type: ignore[assignment,call-arg]
    return created


def enumeration_of(model: str) -> type[WeightsEnum] | None:
    """Return the enumeration of published weights for a model name, or None."""
    return enumeration(_names()[model]) if model in _names() else None


def recorded_value(weights: WeightsEnum, what: str) -> Any:
    """Return the ``options``, ``defaults`` or ``frozen_norm_eps`` of weights, or None if the tables have no entry."""
    name = type(weights).__name__
    if name not in table() or type(weights) is not enumeration(name):  # a custom enumeration
        return None
    entry = table()[name]
    value = entry["weights"][weights.name].get(what, entry["shared"].get(what))
    return {name: _tuple(each) for name, each in value.items()} if isinstance(value, dict) else value


def _weights(entry: dict[str, Any], member: str) -> Weights:
    from ..transforms import _presets

    facts = {**entry["shared"], **entry["weights"][member]}
    meta = {**entry["shared"]["meta"], **facts["meta"]}
    for key in _LISTS:
        if meta.get(key) is not None:
            meta[key] = categories(meta[key])
    meta["min_size"] = tuple(meta["min_size"])
    preset = getattr(_presets, facts["preset"])
    arguments = {name: _argument(name, value) for name, value in facts.get("transforms", {}).items()}
    return Weights(_SITE + facts["file"], functools.partial(preset, **arguments) if arguments else preset, meta)


def _argument(name: str, value: Any) -> Any:
    from ..transforms import InterpolationMode

    return InterpolationMode(value) if name == "interpolation" else _tuple(value)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def published_in(module: str) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for a Python module of models, which creates its enumerations at first use."""
    module_path = module.removeprefix(f"{__package__}.").removeprefix(__package__)

    def attribute(name: str) -> Any:
        if name.endswith("_Weights") and name in table():
            stands_in = table()[name]["module"]
            if module_path in (stands_in, stands_in.rpartition(".")[0]):
                return enumeration(name)
        raise _suggestions.unknown_attribute(module, name)

    return attribute


def names_in(package: str) -> list[str]:
    """Return the names of a package's enumerations, for ``dir``."""
    module_path = package.removeprefix(f"{__package__}.").removeprefix(__package__)
    return [name for name, entry in table().items() if entry["module"].rpartition(".")[0] == module_path]
