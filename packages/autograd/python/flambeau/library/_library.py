"""``Library``: operators that a program declares by schemas and implements for dispatch keys.

>>> import flambeau
>>> library = Library("readme_library", "DEF")
>>> library.define("double(Tensor x) -> Tensor")
'double'
>>> library.impl("double", lambda x: x * 2, "CPU")
>>> flambeau.ops.readme_library.double(flambeau.ones(2))
tensor([2., 2.])
"""

from __future__ import annotations

import contextlib
import functools
import re
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NoReturn, TypeVar, overload

from flambeau.library._custom_op import CustomOpDef, registry, unregister
from flambeau.library._declared_op import declare, implement
from flambeau.library._overloads import OpOverload, OpOverloadPacket

Function = TypeVar("Function", bound=Callable[..., Any])
_KINDS = ("DEF", "IMPL", "FRAGMENT")
_RESERVED = ("prim",)
_OF_DEVICES = {"cpu": "CPU", "cuda": "CUDA", "meta": "Meta", "default": "CompositeExplicitAutograd"}


def name_of(operator: Any) -> str:
    """Return the name of a custom operator, overload or packet, without ``.default``. ``operator`` can be a name.

    Raises: NotImplementedError for an operator of flambeau itself.
    """
    name = operator
    if isinstance(operator, CustomOpDef):
        name = operator._qualname
    elif isinstance(operator, (OpOverload, OpOverloadPacket)):
        name = operator.name() if isinstance(operator, OpOverload) else operator._qualified_op_name
    if not isinstance(name, str):
        raise ValueError(f"expected an operator or its name, got {type(name).__name__}")
    name = name.removesuffix(".default")
    if name.startswith("aten::"):
        raise NotImplementedError(f"{name}: the kernels of flambeau's own operators cannot be replaced")
    return name


def definition_of(operator: Any) -> CustomOpDef:
    """Return the custom operator for a name, an overload or a packet.

    Raises: NotImplementedError for an operator of flambeau itself; RuntimeError if no operator has this name.
    """
    if isinstance(operator, CustomOpDef):
        return operator
    name = name_of(operator)
    if name not in registry:
        raise RuntimeError(f"no operator {name!r} has been defined; define it with flambeau.library.custom_op")
    return registry[name]


class Library:
    """Operators of a namespace that a program declares, or kernels for operators of other libraries.

    The operators exist as long as the library that declared them.

    Args:
        ns: the namespace.
        kind: ``"DEF"`` for the main library of the namespace (at most one), ``"FRAGMENT"`` for an additional library
            that declares operators, ``"IMPL"`` for a library that only implements operators.
        dispatch_key: default dispatch key of `impl`.
    Raises: ValueError for an unknown kind or a reserved namespace; RuntimeError for a second ``"DEF"`` library.

    >>> library = fb.library.Library("example_library", "DEF")
    >>> name = library.define("double(Tensor x) -> Tensor")
    >>> library.impl(name, lambda x: x * 2, "CPU")
    >>> fb.ops.example_library.double(fb.ones(2))
    tensor([2., 2.])
    """

    _declaring: ClassVar[weakref.WeakValueDictionary[str, Library]] = weakref.WeakValueDictionary()

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in _KINDS:
            raise ValueError(f"Unsupported kind: {kind!r}; expected one of {', '.join(map(repr, _KINDS))}")
        if ns in _RESERVED and kind in ("DEF", "FRAGMENT"):
            raise ValueError(f"{ns} is a reserved namespace. Please try creating a library with another name.")
        if kind == "DEF" and ns in Library._declaring:
            raise RuntimeError(
                f"Only a single TORCH_LIBRARY can be used to register the namespace {ns}; please put all of your "
                "definitions in a single TORCH_LIBRARY block."
            )
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key
        self._defined: list[str] = []
        self._implemented: set[tuple[str, str]] = set()
        if kind == "DEF":
            Library._declaring[ns] = self

    def __repr__(self) -> str:
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})>"

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Declare an operator by its schema without the namespace. Return the operator's name.

        ``alias_analysis`` and ``tags`` are accepted for compatibility with PyTorch and have no effect.
        """
        if alias_analysis not in ("", "FROM_SCHEMA", "CONSERVATIVE"):
            raise RuntimeError(
                f"Invalid alias_analysis type {alias_analysis!r}; expected '', 'FROM_SCHEMA' or 'CONSERVATIVE'"
            )
        if self.kind == "IMPL":
            raise RuntimeError("define() cannot be called on a Library of the kind 'IMPL'; use 'DEF' or 'FRAGMENT'")
        op = declare(f"{self.ns}::{schema}")
        self._defined.append(op._qualname)
        return op._qualname.partition("::")[2]

    def impl(
        self, op_name: Any, fn: Callable[..., Any], dispatch_key: str = "", *, with_keyset: bool = False, **_: Any
    ) -> None:
        """Register the kernel of an operator for a dispatch key. The operator may be declared later."""
        if not callable(fn):
            raise TypeError(f"Input function is required to be a callable but found type {type(fn)}")
        if with_keyset:
            raise NotImplementedError("with_keyset=True is not supported: kernels do not receive dispatch keys")
        name = op_name.name() if isinstance(op_name, OpOverload) else str(op_name)
        name = name if "::" in name else f"{self.ns}::{name}"
        name = name_of(name)
        key = dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"
        if (name, key) in self._implemented:
            raise RuntimeError(
                f"This is not allowed since there's already a kernel registered from python overriding {name}'s "
                f"behavior for {key} dispatch key and {self.ns} namespace."
            )
        implement(name, key, fn)
        self._implemented.add((name, key))

    def _register_fake(self, op_name: str, fn: Callable[..., Any], _stacklevel: int = 1, **_: Any) -> None:
        """Register the fake implementation of an operator."""
        definition_of(op_name if "::" in op_name else f"{self.ns}::{op_name}").register_fake(fn)

    def fallback(self, fn: Callable[..., Any], dispatch_key: str = "", *, with_keyset: bool = False) -> NoReturn:
        """Raise NotImplementedError, because a kernel can only be registered for one operator."""
        raise NotImplementedError("Library.fallback is not supported: a kernel can only be registered for one operator")

    def __del__(self) -> None:
        if hasattr(self, "_defined"):
            self._destroy()

    def _destroy(self) -> None:
        """Remove the operators that the library declared. This also happens when the library is deleted."""
        for name in self._defined:
            unregister(name)
        self._defined.clear()
        if Library._declaring.get(self.ns) is self:
            del Library._declaring[self.ns]


@contextlib.contextmanager
def _scoped_library(*args: Any, **kwargs: Any) -> Iterator[Library]:
    """Create a library whose operators exist until the end of a ``with`` block."""
    library = Library(*args, **kwargs)
    try:
        yield library
    finally:
        library._destroy()


@overload
def define(
    qualname: Library, schema: str, alias_analysis: str = "", *, lib: Library | None = None, tags: Any = ()
) -> Callable[[Function], Function]: ...


@overload
def define(
    qualname: str, schema: str, alias_analysis: str = "", *, lib: Library | None = None, tags: Any = ()
) -> None: ...


def define(
    qualname: str | Library, schema: str, alias_analysis: str = "", *, lib: Library | None = None, tags: Any = ()
) -> Any:
    """Declare an operator by its name ``namespace::name`` and the rest of its schema, ``(Tensor x) -> Tensor``.

    If ``qualname`` is a `Library` and ``schema`` a complete schema, return a decorator for the kernel instead.

    >>> fb.library.define("example::triple", "(Tensor x) -> Tensor")
    >>> fb.library.impl("example::triple", "cpu", lambda x: 3 * x)
    >>> fb.ops.example.triple(fb.ones(2))
    tensor([3., 3.])
    """
    if isinstance(qualname, Library):
        return functools.partial(_defined_and_implemented, qualname, schema, alias_analysis)
    if not isinstance(qualname, str):
        raise ValueError(f"define(qualname, schema): expected qualname to be instance of str, got {type(qualname)}")
    if not re.fullmatch(r"\(.*\) -> .*", schema, re.DOTALL):
        raise ValueError(
            "define(qualname, schema, ...): expected schema to look like e.g. '(Tensor x) -> Tensor' but got "
            f"{schema!r}"
        )
    op = declare(qualname + schema)
    if lib is not None:
        lib._defined.append(op._qualname)
    return None


def _defined_and_implemented(library: Library, schema: str, alias_analysis: str, function: Function) -> Function:
    library.impl(library.define(schema, alias_analysis), function)
    return function


@overload
def impl(
    qualname: Any, types: str | Sequence[str], func: None = None, *, lib: Library | None = None
) -> Callable[[Function], Function]: ...


@overload
def impl(
    qualname: Any, types: str | Sequence[str], func: Callable[..., Any], *, lib: Library | None = None
) -> None: ...


def impl(
    qualname: Any, types: str | Sequence[str], func: Callable[..., Any] | None = None, *, lib: Library | None = None
) -> Any:
    """Register the kernel of an operator for device types or dispatch keys. Without ``func``, return a decorator.

    The operator may be declared later.

    Args:
        qualname: the operator or its name; or a `Library`, as in PyTorch's ``impl(library, name, dispatch_key)``. With
            a library, ``types`` is the operator's name, ``func`` is the dispatch key, and a decorator is returned.
        types: ``"cpu"``, ``"cuda"``, ``"meta"``, ``"default"`` for all device types, or dispatch keys such as
            ``"CompositeImplicitAutograd"``.
        func: the kernel.
        lib: accepted for compatibility with PyTorch; no effect.

    >>> fb.library.define("example::half", "(Tensor x) -> Tensor")
    >>> @fb.library.impl("example::half", "default")
    ... def half(x):
    ...     return x / 2
    >>> fb.ops.example.half(fb.ones(2))
    tensor([0.5000, 0.5000])
    """
    if isinstance(qualname, Library):
        return functools.partial(_implemented_in, qualname, types, "" if func is None else str(func))
    if func is None:
        return functools.partial(_implemented, qualname, types)
    _implemented(qualname, types, func)
    return None


def _implemented_in(library: Library, name: Any, key: str, function: Function) -> Function:
    library.impl(name, function, key)
    return function


def _implemented(qualname: Any, types: str | Sequence[str], func: Function) -> Function:
    for kind in [types] if isinstance(types, str) else types:
        implement(name_of(qualname), _OF_DEVICES.get(kind, kind), func)
    return func


def fallthrough_kernel() -> NoReturn:
    """Raise NotImplementedError, because flambeau does not pass calls from one dispatch key to the next."""
    raise NotImplementedError(
        "fallthrough_kernel is not supported: calls are not passed on from one dispatch key to the next"
    )


def triton_op(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise NotImplementedError: flambeau does not compile Triton kernels. Use `custom_op` for a function."""
    raise NotImplementedError(
        "triton_op: flambeau does not compile Triton kernels; define the operator with custom_op instead"
    )


def wrap_triton(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise NotImplementedError: flambeau does not compile Triton kernels. Use `custom_op` for a function."""
    raise NotImplementedError(
        "wrap_triton: flambeau does not compile Triton kernels; define the operator with custom_op instead"
    )


def get_ctx() -> NoReturn:
    """Raise NotImplementedError, because sizes that depend on the values of elements are not supported."""
    raise NotImplementedError("get_ctx: symbolic sizes are not supported")
