"""The ``__torch_function__`` protocol, which lets subclasses of Tensor override operators, as in ``torch.overrides``.

A class can define the class method ``__torch_function__(cls, func, types, args=(), kwargs=None)``. It is called instead
of every operator, method and attribute of Tensor that receives an instance of the class. Call
``super().__torch_function__`` for the default behaviour. A :class:`TorchFunctionMode` overrides every call while it is
active.

>>> import flambeau
>>> class Logged(flambeau.Tensor):
...     @classmethod
...     def __torch_function__(cls, func, types, args=(), kwargs=None):
...         print(func.__name__)
...         return super().__torch_function__(func, types, args, kwargs)
>>> x = flambeau.ones(2).as_subclass(Logged)
>>> y = x + 1
add
>>> type(y) is Logged
True
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, Self

from flambeau import _core
from flambeau._core import Tensor

__all__ = [
    "BaseTorchFunctionMode",
    "DisableTorchFunctionSubclass",
    "TorchFunctionMode",
    "enable_reentrant_dispatch",
    "handle_torch_function",
    "has_torch_function",
    "has_torch_function_unary",
    "has_torch_function_variadic",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "resolve_name",
    "wrap_torch_function",
]

_disabled_torch_function_impl = _core._disabled_torch_function_impl

# Functions that return an existing tensor instead of a computed tensor, such as getters. The result keeps its class,
# because a conversion would create another tensor. Other packages add functions to this set.
_NOT_CONVERTED: set[Any] = {vars(Tensor)[name].__get__ for name in ("grad", "_base")}


class DisableTorchFunctionSubclass:
    """Context manager that disables ``__torch_function__`` of Tensor subclasses in the current thread.

    >>> class Named(fb.Tensor): ...
    >>> x = fb.ones(2).as_subclass(Named)
    >>> with fb.overrides.DisableTorchFunctionSubclass():
    ...     type(x + 1).__name__
    'Tensor'
    """

    def __enter__(self) -> None:
        self._former = _core._overrides_heeded(False)

    def __exit__(self, *_: object) -> None:
        _core._overrides_heeded(self._former)


class TorchFunctionMode:
    """Context manager that passes every call in the current thread to its ``__torch_function__`` method.

    The method has priority over the ``__torch_function__`` of classes. It receives the calls of operators and methods,
    and the calls of ``__get__`` and ``__set__`` for the attributes of a tensor. Calls inside the method go to the
    enclosing modes. If the method returns NotImplemented, the enclosing modes and then the classes handle the call.

    >>> import flambeau
    >>> class Counting(TorchFunctionMode):
    ...     calls = 0
    ...
    ...     def __torch_function__(self, func, types, args=(), kwargs=None):
    ...         self.calls += 1
    ...         return func(*args, **(kwargs or {}))
    >>> with Counting() as counting:
    ...     y = flambeau.ones(2).exp() + 1
    >>> counting.calls
    3
    """

    _handles_functions = True  # Note [Overridable functions]

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Handle ``func(*args, **kwargs)``. ``types`` are the classes that would handle the call without the mode."""
        raise NotImplementedError(f"{type(self).__name__} has to define __torch_function__")

    def __enter__(self) -> Self:
        _core._push_function_mode(self)
        return self

    def __exit__(self, *_: object) -> None:
        _core._pop_function_mode()


class BaseTorchFunctionMode(TorchFunctionMode):
    """Mode that calls the functions unchanged. Subclasses override ``__torch_function__``.

    >>> import flambeau
    >>> with BaseTorchFunctionMode():
    ...     flambeau.ones(2) + 1
    tensor([2., 2.])
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Return ``func(*args, **kwargs)``."""
        return func(*args, **(kwargs or {}))


def _get_current_function_mode() -> TorchFunctionMode | None:
    """Return the innermost active `TorchFunctionMode` of this thread, or None."""
    try:
        mode: TorchFunctionMode = _core._pop_function_mode()
    except RuntimeError:  # no mode is active
        return None
    _core._push_function_mode(mode)
    return mode


def _is_mode_entered() -> bool:
    """Return True if a `TorchFunctionMode` is active in this thread."""
    return _get_current_function_mode() is not None


def _call_mode(public_api: Callable[..., Any], *args: Any) -> Any:
    """Return what the innermost `TorchFunctionMode` returns for a call, or NotImplemented if no mode is active."""
    try:
        mode = _core._pop_function_mode()
    except RuntimeError:  # no mode is active
        return NotImplemented
    try:
        types = tuple({type(arg): None for arg in args if _override(arg) is not None})
        return mode.__torch_function__(public_api, types, args, {})
    finally:
        _core._push_function_mode(mode)


class enable_reentrant_dispatch:
    """Context manager for use in ``__torch_dispatch__`` that records operations for automatic differentiation.

    >>> with fb.no_grad(), fb.overrides.enable_reentrant_dispatch():
    ...     fb.is_grad_enabled()
    True
    """

    def __enter__(self) -> None:
        self._former = _core._set_grad_enabled(True)

    def __exit__(self, *_: object) -> None:
        _core._set_grad_enabled(self._former)


def _override(value: Any) -> Any:
    """Return the ``__torch_function__`` of a value's class, or None if it does not override the default."""
    if type(value) is Tensor:
        return None
    method = getattr(type(value), "__torch_function__", None)
    return None if method is _disabled_torch_function_impl else method


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Return True if an argument overrides ``__torch_function__`` and overrides are enabled in this thread.

    >>> class Named(fb.Tensor): ...
    >>> x = fb.ones(2)
    >>> fb.overrides.has_torch_function((x,)), fb.overrides.has_torch_function((x, x.as_subclass(Named)))
    (False, True)
    """
    heeded = _core._overrides_heeded(True)
    _core._overrides_heeded(heeded)
    return heeded and any(_override(value) is not None for value in relevant_args)


def has_torch_function_unary(tensor: Any) -> bool:
    """Return ``has_torch_function((tensor,))``. See `has_torch_function`."""
    return has_torch_function((tensor,))


def has_torch_function_variadic(*tensors: Any) -> bool:
    """Return ``has_torch_function(tensors)``. See `has_torch_function`."""
    return has_torch_function(tensors)


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """Call the ``__torch_function__`` of the classes of ``relevant_args`` for ``public_api(*args, **kwargs)``.

    The classes are tried from left to right, subclasses before their bases.

    Args:
        public_api: the function that the user called.
        relevant_args: arguments whose classes can override the function.
        args, kwargs: all arguments of the call.
    Returns: the first result that is not NotImplemented.
    Raises: TypeError if all classes return NotImplemented.

    >>> class Metres:
    ...     @classmethod
    ...     def __torch_function__(cls, func, types, args=(), kwargs=None):
    ...         return f"{func.__name__} of {cls.__name__}"
    >>> def double(x):
    ...     if fb.overrides.has_torch_function_unary(x):
    ...         return fb.overrides.handle_torch_function(double, (x,), x)
    ...     return 2 * x
    >>> double(Metres())
    'double of Metres'
    """
    overriding: list[Any] = []
    for value in relevant_args:
        if _override(value) is None or any(type(value) is type(other) for other in overriding):
            continue
        before = [i for i, other in enumerate(overriding) if isinstance(value, type(other))]
        overriding.insert(before[0] if before else len(overriding), value)
    types = tuple(type(value) for value in overriding)
    for value in overriding:
        result = _override(value)(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    raise TypeError(
        f"no implementation found for '{public_api}' on types that implement __torch_function__: {list(types)}"
    )


def wrap_torch_function(
    dispatcher: Callable[..., Iterable[Any]],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator with which ``__torch_function__`` can handle the calls of a function.

    Args:
        dispatcher: function with the parameters of the decorated function. It returns the arguments whose classes can
            handle a call.

    >>> class Metres:
    ...     @classmethod
    ...     def __torch_function__(cls, func, types, args=(), kwargs=None):
    ...         return f"{func.__name__} of {cls.__name__}"
    >>> @fb.overrides.wrap_torch_function(lambda x: (x,))
    ... def double(x):
    ...     return 2 * x
    >>> double(3), double(Metres())
    (6, 'double of Metres')
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            relevant = tuple(dispatcher(*args, **kwargs))
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return wrapped

    return decorate


def is_tensor_method_or_property(func: Any) -> bool:
    """Return True if a function that ``__torch_function__`` receives is a method or a property of Tensor.

    >>> import flambeau
    >>> is_tensor_method_or_property(flambeau.Tensor.exp), is_tensor_method_or_property(flambeau.exp)
    (True, False)
    """
    name = getattr(func, "__name__", "")
    return name in ("__get__", "__set__") or getattr(Tensor, name, None) is func


def is_tensor_like(inp: Any) -> bool:
    """Return True if ``inp`` is a Tensor or its class has ``__torch_function__``.

    >>> class Metres:
    ...     @classmethod
    ...     def __torch_function__(cls, func, types, args=(), kwargs=None): ...
    >>> fb.overrides.is_tensor_like(Metres()), fb.overrides.is_tensor_like([1.0])
    (True, False)
    """
    return isinstance(inp, Tensor) or hasattr(type(inp), "__torch_function__")


def resolve_name(f: Any) -> str | None:
    """Return the qualified name of a function that ``__torch_function__`` receives, or None for other objects.

    >>> import flambeau
    >>> resolve_name(flambeau.Tensor.exp), resolve_name(flambeau.exp)
    ('flambeau.Tensor.exp', 'flambeau.exp')
    """
    name = getattr(f, "__name__", None)
    if name in ("__get__", "__set__"):
        name = f"{f.__self__.__name__}.{name}"
        return f"{_core._library_name()}.Tensor.{name}" if isinstance(f.__self__, type(Tensor.grad)) else None
    if name is None:
        return None
    if vars(Tensor).get(name) is f:
        return f"{_core._library_name()}.Tensor.{name}"
    module = getattr(f, "__module__", None)
    return (
        f"{_core._library_name() if module == 'flambeau._core' else module}.{name}" if callable(f) and module else None
    )


def _convert_result(result: Any, cls: type[Tensor]) -> Any:
    if isinstance(result, Tensor):
        return result if isinstance(result, cls) else result.as_subclass(cls)
    if isinstance(result, (tuple, list)):
        items = [_convert_result(item, cls) for item in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    return result


def default_torch_function(cls: Any, func: Any, types: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    """Implement ``Tensor.__torch_function__``: run ``func`` and convert the tensors in its result to ``cls``."""
    if not all(issubclass(cls, kind) for kind in types):
        return NotImplemented
    with DisableTorchFunctionSubclass():
        result = func(*args, **(kwargs or {}))
        return result if cls is Tensor or func in _NOT_CONVERTED else _convert_result(result, cls)
