"""Collation: combine a list of samples into one batch."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from . import _tensors
from .dataset import Batch

FunctionMap: TypeAlias = dict[type | tuple[type, ...], Callable[..., Any]]
Samples: TypeAlias = Sequence[Any]

_CANNOT_COLLATE = (
    "cannot collate {found}{where}: a sample may hold tensors, NumPy arrays, numbers, strings, and dicts, tuples, "
    "lists or dataclasses of these. Pass collate_fn=... to the DataLoader to make the batch yourself."
)
# Collate functions of other packages raise errors with this text.
default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)
_RAGGED = (
    "cannot stack samples of different shapes{where}: {shapes}. All samples of a batch must have the same shape: "
    "resize or pad them, or pass collate_fn=... to the DataLoader."
)
_STRINGS = (str, bytes)
_ARRAYS = (np.ndarray, np.generic)
_NUMBERS = (bool, int, float, np.number, np.bool_)
_NO_NUMBERS = "OSUV"  # kinds of NumPy dtypes for objects, strings and records
_TIMES = "Mm"  # kinds of NumPy dtypes for dates and durations
np_str_obj_array_pattern = re.compile("[SaUO]")
"""Pattern that matches the ``dtype.str`` of arrays of strings or objects."""


def default_collate(batch: Samples) -> Any:
    """Combine a list of samples into a batch.

    ============================== ==================================================================
    samples are                    the batch is
    ============================== ==================================================================
    tensors                        one tensor with a leading batch dimension
    NumPy arrays or scalars        one tensor (array, without tensor-core) of the same dtype
    float; int; bool               one tensor (array) of dtype float64; int64; bool
    str or bytes                   the list of samples; inside tuples and lists, a tuple
    dicts                          a dict of batches
    tuples, lists                  a list of batches; for namedtuples, a namedtuple of batches
    dataclasses                    one dataclass of batches
    other sequences                the same type if possible, else a list
    ============================== ==================================================================

    Add custom types to :data:`default_collate_fn_map`.

    Args:
        batch: at least one sample; all samples have the same structure.
    Raises:
        TypeError: if a value cannot be collated. The message names the value and its position in the sample.
        RuntimeError: if the shapes differ. The message contains the shapes.
        KeyError: if dicts have different keys.
        IndexError: if the batch is empty.

    >>> batch = default_collate([{"x": 1.0, "name": "a"}, {"x": 2.0, "name": "b"}])
    >>> batch["name"], batch["x"].tolist()
    (['a', 'b'], [1.0, 2.0])
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def collate(batch: Samples, *, collate_fn_map: FunctionMap | None = None) -> Any:
    """Combine a list of samples into a batch like :func:`default_collate`, with custom functions.

    Args:
        batch: at least one sample.
        collate_fn_map: dictionary from a type, or a tuple of types, to a function that combines samples of this type or
            its subclasses. It is called as ``function(samples, collate_fn_map=collate_fn_map)``. Sequences, mappings
            and dataclasses that are not in the dictionary are collated recursively; other types raise TypeError.

    >>> longest = {str: lambda texts, *, collate_fn_map: max(texts, key=len)}
    >>> collate([("a", "bcd"), ("ef", "")], collate_fn_map=longest)
    ['ef', 'bcd']
    """
    if len(batch) == 0:
        raise IndexError("cannot collate an empty batch")
    return _collate(batch, "", collate_fn_map or {})


def default_convert(data: Any) -> Any:
    """Convert tuples in a sample to lists and, if tensor-core is installed, NumPy arrays to tensors.

    >>> default_convert({"name": "a"})
    {'name': 'a'}
    """
    if isinstance(data, _ARRAYS):
        array = np.asarray(data)
        return data if array.dtype.kind in _NO_NUMBERS else _tensors.from_array(array)
    if isinstance(data, Mapping):
        return _rebuild_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple | list):
        converted = [default_convert(value) for value in data]
        return converted if type(data) is tuple else _rebuild_sequence(data, converted)
    return data


def collate_tensor_fn(batch: Samples, *, collate_fn_map: FunctionMap | None = None) -> Any:
    """Stack tensors."""
    return _collate_tensors(batch, "")


def collate_numpy_array_fn(batch: Samples, *, collate_fn_map: FunctionMap | None = None) -> Any:
    """Stack arrays."""
    return _collate_arrays(batch, "")


def collate_numpy_scalar_fn(batch: Samples, *, collate_fn_map: FunctionMap | None = None) -> Any:
    """Stack NumPy scalars and keep their dtype."""
    return _collate_arrays(batch, "")


def collate_float_fn(batch: Samples, *, collate_fn_map: FunctionMap | None = None) -> Any:
    """Convert a list of Python floats to a float64 tensor or array."""
    return _collate_numbers(batch, "")


def collate_int_fn(batch: Samples, *, collate_fn_map: FunctionMap | None = None) -> Any:
    """Collate Python numbers to int64, or to bool if all are bool.

    If one is a float, the result is float64 if the first number is a float, else float32.
    """
    return _collate_numbers(batch, "")


def collate_str_fn(batch: Samples, *, collate_fn_map: FunctionMap | None = None) -> Sequence[Any]:
    """Return strings unchanged."""
    return _collate_strings(batch, "")


default_collate_fn_map: FunctionMap = {
    **dict.fromkeys(_tensors.TENSOR_TYPES, collate_tensor_fn),
    np.ndarray: collate_numpy_array_fn,
    str: collate_str_fn,  # must precede NumPy's scalars, because numpy.str_ is derived from str
    bytes: collate_str_fn,
    np.generic: collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
}
"""Dictionary from types to the functions of :func:`default_collate`. Custom entries apply to every DataLoader."""


def _collate(batch: Samples, path: str, functions: FunctionMap) -> Any:
    """Collate values. ``path`` is their position inside the sample, for error messages."""
    if isinstance(batch, Batch):
        return [_tensors.from_array(column) if isinstance(column, np.ndarray) else column for column in batch.columns]
    first = batch[0]
    if (function := _function_for(type(first), functions)) is not None:
        with_path = _WITH_PATH.get(function)
        return function(batch, collate_fn_map=functions) if with_path is None else with_path(batch, path)
    if isinstance(first, Mapping):
        return _collate_mappings(batch, path, functions)
    if dataclasses.is_dataclass(first):
        return _collate_dataclasses(batch, path, functions)
    if isinstance(first, Sequence) and not isinstance(first, _STRINGS):
        return _collate_sequences(batch, path, functions)
    raise _cannot_collate(type(first).__name__, path)


def _function_for(kind: type, functions: FunctionMap) -> Callable[..., Any] | None:
    if kind in functions:
        return functions[kind]
    matching = (function for key, function in functions.items() if issubclass(kind, key))
    return next(matching, None)


def _collate_strings(batch: Samples, path: str) -> Sequence[Any]:
    return _check_kind(batch, _STRINGS, path)


def _collate_tensors(batch: Samples, path: str) -> Any:
    return _stack(_check_kind(batch, _tensors.TENSOR_TYPES, path), path)


def _collate_arrays(batch: Samples, path: str) -> Any:
    kind = type(batch[0])
    if kind is not np.ndarray and all(type(value) is kind for value in batch) and batch[0].dtype.kind in "biufc":
        return _tensors.wrap(np.array(batch, dtype=batch[0].dtype))
    arrays = [np.asarray(value) for value in _check_kind(batch, _ARRAYS + _NUMBERS, path)]
    for array in arrays:
        if array.dtype.kind in _NO_NUMBERS + _TIMES:
            raise _cannot_collate(f"an array of dtype {array.dtype}", path)
    return _stack(arrays, path)


def _collate_numbers(batch: Samples, path: str) -> Any:
    _check_kind(batch, _NUMBERS, path)
    if all(isinstance(value, bool) for value in batch):
        return _tensors.wrap(np.array(batch, dtype=np.bool_))
    real = any(isinstance(value, (float, np.floating)) for value in batch)
    dtype: type = np.int64 if not real else np.float64 if isinstance(batch[0], float) else np.float32
    return _tensors.wrap(np.array(batch, dtype=dtype))


_WITH_PATH: dict[Callable[..., Any], Callable[[Samples, str], Any]] = {
    collate_tensor_fn: _collate_tensors,
    collate_numpy_array_fn: _collate_arrays,
    collate_numpy_scalar_fn: _collate_arrays,
    collate_float_fn: _collate_numbers,
    collate_int_fn: _collate_numbers,
    collate_str_fn: _collate_strings,
}


def _stack(batch: Samples, path: str) -> Any:
    if len({value.shape for value in batch}) > 1:
        raise RuntimeError(_RAGGED.format(where=_where(path), shapes=_by_shape(batch)))
    return _tensors.stack(batch)


def _by_shape(batch: Samples) -> str:
    positions: dict[tuple[int, ...], list[int]] = {}
    for position, value in enumerate(batch):
        positions.setdefault(tuple(value.shape), []).append(position)
    return "; ".join(f"{list(shape)} (samples {found} of the batch)" for shape, found in positions.items())


def _collate_mappings(batch: Samples, path: str, functions: FunctionMap) -> Mapping[Any, Any]:
    first = _check_kind(batch, (Mapping,), path)[0]
    for position, sample in enumerate(batch):
        if sample.keys() != first.keys():
            keys = f"{list(first)} and {list(sample)} (samples 0 and {position} of the batch)"
            raise KeyError(f"cannot collate dicts with different keys{_where(path)}: {keys}")
    content = {key: _collate([s[key] for s in batch], f"{path}[{key!r}]", functions) for key in first}
    return _rebuild_mapping(first, content)


def _collate_dataclasses(batch: Samples, path: str, functions: FunctionMap) -> Any:
    first = _check_kind(batch, (type(batch[0]),), path)[0]
    result = copy.copy(first)
    for field in dataclasses.fields(first):
        column = _collate([getattr(sample, field.name) for sample in batch], f"{path}.{field.name}", functions)
        object.__setattr__(result, field.name, column)  # this works for frozen dataclasses as well
    return result


def _collate_sequences(batch: Samples, path: str, functions: FunctionMap) -> Sequence[Any]:
    first = _check_kind(batch, (Sequence,), path)[0]
    if len(set(map(len, batch))) > 1:
        position, length = next((p, len(s)) for p, s in enumerate(batch) if len(s) != len(first))
        lengths = f"{len(first)} and {length} (samples 0 and {position} of the batch)"
        raise RuntimeError(f"cannot collate sequences of different lengths{_where(path)}: {lengths}")
    names = getattr(first, "_fields", range(len(first)))
    paths = [f"{path}.{name}" if isinstance(name, str) else f"{path}[{name}]" for name in names]
    columns = zip(zip(*batch, strict=True), paths, strict=True)
    content = [_collate(column, part_path, functions) for column, part_path in columns]
    return content if type(first) is tuple else _rebuild_sequence(first, content)


def _rebuild_mapping(like: Mapping[Any, Any], content: dict[Any, Any]) -> Mapping[Any, Any]:
    """Return a mapping of the type of ``like`` with the items of ``content``, or ``content`` if it is not mutable."""
    if type(like) is dict or not isinstance(like, MutableMapping):
        return content
    clone = copy.copy(like)
    clone.update(content)
    return clone


def _rebuild_sequence(like: Sequence[Any], content: list[Any]) -> Sequence[Any]:
    if hasattr(like, "_fields"):
        return type(like)(*content)
    if isinstance(like, tuple):
        return tuple(content)
    try:
        return content if type(like) is list else type(like)(content)  # type: ignore[call-arg]
    except TypeError:  # some types, such as range, cannot be created from a list
        return content


def _check_kind(batch: Samples, kinds: tuple[type, ...], path: str) -> Samples:
    for position, value in enumerate(batch if len(set(map(type, batch))) > 1 else batch[:1]):
        if not isinstance(value, kinds):
            both = f"{type(batch[0]).__name__} and {type(value).__name__} together (samples 0 and {position})"
            raise _cannot_collate(both, path)
    return batch


def _cannot_collate(found: str, path: str) -> TypeError:
    message = _CANNOT_COLLATE.format(found=found, where=_where(path))
    forgotten = found == "NoneType" and not path
    return TypeError(message + " Does the dataset's __getitem__ return the sample?" if forgotten else message)


def _where(path: str) -> str:
    return f" at sample{path}" if path else ""
