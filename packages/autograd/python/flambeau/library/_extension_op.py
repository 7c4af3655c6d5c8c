"""Operators of extension modules, which record their own derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

from flambeau import Tensor, _core
from flambeau.autograd import Function
from flambeau.library._custom_op import CustomOpDef, check_name, register, run_each_example
from flambeau.utils import _pytree


class ExtensionOpDef(CustomOpDef):
    """Operator that :func:`extension_op` returns."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._by_position = (
            -1 if self._keywords else len(self._signature.parameters)
        )  # number of arguments of a call that needs no binding; -1 if there are keyword-only parameters

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == self._by_position and not kwargs:
            return self._call(*args)
        return super().__call__(*args, **kwargs)

    def _callable(self) -> Callable[..., Any]:
        kernels, is_dispatched = self._kernels, _core._is_dispatched

        def call(*args: Any, **named: Any) -> Any:
            if is_dispatched((args, *named.values()) if named else args):
                return self._dispatch(args, named)
            if len(kernels) > 1 or None not in kernels:
                return self._run(args, named)
            for x in args:
                if type(x) is Tensor and x.is_meta:
                    return self._run(args, named)
            return kernels[None](*args, **named)

        return self._add_metadata(call)

    def _dispatch(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call the ``__torch_dispatch__`` of a mode or class below autograd. Note [Dispatch]."""
        from flambeau import _dispatch

        return _dispatch.call(self._opoverload, *self._opoverload.without_defaults(args, named))

    def _run(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return self._kernel([x for x in _pytree.tree_leaves(args) if isinstance(x, Tensor)])(*args, **named)

    def _run_batched(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        from flambeau.func._batching import functions

        leaves, nested = _pytree.tree_flatten((args, tuple(named.values())))
        return functions.apply(mapped(self, nested), *leaves)

    def _has_derivative(self) -> bool:
        return True

    def register_autograd(
        self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None
    ) -> None:
        """Raise RuntimeError, because the function records its own derivative."""
        raise RuntimeError(
            f"{self} computes its own derivative in C++; use custom_op to define an operator with a registered "
            "derivative"
        )


def mapped(op: CustomOpDef, nested: _pytree.TreeSpec) -> type[Function]:
    """Return a class like `Function` for `func.vmap`. Its ``apply`` calls the operator with flattened arguments."""

    def arguments(leaves: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, named = _pytree.tree_unflatten(leaves, nested)
        return args, dict(zip(op._keywords, named, strict=True))

    class Mapped(Function):
        @staticmethod
        def apply(*leaves: Any) -> Any:
            args, named = arguments(leaves)
            return op._call(*args, **named)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            raise AssertionError("an extension's operator records its own derivative")

        @staticmethod
        def vmap(info: Any, in_dims: Any, *leaves: Any) -> Any:
            if op._vmap is not None:
                args, named = arguments(leaves)
                return op._vmap(info, arguments(in_dims)[0], *args, **named)
            return run_each_example(Mapped.apply, info.batch_size, in_dims, leaves)

    Mapped.__name__ = Mapped.__qualname__ = op._qualname
    return Mapped


@overload
def extension_op(
    name: str,
    fn: None = None,
    /,
    *,
    mutates_args: str | Iterable[str] = (),
    device_types: str | Iterable[str] | None = None,
    schema: str | None = None,
) -> Callable[[Callable[..., Any]], CustomOpDef]: ...
@overload
def extension_op(
    name: str,
    fn: Callable[..., Any],
    /,
    *,
    mutates_args: str | Iterable[str] = (),
    device_types: str | Iterable[str] | None = None,
    schema: str | None = None,
) -> CustomOpDef: ...
def extension_op(
    name: str,
    fn: Callable[..., Any] | None = None,
    /,
    *,
    mutates_args: str | Iterable[str] = (),
    device_types: str | Iterable[str] | None = None,
    schema: str | None = None,
) -> Any:
    """Define an operator from a function of an extension module. Without ``fn``, return a decorator.

    In contrast to :func:`custom_op`, the function records its own derivative, as C++ operators do with
    ``flambeau::record``. The operator can be traced by `jit.trace`, `export.export` and `onnx.export`, mapped by
    `func.vmap`, and intercepted by `fx`, ``__torch_function__`` and ``__torch_dispatch__``. Programs call the function,
    or the operators of its decomposition if ``register_decomposition`` has set one. The operator is also available as
    ``flambeau.ops.namespace.name``.

    Args:
        name: ``"namespace::name"``.
        fn: function with annotations, which :func:`infer_schema` reads.
        mutates_args: names of the arguments that the function changes.
        device_types: device types that ``fn`` supports, such as ``"cpu"``; None for all.
        schema: schema that replaces the inferred one.
    Raises: ValueError for an invalid name, or a function without a valid schema.

    >>> import flambeau
    >>> @flambeau.library.extension_op("readme::twice")
    ... def twice(x: flambeau.Tensor) -> flambeau.Tensor:
    ...     return x + x  # a call into an extension module
    >>> flambeau.func.vmap(flambeau.ops.readme.twice)(flambeau.ones(2))
    tensor([2., 2.])
    """
    check_name("extension_op", name)
    changed = mutates_args if isinstance(mutates_args, str) else tuple(mutates_args)

    def define(function: Callable[..., Any]) -> CustomOpDef:
        return register(ExtensionOpDef(name, function, changed, device_types, schema))

    return define if fn is None else define(fn)
