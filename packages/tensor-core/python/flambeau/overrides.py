"""``__torch_function__``: classes derived from Tensor that answer for the calls their instances are given to.

A class that defines the class method ``__torch_function__(cls, func, types, args=(), kwargs=None)`` is called in the
place of every operator, method and attribute of Tensor that meets one of its instances; ``super().__torch_function__``
does what would have been done. A :class:`TorchFunctionMode` answers for every call while it is entered. The names
are PyTorch's ``torch.overrides``.

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

from collections.abc import Callable, Iterable
from typing import Any, Self

from flambeau import _core
from flambeau._core import Tensor

__all__ = [
    "DisableTorchFunctionSubclass",
    "TorchFunctionMode",
    "enable_reentrant_dispatch",
    "handle_torch_function",
    "has_torch_function",
    "has_torch_function_unary",
    "has_torch_function_variadic",
    "is_tensor_like",
    "resolve_name",
]

_disabled_torch_function_impl = _core._disabled_torch_function_impl

# What gives another tensor back that is not computed: it keeps its own class.
_NOT_CONVERTED = frozenset(vars(Tensor)[name].__get__ for name in ("grad", "_base"))


class DisableTorchFunctionSubclass:
    """While this context runs, instances of derived classes are tensors like others, in the thread that entered it."""

    def __enter__(self) -> None:
        self._former = _core._overrides_heeded(False)

    def __exit__(self, *_: object) -> None:
        _core._overrides_heeded(self._former)


class TorchFunctionMode:
    """While it is entered, its ``__torch_function__`` answers for every call in this thread, and before classes do.

    Calls are those of operators and methods, and of ``__get__`` and ``__set__`` of a tensor's attributes. What the
    method itself calls goes to the modes around it. NotImplemented leaves the call to them and to the classes.

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

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Answers for ``func(*args, **kwargs)``; ``types`` are the classes that would be asked without the mode."""
        raise NotImplementedError(f"{type(self).__name__} has to define __torch_function__")

    def __enter__(self) -> Self:
        _core._push_function_mode(self)
        return self

    def __exit__(self, *_: object) -> None:
        _core._pop_function_mode()


def _is_mode_entered() -> bool:
    """Return whether a `TorchFunctionMode` answers in this thread."""
    try:
        mode = _core._pop_function_mode()
    except RuntimeError:  # there is none
        return False
    _core._push_function_mode(mode)
    return True


class enable_reentrant_dispatch:
    """While this context runs inside of a ``__torch_dispatch__``, operations are recorded for derivatives again."""

    def __enter__(self) -> None:
        self._former = _core._set_grad_enabled(True)

    def __exit__(self, *_: object) -> None:
        _core._set_grad_enabled(self._former)


def _override(value: Any) -> Any:
    if type(value) is Tensor:
        return None
    method = getattr(type(value), "__torch_function__", None)
    return None if method is _disabled_torch_function_impl else method


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether one of the arguments has a ``__torch_function__`` of its own, and they are heeded."""
    heeded = _core._overrides_heeded(True)
    _core._overrides_heeded(heeded)
    return heeded and any(_override(value) is not None for value in relevant_args)


def has_torch_function_unary(tensor: Any) -> bool:
    """:func:`has_torch_function` of one argument."""
    return has_torch_function((tensor,))


def has_torch_function_variadic(*tensors: Any) -> bool:
    """:func:`has_torch_function` of these arguments."""
    return has_torch_function(tensors)


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """Lets the classes of ``relevant_args`` answer for ``public_api(*args, **kwargs)``.

    They are asked from left to right, subclasses before their bases. Raises TypeError if each returns NotImplemented.
    """
    asked: list[Any] = []
    for value in relevant_args:
        if _override(value) is None or any(type(value) is type(other) for other in asked):
            continue
        before = [i for i, other in enumerate(asked) if isinstance(value, type(other))]
        asked.insert(before[0] if before else len(asked), value)
    types = tuple(type(value) for value in asked)
    for value in asked:
        result = _override(value)(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    raise TypeError(
        f"no implementation found for '{public_api}' on types that implement __torch_function__: {list(types)}"
    )


def is_tensor_like(value: Any) -> bool:
    """Whether ``value`` is a Tensor or has ``__torch_function__``."""
    return isinstance(value, Tensor) or hasattr(type(value), "__torch_function__")


def resolve_name(f: Any) -> str | None:
    """What a program writes for a function that ``__torch_function__`` is given; None for any other object.

    >>> import flambeau
    >>> resolve_name(flambeau.Tensor.exp), resolve_name(flambeau.exp)
    ('flambeau.Tensor.exp', 'flambeau.Tensor.exp')
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


def _converted(result: Any, cls: type[Tensor]) -> Any:
    if isinstance(result, Tensor):
        return result if isinstance(result, cls) else result.as_subclass(cls)
    if isinstance(result, (tuple, list)):
        items = [_converted(item, cls) for item in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    return result


def default_torch_function(cls: Any, func: Any, types: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    """What ``Tensor.__torch_function__`` does: runs ``func``; tensors among its results become of the class."""
    if not all(issubclass(cls, kind) for kind in types):
        return NotImplemented
    with DisableTorchFunctionSubclass():
        result = func(*args, **(kwargs or {}))
        return result if cls is Tensor or func in _NOT_CONVERTED else _converted(result, cls)
