"""The functions that a PyTorch file can call. Each builds a value from values and has no other effect.

A file may call them with any arguments. Therefore they verify their arguments and raise FormatError, TypeError or
ValueError.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NoReturn

import flambeau
from flambeau import Size, Tensor, _extension_points
from flambeau._methods import set_attributes
from flambeau.storage import TypedStorage, UntypedStorage

from .errors import ForeignFormatError, FormatError


class StorageType:
    """Storage type that a file names. ``dtype`` is None for an untyped storage."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    @property
    def itemsize(self) -> int:
        return 1 if self.dtype is None else self.dtype.itemsize


# Actions that need the elements of storages. In the old format, the elements follow the pickle.
_deferred_actions: ContextVar[list[Callable[[], Any]] | None] = ContextVar("waiting", default=None)


@contextmanager
def elements_read_later() -> Iterator[list[Callable[[], Any]]]:
    """Collect the actions that need elements during the block. The caller runs them after it has read the elements."""
    actions: list[Callable[[], Any]] = []
    token = _deferred_actions.set(actions)
    try:
        yield actions
    finally:
        _deferred_actions.reset(token)


def _run_after_reading(action: Callable[[], Any]) -> None:
    actions = _deferred_actions.get()
    if actions is None:
        action()
    else:
        actions.append(action)


def _tensor(storage: Any, dtype: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, metadata: Any) -> Tensor:
    if not isinstance(storage, UntypedStorage):
        raise FormatError(f"damaged: a tensor has {type(storage).__name__} instead of a storage")
    if not isinstance(dtype, flambeau.dtype):
        raise FormatError(f"damaged: a tensor has {dtype!r} instead of a dtype")
    if storage.device.type == "meta":
        return tensor_on_meta(dtype, size, stride, requires_grad)
    result = flambeau.empty(0, dtype=dtype).set_(storage, offset, size, stride)
    if dtype is flambeau.bool:
        _run_after_reading(partial(_normalize_bools, storage))
    if isinstance(metadata, dict) and (metadata.get("conj") or metadata.get("neg")):
        stored, result = result, flambeau.empty_like(result)
        _run_after_reading(partial(_copy_resolved, stored, result, metadata))
    return _with_grad(result, requires_grad)


def _with_grad(result: Tensor, requires_grad: Any) -> Tensor:
    """Make the tensor require grad if the file says so and flambeau-autograd is installed."""
    if requires_grad and (require := _extension_points.available("require_grad")) is not None:
        require(result)
    return result


def _normalize_bools(storage: UntypedStorage) -> None:
    """Replace every nonzero byte by 1, because other values are undefined in a bool tensor."""
    numbers = storage._bytes
    if bool((numbers > 1).any()):
        numbers.copy_(numbers != 0)


def _copy_resolved(stored: Tensor, target: Tensor, metadata: dict[str, Any]) -> None:
    """Copy ``stored`` to ``target``, with the conjugation and negation that PyTorch stores as flags of a lazy view."""
    values = stored.conj() if metadata.get("conj") else stored
    with flambeau.no_grad():
        target.copy_(-values if metadata.get("neg") else values)


def tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """Implement `_rebuild_tensor` of PyTorch before 0.4."""
    return tensor_v2(storage, offset, size, stride, False)


def tensor_v2(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any = None, metadata: Any = None
) -> Tensor:
    """Build a tensor that uses a typed storage."""
    if not isinstance(storage, TypedStorage):
        raise FormatError(f"damaged: a tensor has {type(storage).__name__} instead of a storage")
    return _tensor(storage.untyped(), storage.dtype, offset, size, stride, requires_grad, metadata)


def tensor_v3(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    """Build a tensor that uses an untyped storage."""
    return _tensor(storage, dtype, offset, size, stride, requires_grad, metadata)


def tensor_on_meta(dtype: Any, size: Any, stride: Any, requires_grad: Any) -> Tensor:
    """Build a tensor on the meta device, without elements."""
    return _with_grad(flambeau.empty_strided(size, stride, dtype=dtype, device="meta"), requires_grad)


def parameter(data: Any, requires_grad: Any, hooks: Any = None) -> Tensor:
    """Build a Parameter if flambeau-nn is installed, otherwise return the tensor."""
    if not isinstance(data, Tensor):
        raise FormatError(f"damaged: a Parameter has {type(data).__name__} instead of a tensor")
    kind = parameter_type()
    result: Tensor = data if kind is Tensor else kind(data, bool(requires_grad))
    return result


def parameter_with_state(data: Any, requires_grad: Any, hooks: Any, state: Any) -> Tensor:
    """Build a Parameter with attributes."""
    return _with_attributes(parameter(data, requires_grad), state)


def parameter_type() -> type[Tensor]:
    """Return flambeau.nn.Parameter, or Tensor if flambeau-nn is not installed."""
    return _extension_points.available("Parameter") or Tensor


def buffer_type() -> Callable[..., Tensor]:
    """Return flambeau.nn.Buffer, or Tensor if flambeau-nn is not installed."""
    return _extension_points.available("Buffer") or Tensor


def from_type(rebuild: Any, kind: Any, args: Any, state: Any) -> Tensor:
    """Build a tensor with ``rebuild(*args)``, convert it to the class ``kind``, and set its attributes.

    The caller has verified that ``rebuild`` and ``kind`` are allowed.
    """
    result = rebuild(*args)
    if not isinstance(result, Tensor):
        raise FormatError(f"damaged: it has {type(result).__name__} instead of a tensor")
    if kind is not Tensor and type(result) is not kind:
        result = Tensor._make_subclass(kind, result, result.requires_grad)
    return _with_attributes(result, state)


def _with_attributes(result: Tensor, state: Any) -> Tensor:
    if isinstance(state, tuple) and len(state) == 2:  # the attributes of __dict__ and of __slots__
        set_attributes(result, {**names(state[0] or {}), **names(state[1] or {})})
    elif state is not None:
        result.__dict__.update(names(state))
    return result


def names(state: Any) -> dict[str, Any]:
    """Return ``state`` if it is a valid dictionary of attributes. Otherwise raise FormatError."""
    if not isinstance(state, dict) or not all(type(name) is str for name in state):
        raise FormatError(
            f"damaged: expected a dictionary of attributes with names as keys, got {type(state).__name__}"
        )
    return state


def size(dimensions: Any = ()) -> Size:
    """Build a Size."""
    if not all(type(length) is int and 0 <= length < 2**63 for length in dimensions):
        raise FormatError(f"damaged: a shape has the sizes {dimensions!r}")
    return Size(dimensions)


def device(*args: Any) -> flambeau.device:
    """Build a device."""
    return flambeau.device(*args)


def layout(name: Any) -> flambeau.layout:
    """Return the layout of a name such as ``torch.strided``."""
    kinds = ("strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc")
    known = {f"torch.{kind}": kind for kind in kinds}
    if name not in known:
        raise ForeignFormatError(f"it holds tensors of the layout {name!r}, which flambeau does not have")
    value: flambeau.layout = getattr(flambeau, known[name])
    return value


def encoded(text: Any, encoding: Any) -> bytes:
    """Convert latin1 text to bytes, because pickle protocol 2 stores bytes as text."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise FormatError("damaged: bytes are not written as text in latin1")
    return text.encode("latin1")


def byte_array(content: Any = b"", encoding: Any = "latin1") -> bytearray:
    """Build a bytearray from bytes. Reject a number, because bytearray(number) would allocate that many bytes."""
    return bytearray(content if type(content) is bytes else encoded(content, encoding))


def ordered_dict(items: Any = ()) -> OrderedDict[Any, Any]:
    """Build an OrderedDict."""
    return OrderedDict(items)


def counter(items: Any = None) -> Counter[Any]:
    """Build a Counter."""
    if not (items is None or isinstance(items, dict)):
        raise FormatError(f"damaged: a Counter has {type(items).__name__} instead of a dictionary")
    return Counter(items or {})


FACTORIES = (dict, float, int, list, set, str, bool, tuple, OrderedDict)


def default_dict(factory: Any = None, items: Any = ()) -> defaultdict[Any, Any]:
    """Build a defaultdict with an allowed factory."""
    if factory is not None and not any(factory is kind for kind in FACTORIES):
        raise FormatError(f"it holds a defaultdict with the default factory {factory!r}, which is not allowed")
    return defaultdict(factory, items)


def set_of(items: Any = ()) -> set[Any]:
    """Build a set."""
    return set(items)


def frozenset_of(items: Any = ()) -> frozenset[Any]:
    """Build a frozenset."""
    return frozenset(items)


def number(real: Any, imaginary: Any) -> complex:
    """Build a complex number."""
    return complex(float(real), float(imaginary))


def quantized(*args: Any) -> NoReturn:
    """Raise ForeignFormatError: flambeau does not have quantized tensors."""
    raise ForeignFormatError("it holds quantized tensors, which flambeau does not have")


def sparse(layout: Any, parts: Any) -> Tensor:
    """Build a sparse tensor and verify that its parts match."""
    if not (isinstance(parts, tuple) and len(parts) in (3, 4) and isinstance(layout, flambeau.layout)):
        raise FormatError("damaged: a sparse tensor lacks its indices, values or size")
    tensors, sizes = (parts[:2], parts[2]) if layout is flambeau.sparse_coo else (parts[:3], parts[-1])
    if not (all(type(part) is Tensor for part in tensors) and isinstance(sizes, Size)):
        raise FormatError("damaged: the parts of a sparse tensor are not tensors")
    result = _sparse(layout, parts, verified=_deferred_actions.get() is None)
    if _deferred_actions.get() is not None:
        _run_after_reading(partial(_sparse, layout, parts, verified=True))
    return result


def _sparse(layout: Any, parts: Any, verified: bool) -> Tensor:
    from flambeau.sparse._pickling import rebuilt_from_file

    try:
        return rebuilt_from_file(layout, parts, verified)
    except RuntimeError as error:
        raise FormatError(f"damaged: the parts of a sparse tensor do not match: {error}") from error


def nested(*args: Any) -> NoReturn:
    """Raise ForeignFormatError: flambeau does not have nested tensors."""
    raise ForeignFormatError("it holds nested tensors, which flambeau does not have")
