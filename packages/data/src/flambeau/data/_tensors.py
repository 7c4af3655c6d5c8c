"""The one place that knows whether tensor-core is installed.

Without it ``flambeau`` is an implicit namespace (it has no file) and NumPy arrays take the place of tensors everywhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from . import _shared_memory

# Imported by name, so that type checkers need no tensor-core either.
_flambeau: Any = importlib.import_module("flambeau")

HAS_TENSORS = getattr(_flambeau, "__file__", None) is not None

# What one column of a batch may be: a flambeau tensor, or an array.
Column: TypeAlias = Any

# For isinstance: nothing is a tensor where tensor-core is absent.
TENSOR_TYPES: tuple[type, ...] = (_flambeau.Tensor,) if HAS_TENSORS else ()

ARRAY_TYPES = (np.ndarray, *TENSOR_TYPES)

# What tensors are made of, by NumPy's name for it.
_DTYPES: dict[np.dtype[Any], Any] = (
    {np.dtype(name): getattr(_flambeau, name) for name in ("float32", "float64", "uint8", "int64")}
    if HAS_TENSORS
    else {}
)

default_generator: Any = _flambeau.default_generator if HAS_TENSORS else None


def suggest_names(module: str) -> None:
    """Let errors about unknown names of a module suggest similar ones, if tensor-core is installed."""
    if HAS_TENSORS:
        importlib.import_module("flambeau._suggestions").suggest_names(module)


def is_tensor(value: Any) -> bool:
    return isinstance(value, TENSOR_TYPES)


def from_array(array: np.ndarray) -> Column:
    """The array as a tensor where there are tensors: sharing its memory if that may be written, else a copy."""
    if not HAS_TENSORS:
        return array
    shareable = array.flags.writeable and all(stride >= 0 for stride in array.strides)
    return _flambeau.from_numpy(array if shareable else array.copy())


def wrap(array: np.ndarray) -> Column:
    """An array that nobody else has, as a tensor where there are tensors."""
    return _flambeau.from_numpy(array) if HAS_TENSORS else array


def stack(columns: Sequence[Column]) -> Column:
    """The columns along a leading dimension; in a worker, in memory that the loader reads."""
    first = columns[0]
    if isinstance(first, TENSOR_TYPES):
        memory = None if any(column.requires_grad for column in columns) else _memory(len(columns), first)
        return _flambeau.stack(list(columns)) if memory is None else _flambeau.stack(list(columns), out=memory)
    dtypes = {column.dtype for column in columns}
    dtype: np.dtype[Any] = first.dtype if len(dtypes) == 1 else np.result_type(*dtypes)
    result, array = _empty((len(columns), *first.shape), dtype)
    if first.ndim:
        joined = array.reshape(len(columns) * first.shape[0], *first.shape[1:])
        np.concatenate(columns, out=joined)  # half the overhead of numpy.stack
    else:
        np.stack(columns, out=array)
    return result


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Column, np.ndarray]:
    """A column to be filled, and the array over its memory: in a worker, memory that the loader reads."""
    array = _shared_memory.empty(shape, dtype)
    if array is None and dtype in _DTYPES:
        column = _flambeau.empty(shape, dtype=_DTYPES[dtype])  # used again, where NumPy's are fresh from the system
        return column, column.numpy()
    array = np.empty(shape, dtype) if array is None else array
    return wrap(array), array


def take(column: Column, rows: np.ndarray) -> Column:
    """The rows at these indices, by one indexing operation; in a worker, in memory that the loader reads.

    Raises: IndexError for an index out of range.
    """
    if is_tensor(column):
        return column[_flambeau.from_numpy(rows)]
    values = np.asarray(column)
    memory = _shared_memory.empty((len(rows), *values.shape[1:]), values.dtype)
    return values[rows] if memory is None else np.take(values, rows, axis=0, out=memory)


def _memory(count: int, like: Column) -> Column | None:
    """Memory of a worker's for ``count`` tensors like one, if there is any."""
    if like.device.type != "cpu" or like.dtype is _flambeau.bfloat16:
        return None
    values = like.detach().numpy()
    array = _shared_memory.empty((count, *values.shape), values.dtype)
    return None if array is None else _flambeau.from_numpy(array)


def take_apart(tensor: Column) -> Any:
    """How to pickle a tensor: a function and its arguments, one of which is an array over the tensor's memory."""
    if tensor.__dict__ or tensor.device.type != "cpu":
        return NotImplemented
    values = tensor.detach().contiguous()
    half = values.dtype is _flambeau.bfloat16
    return _put_together, ((values.view(_flambeau.int16) if half else values).numpy(), half, tensor.requires_grad)


def _put_together(values: np.ndarray, half: bool, requires_grad: bool) -> Column:
    tensor = _flambeau.from_numpy(values)
    tensor = tensor.view(_flambeau.bfloat16) if half else tensor
    return tensor.requires_grad_() if requires_grad else tensor


def draws_as_pytorch(generator: Any = None) -> bool:
    """Return True if a generator, flambeau's default one if None, draws PyTorch's numbers."""
    return getattr(default_generator if generator is None else generator, "algorithm", None) == "mt19937"


def draw_as_pytorch() -> None:
    """Let flambeau's generators draw PyTorch's numbers in this process."""
    _flambeau.random.use_pytorch_streams()


def draw_integer(high: int, generator: object) -> int:
    """One number in ``[0, high)`` from a ``flambeau.Generator``, or from flambeau's default one if None."""
    return int(_flambeau.randint(0, high, (1,), generator=generator).item())


def draw_long(generator: object) -> int:
    """Draw a seed as PyTorch's samplers and loaders do: any int64 that is not negative."""
    return int(_flambeau.empty((), dtype=_flambeau.int64).random_(generator=generator).item())


class PyTorchDraws:
    """Orders and choices as PyTorch's samplers draw them, with the methods of NumPy's generators that those here use.

    Args:
        generator: a ``flambeau.Generator`` or None, the default one, that draws PyTorch's numbers.
    """

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    @classmethod
    def seeded(cls, seed: int) -> PyTorchDraws:
        """Draw from a generator that nothing else draws from."""
        return cls(_flambeau.Generator().manual_seed(seed))

    def permutation(self, size: int) -> np.ndarray:
        order: np.ndarray = _flambeau.randperm(size, generator=self._generator).numpy()
        return order

    def integers(self, high: int, size: int) -> np.ndarray:
        drawn: np.ndarray = _flambeau.randint(0, high, (size,), generator=self._generator).numpy()
        return drawn

    def choice(self, weights: np.ndarray, size: int, replace: bool) -> np.ndarray:
        given = _flambeau.from_numpy(weights)
        drawn: np.ndarray = _flambeau.multinomial(given, size, replace, generator=self._generator).numpy()
        return drawn


def state_of(generator: Any) -> tuple[Any, Any]:
    """Return all there is to a ``flambeau.Generator``, in Python's types: the seed and how far its numbers were read,
    or the name of PyTorch's algorithm and the state.
    """
    if generator.algorithm == "mt19937":
        return "mt19937", generator.get_state().numpy().tobytes().hex()
    return generator.initial_seed(), generator.get_offset()


def set_state(generator: Any, state: Sequence[Any]) -> None:
    """Set a ``flambeau.Generator`` to what ``state_of`` returned."""
    kind, value = state
    if kind == "mt19937":
        generator.set_state(_flambeau.from_numpy(np.frombuffer(bytearray.fromhex(value), dtype=np.uint8)))
    else:
        counters = np.array([kind, value], dtype=np.uint64).view(np.uint8)
        generator.set_state(_flambeau.from_numpy(counters))


def seed_this_thread(seed: int) -> None:
    """Let flambeau's random numbers in the calling thread begin here, and nowhere else."""
    if HAS_TENSORS:
        _flambeau._core._seed_this_thread(seed)


def obstacle_to_pinning() -> str:
    """Why batches cannot lie in pinned memory; empty where they can."""
    if not HAS_TENSORS:
        return "flambeau-tensor-core is not installed"
    return "" if _flambeau.cuda.is_available() else str(_flambeau._core._cuda_obstacle())


def use_one_thread() -> None:
    """Leave the other cores to the other workers."""
    if HAS_TENSORS:
        _flambeau.set_num_threads(1)
