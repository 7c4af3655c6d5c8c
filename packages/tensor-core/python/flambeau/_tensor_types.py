"""Legacy tensor types of one dtype: ``FloatTensor``, ``LongTensor`` and so on."""

import operator
from typing import Any, Union

from flambeau import _core
from flambeau._core import Tensor

_NAMES = {
    "BoolTensor": _core.bool,
    "ByteTensor": _core.uint8,
    "CharTensor": _core.int8,
    "ShortTensor": _core.int16,
    "IntTensor": _core.int32,
    "LongTensor": _core.int64,
    "UInt16Tensor": _core.uint16,
    "UInt32Tensor": _core.uint32,
    "UInt64Tensor": _core.uint64,
    "HalfTensor": _core.float16,
    "BFloat16Tensor": _core.bfloat16,
    "FloatTensor": _core.float32,
    "DoubleTensor": _core.float64,
    "ComplexFloatTensor": _core.complex64,
    "ComplexDoubleTensor": _core.complex128,
}
_NAME_OF = {dtype: name for name, dtype in _NAMES.items()}


class tensortype:
    """Legacy tensor type of one dtype on the CPU or GPU. It can be called and supports ``isinstance``.

    >>> import flambeau
    >>> flambeau.LongTensor([1, 2])
    tensor([1, 2])
    >>> isinstance(flambeau.zeros(2), flambeau.FloatTensor)
    True
    """

    is_sparse = False

    def __init__(self, name: str, dtype: _core.dtype, is_cuda: bool = False) -> None:
        self.__name__ = self.__qualname__ = name
        self.__module__ = "flambeau.cuda" if is_cuda else "flambeau"
        self.dtype = dtype
        self.is_cuda = is_cuda

    @property
    def layout(self) -> _core.layout:
        """The layout of the elements: flambeau.strided."""
        return _core.strided

    def __call__(self, *args: Any, device: Any = None) -> Tensor:
        return legacy_construct(self.dtype, args, "cuda" if self.is_cuda and device is None else device)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is self.dtype and instance.is_cuda == self.is_cuda

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        raise TypeError(f"type '{self.__module__}.{self.__name__}' is not an acceptable base type")

    def __or__(self, other: Any) -> object:
        return Union[self, other]  # noqa: UP007  # for annotations, since this object is not a type

    def __ror__(self, other: Any) -> object:
        return Union[other, self]  # noqa: UP007

    def __repr__(self) -> str:
        return f"<class '{self.__module__}.{self.__name__}'>"

    def __reduce__(self) -> str:
        return self.__name__


def _is_one_size(value: Any) -> bool:
    """Return True for an integer, which may be a scalar or an array without dimensions of NumPy."""
    if isinstance(value, bool | Tensor):
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def legacy_construct(dtype: _core.dtype, args: tuple[Any, ...], device: Any = None) -> Tensor:
    """Create an uninitialised tensor, ``Tensor(2, 3)`` or ``Tensor(size)``, or one with given data, ``Tensor(data)``.

    ``Tensor(tensor)`` and ``Tensor(storage)`` share the memory of their argument.
    """
    if not args:
        return _core.empty(0, dtype=dtype, device=device)
    first = args[0]
    if len(args) > 1 and not all(hasattr(each, "__index__") for each in args):
        raise TypeError(
            f"new(): received an invalid combination of arguments - got ({', '.join(type(a).__name__ for a in args)}), "
            "but expected integers, or one argument: a size, a sequence of numbers, a tensor or a storage"
        )
    if len(args) > 1 or isinstance(first, _core.Size) or _is_one_size(first):
        return _core.empty(*args, dtype=dtype, device=device)
    if isinstance(first, Tensor):
        if first.dtype is not dtype:
            raise TypeError(f"expected a tensor of dtype {dtype}, got {first.dtype}")
        if device is not None:
            raise RuntimeError(
                "Tensor(tensor, device=...) is not supported; use flambeau.as_tensor(tensor, device=...)"
            )
        return first.view_as(first)
    if hasattr(first, "untyped"):  # a storage, whose memory the tensor shares
        return _core.empty(0, dtype=dtype, device=first.device).set_(first)
    if isinstance(first, str):
        raise TypeError("new(): invalid data type 'str'")
    if not hasattr(first, "__len__"):
        raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
    return _core.tensor(first, dtype=dtype, device=device)


# As in PyTorch, no tensor types exist for these names.
_UNSUPPORTED_NAMES = ("UInt16Tensor", "UInt32Tensor", "UInt64Tensor", "ComplexFloatTensor", "ComplexDoubleTensor")
TENSOR_TYPES = {name: tensortype(name, dtype) for name, dtype in _NAMES.items() if name not in _UNSUPPORTED_NAMES}
CUDA_TENSOR_TYPES = {name: tensortype(name, kind.dtype, True) for name, kind in TENSOR_TYPES.items()}


def name_of(tensor: Tensor) -> str:
    """Return the legacy type name of a tensor: ``flambeau.FloatTensor`` for float32 on the CPU."""
    return f"{_core._library_name()}.{'cuda.' if tensor.is_cuda else ''}{_NAME_OF[tensor.dtype]}"


def type_named(name: str) -> tuple[_core.dtype, bool]:
    """Return the dtype of a type name, such as "torch.FloatTensor", and True for a GPU type. Else raise ValueError."""
    module, _, short = name.rpartition(".")
    if module not in ("flambeau", "flambeau.cuda", "torch", "torch.cuda") or short not in _NAMES:
        raise ValueError(f"invalid type: {name!r}")
    return _NAMES[short], module.endswith(".cuda")
