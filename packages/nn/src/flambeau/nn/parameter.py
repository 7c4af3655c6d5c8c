"""Tensors that a module registers when they are assigned to an attribute of the module."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar, Self

from flambeau import Size, Tensor, _core, _extension_points, empty, strided, typename
from flambeau._serialization import names
from flambeau.overrides import _disabled_torch_function_impl

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


class _ParameterMeta(type):
    """Metaclass of Parameter.

    isinstance(x, Parameter) is also True for sparse tensors and instances of classes with ``__torch_dispatch__`` that
    are marked as parameters by ``_is_param``.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        if type.__instancecheck__(cls, instance):
            return True
        return cls is Parameter and isinstance(instance, Tensor) and getattr(instance, "_is_param", False)


class Parameter(Tensor, metaclass=_ParameterMeta):
    """Trainable tensor. When it is assigned to an attribute of a module, it is added to ``module.parameters()``.

    The parameter shares storage with ``data`` and is a leaf of the autograd graph.

    Args:
        data: any floating tensor, strided or sparse. None creates an empty tensor.
        requires_grad: False freezes the parameter.
    Raises: RuntimeError if ``data`` is not floating and ``requires_grad`` is True.

    >>> nn.Parameter(fb.tensor([1.0, 2.0]))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    # The result of a computation with a parameter is a plain tensor.
    __torch_function__ = _disabled_torch_function_impl  # type: ignore[assignment]

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Self:
        if data is not None and not isinstance(data, Tensor):
            raise TypeError(_not_a_tensor(cls, data))
        sparse = data is not None and data.layout is not strided
        if sparse and cls is not Parameter:
            raise NotImplementedError(f"{cls.__name__}: not implemented for tensors of a sparse layout")
        if data is not None and cls is Parameter and (sparse or not _is_plain(data)):
            own: Self = data.detach().requires_grad_(requires_grad)  # type: ignore[assignment]
            if type(own) is not type(data):
                raise RuntimeError(
                    f"Creating a Parameter from an instance of type {type(data).__name__} requires that detach() "
                    f"returns an instance of the same type, but return type {type(own).__name__} was found instead."
                )
            own._is_param = True  # type: ignore[attr-defined]
            return own
        parameter: Self = Tensor._make_subclass(cls, empty(0) if data is None else data, requires_grad)
        return parameter

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(self.detach().clone(), self.requires_grad)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild_parameter, (type(self), self.detach(), self.requires_grad, self.__dict__ or None)

    def _reduce_for_pytorch(self) -> tuple[Any, ...]:
        contents: tuple[Any, ...] = (self.detach(), self.requires_grad, OrderedDict())
        if not self.__dict__:
            return names.REBUILD_PARAMETER, contents
        return names.REBUILD_PARAMETER_WITH_STATE, (*contents, self.__dict__)

    def __repr__(self) -> str:
        plain = self.detach().requires_grad_(self.requires_grad)
        return f"Parameter containing:\n{plain!r}"


def _is_plain(data: Tensor) -> bool:
    """Return True if a Parameter can replace the class of ``data``: the class is Tensor or that of a parameter."""
    return type(data) is Tensor or type.__instancecheck__(Parameter, data)


def _not_a_tensor(kind: type, data: Any) -> str:
    """Return the error message for data that is not a tensor, with the corrected call."""
    message = f"{kind.__name__}: data must be a Tensor, got {typename(data)}"
    if isinstance(data, int | float | list | tuple):
        example = repr(data) if len(repr(data)) <= 40 else "..."
        floating = "" if kind is Buffer else ", dtype=flambeau.float32"
        return f"{message}; write {kind.__name__}(flambeau.tensor({example}{floating}))"
    if hasattr(data, "__array_interface__"):
        return f"{message}; write {kind.__name__}(flambeau.from_numpy(array))"
    return message


def _rebuild_parameter(
    kind: type[Parameter], data: Tensor, requires_grad: bool, attributes: dict[str, Any] | None = None
) -> Parameter:
    parameter = kind(data, requires_grad)
    parameter.__dict__.update(attributes or {})
    return parameter


class _BufferMeta(type):
    """Metaclass of Buffer. A buffer is a tensor that is marked by ``_is_buffer``, as in PyTorch."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if type.__instancecheck__(cls, instance):
            return True
        return cls is Buffer and isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(Tensor, metaclass=_BufferMeta):
    """Tensor that belongs to the state of a module but is not trained, such as a running mean.

    When it is assigned to an attribute of a module, it is added to ``module.buffers()``. With ``persistent=False``, it
    is not part of ``state_dict()``. ``Buffer(data)`` has the class of ``data``, and ``isinstance`` recognises it.

    >>> layer = nn.Identity()
    >>> layer.scale = nn.Buffer(fb.ones(2))
    >>> list(layer.state_dict())
    ['scale']
    """

    persistent: bool
    __torch_function__ = _disabled_torch_function_impl  # type: ignore[assignment]

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Self:
        source = empty(0) if data is None else data
        if not isinstance(source, Tensor):
            raise TypeError(_not_a_tensor(cls, source))
        own: Self = source.detach().requires_grad_(source.requires_grad)  # type: ignore[assignment]
        _mark(own, persistent)
        return own


def _mark(data: Any, persistent: bool) -> None:
    data.persistent = persistent
    data._is_buffer = True


_extension_points.Parameter, _extension_points.Buffer = Parameter, Buffer

NO_SHAPE_YET = """\
Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when \
trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before \
accessing their attributes."""


# Methods that do not need a shape. Conversions change the dtype or device that the tensor has after `materialize`.
_SHAPELESS = {
    *("__hash__", "copy_", "get_device", "is_complex", "is_floating_point", "requires_grad_", "size"),
    *("to", "cpu", "cuda", "bfloat16", "bool", "char", "double", "float", "half", "int", "long", "short"),
}


def _reject_function(
    cls: type, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
) -> Any:
    """Call a function that needs no shape, such as ``to``. Raises: ValueError for all other functions."""
    name = getattr(func, "__name__", "")
    if name in _SHAPELESS or name in ("__get__", "__set__", "__delete__"):  # access to an attribute
        return _disabled_torch_function_impl(func, types, args, kwargs or {})
    raise ValueError(
        f"Attempted to use an uninitialized parameter in {name or func}. This error happens when you are using a "
        "`LazyModule` or explicitly manipulating `nn.parameter.UninitializedParameter` objects. Call the module once "
        "with a batch to initialize its parameters before you call functions on them."
    )


class UninitializedTensorMixin(Tensor):
    """A tensor whose shape is not known until a lazy module receives its first input."""

    cls_to_become: ClassVar[type[Tensor]]
    _count: ClassVar[int] = 0  # number of existing instances of the class
    _forget: weakref.finalize[Any, Any]
    # _reject_function replaces this value while instances of the class exist, and only then, because every operator is
    # slower while a class defines an override.
    __torch_function__ = _disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def _new(cls, requires_grad: bool, device: Any, dtype: Any) -> Self:
        tensor: Self = Tensor._make_subclass(cls, empty(0, device=device, dtype=dtype), requires_grad)
        tensor._add()
        return tensor

    def _add(self) -> None:
        """Count this tensor as an instance of its class until it gets a shape or is deleted."""
        cls = type(self)
        self._forget = weakref.finalize(self, cls._remove)
        if cls._count == 0:
            cls.__torch_function__ = classmethod(_reject_function)  # type: ignore[assignment]
            super(UninitializedTensorMixin, cls).__init_subclass__()  # register the class again, now with an override
        cls._count += 1

    @classmethod
    def _remove(cls) -> None:
        cls._count -= 1
        if cls._count == 0:
            cls.__torch_function__ = _disabled_torch_function_impl
            _core._forget_overrides(cls)

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Convert this object to an ordinary parameter or buffer with uninitialised values.

        Args:
            shape: the new shape.
            device, dtype: the new device and dtype; unchanged if None.
        """
        data = empty(shape, device=device or self.device, dtype=dtype or self.dtype)
        self._forget()
        del self._forget
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        self.data = data

    @property
    def shape(self) -> Size:
        """Shape of the tensor. Reading it raises RuntimeError, because the shape is not known yet."""
        raise RuntimeError(NO_SHAPE_YET)

    def _arguments(self) -> tuple[Any, ...]:
        """Return the arguments with which the class creates a copy of this tensor."""
        return self.requires_grad, self.device, self.dtype

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(*self._arguments())

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), self._arguments()

    def _reduce_for_pytorch(self) -> tuple[Any, ...]:
        return names.Name.of("torch.nn.parameter", type(self).__name__), self._arguments()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """Parameter of a lazy module, without a shape until `materialize` is called.

    >>> nn.UninitializedParameter()
    <UninitializedParameter>
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Self:
        return cls._new(requires_grad, device, dtype)


class UninitializedBuffer(UninitializedTensorMixin):
    """Buffer of a lazy module, without a shape until `materialize` is called.

    >>> buffer = nn.UninitializedBuffer()
    >>> buffer.materialize((2, 3))
    >>> buffer.shape
    flambeau.Size([2, 3])
    """

    cls_to_become = Tensor
    persistent: bool

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> Self:
        buffer = cls._new(requires_grad, device, dtype)
        _mark(buffer, persistent)
        return buffer

    def _arguments(self) -> tuple[Any, ...]:
        return *super()._arguments(), self.persistent


def is_lazy(param: Any) -> bool:
    """Return True if a parameter or buffer has no shape yet.

    >>> nn.parameter.is_lazy(nn.LazyLinear(2).weight), nn.parameter.is_lazy(nn.Linear(2, 2).weight)
    (True, False)
    """
    return isinstance(param, UninitializedTensorMixin)


def require_shape(param: Any, user: str) -> None:
    """Raise ValueError if a parameter that ``user`` reads has no shape yet."""
    if is_lazy(param):
        raise ValueError(
            f"The module passed to `{user}` can't have uninitialized parameters. Make sure to run the dummy forward "
            "before applying it"
        )
