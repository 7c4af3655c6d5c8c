"""Custom operators: their names, kernels and derivatives."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

import flambeau
from flambeau import Tensor, _core
from flambeau.amp.autocast_mode import _cast_tensors, is_autocast_available
from flambeau.autograd import Function
from flambeau.autograd.graph import increment_version
from flambeau.library._schema import infer_schema
from flambeau.utils import _pytree

if TYPE_CHECKING:
    from flambeau.library._custom_overload import CustomOverload, CustomPacket

F = TypeVar("F", bound=Callable[..., Any])
NO_FORMULA = (
    "Trying to backward through {op}.default but no autograd formula was registered. Please use register_autograd to "
    "add one."
)
NO_FAKE = "There was no fake impl registered for {op}. Please use `{op.__name__}.register_fake` to add a fake impl."
ALIAS = (
    "{op}: The output of this custom operator (1) must not also be an input to this custom operator and (2) may not "
    "alias any inputs. Return a clone of it: x.clone()"
)
IN_PLACE = (
    "Cannot register autograd formula for non-functional operator {op} with schema {schema}. Please create a "
    "functional operator and register an autograd formula for that."
)

registry: dict[str, CustomOpDef] = {}
packets: dict[str, CustomPacket] = {}  # the key is the name without the overload name; created on first use
# Dispatch keys of devices that flambeau does not support. Kernels for them are accepted but never called.
KEYS_OF_OTHER_DEVICES = ("FPGA", "HIP", "HPU", "IPU", "Lazy", "MPS", "MTIA", "PrivateUse1", "VE", "XLA", "XPU")
# Dispatch keys of kernels, and the device type that each kernel supports; None means all device types.
KEYS_OF_DEVICES = {"CPU": "cpu", "CUDA": "cuda", "CompositeExplicitAutograd": None}


class CustomOpDef:
    """Operator that `custom_op` or `extension_op` returns. It is called like the function that defines it.

    >>> @fb.library.custom_op("example::plus_one", mutates_args=())
    ... def plus_one(x: fb.Tensor) -> fb.Tensor:
    ...     return x + 1
    >>> plus_one.register_autograd(lambda ctx, grad: grad)
    >>> plus_one
    <CustomOpDef(example::plus_one)>
    """

    _dispatch_keys: tuple[str, ...] = (*KEYS_OF_DEVICES, "Meta")
    _may_alias = False  # True if a result may share memory with an argument
    is_not_guarded = True  # compiled functions do not check for changes of this object

    def __init__(
        self, name: str, function: Callable[..., Any], mutates_args: Any, device_types: Any, schema: str | None
    ) -> None:
        text = name + (schema or infer_schema(function, mutates_args=mutates_args))
        signature = inspect.signature(function)
        hints = typing.get_type_hints(function)
        tensors = [each for each in signature.parameters if hints.get(each) is Tensor]
        names = signature.parameters if mutates_args == "unknown" else mutates_args
        self._declare(text, signature, tensors, [each for each in signature.parameters if each in names])
        self.__doc__ = function.__doc__
        self.register_kernel(device_types, function)
        self._call = _core._interceptable(self._callable())

    def _declare(self, schema: str, signature: inspect.Signature, tensors: list[str], mutated: list[str]) -> None:
        """Initialise the operator from its declaration, without kernels.

        Args:
            tensors: names of the parameters that must be tensors.
            mutated: names of the parameters that the operator changes.
        """
        self._schema, self._signature, self._tensors, self._mutated = schema, signature, tensors, mutated
        self._qualname = schema.partition("(")[0]
        self._keywords = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
        self._gives_list = schema.endswith("-> Tensor[]")
        self._kernels: dict[str | None, Callable[..., Any]] = {}
        self._fake: Callable[..., Any] | None = None
        self._vmap: Callable[..., Any] | None = None
        self._backward: Callable[..., Any] | None = None
        self._setup_context: Callable[..., Any] | None = None
        self._decomposition: Callable[..., Any] | None = None
        self._decomposed_in_programs = False
        self._onnx: Callable[..., Any] | None = None
        self._autocast_dtypes: dict[str, Any] = {}  # the key is a device type
        self._dispatch_rules: dict[type, Callable[..., Any]] = {}  # the key is a mode or class with __torch_dispatch__
        self._recorded: dict[Any, type[Function]] = {}  # the key is the structure of the nested arguments
        self.__name__ = self._qualname.rpartition("::")[2]

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def __deepcopy__(self, memo: Any) -> CustomOpDef:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _registered, (self._qualname,)

    @property
    def _packet_name(self) -> str:
        """The operator's name without the overload name."""
        return self._qualname.partition(".")[0]

    @functools.cached_property
    def _opoverload(self) -> CustomOverload:
        """The overload object that ``__torch_dispatch__`` receives."""
        from flambeau.library._custom_overload import CustomOverload

        return CustomOverload(self)

    @property
    def default(self) -> CustomOverload:
        """The overload object of the operator, as in ``ops.namespace.name.default``."""
        return self._opoverload

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise RuntimeError(f"{self._qualname}() {error}. Declaration: {self._schema}") from None
        bound.apply_defaults()
        return self._call(*bound.args, **bound.kwargs)

    def _call_fake(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the fake implementation. Like a kernel, it receives a value for every parameter."""
        assert self._fake is not None
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return self._fake(*bound.args, **bound.kwargs)

    def _callable(self) -> Callable[..., Any]:
        """Return a callable that runs the operator. Modes, vmap and classes can intercept calls of it."""

        def call(*args: Any, **named: Any) -> Any:
            return self._run(args, named)

        return self._add_metadata(call)

    def _add_metadata(self, call: Any) -> Callable[..., Any]:
        call.definition, call.__signature__ = self, self._signature
        call.__name__ = call.__qualname__ = self._qualname
        call.__doc__ = self.__doc__
        return call  # type: ignore[no-any-return]

    def _run(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call the operator with a value for every parameter."""
        for device_type, dtype in self._autocast_dtypes.items():
            if flambeau.is_autocast_enabled(device_type):
                with flambeau.autocast(device_type, enabled=False):
                    return self._run(*_cast_tensors((args, named), device_type, dtype))
        arguments = dict(zip(self._signature.parameters, (*args, *named.values()), strict=True))
        for name in self._tensors:
            if not isinstance(arguments[name], Tensor):
                type_name = type(arguments[name]).__name__
                raise RuntimeError(
                    f"{self._qualname}() Expected a value of type 'Tensor' for argument '{name}' but instead found "
                    f"type '{type_name}'. Declaration: {self._schema}"
                )
        if self._mutated:
            return self._run_mutating(args, named, arguments)
        leaves, nested = _pytree.tree_flatten((args, tuple(named.values())))
        if self._may_alias and not (_core._is_intercepting() or _core._holds_recorded(leaves)):
            with flambeau.no_grad():  # a Function would turn results that alias arguments into views
                return self._compute(args, named)
        result = self._autograd_function(nested).apply(*leaves)
        return list(result) if self._gives_list else result

    def _run_in_order(self, *values: Any) -> Any:
        """Call the operator with one positional value for each parameter, including keyword-only parameters."""
        count = len(values) - len(self._keywords)
        return self._call(*values[:count], **dict(zip(self._keywords, values[count:], strict=True)))

    def _run_batched(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call the operator with batched arguments."""
        if not self._mutated:
            return self._run(args, named)
        with flambeau.no_grad():  # the operators that the kernel calls increment the version counters of batches
            return self._compute(args, named)

    def _autograd_function(self, nested: _pytree.TreeSpec) -> type[Function]:
        if nested not in self._recorded:
            self._recorded[nested] = _recorded(self, nested)
        return self._recorded[nested]

    def _run_mutating(self, args: tuple[Any, ...], named: dict[str, Any], arguments: dict[str, Any]) -> Any:
        with flambeau.no_grad():
            result = self._compute(args, named)
        for name in self._mutated:
            for each in _pytree.tree_leaves(arguments[name]):
                if isinstance(each, Tensor):
                    increment_version(each)
        return result

    def _compute(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensors = [x for x in _pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        if _core._is_dispatched((args, list(kwargs.values()))):
            result = self._call_torch_dispatch(args, kwargs)
        else:
            result = self._kernel(tensors)(*args, **kwargs)
        for x in _pytree.tree_leaves(result):
            if not self._may_alias and isinstance(x, Tensor) and any(x is y or _share_address(x, y) for y in tensors):
                raise RuntimeError(ALIAS.format(op=self._qualname))
            if not isinstance(x, Tensor) and "Tensor" in self._schema.rpartition("->")[2]:
                raise RuntimeError(
                    f"{self._qualname} should return tensors, but returned {type(x).__name__}. Declaration: "
                    f"{self._schema}"
                )
        self._check_number_of_results(result)
        return result

    @functools.cached_property
    def _return_types(self) -> list[str]:
        from flambeau.library._function_schema import FunctionSchema

        return [each.type for each in FunctionSchema.parse(self._schema).returns]

    def _check_number_of_results(self, result: Any) -> None:
        """Raise RuntimeError if the number of results differs from the number in the schema."""
        types, several = self._return_types, isinstance(result, (tuple, list))
        if len(types) > 1:
            expected, fits = f"a tuple of {len(types)} results", several and len(result) == len(types)
        elif types:
            expected, fits = ("a list", several) if "[" in types[0] else ("one result", not several)
        else:
            return
        if not fits:
            given = f"{type(result).__name__} of {len(result)}" if several else type(result).__name__
            raise RuntimeError(
                f"{self._qualname} should return {expected}, but returned {given}. Declaration: {self._schema}"
            )

    def _call_torch_dispatch(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the ``__torch_dispatch__`` of a mode or class with the operator, and return the result."""
        from flambeau._dispatch import _torch_dispatch

        return _torch_dispatch.call_handlers(self._opoverload, *self._opoverload.without_defaults(args, kwargs))

    def register_torch_dispatch(self, torch_dispatch_class: type, fn: Callable[..., Any] | None = None, /) -> Any:
        """Register ``fn(mode_or_class, func, types, args, kwargs)`` for a class or mode with ``__torch_dispatch__``.

        The function replaces the ``__torch_dispatch__`` of the class for this operator. Without ``fn``, return a
        decorator.
        """
        if fn is None:
            return functools.partial(self.register_torch_dispatch, torch_dispatch_class)
        self._dispatch_rules[torch_dispatch_class] = fn
        return fn

    def _kernel(self, tensors: list[Tensor]) -> Callable[..., Any]:
        device = next((x.device.type for x in tensors), "cpu")
        if any(x.is_meta for x in tensors):
            if self._fake is None and self._schema.endswith("-> ()"):
                return _return_none
            if self._fake is None:
                raise RuntimeError(NO_FAKE.format(op=self))
            return self._fake
        kernel = self._kernels.get(device, self._kernels.get(None))
        if kernel is None:
            raise NotImplementedError(
                f"Could not run '{self._qualname}' with tensors on '{device}': it has kernels for the device types "
                f"{', '.join(map(repr, self._kernels)) or 'none'}; add one with register_kernel"
            )
        return kernel

    def register_autocast(self, device_type: str, cast_inputs: Any) -> None:
        """Set the dtype to which autocast casts the arguments. See `flambeau.library.register_autocast`."""
        if not is_autocast_available(device_type):
            raise ValueError(f"Device type '{device_type}' does not support autocast.")
        self._autocast_dtypes[device_type] = cast_inputs

    def _has_derivative(self) -> bool:
        """Return True if results can require grad."""
        return self._backward is not None

    def register_kernel(
        self, device_types: str | Iterable[str] | None, func: Callable[..., Any] | None = None, /
    ) -> Callable[..., Any]:
        """Register the kernel for some device types, or for all (None). Without ``func``, return a decorator."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            kinds = [device_types] if device_types is None or isinstance(device_types, str) else device_types
            self._kernels.update(dict.fromkeys(kinds, function))
            return function

        return register if func is None else register(func)

    def implement(self, key: str, function: Callable[..., Any]) -> None:
        """Register the kernel of a PyTorch dispatch key. Raises: NotImplementedError for an unsupported key."""
        if key in KEYS_OF_DEVICES:
            self.register_kernel(KEYS_OF_DEVICES[key], function)
        elif key == "Meta":
            self.register_fake(function)
        elif key.removeprefix("Autograd") not in KEYS_OF_OTHER_DEVICES:
            raise NotImplementedError(
                f"{self._qualname}: kernels for the dispatch key {key!r} are not supported; expected one of "
                f"{', '.join(map(repr, self._dispatch_keys))}"
            )

    def register_fake(self, fn: F, /) -> F:
        """Register the function that computes the shapes and dtypes of results, for tensors on the device ``meta``."""
        self._fake = fn
        return fn

    def register_vmap(self, func: Callable[..., Any] | None = None) -> Callable[..., Any]:
        """Register ``func(info, in_dims, *args)``, which returns results and their ``out_dims``, for ``func.vmap``.

        Without such a function, ``vmap`` calls the operator once for each sample.
        """
        if func is None:
            return self.register_vmap
        self._vmap = func
        return func

    @overload
    def register_decomposition(self, func: None = None, /, *, in_programs: bool = False) -> Callable[[F], F]: ...
    @overload
    def register_decomposition(self, func: F, /, *, in_programs: bool = False) -> F: ...
    def register_decomposition(self, func: Any = None, /, *, in_programs: bool = False) -> Any:
        """Register a function with the same parameters that computes the same result with flambeau's operators.

        `onnx.export` replaces the operator by these operators, unless ``register_onnx`` defines another conversion. If
        ``func`` returns NotImplemented, the operator is not replaced. Without ``func``, return a decorator.

        Args:
            in_programs: if True, also replace the operator in programs of `jit.trace` and `export.export`, which then
                need neither Python nor the extension. If False, programs call the operator.
        """
        if func is None:
            return lambda function: self.register_decomposition(function, in_programs=in_programs)
        self._decomposition, self._decomposed_in_programs = func, in_programs
        return func

    def register_onnx(self, converter: F, /) -> F:
        """Register a function that converts a call to nodes of an ONNX file.

        Args:
            converter: ``converter(graph, *arguments)``, with a value for every parameter, keyword-only ones by name.
                ``graph.op("Relu", x, ...)`` adds a node and returns the name of its output. The converter returns the
                name of the result, or a list with one name for each result.
        """
        self._onnx = converter
        return converter

    def register_autograd(
        self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None
    ) -> None:
        """Register the derivative of the operator.

        Args:
            backward: ``backward(ctx, *grads)`` returns a gradient, or None, for each argument that is not keyword-only.
            setup_context: ``setup_context(ctx, inputs, output)`` stores values for ``backward`` on ``ctx``. It is
                called with keyword arguments, including ``keyword_only_inputs`` if the operator has such parameters.
        Raises: RuntimeError for an operator that changes its arguments.
        """
        if self._mutated:
            raise RuntimeError(IN_PLACE.format(op=self, schema=self._schema))
        self._backward, self._setup_context = backward, setup_context


def _return_none(*_: Any, **__: Any) -> None:
    """Return None: the fake implementation of an operator without results."""


def _registered(name: str) -> CustomOpDef:
    if name not in registry:
        raise RuntimeError(f"there is no operator '{name}'; import the module that defines it first")
    return registry[name]


def _share_address(x: Tensor, y: Tensor) -> bool:
    """Return True if the first elements of both tensors have the same address."""
    return x.numel() > 0 and x.data_ptr() == y.data_ptr() != 0


def _gradients_of_leaves(
    name: str, nested: _pytree.TreeSpec, gradients: tuple[Any, ...], needs: tuple[bool, ...]
) -> list[Any]:
    """Flatten the gradients that a backward function returns. The last ones may be missing if they are not needed."""
    positional = nested.children[0].children
    count = sum(spec.num_leaves for spec in positional[: len(gradients)])
    if len(gradients) > len(positional) or any(needs[count:]):
        raise RuntimeError(
            f"{name}: backward returned {len(gradients)} gradients for {len(positional)} inputs; return one gradient, "
            "or None, for each"
        )
    leaf_gradients: list[Any] = []
    for gradient, spec in zip(gradients, positional, strict=False):
        if spec.is_leaf():
            leaf_gradients.append(gradient)
        else:
            leaf_gradients += [None] * spec.num_leaves if gradient is None else list(gradient)
    return leaf_gradients + [None] * (nested.num_leaves - len(leaf_gradients))


def run_each_example(
    function: Callable[..., Any], count: int, in_dims: Any, leaves: tuple[Any, ...]
) -> tuple[Any, Any]:
    """Call ``function`` for each of ``count`` examples. Return the stacked results and their batch dimensions."""
    results = [
        function(*(x if d is None else x.select(d, i) for x, d in zip(leaves, in_dims, strict=True)))
        for i in range(count)
    ]
    if isinstance(results[0], Tensor):
        return flambeau.stack(results), 0
    return tuple(flambeau.stack(each) for each in zip(*results, strict=True)), (0,) * len(results[0])


def _recorded(op: CustomOpDef, nested: _pytree.TreeSpec) -> type[Function]:
    """Return an autograd Function that calls the operator. Its arguments are the leaves of the operator's arguments."""

    def arguments(leaves: Iterable[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, named = _pytree.tree_unflatten(leaves, nested)
        return args, dict(zip(op._keywords, named, strict=True))

    class Recorded(Function):
        @staticmethod
        def forward(*leaves: Any) -> Any:
            args, named = arguments(leaves)
            result = op._compute(args, named)
            return tuple(result) if op._gives_list else result

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            if op._setup_context is not None:
                args, named = arguments(inputs)
                extra = {"keyword_only_inputs": named} if named else {}
                op._setup_context(ctx=ctx, inputs=args, output=list(output) if op._gives_list else output, **extra)

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
            if op._backward is None:
                raise RuntimeError(NO_FORMULA.format(op=op._qualname.replace("::", ".")))
            results = op._backward(ctx, list(gradients)) if op._gives_list else op._backward(ctx, *gradients)
            given = results if isinstance(results, tuple) else (results,)
            return tuple(_gradients_of_leaves(op._qualname, nested, given, ctx.needs_input_grad))

        @staticmethod
        def vmap(info: Any, in_dims: Any, *leaves: Any) -> Any:
            if op._vmap is not None:
                args, named = arguments(leaves)
                return op._vmap(info, arguments(in_dims)[0], *args, **named)
            return run_each_example(Recorded.apply, info.batch_size, in_dims, leaves)

    Recorded.__name__ = Recorded.__qualname__ = f"GeneratedBackwardFor_{op._qualname.replace('::', '_')}_default"
    return Recorded


def check_name(function: str, name: str) -> None:
    """Raise ValueError if the name of an operator does not have the form ``namespace::name``."""
    if name.count("::") != 1 or not all(part.isidentifier() for part in name.split("::")):
        raise ValueError(f"{function}: expected a name of the form namespace::name, got {name!r}")


def register(op: CustomOpDef) -> CustomOpDef:
    """Register an operator under its name, for ``flambeau.ops.namespace.name`` and for traced programs."""
    registry[op._qualname] = op
    if (packet := packets.get(op._packet_name)) is not None:
        packet.add(op)
    _core._register_program_operator(op._qualname, len(op._signature.parameters), op._run_in_order)
    return op


def unregister(name: str) -> None:
    """Remove the operator with this name if it exists."""
    op = registry.pop(name, None)
    if op is not None and (packet := packets.get(op._packet_name)) is not None:
        packet.remove(op)
        if not packet.overloads():
            del packets[op._packet_name]


@overload
def custom_op(
    name: str,
    fn: None = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: str | Sequence[str] | None = None,
    schema: str | None = None,
    tags: Any = None,
) -> Callable[[Callable[..., Any]], CustomOpDef]: ...
@overload
def custom_op(
    name: str,
    fn: Callable[..., Any],
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: str | Sequence[str] | None = None,
    schema: str | None = None,
    tags: Any = None,
) -> CustomOpDef: ...
def custom_op(
    name: str,
    fn: Callable[..., Any] | None = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: str | Sequence[str] | None = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Define an operator from a function. Without ``fn``, return a decorator.

    Autograd does not record the operations inside the function; ``register_autograd`` of the result sets the
    derivative. The operator is also available as ``flambeau.ops.namespace.name``. It replaces an existing operator of
    the same name.

    Args:
        name: ``"namespace::name"``.
        fn: function that computes results from tensors and other values. `infer_schema` reads its annotations.
        mutates_args: names of the arguments that the function changes, or ``"unknown"``.
        device_types: device types that ``fn`` supports, such as ``"cpu"``; None for all.
        schema: schema that replaces the inferred one.
        tags: accepted for compatibility with PyTorch; no effect.
    Returns: a `CustomOpDef`, or a decorator.
    Raises: ValueError for an invalid name, or a function without a valid schema.

    >>> @fb.library.custom_op("example::cube", mutates_args=())
    ... def cube(x: fb.Tensor) -> fb.Tensor:
    ...     return x**3
    >>> fb.ops.example.cube(fb.tensor([1.0, 2.0]))
    tensor([1., 8.])
    """
    check_name("custom_op", name)
    changed = mutates_args if isinstance(mutates_args, str) else tuple(mutates_args)

    def define(function: Callable[..., Any]) -> CustomOpDef:
        return register(CustomOpDef(name, function, changed, device_types, schema))

    return define if fn is None else define(fn)
