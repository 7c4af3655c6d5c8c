"""What sparse tensors of every layout share: a size, indices, values, and who answers for them.

Note [Sparse tensors]
A sparse tensor is an instance of a class derived from Tensor. It keeps indices and values as dense tensors in slots of
its own; the memory that the base class owns is that of a tensor on the device meta, of the same size and dtype, which
has none. Operators ask the class (`__torch_function__`), and it asks `ANSWERS`, a table from names of operators to
functions. These are written in operators on the values, so that derivatives come from there: a sparse tensor requires
a gradient where its values do, its ``.grad`` has the values' gradient as values. What the table does not hold raises
NotImplementedError. Nothing here makes the dense tensor but for `to_dense` and for what has a dense result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, Self, TypeVar, cast, overload

from flambeau import _core
from flambeau._core import Size, Tensor

Answer = TypeVar("Answer", bound=Callable[..., Any])
T = TypeVar("T", bound=Tensor)

# By the names of operators; attributes of Tensor have their name behind a dot.
ANSWERS: dict[str, Callable[..., Any]] = {}

NOT_THERE = "{name}: there is no such operator for tensors of the layout {layout}; .to_dense() gives a strided tensor"


def answers(*names: str) -> Callable[[Answer], Answer]:
    """Makes a function answer for the operators of these names."""

    def put(function: Answer) -> Answer:
        for name in names:
            if name in ANSWERS:
                raise ValueError(f"two functions answer for {name}")
            ANSWERS[name] = function
        return function

    return put


def shell(kind: type[T], size: Any, dtype: Any) -> T:
    """An instance of ``kind`` whose slots are to be filled."""
    return Tensor._make_subclass(kind, _core.empty(size, dtype=dtype, device="meta"))


class SparseTensor(Tensor):
    """Base class; see Note [Sparse tensors]."""

    __slots__ = ("_known", "_size", "_val")
    _size: Size
    _val: Tensor  # (nnz, *dense sizes)
    _known: dict[str, Any]  # what was found out about the indices

    is_sparse: ClassVar[bool] = False
    is_sparse_csr: ClassVar[bool] = False

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__
        if name in ("__get__", "__set__"):
            name = "." + func.__self__.__name__ + ("=" if name == "__set__" else "")
        answer = ANSWERS.get(name)
        if answer is not None:
            if not kwargs:
                return answer(*args)
            if kwargs.get("out") is None:
                return answer(*args, **{key: value for key, value in kwargs.items() if key != "out"})
            return written(kwargs.pop("out"), answer(*args, **kwargs))
        if name.endswith("_") and not name.endswith("__") and (answer := ANSWERS.get(name[:-1])):
            return in_place(name, answer, *args, **(kwargs or {}))
        if name in _OF_SHELLS:
            return Tensor.__torch_function__.__func__(Tensor, func, (), args, kwargs)  # type: ignore[attr-defined]
        raise NotImplementedError(NOT_THERE.format(name=name.lstrip("."), layout=_layout_among(args, kwargs)))

    # What differs between layouts

    def _like(self, values: Tensor) -> Self:
        """The same indices with other values, of the same number and dense sizes."""
        raise NotImplementedError

    def _versions(self) -> Any:
        """Numbers that are others once the indices were changed in place."""
        raise NotImplementedError

    def _take_over(self, other: SparseTensor) -> None:
        """Becomes what ``other`` is, which has the same layout."""
        require_same_layout("a change in place", self, other)
        history = self._val.requires_grad and self._val.is_leaf and _core.is_grad_enabled()
        if history:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        for slot in (name for kind in type(self).__mro__ for name in getattr(kind, "__slots__", ())):
            setattr(self, slot, getattr(other, slot))
        heeded = _core._overrides_heeded(False)
        try:
            Tensor.data.__set__(self, _core.empty(other._size, dtype=other._val.dtype, device="meta"))  # type: ignore[attr-defined]
        finally:
            _core._overrides_heeded(heeded)

    # Attributes

    @property
    def shape(self) -> Size:
        """The sizes."""
        return self._size

    @property
    def ndim(self) -> int:
        """The number of dimensions, sparse and dense."""
        return len(self._size)

    @property
    def dtype(self) -> _core.dtype:
        """The values' dtype."""
        return self._val.dtype

    @property
    def device(self) -> _core.device:
        """Where indices and values are."""
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
        """Whether the values require a gradient."""
        return self._val.requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self.requires_grad_(wanted)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Asks for a gradient, which is a sparse tensor of the same indices, or no longer."""
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
    def grad(self) -> Self | None:
        """The gradient of the values, with the indices of this tensor."""
        gradient = self._val.grad
        return None if gradient is None else self._like(gradient)

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if isinstance(gradient, SparseTensor):
            require_same_layout("assigned grad", self, gradient)
            self._val.grad = gradient._val
        elif gradient is None:
            self._val.grad = None
        else:
            raise NotImplementedError("the gradient of a sparse tensor is a sparse one, of its layout")

    @property
    def retains_grad(self) -> bool:
        return self._val.retains_grad

    def retain_grad(self) -> None:
        """Keeps the gradient of a tensor that is not a leaf."""
        self._val.retain_grad()

    @property
    def data(self) -> Self:
        """The same elements without history."""
        return self._like(self._val.detach())

    @data.setter
    def data(self, other: Tensor) -> None:
        self._take_over(other.data)  # type: ignore[arg-type]

    @property
    def itemsize(self) -> int:
        return self._val.itemsize

    def _nnz(self) -> int:
        """How many elements are stored."""
        return self._val.shape[0]

    def dense_dim(self) -> int:
        """How many of the last dimensions are stored densely."""
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
        """The elements of the dense tensor."""
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

        return text_of(self)

    def __format__(self, spec: str) -> str:
        return object.__format__(self, spec)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        from flambeau.sparse._pickling import reduced

        return reduced(self)

    def _reduce_for_pytorch(self, plain: Any) -> tuple[Any, ...]:
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
        copied = ANSWERS["clone"](self.data).requires_grad_(self.requires_grad)
        memo[id(self)] = copied
        return cast(Self, copied)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise TypeError(f"can't convert a tensor of the layout {self.layout} to numpy. Use Tensor.to_dense() first.")

    def numpy(self, *, force: bool = False) -> NoReturn:
        """Raises TypeError."""
        self.__array__()

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """``"flambeau.sparse.FloatTensor"``, or the tensor as another type."""
        return ANSWERS["type"](self, dtype, non_blocking)

    def new(self, *args: Any, device: Any = None) -> SparseTensor:
        """A sparse tensor of this dtype: of indices, values and a size, or of a size."""
        from flambeau.sparse._legacy import sparsetensortype

        return sparsetensortype("", self.dtype)(*args, device=device or self.device)


# Operators that look at sizes and dtypes alone.
_OF_SHELLS = frozenset(
    (
        *("result_type", "is_same_size", "is_signed", "element_size", "is_inference", "ndimension"),
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
    """RuntimeError where the tensors' layouts differ."""
    layouts = [tensor.layout for tensor in tensors]
    if any(layout is not layouts[0] for layout in layouts):
        raise RuntimeError(f"{what}: expected tensors of one layout, got {', '.join(map(str, layouts))}")


def in_place(name: str, answer: Callable[..., Any], tensor: T, *args: Any, **kwargs: Any) -> T:
    """What ``answer`` gives becomes the tensor."""
    result = answer(tensor, *args, **kwargs)
    if not isinstance(tensor, SparseTensor):
        if isinstance(result, SparseTensor):
            result = result.to_dense()
        return tensor.copy_(result)
    if result.dtype is not tensor.dtype and not _core.can_cast(result.dtype, tensor.dtype):
        raise RuntimeError(
            f"{name}: result type {result.dtype} can't be cast to the desired output type {tensor.dtype}"
        )
    if tuple(result.shape) != tuple(tensor.shape) and name not in ("t_", "transpose_", "squeeze_", "unsqueeze_"):
        raise RuntimeError(f"{name}: the result has shape {tuple(result.shape)}, the tensor {tuple(tensor.shape)}")
    tensor._take_over(ANSWERS["to"](result, tensor.dtype))
    return tensor


def written(out: T, result: Any) -> T:
    """``out``, with the result in it."""
    if isinstance(out, SparseTensor):
        out._take_over(result)
        return out
    if isinstance(result, SparseTensor):
        raise RuntimeError(f"out= is a strided tensor, and the result has the layout {result.layout}")
    return out.resize_(result.shape).copy_(result)
