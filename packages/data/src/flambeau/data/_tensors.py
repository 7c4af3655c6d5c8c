"""Access to tensor-core, if it is installed.

Without tensor-core, ``flambeau`` is a namespace package (it has no file), and NumPy arrays replace tensors.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from . import _shared_memory, worker

# Import by name, so that type checkers do not need tensor-core.
_flambeau: Any = importlib.import_module("flambeau")

HAS_TENSORS = getattr(_flambeau, "__file__", None) is not None

# A column of a batch: a flambeau tensor or a NumPy array.
Column: TypeAlias = Any

# Types for isinstance; empty if tensor-core is not installed.
TENSOR_TYPES: tuple[type, ...] = (_flambeau.Tensor,) if HAS_TENSORS else ()

ARRAY_TYPES = (np.ndarray, *TENSOR_TYPES)

# Dictionary from NumPy's dtypes to flambeau's dtypes.
_DTYPES: dict[np.dtype[Any], Any] = (
    {np.dtype(name): getattr(_flambeau, name) for name in ("float32", "float64", "uint8", "int64")}
    if HAS_TENSORS
    else {}
)

default_generator: Any = _flambeau.default_generator if HAS_TENSORS else None


def suggest_names(module: str) -> None:
    """If tensor-core is installed, make errors about unknown names of a module suggest similar names."""
    if HAS_TENSORS:
        importlib.import_module("flambeau._suggestions").suggest_names(module)


def is_tensor(value: Any) -> bool:
    return isinstance(value, TENSOR_TYPES)


def from_array(array: np.ndarray) -> Column:
    """If tensor-core is installed, convert an array to a tensor.

    The tensor shares the memory of a writeable array without negative strides. Other arrays are copied.
    """
    if not HAS_TENSORS:
        return array
    shareable = array.flags.writeable and all(stride >= 0 for stride in array.strides)
    return _flambeau.from_numpy(array if shareable else array.copy())


def wrap(array: np.ndarray) -> Column:
    """If tensor-core is installed, convert an array to a tensor that shares its memory.

    The caller must not use the array afterwards.
    """
    return _flambeau.from_numpy(array) if HAS_TENSORS else array


def stack(columns: Sequence[Column]) -> Column:
    """Stack columns along a new first dimension. In a worker, the result is in shared memory."""
    stacked = _stack(columns)
    if HAS_TENSORS and worker._worker_info is not None:  # a program that starts workers itself sets this
        return stacked.share_memory_()
    return stacked


def _stack(columns: Sequence[Column]) -> Column:
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
    """Return a new column, and an array that shares its memory. In a worker, they are in shared memory."""
    array = _shared_memory.empty(shape, dtype)
    if array is None and dtype in _DTYPES:
        column = _flambeau.empty(shape, dtype=_DTYPES[dtype])  # flambeau reuses freed memory
        return column, column.numpy()
    array = np.empty(shape, dtype) if array is None else array
    return wrap(array), array


def take(column: Column, rows: np.ndarray) -> Column:
    """Return the rows at the given indices with one indexing operation. In a worker, an array is in shared memory.

    Raises: IndexError if an index is out of range.
    """
    if is_tensor(column):
        return column[_flambeau.from_numpy(rows)]
    values = np.asarray(column)
    memory = _shared_memory.empty((len(rows), *values.shape[1:]), values.dtype)
    return values[rows] if memory is None else np.take(values, rows, axis=0, out=memory)


def _memory(count: int, like: Column) -> Column | None:
    """Allocate a tensor in shared memory for ``count`` stacked tensors like ``like``. Return None if not possible."""
    if like.device.type != "cpu" or like.dtype is _flambeau.bfloat16:
        return None
    values = like.detach().numpy()
    array = _shared_memory.empty((count, *values.shape), values.dtype)
    return None if array is None else _flambeau.from_numpy(array)


def reduce_tensor(tensor: Column) -> Any:
    """Return the function and the arguments with which pickle rebuilds a CPU tensor.

    The values are passed as an array that shares the memory of the tensor.
    """
    if tensor.__dict__ or tensor.device.type != "cpu":
        return NotImplemented
    values = tensor.detach().contiguous()
    half = values.dtype is _flambeau.bfloat16
    return _join_half, ((values.view(_flambeau.int16) if half else values).numpy(), half, tensor.requires_grad)


def _join_half(values: np.ndarray, half: bool, requires_grad: bool) -> Column:
    tensor = _flambeau.from_numpy(values)
    tensor = tensor.view(_flambeau.bfloat16) if half else tensor
    return tensor.requires_grad_() if requires_grad else tensor


def draws_as_pytorch(generator: Any = None) -> bool:
    """Return True if a generator (default: flambeau's default generator) produces the same numbers as PyTorch."""
    return getattr(default_generator if generator is None else generator, "algorithm", None) == "mt19937"


def draw_as_pytorch() -> None:
    """Make flambeau's generators produce the same numbers as PyTorch in this process."""
    _flambeau.random.use_pytorch_streams()


def draw_integer(high: int, generator: object) -> int:
    """Draw an int in ``[0, high)`` from a ``flambeau.Generator``, or from the default generator if it is None."""
    return int(_flambeau.randint(0, high, (1,), generator=generator).item())


def draw_long(generator: object) -> int:
    """Draw a seed as PyTorch's samplers and loaders do. The seed is a non-negative int64."""
    return int(_flambeau.empty((), dtype=_flambeau.int64).random_(generator=generator).item())


class PyTorchDraws:
    """Source of permutations and choices that draws like PyTorch's samplers, with the interface of NumPy's generators.

    Args:
        generator: a ``flambeau.Generator`` that produces PyTorch's numbers, or None for the default generator.
    """

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    @classmethod
    def seeded(cls, seed: int) -> PyTorchDraws:
        """Return an instance with a new generator that is seeded with ``seed``."""
        return cls(_flambeau.Generator().manual_seed(seed))

    def permutation(self, size: int) -> np.ndarray:
        order: np.ndarray = _flambeau.randperm(size, generator=self._generator).numpy()
        return order

    def integers(self, high: int, size: int) -> np.ndarray:
        drawn: np.ndarray = _flambeau.randint(0, high, (size,), generator=self._generator).numpy()
        return drawn

    def choice(self, weights: np.ndarray, size: int, replace: bool) -> np.ndarray:
        tensor = _flambeau.from_numpy(weights)
        drawn: np.ndarray = _flambeau.multinomial(tensor, size, replace, generator=self._generator).numpy()
        return drawn


def state_of(generator: Any) -> tuple[Any, Any]:
    """Return the state of a ``flambeau.Generator``, made of Python's built-in types.

    The state is the seed and the offset, or the name ``"mt19937"`` of PyTorch's algorithm and its state in hexadecimal.
    """
    if generator.algorithm == "mt19937":
        return "mt19937", generator.get_state().numpy().tobytes().hex()
    return generator.initial_seed(), generator.get_offset()


def set_state(generator: Any, state: Sequence[Any]) -> None:
    """Set the state of a ``flambeau.Generator`` to the result of ``state_of``."""
    kind, value = state
    if kind == "mt19937":
        generator.set_state(_flambeau.from_numpy(np.frombuffer(bytearray.fromhex(value), dtype=np.uint8)))
    else:
        counters = np.array([kind, value], dtype=np.uint64).view(np.uint8)
        generator.set_state(_flambeau.from_numpy(counters))


def seed_this_thread(seed: int) -> None:
    """Seed flambeau's random number generator of the calling thread."""
    if HAS_TENSORS:
        _flambeau._core._seed_this_thread(seed)


def obstacle_to_pinning() -> str:
    """Return the reason why batches cannot be pinned, or an empty string if they can be pinned."""
    if not HAS_TENSORS:
        return "flambeau-tensor-core is not installed"
    return "" if _flambeau.cuda.is_available() else str(_flambeau._core._cuda_obstacle())


def use_one_thread() -> None:
    """Make flambeau use one thread, so that workers do not compete for cores."""
    if HAS_TENSORS:
        _flambeau.set_num_threads(1)
