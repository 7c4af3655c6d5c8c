"""From a list of samples to one batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from . import _tensors
from .dataset import Batch

_CANNOT_COLLATE = (
    "cannot collate {found}{where}: a sample may hold tensors, NumPy arrays, numbers, strings, and dicts, tuples or "
    "lists of these. Pass collate_fn=... to the DataLoader to make the batch yourself."
)
_STRINGS = (str, bytes)
_ARRAYS = (np.ndarray, np.generic)
_NUMBERS = (bool, int, float, np.number)
_SEQUENCES = (tuple, list)
_NO_NUMBERS = "OSUV"  # kinds of dtypes that hold objects, strings, records

_RAGGED = (
    "cannot stack shapes {first} and {other} (samples 0 and {position} of the batch){where}: a batch wants samples of "
    "one shape. Resize or pad them, or pass collate_fn=... to the DataLoader."
)


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack a list of samples into a batch.

    ============================== ==================================================================
    samples are                    the batch is
    ============================== ==================================================================
    tensors                        one tensor with a leading batch dimension
    NumPy arrays or scalars        one tensor (an array where tensor-core is absent), same dtype
    float; int; bool               one tensor (array): float64; int64; bool
    str or bytes                   the list of them
    dicts                          a dict of batches
    tuples, lists                  a list of batches; a namedtuple stays one
    ============================== ==================================================================

    Args:
        batch: at least one sample, all of the same structure.
    Raises:
        TypeError: naming what cannot be collated and where in the sample it stands.
        RuntimeError: naming the shapes, if they differ.

    >>> batch = default_collate([{"x": 1.0, "name": "a"}, {"x": 2.0, "name": "b"}])
    >>> batch["name"], batch["x"].tolist()
    (['a', 'b'], [1.0, 2.0])
    """
    if len(batch) == 0:
        raise ValueError("cannot collate an empty batch")
    return _collate(batch, "")


def default_convert(sample: Any) -> Any:
    """A sample with its NumPy arrays turned into tensors where tensor-core is installed, all else as it is.

    >>> default_convert({"name": "a"})
    {'name': 'a'}
    """
    if isinstance(sample, _ARRAYS):
        array = np.asarray(sample)
        return sample if array.dtype.kind in _NO_NUMBERS else _tensors.from_array(array)
    if isinstance(sample, Mapping):
        return _rebuild_mapping(sample, {key: default_convert(value) for key, value in sample.items()})
    if isinstance(sample, _SEQUENCES):
        return _rebuild_sequence(sample, [default_convert(value) for value in sample])
    return sample


def _collate(batch: Sequence[Any], path: str) -> Any:
    if isinstance(batch, Batch):
        return [_tensors.from_array(column) if isinstance(column, np.ndarray) else column for column in batch.columns]
    first = batch[0]
    if isinstance(first, _STRINGS):
        return list(_check_kind(batch, _STRINGS, path))
    if isinstance(first, _ARRAYS):
        return _stack([np.asarray(value) for value in _check_kind(batch, _ARRAYS + _NUMBERS, path)], path)
    if isinstance(first, _tensors.TENSOR_TYPES):
        return _stack(_check_kind(batch, _tensors.TENSOR_TYPES, path), path)
    if isinstance(first, _NUMBERS):
        return _tensors.from_array(_numbers(_check_kind(batch, _NUMBERS, path)))
    if isinstance(first, Mapping):
        return _collate_mappings(_check_kind(batch, (Mapping,), path), path)
    if isinstance(first, _SEQUENCES):
        return _collate_sequences(_check_kind(batch, _SEQUENCES, path), path)
    raise _cannot_collate(type(first).__name__, path)


def _numbers(batch: Sequence[Any]) -> np.ndarray:
    if all(isinstance(value, bool) for value in batch):
        return np.array(batch, dtype=np.bool_)
    real = any(isinstance(value, (float, np.floating)) for value in batch)
    return np.array(batch, dtype=np.float64 if real else np.int64)


def _stack(batch: Sequence[Any], path: str) -> Any:
    first = tuple(batch[0].shape)
    for position, value in enumerate(batch):
        if tuple(value.shape) != first:
            where = _where(path)
            raise RuntimeError(_RAGGED.format(first=first, other=tuple(value.shape), position=position, where=where))
        if isinstance(value, np.ndarray) and value.dtype.kind in _NO_NUMBERS:
            raise _cannot_collate(f"an array of dtype {value.dtype}", path)
    return _tensors.stack(batch)


def _collate_mappings(batch: Sequence[Mapping[Any, Any]], path: str) -> Any:
    first = batch[0]
    for position, sample in enumerate(batch):
        if sample.keys() != first.keys():
            keys = f"{list(first)} and {list(sample)} (samples 0 and {position} of the batch)"
            raise RuntimeError(f"cannot collate dicts with different keys{_where(path)}: {keys}")
    return _rebuild_mapping(first, {key: _collate([s[key] for s in batch], f"{path}[{key!r}]") for key in first})


def _collate_sequences(batch: Sequence[Sequence[Any]], path: str) -> Any:
    first = batch[0]
    for position, sample in enumerate(batch):
        if len(sample) != len(first):
            lengths = f"{len(first)} and {len(sample)} (samples 0 and {position} of the batch)"
            raise RuntimeError(f"cannot collate sequences of different lengths{_where(path)}: {lengths}")
    names = getattr(first, "_fields", range(len(first)))
    places = [f"{path}.{name}" if isinstance(name, str) else f"{path}[{name}]" for name in names]
    columns = [_collate(column, place) for column, place in zip(zip(*batch, strict=True), places, strict=True)]
    return columns if type(first) is tuple else _rebuild_sequence(first, columns)


def _rebuild_mapping(like: Mapping[Any, Any], content: dict[Any, Any]) -> Any:
    """``content`` in the type of ``like`` (an OrderedDict stays one), a plain dict where that cannot be refilled."""
    if type(like) is dict or not isinstance(like, MutableMapping):
        return content
    clone = copy.copy(like)
    clone.update(content)
    return clone


def _rebuild_sequence(like: Sequence[Any], content: list[Any]) -> Any:
    if hasattr(like, "_fields"):
        return type(like)(*content)
    return tuple(content) if isinstance(like, tuple) else content


def _check_kind(batch: Sequence[Any], kinds: tuple[type, ...], path: str) -> Sequence[Any]:
    for position, value in enumerate(batch):
        if not isinstance(value, kinds):
            both = f"{type(batch[0]).__name__} and {type(value).__name__} together (samples 0 and {position})"
            raise _cannot_collate(both, path)
    return batch


def _cannot_collate(found: str, path: str) -> TypeError:
    return TypeError(_CANNOT_COLLATE.format(found=found, where=_where(path)))


def _where(path: str) -> str:
    return f" at sample{path}" if path else ""
