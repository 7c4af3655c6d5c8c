"""The base class of sparse tensors of all layouts, and the dispatch of operators to sparse implementations.

Note [Sparse tensors]
A sparse tensor is an instance of a subclass of Tensor. It stores its indices and values as dense tensors in slots. The
base class holds a meta tensor of the same size and dtype, which has no memory. `__torch_function__` receives every
operator call and looks up the implementation in `IMPLEMENTATIONS`, a table from operator names to functions. These
functions use operators on the values, which provide the derivatives: a sparse tensor requires grad if its values
require grad, and its ``.grad`` contains the gradient of the values. An operator that is not in the table raises
NotImplementedError. Only `to_dense` and operators with a dense result create dense tensors.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, Self, TypeVar, cast, overload

from flambeau import _core
from flambeau._core import Size, Tensor

Function = TypeVar("Function", bound=Callable[..., Any])
T = TypeVar("T", bound=Tensor)

# Maps operator names to functions. Attributes of Tensor have a leading dot. A function with the name of an operator and
# ``.out`` is called with the value of ``out=`` first. Other results are computed and then copied to ``out=``.
IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {}

NOT_IMPLEMENTED = "{name}: not implemented for tensors of the layout {layout}; use .to_dense() to get a strided tensor"


def implements(*names: str) -> Callable[[Function], Function]:
    """Register a function as the implementation of operators."""

    def put(function: Function) -> Function:
        for name in names:
            if name in IMPLEMENTATIONS:
                raise ValueError(f"two functions are registered for '{name}'")
            IMPLEMENTATIONS[name] = function
        return function

    return put


def shell(kind: type[T], size: Any, dtype: Any) -> T:
    """Create an instance of ``kind`` with unset slots."""
    return Tensor._make_subclass(kind, _core.empty(size, dtype=dtype, device="meta"))


class SparseTensor(Tensor):
    """Base class of sparse tensors. Note [Sparse tensors]."""

    __slots__ = ("_known", "_owner", "_size", "_val")
    _size: Size
    _val: Tensor  # (nnz, *dense sizes)
    _known: dict[str, Any]  # cached data about the indices
    # If this is a gradient: the tensor to which it belongs, and the gradient of that tensor's values.
    _owner: tuple[weakref.ref[SparseTensor], Tensor]

    is_sparse: ClassVar[bool] = False
    is_sparse_csr: ClassVar[bool] = False
    _handles_functions: ClassVar[bool] = False

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__
        if name in ("__get__", "__set__"):
            name = "." + func.__self__.__name__ + ("=" if name == "__set__" else "")
        out = kwargs.pop("out", None) if kwargs else None
        if out is not None and (implementation := IMPLEMENTATIONS.get(f"{name}.out")) is not None:
            return implementation(out, *args, **kwargs)
        if (implementation := IMPLEMENTATIONS.get(name)) is not None:
            result = implementation(*args, **(kwargs or {}))
            return result if out is None else written(out, result)
        if name.endswith("_") and not name.endswith("__") and (implementation := IMPLEMENTATIONS.get(name[:-1])):
            return in_place(name, implementation, *args, **(kwargs or {}))
        if name in _METADATA_ONLY:
            return Tensor.__torch_function__.__func__(Tensor, func, (), args, kwargs)  # type: ignore[attr-defined]
        raise NotImplementedError(NOT_IMPLEMENTED.format(name=name.lstrip("."), layout=_layout_among(args, kwargs)))

    # Methods that each layout implements

    def _like(self, values: Tensor) -> Self:
        """Return a tensor with the same indices and with ``values``, which must match in number and dense sizes."""
        raise NotImplementedError

    def _as_gradient(self, of_values: Tensor) -> SparseTensor:
        """Return the gradient of the tensor, given the gradient of its values. Equal indices have equal gradients."""
        return self._like(of_values)

    def _of_values(self, gradient: Any) -> Tensor:
        """Return the gradient of the values. This is the inverse of `_as_gradient`."""
        if gradient._known is not self._known:  # the gradient has another sparsity pattern
            gradient = IMPLEMENTATIONS["sparse_mask"](gradient, self.detach())
        return gradient._val  # type: ignore[no-any-return]

    def _versions(self) -> Any:
        """Return the version counters of the indices, which change when the indices are modified in place."""
        raise NotImplementedError

    def _elements(self) -> Tensor:
        """Return the values of the elements, of shape ``(elements, *dense sizes)``."""
        raise NotImplementedError

    def _element_indices(self) -> Tensor:
        """Return the COO indices of the elements, in the same order. Batch dimensions count as sparse dimensions."""
        raise NotImplementedError

    def _take_over(self, other: SparseTensor) -> None:
        """Replace the contents of this tensor with the contents of ``other``, which has the same layout."""
        if self._val.requires_grad and self._val.is_leaf and _core.is_grad_enabled():
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        self._replace(other)

    def _replace(self, other: SparseTensor) -> None:
        """Replace the contents without recording. A leaf that requires grad remains a leaf and keeps its gradient."""
        require_same_layout("a change in place", self, other)
        is_leaf, gradient = self._val.requires_grad and self._val.is_leaf, self.grad
        for slot in (name for kind in type(self).__mro__ for name in getattr(kind, "__slots__", ())):
            if slot != "_owner":
                setattr(self, slot, getattr(other, slot))
        heeded = _core._overrides_heeded(False)
        try:
            Tensor.data.__set__(self, _core.empty(other._size, dtype=other._val.dtype, device="meta"))  # type: ignore[attr-defined]
        finally:
            _core._overrides_heeded(heeded)
        if is_leaf:
            self._val = self._val.detach().requires_grad_()
            if gradient is not None and self._has_form_of(gradient):
                self.grad = gradient
        if hasattr(self, "_owner"):
            self._change_owner()

    def _change_owner(self) -> None:
        """Assign this gradient, which was changed in place, to its tensor, unless the tensor has a new gradient."""
        reference, of_values = self._owner
        owner = reference()
        if owner is not None and owner._val.grad is of_values:
            owner.grad = self
            self._owner = reference, owner._val.grad

    def _has_form_of(self, other: SparseTensor) -> bool:
        """Return True if ``other`` has the size, dtype and number of dense dimensions of this tensor's gradient."""
        return self._size == other._size and self.dtype is other.dtype and self.dense_dim() == other.dense_dim()

    # Attributes

    @property
    def shape(self) -> Size:
        """The size of the tensor."""
        return self._size

    @property
    def ndim(self) -> int:
        """The number of sparse and dense dimensions."""
        return len(self._size)

    @property
    def dtype(self) -> _core.dtype:
        """The dtype of the values."""
        return self._val.dtype

    @property
    def device(self) -> _core.device:
        """The device of the indices and values."""
        return self._val.device

    @property
    def is_cpu(self) -> bool:
        return self._val.is_cpu

    @property
    def is_cuda(self) -> bool:
        return self._val.is_cuda

    @property
    def is_meta(self) -> bool:
        return self._val.is_meta

    @property
    def requires_grad(self) -> bool:
        """True if the values require grad."""
        return self._val.requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self.requires_grad_(wanted)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set whether the values require grad. The gradient is a sparse tensor of the same layout."""
        if requires_grad and not (self.is_floating_point() or self.is_complex()):
            raise RuntimeError(f"only Tensors of floating point dtype can require gradients, not {self.dtype}")
        if self._val.is_leaf and self._val.requires_grad != requires_grad:
            self._val = self._val.detach()
        self._val.requires_grad_(requires_grad)
        return self

    @property
    def is_leaf(self) -> bool:
        return self._val.is_leaf

    @property
    def grad_fn(self) -> _core._Node | None:
        return self._val.grad_fn

    @property
    def grad(self) -> SparseTensor | None:
        """The gradient at the indices of this tensor, in the same layout. Its indices are unique."""
        of_values = self._val.grad
        if of_values is None:
            return None
        gradient = self._as_gradient(of_values)
        gradient._owner = weakref.ref(self), of_values
        return gradient

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if isinstance(gradient, SparseTensor):
            require_same_layout("assigned grad", self, gradient)
            if gradient._size != self._size:
                raise RuntimeError(
                    f"assigned grad has data of a different size: {list(gradient._size)} instead of {list(self._size)}"
                )
            self._val.grad = self._of_values(gradient)
        elif gradient is None:
            self._val.grad = None
        else:
            raise NotImplementedError(
                "the gradient of a sparse tensor must be a sparse tensor of the same layout, got "
                f"{getattr(gradient, 'layout', type(gradient).__name__)}"
            )

    @property
    def retains_grad(self) -> bool:
        return self._val.retains_grad

    def retain_grad(self) -> None:
        """Keep the gradient of a non-leaf tensor."""
        self._val.retain_grad()

    @property
    def data(self) -> Self:
        """The same elements, detached from the graph."""
        return self._like(self._val.detach())

    @data.setter
    def data(self, other: Tensor) -> None:
        self._replace(other.data)  # type: ignore[arg-type]

    @property
    def itemsize(self) -> int:
        return self._val.itemsize

    def _nnz(self) -> int:
        """Return the number of stored elements."""
        return self._val.shape[0]

    def dense_dim(self) -> int:
        """Return the number of dense dimensions, which come last."""
        return self._val.ndim - 1

    def dim(self) -> int:
        return len(self._size)

    @overload
    def size(self, dim: None = None) -> Size: ...

    @overload
    def size(self, dim: int) -> int: ...

    def size(self, dim: int | None = None) -> Size | int:
        return self._size if dim is None else self._size[dim]

    def numel(self) -> int:
        """Return the number of elements of the dense tensor."""
        return self._size.numel()

    def is_floating_point(self) -> bool:
        return self._val.is_floating_point()

    def is_complex(self) -> bool:
        return self._val.is_complex()

    def __len__(self) -> int:
        if not self._size:
            raise TypeError("len() of a 0-d tensor")
        return self._size[0]

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from flambeau.sparse._formatting import text_of

        return ("Parameter containing:\n" if getattr(self, "_is_param", False) else "") + text_of(self)

    def __format__(self, spec: str) -> str:
        return object.__format__(self, spec)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        from flambeau.sparse._pickling import reduced

        return reduced(self)

    def _reduce_for_pytorch(self) -> tuple[Any, ...]:
        from flambeau.sparse._pickling import reduced_for_pytorch

        return reduced_for_pytorch(self)

    def __copy__(self) -> Self:
        return self._like(self._val)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if id(self) in memo:
            return cast(Self, memo[id(self)])
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment"
            )
        copied = IMPLEMENTATIONS["clone"](self.data).requires_grad_(self.requires_grad)
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        if self._val.grad is not None:
            copied._val.grad = copy.deepcopy(self._val.grad, memo)
        memo[id(self)] = copied
        return cast(Self, copied)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise TypeError(f"can't convert a tensor of the layout {self.layout} to numpy. Use Tensor.to_dense() first.")

    def numpy(self, *, force: bool = False) -> NoReturn:
        """Raise TypeError: a sparse tensor cannot be converted to NumPy."""
        self.__array__()

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """Return the type name, such as ``"flambeau.sparse.FloatTensor"``, or convert to another type."""
        return IMPLEMENTATIONS["type"](self, dtype, non_blocking)

    def new(self, *args: Any, device: Any = None) -> SparseTensor:
        """Return a sparse tensor of this dtype from indices, values and a size, or from a size."""
        from flambeau.sparse._legacy import sparsetensortype

        return sparsetensortype("", self.dtype)(*args, device=device or self.device)


# Operators that only need sizes and dtypes. They run on the meta tensor.
_METADATA_ONLY = frozenset(
    (
        *("is_signed", "element_size", "is_inference", "ndimension", "numel", "nelement", "is_floating_point"),
        *("is_complex", "is_conj", "is_neg", "is_distributed"),
        *(f".is_{kind}" for kind in ("ipu", "maia", "meta", "mkldnn", "mps", "mtia", "nested", "quantized")),
        *(f".is_{kind}" for kind in ("vulkan", "xla", "xpu")),
    )
)


def _layout_among(args: Any, kwargs: Any) -> _core.layout | str | None:
    for value in (*args, *(kwargs or {}).values()):
        for item in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(item, SparseTensor):
                return item.layout
    return "sparse"


def require_same_layout(what: str, *tensors: Any) -> None:
    """Raise RuntimeError if the layouts of the tensors differ."""
    layouts = [tensor.layout for tensor in tensors]
    if any(layout is not layouts[0] for layout in layouts):
        raise RuntimeError(f"{what}: expected tensors of one layout, got {', '.join(map(str, layouts))}")


def in_place(name: str, implementation: Callable[..., Any], tensor: T, *args: Any, **kwargs: Any) -> T:
    """Replace the contents of a tensor with the result of ``implementation``."""
    result = implementation(tensor, *args, **kwargs)
    if not isinstance(tensor, SparseTensor):
        if isinstance(result, SparseTensor):
            result = result.to_dense()
        return tensor.copy_(result)
    if result.dtype is not tensor.dtype and not _core.can_cast(result.dtype, tensor.dtype):
        raise RuntimeError(
            f"{name}: result type {result.dtype} can't be cast to the desired output type {tensor.dtype}"
        )
    if tuple(result.shape) != tuple(tensor.shape) and name not in ("t_", "transpose_", "squeeze_", "unsqueeze_"):
        raise RuntimeError(
            f"{name}: the result has the shape {list(result.shape)}, but the tensor has {list(tensor.shape)}"
        )
    tensor._take_over(IMPLEMENTATIONS["to"](result, tensor.dtype))
    return tensor


def written(out: T, result: Any) -> T:
    """Write a result to ``out`` and return ``out``."""
    if isinstance(out, SparseTensor):
        if not _core.can_cast(result.dtype, out.dtype):
            raise RuntimeError(f"result type {result.dtype} can't be cast to the desired output type {out.dtype}")
        out._take_over(IMPLEMENTATIONS["to"](result, out.dtype))
        return out
    if isinstance(result, SparseTensor):
        raise RuntimeError(f"out= is a strided tensor, but the result has the layout {result.layout}")
    return out.resize_(result.shape).copy_(result)
