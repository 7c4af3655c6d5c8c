"""Legacy names of sparse tensor types, such as ``flambeau.sparse.FloatTensor``."""

from __future__ import annotations

from typing import Any

from flambeau import _core
from flambeau._core import Size, Tensor
from flambeau._tensor_types import TENSOR_TYPES
from flambeau.sparse._construction import sparse_coo_tensor
from flambeau.sparse._coo import CooTensor


class sparsetensortype:
    """Legacy sparse tensor type of one dtype. It can be called as a constructor and supports ``isinstance``.

    >>> i, v = flambeau.tensor([[0, 1]]), flambeau.tensor([1.0, 2.0])
    >>> s = flambeau.sparse.FloatTensor(i, v, flambeau.Size([3]))
    >>> s.to_dense(), isinstance(s, flambeau.sparse.DoubleTensor)
    (tensor([1., 2., 0.]), False)
    """

    is_sparse = True

    def __init__(self, name: str, dtype: Any, is_cuda: bool = False) -> None:
        self.__name__ = self.__qualname__ = name
        self.__module__ = "flambeau.cuda.sparse" if is_cuda else "flambeau.sparse"
        self.dtype = dtype
        self.is_cuda = is_cuda

    @property
    def layout(self) -> _core.layout:
        """The layout of the elements: flambeau.sparse_coo."""
        return _core.sparse_coo

    def __call__(self, *args: Any, device: Any = None) -> CooTensor:
        where = "cuda" if self.is_cuda and device is None else device
        if len(args) >= 2 and isinstance(args[0], Tensor):
            size = None if len(args) == 2 else args[2]
            return sparse_coo_tensor(args[0], args[1], size, device=where)
        if len(args) == 1 and isinstance(args[0], list):
            raise TypeError("SparseTensor.new(sequence) only accepts sizes. Please use sparse_coo_tensor().")
        size = args[0] if len(args) == 1 and isinstance(args[0], (Size, tuple)) else args
        if not all(isinstance(length, int) for length in size):
            kinds = ", ".join(type(arg).__name__ for arg in args)
            raise TypeError(f"expected indices and values, or the sizes of an empty tensor, got ({kinds})")
        return sparse_coo_tensor(size or (0,), dtype=self.dtype, device=where)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, CooTensor) and instance.dtype is self.dtype and instance.is_cuda == self.is_cuda

    def __repr__(self) -> str:
        return f"<class '{self.__module__}.{self.__name__}'>"


LEGACY_TYPES = {name: sparsetensortype(name, kind.dtype) for name, kind in TENSOR_TYPES.items()}
