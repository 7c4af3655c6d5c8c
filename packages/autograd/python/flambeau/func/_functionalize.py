"""``functionalize``: replacement of in-place operators with out-of-place operators.

Note [Functionalisation]
The function runs on `FunctionalTensor` objects. Each object holds a tensor, its value. An in-place operator is replaced
with its out-of-place form, and the object then holds the result as its new value. A view keeps its base and the view
operator. A change of a view also replaces the value of the base: the new elements are scattered into the base. All
views of this base recompute their values when they are next read. At the end, the new values of changed arguments are
copied to the arguments.
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
    """Tensor that holds a value and replaces in-place operators with out-of-place operators."""

    _value: Tensor
    _base_tensor: FunctionalTensor | None
    _step: _View
    _version_of_value: int  # the base's `_changes` at the time when this value was computed
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
        """Return the value. Recompute it first if the base has changed."""
        base = self._base_tensor
        if base is not None:
            current = base.value()
            if self._version_of_value != base._changes:
                self._value = self._step.forward(current)
                self._version_of_value = base._changes
                self._changes += 1
        return self._value

    def replace(self, value: Tensor) -> None:
        """Replace the value and, for a view, the corresponding elements of the base."""
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
    views = [FunctionalTensor(each, args[0], _View(func, args[1:], kwargs, i)) for i, each in enumerate(result)]
    return views if isinstance(result, list) else tuple(views)


class _View:
    """A view operator with its arguments."""

    def __init__(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], index: int | None) -> None:
        self.func, self.args, self.kwargs, self.index = func, args, kwargs, index

    def forward(self, base: Tensor) -> Tensor:
        """Apply the view operator to a base."""
        result = self.func(base, *self.args, **self.kwargs)
        return result if self.index is None else result[self.index]  # type: ignore[no-any-return]

    def scattered(self, base: Tensor, view: Tensor) -> Tensor:
        """Return a copy of the base in which the elements of ``view`` replace those that the view operator selects."""
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
    """Run the out-of-place form of an in-place operator, and replace the values of the arguments that it changes."""
    named = dict(zip((argument.name for argument in func._schema.positional), args, strict=False)) | kwargs
    targets = [named[argument.name] for argument in func._schema.arguments if argument.is_write]
    if not all(isinstance(target, FunctionalTensor) for target in targets):
        raise RuntimeError(
            f"functionalize: {func} changes a tensor that is neither an argument of the function nor created in it"
        )
    outs = {argument.name for argument in func._schema.arguments if argument.is_out}
    if outs:
        inputs = {name: value for name, value in kwargs.items() if name not in outs}
        results = func.overloadpacket(*_values(args), **_values(inputs))
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
    overload: Callable[..., Any] = getattr(packet, func._overloadname)
    return overload


def functionalize(func: Callable[P, T], *, remove: str = "mutations") -> Callable[P, T]:
    """Return a function that computes the same results as ``func`` without in-place operators.

    If ``fx.experimental.proxy_tensor.make_fx`` traces the returned function, the graph has no in-place operators except
    for copies to arguments at the end, if ``func`` changes its arguments.

    Args:
        func: function that takes and returns tensors or pytrees of tensors.
        remove: ``"mutations"`` or ``"mutations_and_views"``. View operators are kept in both cases, because they do not
            change the results if there are no in-place operators.
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
