"""``functionalize``: a function without changes in place.

Note [Functionalisation]
The function runs on `FunctionalTensor` objects, each of which holds a value. An in-place operator is replaced by its
out-of-place form, and the object then holds the result as its new value. A view keeps its base and the view operator. A
change of a view also replaces the value of the base, with the change scattered into it. All views of that base
recompute their values when they are next read. At the end, the values of changed arguments are copied to the arguments.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import flambeau
from flambeau import Tensor
from flambeau.library._overloads import OpOverload
from flambeau.overrides import _disabled_torch_function_impl
from flambeau.utils import _pytree

P = ParamSpec("P")
T = TypeVar("T")


class FunctionalTensor(Tensor):
    """Tensor that holds a value and replaces in-place operators by out-of-place ones."""

    _value: Tensor
    _base_tensor: FunctionalTensor | None
    _step: _View
    _version_of_value: int  # value of the base's counter `_changes` when this value was computed
    _changes: int
    __torch_function__ = _disabled_torch_function_impl  # type: ignore[assignment]
    called_before_modes = True  # dispatch modes see the operators that this class calls

    @staticmethod
    def __new__(cls, value: Tensor, base: FunctionalTensor | None = None, step: Any = None) -> Any:
        made = Tensor._make_wrapper_subclass(
            cls, value.shape, value.stride(), value.storage_offset(), dtype=value.dtype, device=value.device
        )
        made._value, made._base_tensor, made._step = value, base, step
        made._version_of_value, made._changes = 0 if base is None else base._changes, 0
        return made

    def __repr__(self) -> str:
        return f"FunctionalTensor({self._value!r})"

    def value(self) -> Tensor:
        """Return the value, computed again if the base was changed."""
        base = self._base_tensor
        if base is not None:
            current = base.value()
            if self._version_of_value != base._changes:
                self._value = self._step.forward(current)
                self._version_of_value = base._changes
                self._changes += 1
        return self._value

    def replace(self, value: Tensor) -> None:
        """Replace the value, and the corresponding part of the base."""
        own = self.value()
        if value.dtype is not own.dtype:
            value = value.to(own.dtype)
        if value.shape != own.shape:
            value = value.expand(own.shape)
        self._value = value
        self._changes += 1
        base = self._base_tensor
        if base is not None:
            base.replace(self._step.scattered(base.value(), value))
            self._version_of_value = base._changes

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        schema = func._own_schema
        if schema is not None and schema.is_mutable:
            return _run_mutating(func, args, kwargs)
        result = func(*_values(args), **_values(kwargs))
        if schema is not None and schema.is_view and isinstance(args[0], FunctionalTensor):
            return _views(func, args, kwargs, result)
        return _pytree.tree_map_only(Tensor, FunctionalTensor, result)


def _values(tree: Any) -> Any:
    return _pytree.tree_map_only(FunctionalTensor, FunctionalTensor.value, tree)


def _views(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
    if isinstance(result, Tensor):
        return FunctionalTensor(result, args[0], _View(func, args[1:], kwargs, None))
    made = [FunctionalTensor(each, args[0], _View(func, args[1:], kwargs, i)) for i, each in enumerate(result)]
    return made if isinstance(result, list) else tuple(made)


class _View:
    """A view operator with its arguments, which can be applied to a base and inverted."""

    def __init__(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], index: int | None) -> None:
        self.func, self.args, self.kwargs, self.index = func, args, kwargs, index

    def forward(self, base: Tensor) -> Tensor:
        """Return the view of a base."""
        result = self.func(base, *self.args, **self.kwargs)
        return result if self.index is None else result[self.index]  # type: ignore[no-any-return]

    def scattered(self, base: Tensor, view: Tensor) -> Tensor:
        """Return the base with the elements of the view replaced."""
        name, args = self.func._opname, self.args
        if name in ("select", "slice", "diagonal"):
            scatter = getattr(flambeau, f"{name}_scatter")
            return scatter(base, view, *args, **self.kwargs)  # type: ignore[no-any-return]
        if name in ("transpose", "t", "permute"):
            return self._invert_view(base, view)
        if name in ("view", "_unsafe_view", "squeeze", "unsqueeze", "alias", "detach"):
            return view.reshape(list(base.shape))
        if name in ("split", "split_with_sizes", "unbind"):
            parts = list(self.func(base, *args, **self.kwargs))
            parts[self.index or 0] = view
            dim = args[1] if name != "unbind" and len(args) > 1 else args[0] if name == "unbind" and args else 0
            return flambeau.stack(parts, dim) if name == "unbind" else flambeau.cat(parts, dim)
        raise NotImplementedError(
            f"functionalize: in-place changes of a view that {self.func} returned are not supported"
        )

    def _invert_view(self, base: Tensor, view: Tensor) -> Tensor:
        if self.func._opname == "t":
            return flambeau.t(view)
        if self.func._opname == "transpose":
            return flambeau.transpose(view, *self.args)
        order = [dim % base.dim() for dim in self.args[0]]
        return view.permute([order.index(dim) for dim in range(base.dim())])


def _run_mutating(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Replace the values of the arguments that an operator changes by the results of its out-of-place form."""
    named = dict(zip((argument.name for argument in func._schema.positional), args, strict=False)) | kwargs
    targets = [named[argument.name] for argument in func._schema.arguments if argument.is_write]
    if not all(isinstance(target, FunctionalTensor) for target in targets):
        raise RuntimeError(
            f"functionalize: {func} changes a tensor that is neither an argument of the function nor created in it"
        )
    outs = {argument.name for argument in func._schema.arguments if argument.is_out}
    if outs:
        given = {name: value for name, value in kwargs.items() if name not in outs}
        results = func.overloadpacket(*_values(args), **_values(given))
    else:
        results = _out_of_place(func)(*_values(args), **_values(kwargs))
    for target, result in zip(targets, results if isinstance(results, (tuple, list)) else (results,), strict=True):
        target.replace(result)
    return targets[0] if len(targets) == 1 else tuple(targets)


def _out_of_place(func: Any) -> Callable[..., Any]:
    name = func._opname.removesuffix("_")
    if name == "copy":
        return lambda own, source, non_blocking=False: source
    if name == "zero":
        return flambeau.zeros_like
    if name == "fill":
        return lambda own, value: value if isinstance(value, Tensor) else flambeau.full_like(own, value)
    packet = getattr(flambeau.ops.aten, name, None) if func.namespace == "aten" else None
    if packet is None or not hasattr(packet, func._overloadname):
        raise NotImplementedError(f"functionalize: {func} changes tensors in place and has no out-of-place form")
    found: Callable[..., Any] = getattr(packet, func._overloadname)
    return found


def functionalize(func: Callable[P, T], *, remove: str = "mutations") -> Callable[P, T]:
    """Return a function that computes the same without in-place operators.

    If ``fx.experimental.proxy_tensor.make_fx`` traces it, the graph has no in-place operators. Changes of arguments are
    copied to them at the end.

    Args:
        func: function of tensors or pytrees of tensors that returns the same.
        remove: ``"mutations"`` or ``"mutations_and_views"``. View operators are kept in both cases; without in-place
            changes, the results are the same.
    Raises: RuntimeError for another ``remove``.

    >>> import flambeau
    >>> flambeau.func.functionalize(lambda x: x.clone().add_(1).mul_(2))(flambeau.ones(2))
    tensor([4., 4.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}. Valid options "
            "are:\n     remove='mutations': all inplace and out= operators will be removed from the program, and "
            "replaced with their out-of-place equivalents.\n     remove='mutations_and_views': In addition to the "
            "above, all aliasing operators {view} will be replaced with their non-aliasing counterparts, {view}_copy."
        )

    @functools.wraps(func)
    def functional(*args: P.args, **kwargs: P.kwargs) -> T:
        from flambeau import _dispatch as _dispatch  # registers the dispatcher

        wrapped = _pytree.tree_map_only(Tensor, FunctionalTensor, (args, kwargs))
        given, named = wrapped
        result = func(*given, **named)
        before, after = _pytree.tree_leaves((args, kwargs)), _pytree.tree_leaves(wrapped)
        for tensor, standing in zip(before, after, strict=True):
            if isinstance(standing, FunctionalTensor) and standing.value() is not tensor:
                tensor.copy_(standing.value())
        values: T = _values(result)
        return values

    return functional
