"""Conversion of Python structures with tensors to named tensors and JSON, and back.

A dictionary of tensors with string keys needs no JSON. Any other structure is described by a JSON tree. None, bools,
ints, finite floats, strings and lists represent themselves. All other values are JSON objects with one key for their
type: ``{"tensor": name}``, ``{"tuple": [...]}``, ``{"dict": {...}}`` (if all keys are strings),
``{"items": [[key, value], ...]}`` (otherwise) or ``{"float": "inf"}``.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import flambeau

from .errors import FormatError
from .safetensors import DTYPES, METADATA, code_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flambeau import Tensor

VERSION = 1
MAX_DEPTH = 100

STORABLE = "tensors, dict, list, tuple, int, float, complex, str, bool and None can be stored"


def flatten(obj: Any) -> tuple[dict[str, Tensor], str | None]:
    """Return named tensors, and the JSON of their structure (None if ``obj`` is a plain dictionary of tensors)."""
    tensors: dict[str, Tensor] = {}
    tree = _encode(obj, (), tensors)
    if is_plain(obj):
        return dict(obj), None
    return tensors, json.dumps({"version": VERSION, "object": tree}, separators=(",", ":"))


def unflatten(tensors: dict[str, Tensor], structure: str | None) -> Any:
    """Rebuild the object that ``flatten`` received. Raises FormatError if the structure is invalid."""
    if structure is None:
        return tensors
    try:
        description = json.loads(structure)
        version = description["version"]
        if version == VERSION:
            return _decode(description["object"], tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FormatError(f"the description of the structure is damaged ({error!r})") from None
    raise FormatError(f"its structure has version {version!r}, and this flambeau reads version {VERSION}")


def is_plain(obj: Any) -> bool:
    """Return True if ``obj`` is a dictionary of tensors that the format can represent without a structure."""
    return isinstance(obj, dict) and all(
        type(name) is str
        and name == _without_surrogates(name) != METADATA
        and isinstance(value, flambeau.Tensor)
        and value.dtype is not flambeau.complex128
        and value.layout is flambeau.strided
        for name, value in obj.items()
    )


def _without_surrogates(name: str) -> str:
    """Return the name without lone surrogates, which UTF-8 cannot encode."""
    return name.encode("utf-8", "backslashreplace").decode()


def _encode(value: Any, path: tuple[Any, ...], tensors: dict[str, Tensor]) -> Any:
    """Return a value as JSON and add its tensors to ``tensors``, by the path of keys and indices that leads to them."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is complex:
        return {"complex": [repr(value.real), repr(value.imag)]}
    if isinstance(value, flambeau.Tensor):
        if value.layout is not flambeau.strided:
            raise TypeError(
                f"{_path_of(path)} has the layout {value.layout}, which safetensors files cannot store; use the format "
                "'pt'"
            )
        if value.dtype is flambeau.complex128:  # the format lacks this dtype: store pairs of float64
            return {"complex128": _add_tensor(flambeau.view_as_real(value.detach()), path, tensors)}
        return {"tensor": _add_tensor(value, path, tensors)}
    if len(path) >= MAX_DEPTH:
        raise ValueError(f"{_path_of(path[:3])}...: nested deeper than {MAX_DEPTH} levels; does it contain itself?")
    if kind in (list, tuple):
        items = [_encode(item, (*path, index), tensors) for index, item in enumerate(value)]
        return items if kind is list else {"tuple": items}
    if isinstance(value, dict):
        pairs = [[_encode_key(key, path), _encode(item, (*path, key), tensors)] for key, item in value.items()]
        return {"dict": dict(pairs)} if all(type(key) is str for key in value) else {"items": pairs}
    raise TypeError(f"{_path_of(path)} is of type {_name(kind)}, which cannot be stored: {STORABLE}{_advice(value)}")


def _encode_key(key: Any, path: tuple[Any, ...]) -> Any:
    flat = key if type(key) is tuple else (key,)
    if not all(part is None or type(part) in (bool, int, float, str) for part in flat):
        kind = _name(type(key))
        raise TypeError(f"{_path_of(path)} has a key of type {kind}, {key!r}; use strings, numbers or tuples of them")
    return _encode(key, path, {})


def _add_tensor(tensor: Tensor, path: tuple[Any, ...], tensors: dict[str, Tensor]) -> str:
    if code_of(tensor) is None:
        raise TypeError(f"{_path_of(path)} has dtype {tensor.dtype}; only {', '.join(DTYPES)} can be stored")
    plain = _without_surrogates(".".join(map(str, path))) or "tensor"
    name, count = plain, 1
    while name in tensors or name == METADATA:
        count += 1
        name = f"{plain}#{count}"
    tensors[name] = tensor
    return name


def _decode(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return the value that `_encode` turned into ``node``."""
    if isinstance(node, list):
        return [_decode(item, tensors) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    match kind:
        case "tensor":
            return tensors[content]
        case "complex128":
            return flambeau.view_as_complex(tensors[content])
        case "float":
            return float(content)
        case "complex":
            return complex(float(content[0]), float(content[1]))
        case "tuple":
            return tuple(_decode(item, tensors) for item in content)
        case "dict":
            return {key: _decode(item, tensors) for key, item in content.items()}
        case "items":
            return {_decode(key, tensors): _decode(item, tensors) for key, item in content}
    raise ValueError(f"unknown kind {kind!r}")


def _path_of(path: tuple[Any, ...]) -> str:
    return "object" + "".join(f"[{key!r}]" for key in path)


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _advice(value: Any) -> str:
    if callable(getattr(value, "state_dict", None)):
        return "; store its state_dict()"
    if isinstance(value, tuple):
        return "; convert it with tuple(...)"
    dimensions = getattr(value, "ndim", None)
    if dimensions is None:
        return ""
    return "; convert it with .item()" if dimensions == 0 else "; convert it with flambeau.from_numpy(...)"
