"""``FakeTensorMode``: operators on tensors that have a shape, a dtype and a device, but no elements.

A `FakeTensor` is a tensor on the meta device whose attribute ``device`` is another device. The mode runs operators on
the meta device, determines the device that the result would have, and converts the result to a `FakeTensor`.

>>> import flambeau
>>> with FakeTensorMode() as mode:
...     x = flambeau.empty(2, 3, device="cuda")
>>> (x @ x.mT).shape, (x + 1).device
(flambeau.Size([2, 2]), device(type='cuda', index=0))
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any, Self

import flambeau
from flambeau import Tensor, _core
from flambeau._dispatch._torch_dispatch import tensors_of
from flambeau._dispatch._vjp import VectorJacobianProduct
from flambeau.overrides import DisableTorchFunctionSubclass, TorchFunctionMode, _disabled_torch_function_impl
from flambeau.utils import _pytree
from flambeau.utils._python_dispatch import TorchDispatchMode
from flambeau.utils.weak import WeakIdKeyDictionary

__all__ = [
    "DataDependentOutputException",
    "DynamicOutputShapeException",
    "FakeCopyMode",
    "FakeTensor",
    "FakeTensorConverter",
    "FakeTensorMode",
    "UnsupportedFakeTensorException",
    "UnsupportedOperatorException",
    "is_fake",
    "maybe_get_fake_mode",
    "unset_fake_temporarily",
]

# Operators that return the values of elements to Python.
_READS_VALUES = frozenset(("aten::_local_scalar_dense", "aten::equal", "aten::is_nonzero"))
# Operators whose results have shapes that depend on the elements.
_DYNAMIC_SHAPES = frozenset(
    f"aten::{name}" for name in ("nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount")
)

# Prefixes of operators that return random or uninitialised numbers, which the arguments do not determine.
_UNDETERMINED = ("rand", "empty", "new_empty", "bernoulli", "native_dropout")
# Operators that change the sizes of an argument in place.
_RESIZING = frozenset(
    f"aten::{name}_" for name in ("resize", "resize_as", "t", "transpose", "squeeze", "unsqueeze", "as_strided", "set")
)


class UnsupportedFakeTensorException(RuntimeError):  # noqa: N818  PyTorch's names
    """Raised for a tensor that cannot be converted to a fake tensor."""


class UnsupportedOperatorException(RuntimeError):  # noqa: N818
    """Raised for an operator that needs the elements of its arguments."""

    def __init__(self, func: Any) -> None:
        super().__init__(str(func))
        self.func = func


class DataDependentOutputException(UnsupportedOperatorException):
    """Raised for an operator that returns the value of an element to Python, such as ``item()``."""


class DynamicOutputShapeException(UnsupportedOperatorException):
    """Raised for an operator, such as ``nonzero``, whose result has a shape that depends on the elements."""


def _with_index(device: Any) -> Any:
    """Return a device with an index (default: 0). The CPU and the meta device have no index."""
    device = flambeau.device(device)
    if device.type in ("cpu", "meta") or device.index is not None:
        return device
    return flambeau.device(device.type, 0)


class FakeTensor(Tensor):
    """A tensor without elements whose ``device`` is the device that the real tensor would have.

    Attributes:
        fake_mode: the mode that created it.
        constant: the real tensor if its elements are known, as for ``flambeau.tensor(2)``; otherwise None.
    """

    fake_mode: FakeTensorMode
    constant: Tensor | None
    __torch_function__ = _disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, fake_mode: FakeTensorMode, elem: Tensor, device: Any, constant: Tensor | None = None) -> Self:
        if elem.device.type != "meta":
            raise RuntimeError(f"elem device must be meta, got {elem.device}")
        shown = _with_index(device)
        made: Self = Tensor._make_subclass(
            cls, elem, elem.requires_grad, dispatch_device=True, device_for_backend_keys=shown
        )
        made.fake_mode, made.constant = fake_mode, constant
        return made

    @property
    def fake_device(self) -> Any:
        """Alias of ``device``."""
        return self.device

    @staticmethod
    def from_tensor(t: Tensor, fake_mode: FakeTensorMode) -> FakeTensor:
        """Return the fake counterpart of a tensor."""
        return fake_mode.from_tensor(t)

    def tolist(self) -> Any:
        """Return the elements of ``constant``. Raises: DataDependentOutputException if the elements are not known."""
        if self.constant is None:
            raise DataDependentOutputException("aten._local_scalar_dense.default")
        return self.constant.tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        gradient = ", requires_grad=True" if self.requires_grad else ""
        size = f"size={tuple(self.shape)}" if tuple(self.shape) else "size=()"
        dtype = "" if self.dtype is flambeau.get_default_dtype() else f", dtype={self.dtype}"
        return f"FakeTensor(..., device='{self.device}', {size}{dtype}{gradient})"

    def __deepcopy__(self, memo: Any) -> Any:
        return self.fake_mode._wrap_meta(_plain(self).clone(), self.device)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        for tensor in tensors_of((*args, *(kwargs or {}).values())):
            if isinstance(tensor, FakeTensor):
                with tensor.fake_mode:
                    return func(*args, **(kwargs or {}))
        return NotImplemented


def _plain(tensor: Tensor) -> Tensor:
    """Return a plain Tensor, of no subclass, that shares the storage of ``tensor``."""
    return Tensor._make_subclass(Tensor, tensor)


class FakeTensorMode(TorchDispatchMode):
    """Mode in which operators return `FakeTensor` objects and compute no elements.

    Args:
        allow_non_fake_inputs: if True, convert ordinary tensors among the arguments to fake tensors. If False, convert
            only 0-D tensors, and raise an error for other ordinary tensors.
        allow_fallback_kernels, static_shapes, export: accepted for compatibility with PyTorch; no effect.
        shape_env: must be None, because symbolic sizes are not supported.
    """

    def __init__(
        self,
        *,
        allow_fallback_kernels: bool = True,
        allow_non_fake_inputs: bool = False,
        shape_env: Any = None,
        static_shapes: bool | None = None,
        export: bool = False,
    ) -> None:
        if shape_env is not None:
            raise NotImplementedError("FakeTensorMode: symbolic sizes are not supported; use shape_env=None")
        self.allow_non_fake_inputs, self.shape_env = allow_non_fake_inputs, None
        self.static_shapes = True
        self.fake_tensor_converter = FakeTensorConverter()
        self._known: dict[
            int, list[weakref.ref[FakeTensor]]
        ] = {}  # fake tensors that have a constant; the key is the address of the constant

    def from_tensor(self, tensor: Tensor, *, static_shapes: bool | None = None, **_: Any) -> FakeTensor:
        """Return the fake counterpart of a tensor. For the same tensor, return the same object each time."""
        return self.fake_tensor_converter.from_real_tensor(self, tensor)

    def _wrap_meta(self, meta: Tensor, device: Any, constant: Tensor | None = None) -> FakeTensor:
        fake = FakeTensor(self, _plain(meta), device, constant)
        if constant is not None:
            self._known.setdefault(constant.untyped_storage().data_ptr(), []).append(weakref.ref(fake))
        return fake

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func.name() in ("aten::lift_fresh", "aten::lift", "aten::lift_fresh_copy"):
            return self._wrap_constant(args[0])
        if func.name() in _READS_VALUES or func.name() in _DYNAMIC_SHAPES:
            return self._call_with_constants(func, args, kwargs)
        args, kwargs = self._convert_arguments(func, args, kwargs)
        known = self._fold_constants(func, args, kwargs)
        if known is not NotImplemented:
            return known
        device = self._device_of(func, args, kwargs)
        if "device" in kwargs:
            kwargs["device"] = flambeau.device("meta")
        return self._wrap_results(self._run_on_meta(func, args, kwargs), device)

    def _run_on_meta(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator on the meta device. If it changes and returns an argument, return the argument itself."""
        if isinstance(func, VectorJacobianProduct):
            # The derivative may read elements. Do not run it, because the gradients have the shapes of the tensors.
            needs = args[1]
            tensors = tensors_of((*args[2:], *kwargs.values()))
            return [_without_elements(each) if needed else None for each, needed in zip(tensors, needs, strict=True)]
        definition = vars(func).get("definition")
        if definition is not None and definition._fake is not None:
            with self:
                return definition._call_fake(args, kwargs)
        factory = not any(True for _ in tensors_of((*args, *kwargs.values()))) and func._own_schema is not None
        if factory and "device" in func._own_schema.by_name:
            kwargs["device"] = flambeau.device("meta")
        enabled = _core._dispatch_enabled(False)
        try:
            return func(*args, **kwargs)
        finally:
            _core._dispatch_enabled(enabled)

    def _wrap_results(self, result: Any, device: Any) -> Any:
        """Convert results on the meta device to fake tensors with ``device``."""
        if isinstance(result, FakeTensor) or not isinstance(result, (Tensor, tuple, list)):
            return result
        if isinstance(result, (tuple, list)):
            items = [self._wrap_results(item, device) for item in result]
            return items if isinstance(result, list) else tuple(items)
        if result.device.type != "meta":
            return self._wrap_meta(_without_elements(result), result.device)
        return self._wrap_meta(result, device)

    def _wrap_constant(self, tensor: Tensor) -> FakeTensor:
        if isinstance(tensor, FakeTensor):
            return tensor
        return self._wrap_meta(_without_elements(tensor), tensor.device, tensor if tensor.numel() <= 1 else None)

    def _fold_constants(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compute an operator whose tensor arguments are all constants, if its results have at most one element.

        Otherwise, return NotImplemented. If the operator may change its arguments or return views of them, also discard
        their constants.
        """
        schema = func._own_schema
        fake = [each for each in tensors_of((*args, *kwargs.values())) if isinstance(each, FakeTensor)]
        if schema is None or not any(tensor.constant is not None for tensor in fake):
            return NotImplemented
        undetermined = func._opname.startswith(_UNDETERMINED) or "generator" in schema.by_name
        if all(t.constant is not None for t in fake) and not (
            undetermined or kwargs.get("device") is not None or func.name().partition(".")[0] in _RESIZING
        ):
            given, named = _pytree.tree_map_only(FakeTensor, lambda t: t.constant, (args, kwargs))
            result = func(*given, **named)
            results = list(tensors_of((result,)))
            if results and all(each.numel() <= 1 for each in results):
                owners = {id(tensor.constant): tensor for tensor in fake}
                return _pytree.tree_map_only(Tensor, lambda each: self._constant(each, owners), result)
        for tensor in fake:
            if tensor.constant is not None and (schema.is_mutable or schema.is_view):
                self._forget(tensor.constant)
        return NotImplemented

    def _constant(self, value: Tensor, owners: dict[int, FakeTensor]) -> FakeTensor:
        """Return the fake tensor for a constant. If the operator returned an argument, it is found in ``owners``."""
        if id(value) in owners:
            return owners[id(value)]
        return self._wrap_meta(_without_elements(value), value.device, value)

    def _forget(self, constant: Tensor) -> None:
        for reference in self._known.pop(constant.untyped_storage().data_ptr(), []):
            if (tensor := reference()) is not None:
                tensor.constant = None

    def _call_with_constants(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        def known(tensor: Any) -> Any:
            if not isinstance(tensor, FakeTensor):
                return tensor
            if tensor.constant is None:
                kind = DataDependentOutputException if func.name() in _READS_VALUES else DynamicOutputShapeException
                raise kind(func)
            return tensor.constant

        args, kwargs = _pytree.tree_map_only(Tensor, known, (args, kwargs))
        result = func(*args, **kwargs)
        return _pytree.tree_map_only(Tensor, self.from_tensor, result)

    def _convert_arguments(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        def convert(tensor: Tensor) -> Tensor:
            if isinstance(tensor, FakeTensor):
                if tensor.fake_mode is not self:
                    raise AssertionError("Mixing fake modes NYI: a FakeTensor of another FakeTensorMode was given")
                return tensor
            if not self.allow_non_fake_inputs and tensor.dim() > 0:
                raise AssertionError(
                    "Please convert all Tensors to FakeTensors first or instantiate FakeTensorMode with "
                    f"'allow_non_fake_inputs'. Found in {func}(*{args}, **{kwargs})"
                )
            return self.from_tensor(tensor)

        return _pytree.tree_map_only(Tensor, convert, (args, kwargs))

    def _device_of(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the device of an operator's results. Raises: RuntimeError for arguments on different devices."""
        if kwargs.get("device") is not None:
            return _with_index(kwargs["device"])
        first = None
        for tensor in tensors_of((*args, *kwargs.values())):
            movable = tensor.dim() == 0 and tensor.device.type == "cpu"  # allowed with any other device
            if first is None or (first[1] and not movable):
                first = tensor.device, movable
            elif tensor.device != first[0] and not movable and not func.name().startswith("aten::index"):
                raise RuntimeError(
                    f"Unhandled FakeTensor Device Propagation for {func}, found two different devices {first[0]}, "
                    f"{tensor.device}"
                )
        return _core._get_default_device() if first is None else first[0]


def _without_elements(tensor: Tensor) -> Tensor:
    """Return a tensor on the meta device with the shape, strides and dtype of ``tensor``."""
    enabled = _core._dispatch_enabled(False)
    try:
        return flambeau.empty_strided(tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device="meta")
    finally:
        _core._dispatch_enabled(enabled)


class FakeTensorConverter:
    """Cache of the fake counterparts of tensors.

    Attributes:
        tensor_memo: dictionary from tensors to their counterparts. Keys and values are weak references, so that the
            cache keeps neither the tensors nor the mode alive.
    """

    def __init__(self) -> None:
        self.tensor_memo: WeakIdKeyDictionary[Tensor, weakref.ref[FakeTensor]] = WeakIdKeyDictionary()

    def from_real_tensor(self, fake_mode: FakeTensorMode, t: Tensor, **_: Any) -> FakeTensor:
        """Return the fake counterpart of a tensor. If the tensor has a ``.grad``, its counterpart has a fake one."""
        if isinstance(t, FakeTensor):
            return t
        if type(t) is not Tensor and _core._is_dispatching_class(type(t)):
            raise UnsupportedFakeTensorException(
                f"cannot convert an instance of the tensor subclass {type(t).__name__} to a FakeTensor"
            )
        return self._cached_fake(fake_mode, t, t.device)

    def from_meta_and_device(self, fake_mode: FakeTensorMode, t: Tensor, device: Any, **_: Any) -> FakeTensor:
        """Return a fake tensor with the given device and the shape, strides and dtype of a meta tensor."""
        if t.device.type != "meta":
            raise AssertionError(f"tensor's device must be `meta`, got {t.device.type} instead")
        return self._cached_fake(fake_mode, t, device)

    def _cached_fake(self, fake_mode: FakeTensorMode, t: Tensor, device: Any) -> FakeTensor:
        reference = self.tensor_memo.get(t)
        if reference is not None and (known := reference()) is not None:
            return known
        fake = fake_mode._wrap_meta(_without_elements(t), device)
        if t.requires_grad:
            fake.requires_grad_()
        if t.is_leaf and t.grad is not None:
            fake.grad = self._cached_fake(fake_mode, t.grad, t.grad.device)
        if type(t).__name__ == "Parameter":
            fake._is_param = True  # type: ignore[attr-defined]
        self.tensor_memo[t] = weakref.ref(fake)
        return fake


class FakeCopyMode(TorchFunctionMode):
    """Mode in which ``copy.deepcopy`` replaces tensors with fake tensors, which need no memory for elements.

    Args:
        fake_mode: the mode that creates the fake tensors.

    >>> import copy
    >>> import flambeau
    >>> numbers = {"weight": flambeau.ones(1000, 1000)}
    >>> with FakeCopyMode(FakeTensorMode()):
    ...     copied = copy.deepcopy(numbers)
    >>> copied
    {'weight': FakeTensor(..., device='cpu', size=(1000, 1000))}
    """

    _handles_functions = False

    def __init__(self, fake_mode: FakeTensorMode) -> None:
        self.fake_mode = fake_mode

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func == Tensor.clone:  # the copy of a parameter calls this function
            return func(self.fake_mode.from_tensor(args[0]), **(kwargs or {}))
        if func == Tensor.__deepcopy__:
            tensor, memo = args
            if id(tensor) not in memo:
                memo[id(tensor)] = self.fake_mode.from_tensor(tensor)
            return memo[id(tensor)]
        with DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))


def is_fake(x: object) -> bool:
    """Return True if ``x`` is a `FakeTensor` or a wrapper with ``__tensor_flatten__`` that contains a `FakeTensor`."""
    if isinstance(x, FakeTensor):
        return True
    if isinstance(x, Tensor) and hasattr(x, "__tensor_flatten__"):
        names, _ = x.__tensor_flatten__()
        return any(is_fake(getattr(x, name)) for name in names)
    return False


def maybe_get_fake_mode(t: object) -> FakeTensorMode | None:
    """Return the mode of a `FakeTensor`, or None for any other object."""
    return t.fake_mode if isinstance(t, FakeTensor) else None


@contextlib.contextmanager
def unset_fake_temporarily() -> Iterator[FakeTensorMode | None]:
    """Leave every `FakeTensorMode` during a ``with`` block.

    Modes that were entered after the outermost `FakeTensorMode` are left as well. The context manager yields the
    innermost `FakeTensorMode`, or None.
    """
    left: list[Any] = []
    try:
        while any(isinstance(mode, FakeTensorMode) for mode in _core._dispatch_modes()):
            left.append(_core._pop_dispatch_mode())
        yield next((mode for mode in left if isinstance(mode, FakeTensorMode)), None)
    finally:
        for mode in reversed(left):
            _core._push_dispatch_mode(mode)
