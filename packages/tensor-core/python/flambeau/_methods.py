"""Methods of Tensor that are implemented in Python: NumPy interface, copying, pickling, formatting."""

import copyreg
from typing import TYPE_CHECKING, Any, TypeVar

from flambeau import _core
from flambeau._absent_dtypes import AbsentDtype
from flambeau._core import Tensor
from flambeau._numbers import SMALL_FLOATS
from flambeau._tensor_types import legacy_construct, name_of, tensortype, type_named

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray


TensorT = TypeVar("TensorT", bound=Tensor)

# NumPy lacks these dtypes. Tensors with these dtypes are pickled as integers.
BITS_OF = {_core.bfloat16: _core.int16, **dict.fromkeys(SMALL_FLOATS, _core.uint8)}


def __array__(self: Tensor, dtype: Any = None, copy: bool | None = None) -> "NDArray[Any]":  # noqa: N807
    import numpy as np

    array = self.numpy()
    if dtype is not None and array.dtype != dtype:
        if copy is False:
            raise ValueError(f"a copy is needed to convert {self.dtype} to {dtype}, but copy=False")
        return array.astype(dtype)
    return np.array(array) if copy else array


def __array_wrap__(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Any:  # noqa: N807
    """Convert the result of a NumPy function back to a tensor if possible."""
    return _core.from_numpy(array) if array.dtype.kind in "biufc" else array


def _array_interface(self: Tensor) -> dict[str, Any]:
    """Return the dictionary of NumPy's array interface, version 3."""
    interface: dict[str, Any] = self.numpy().__array_interface__
    return interface


def __reversed__(self: Tensor) -> Tensor:  # noqa: N807
    """Return the tensor with its first dimension reversed."""
    return self.flip(0) if self.dim() else self


def _rebuild(
    data: Any, dtype: Any, requires_grad: bool, attributes: dict[str, Any] | None, device: str = "cpu"
) -> Tensor:
    tensor = _core.tensor(data, device="cpu")
    if tensor.dtype is not dtype:
        tensor = tensor.view(dtype)
    tensor = tensor.to(device)
    if requires_grad:
        tensor.requires_grad_()
    if attributes:
        tensor.__dict__.update(attributes)
    return tensor


def _rebuild_subclass(
    kind: type[TensorT], tensor: Tensor, requires_grad: bool, attributes: dict[str, Any] | None
) -> TensorT:
    result = Tensor._make_subclass(kind, tensor, requires_grad)
    if attributes:
        set_attributes(result, attributes)
    return result


def slots_of(tensor: Tensor) -> dict[str, Any]:
    """Return the attributes that the classes of a tensor keep in ``__slots__``."""
    names: list[str] = copyreg._slotnames(type(tensor))  # type: ignore[attr-defined]
    return {name: getattr(tensor, name) for name in names if hasattr(tensor, name)}


def _attributes(tensor: Tensor) -> dict[str, Any] | None:
    return (tensor.__dict__ if type(tensor) is Tensor else {**tensor.__dict__, **slots_of(tensor)}) or None


def set_attributes(tensor: Tensor, attributes: dict[str, Any]) -> None:
    """Set attributes without calling the ``__setattr__`` of the tensor's class."""
    slots = copyreg._slotnames(type(tensor))  # type: ignore[attr-defined]
    for name in slots:
        if name in attributes:
            Tensor.__setattr__(tensor, name, attributes[name])
    tensor.__dict__.update({name: value for name, value in attributes.items() if name not in slots})


def _rebuild_meta(shape: Any, strides: Any, dtype: Any, requires_grad: bool) -> Tensor:
    return _core.empty_strided(shape, strides, dtype=dtype, device="meta", requires_grad=requires_grad)


def plain(tensor: Tensor) -> Tensor:
    """Return a plain Tensor that shares the elements but has no attributes, or the argument if it is a plain Tensor."""
    if type(tensor) is Tensor:
        return tensor
    from flambeau.overrides import DisableTorchFunctionSubclass

    with DisableTorchFunctionSubclass():
        same = tensor.detach()
        result: Tensor = Tensor._make_subclass(Tensor, same, tensor.requires_grad)
        return result


def __reduce_ex__(self: Tensor, protocol: int) -> tuple[Any, ...]:  # noqa: N807
    if type(self) is not Tensor:  # pickle the plain tensor separately, so that multiprocessing can share its memory
        return _rebuild_subclass, (type(self), plain(self).detach(), self.requires_grad, _attributes(self))
    if self.is_meta:
        return _rebuild_meta, (tuple(self.shape), self.stride(), self.dtype, self.requires_grad)
    values = self.detach().cpu().contiguous()
    if values.dtype in BITS_OF:
        values = values.view(BITS_OF[values.dtype])
    return _rebuild, (values.numpy(), self.dtype, self.requires_grad, _attributes(self), str(self.device))


def __copy__(self: Tensor) -> Tensor:  # noqa: N807
    alias = self.detach()
    result = Tensor._make_subclass(type(self), alias, self.requires_grad) if type(self) is not Tensor else alias
    if type(self) is Tensor and self.requires_grad:
        result.requires_grad_()
    if attributes := _attributes(self):
        set_attributes(result, attributes)
    return result


def _copy_memory(tensor: Tensor, memo: dict[Any, Any]) -> Tensor:
    """Copy the tensor with its storage. Tensors that share a storage also share the copied storage."""
    if tensor.is_meta or not tensor.numel():
        return tensor.clone()
    storage = tensor.untyped_storage().__deepcopy__(memo)
    geometry = tensor.storage_offset(), tensor.shape, tensor.stride()
    return _core.empty(0, dtype=tensor.dtype, device=tensor.device).set_(storage, *geometry)


def _deepcopy_by_clone(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    """Return a deep copy of an instance of a class with ``__torch_dispatch__``, made with its clone() method."""
    import copy

    result = tensor.detach().clone()
    if type(result) is not type(tensor):
        raise RuntimeError(
            "The default implementation of __deepcopy__() for wrapper subclasses only works for subclass types that "
            "properly implement clone() and for which cloning returns another instance of the same subclass. You "
            "should either properly implement clone() for your subclass or override __deepcopy__()."
        )
    memo[id(tensor)] = result
    if tensor.requires_grad:
        result.requires_grad_()
    if tensor.grad is not None:
        result.grad = copy.deepcopy(tensor.grad, memo)
    return result


def __deepcopy__(self: Tensor, memo: dict[int, Any]) -> Tensor:  # noqa: N807
    from flambeau import overrides

    by_mode: Any = overrides._call_mode(Tensor.__deepcopy__, self, memo)
    if by_mode is not NotImplemented:
        return by_mode  # type: ignore[no-any-return]
    if id(self) in memo:
        known: Tensor = memo[id(self)]
        return known
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment; "
            "use .detach().clone() for a copy of the values"
        )
    import copy

    if _core._is_dispatching_class(type(self)):
        return _deepcopy_by_clone(self, memo)
    values = _copy_memory(plain(self).detach(), memo)
    if type(self) is Tensor:
        result = values.requires_grad_() if self.requires_grad else values
    else:
        result = Tensor._make_subclass(type(self), values, self.requires_grad)
    memo[id(self)] = result
    if self.grad is not None:
        result.grad = copy.deepcopy(self.grad, memo)
    if attributes := _attributes(self):
        set_attributes(result, copy.deepcopy(attributes, memo))
    return result


def __format__(self: Tensor, spec: str) -> str:  # noqa: N807
    if type(self) is not Tensor:
        from flambeau import overrides

        if overrides.has_torch_function_unary(self):
            return str(overrides.handle_torch_function(Tensor.__format__, (self,), self, spec))
    if self.dim() == 0 and type(self) is Tensor and not self.is_meta:
        return format(self.item(), spec)
    return object.__format__(self, spec)


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> "str | Tensor":
    """Return the name of the tensor's type, or convert the tensor to ``dtype``: a dtype, a tensor type or its name.

    >>> import flambeau
    >>> flambeau.zeros(2).type()
    'flambeau.FloatTensor'
    >>> flambeau.zeros(2).type(flambeau.LongTensor)
    tensor([0, 0])
    """
    if dtype is None:
        return name_of(self)
    on_gpu = self.is_cuda
    if isinstance(dtype, str):
        dtype, on_gpu = type_named(dtype)
    elif isinstance(dtype, tensortype):
        dtype, on_gpu = dtype.dtype, dtype.is_cuda
    elif dtype is Tensor:
        dtype, on_gpu = _core.get_default_dtype(), False
    elif not isinstance(dtype, _core.dtype | AbsentDtype):
        raise TypeError(f"dtype must be a flambeau.dtype, a tensor type or the name of one, got {dtype!r}")
    if on_gpu == self.is_cuda:
        return self.to(dtype, non_blocking=non_blocking)
    return self.to("cuda" if on_gpu else "cpu", dtype, non_blocking=non_blocking)


def new(self: Tensor, *args: Any, size: Any = None, device: Any = None) -> Tensor:
    """Return an uninitialised tensor, ``new(2, 3)``, or a tensor with given data, ``new(data)``.

    The result has the dtype of this tensor. This method is an older form of ``new_empty`` and ``new_tensor``.
    """
    return legacy_construct(self.dtype, args if size is None else (_core.Size(size),), device)


def __array_namespace__(self: Tensor, *, api_version: str | None = None) -> "ModuleType":  # noqa: N807
    """Return the namespace of the array API standard. Raise ValueError for an unsupported version."""
    if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12", "2025.12"):
        raise ValueError(f"version {api_version!r} of the array API standard is not supported; use '2025.12'")
    from flambeau import array_api

    return array_api


@classmethod  # type: ignore[misc]
def __torch_function__(  # noqa: N807
    cls: Any, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
) -> Any:
    """Run ``func`` and convert the tensors in its result to this class. See ``flambeau.overrides``."""
    from flambeau.overrides import default_torch_function

    return default_torch_function(cls, func, types, args, kwargs)


@staticmethod  # type: ignore[misc]
def _make_wrapper_subclass(cls: Any, size: Any, *args: Any, **kwargs: Any) -> Any:
    """Return an instance of a class with ``__torch_dispatch__`` that has no memory. See ``_wrapper_subclasses``."""
    from flambeau._wrapper_subclasses import make

    return make(cls, size, *args, **kwargs)


def as_subclass(self: Tensor, cls: type[TensorT]) -> TensorT:
    """Return the same elements as an instance of ``cls``, a subclass of Tensor. The gradient passes through."""
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"as_subclass(): argument 'cls' must be a class derived from Tensor, not {cls!r}")
    heeded = _core._overrides_heeded(False)  # otherwise, __torch_function__ would convert the result
    try:
        return _core._as_subclass(self, cls)
    finally:
        _core._overrides_heeded(heeded)


def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """Return the tensor that replaces this parameter or buffer when a module loads ``other`` from a state dictionary.

    ``load_state_dict`` calls this method if ``flambeau.__future__.get_swap_module_params_on_conversion()`` is True, and
    swaps the result with this tensor. A subclass of Tensor may override it. The result must be a new object.

    Args:
        other: value in the state dictionary.
        assign: the argument of ``load_state_dict``.
    Returns: ``other`` detached if ``assign`` is True, otherwise this tensor detached, with the values of ``other``.

    >>> fb.zeros(2).module_load(fb.ones(2, dtype=fb.int64))
    tensor([1., 1.])
    """
    if type(self) is not Tensor or type(other) is not Tensor:
        from flambeau import overrides

        if overrides.has_torch_function_variadic(self, other):
            result: Tensor = overrides.handle_torch_function(
                Tensor.module_load, (self, other), self, other, assign=assign
            )
            return result
    return other.detach() if assign else self.copy_(other).detach()


def _typed_storage(self: Tensor) -> Any:
    """Return the typed storage. In PyTorch, ``storage()`` warns, but this private method does not."""
    return self.storage()


def _fix_weakref(self: Tensor) -> None:
    """Do nothing: a weak reference to a tensor is valid as long as its Python object exists."""


def _view_func(self: Tensor, new_base: Tensor) -> Tensor | None:
    """Return the same view of another tensor.

    ``new_base`` must have the shape, strides, offset and dtype of this tensor's base. Otherwise, or if this tensor is
    not a view, return None.
    """
    base = self._base
    if base is None or any(getattr(base, name) != getattr(new_base, name) for name in ("shape", "dtype", "device")):
        return None
    if base.stride() != new_base.stride() or base.storage_offset() != new_base.storage_offset():
        return None
    if self.is_complex() and not base.is_complex():
        strides = (*(2 * stride for stride in self.stride()), 1)
        return _core.view_as_complex(new_base.as_strided((*self.shape, 2), strides, 2 * self.storage_offset()))
    if base.is_complex() and not self.is_complex():
        new_base = _core.view_as_real(new_base)
    elif self.dtype != base.dtype:
        new_base = new_base.view(self.dtype)
    return new_base.as_strided(self.shape, self.stride(), self.storage_offset())


def __imatmul__(self: Tensor, other: Tensor) -> Tensor:  # noqa: N807
    return self.copy_(self @ other)


def to_device(self: Tensor, device: Any, /, *, stream: Any = None) -> Tensor:
    """Return the tensor on ``device``, or the tensor itself if it is already on this device."""
    return self.to(device)


def __repr__(self: Tensor, *, tensor_contents: str | None = None) -> str:  # noqa: N807
    """Return the text of the tensor. A derived class can pass its own text of the elements."""
    from flambeau._formatting import format_tensor

    if type(self) is not Tensor:
        return format_tensor(self, tensor_contents=tensor_contents)
    enabled = _core._dispatch_enabled(False)  # modes do not intercept the formatting of plain tensors
    try:
        return format_tensor(self, tensor_contents=tensor_contents)
    finally:
        _core._dispatch_enabled(enabled)


def __dir__(self: Tensor) -> list[str]:
    names = {*dir(type(self)), *self.__dict__}
    if not self.is_cuda:
        names.remove("__cuda_array_interface__")  # the attribute raises AttributeError on other devices
    return sorted(names)


def install() -> None:
    """Add the methods of this module to the Tensor class, and register the pickle functions of native types."""
    methods = (__array__, __array_wrap__, __reduce_ex__, __copy__, __deepcopy__, __format__, __dir__, __reversed__, new)
    for function in (
        *(*methods, __repr__, __array_namespace__, __imatmul__, to_device, as_subclass),
        *(_typed_storage, _fix_weakref, _view_func, module_load),
    ):
        setattr(Tensor, function.__name__, function)
    Tensor.__torch_function__ = __torch_function__  # type: ignore[assignment,method-assign]
    Tensor._make_wrapper_subclass = _make_wrapper_subclass  # type: ignore[method-assign]
    Tensor.type = type_  # type: ignore[assignment,method-assign]
    Tensor.__array_interface__ = property(_array_interface)  # type: ignore[attr-defined]
    Tensor.__cuda_array_interface__ = property(_core._cuda_array_interface)  # type: ignore[attr-defined]
    Tensor.__array_priority__ = 1000  # NumPy's operators defer to Tensor's operators
    copyreg.pickle(_core.Size, lambda size: (_core.Size, (tuple(size),)))
