"""The names of objects in PyTorch's files, for reading and writing."""

from __future__ import annotations

from functools import cache
from typing import Any, NoReturn

import flambeau
from flambeau._numbers import SMALL_FLOATS
from flambeau._storage_types import STORAGE_DTYPES


class Name:
    """Global name in a pickle, without a corresponding object. `of` returns the same instance for the same name."""

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    @staticmethod
    @cache
    def of(module: str, name: str) -> Name:
        return Name(module, name)

    def __call__(self, *args: Any) -> NoReturn:  # the pickler can write a call only if the object is callable
        raise TypeError(f"{self.module}.{self.name} is only a name in a file and cannot be called")


REBUILD_TENSOR = Name.of("torch._utils", "_rebuild_tensor_v2")
REBUILD_TENSOR_OF_DTYPE = Name.of("torch._utils", "_rebuild_tensor_v3")
REBUILD_ON_META = Name.of("torch._utils", "_rebuild_meta_tensor_no_storage")
REBUILD_PARAMETER = Name.of("torch._utils", "_rebuild_parameter")
REBUILD_PARAMETER_WITH_STATE = Name.of("torch._utils", "_rebuild_parameter_with_state")
REBUILD_FROM_TYPE = Name.of("torch._tensor", "_rebuild_from_type_v2")
TENSOR = Name.of("torch", "Tensor")
SIZE = Name.of("torch", "Size")
DEVICE = Name.of("torch", "device")
LAYOUT = Name.of("torch.serialization", "_get_layout")
UNTYPED_STORAGE = Name.of("torch.storage", "UntypedStorage")

STORAGE_OF = {dtype: Name.of("torch", name) for name, dtype in STORAGE_DTYPES.items()}

_DTYPES = (
    *("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)
DTYPES: dict[str, Any] = {name: getattr(flambeau, name) for name in _DTYPES}
DTYPES |= {str(dtype).rpartition(".")[2]: dtype for dtype in SMALL_FLOATS}
MEMORY_FORMATS = ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")


def of_constant(constant: Any) -> Name:
    """Return the name of a dtype or memory format, such as ``torch.float32`` for ``flambeau.float32``."""
    return Name.of("torch", own_name(constant))


def own_name(constant: Any) -> str:
    """Return the name of a dtype, layout or memory format without its module, such as ``float32``."""
    return str(constant).rpartition(".")[2]
