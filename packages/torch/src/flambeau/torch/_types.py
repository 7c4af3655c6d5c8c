"""Module ``torch.types``: the aliases of `flambeau.types`, and aliases for symbolic numbers and PyTorch's internals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from flambeau import Size, SymBool, SymFloat, SymInt, Tensor, types
from flambeau.torch import _absent, _interface

if TYPE_CHECKING:
    from flambeau.autograd.graph import GradientEdge
    from flambeau.torch._dispatcher import DispatchKey

__all__ = types.__all__

IntLikeType: TypeAlias = int | SymInt
FloatLikeType: TypeAlias = float | SymFloat
BoolLikeType: TypeAlias = bool | SymBool
PySymType: TypeAlias = SymInt | SymFloat | SymBool
py_sym_types = (SymInt, SymFloat, SymBool)  # for isinstance
_symsize: TypeAlias = Size | Sequence[int | SymInt]
_dispatchkey: TypeAlias = Union[str, "DispatchKey"]
_qscheme = _absent.stand_in("torch.qscheme", _interface.Entry("class", "torch"))
_TensorOrTensorsOrGradEdge: TypeAlias = Union[Tensor, Sequence[Tensor], "GradientEdge", Sequence["GradientEdge"]]


def __getattr__(name: str) -> Any:
    return getattr(types, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(types)})
