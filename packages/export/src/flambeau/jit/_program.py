"""Traced functions and modules, and their files."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import IO, Any, NoReturn

import flambeau
from flambeau import Tensor, _core
from flambeau._serialization import atomic, safetensors
from flambeau._tracing._numbers import Number, traced_lengths
from flambeau._tracing._structure import leaves
from flambeau.nn import Module, Parameter

from ._replay import replay
from ._text import written
from ._trace import Trace

FORMAT = "flambeau.jit 1"
_NOT_A_PROGRAM = "{source} was not written by flambeau.jit.save"


class Signature:
    """Structure of the arguments or results of a call.

    Args:
        form: structure as a JSON value: the index of a leaf, {"tuple": [...]}, {"list": [...]}, {"dict": {...}}, or
            {"value": ...} for a constant.
    """

    def __init__(self, form: Any) -> None:
        self.form = form

    @classmethod
    def of(cls, structure: Any, leaf_values: list[Any], accept: type | tuple[type, ...], what: str) -> Signature:
        """Return the signature of ``structure``. Append its leaves, the instances of ``accept``, to ``leaf_values``.

        Raises: TypeError for other objects, with the description ``what`` in the message.
        """

        def form(value: Any) -> Any:
            """Return the structure as a JSON value and append its leaves to ``leaf_values``."""
            if isinstance(value, accept):
                leaf_values.append(value)
                return len(leaf_values) - 1
            if isinstance(value, tuple):
                return {"tuple": [form(item) for item in value]}
            if isinstance(value, list):
                return {"list": [form(item) for item in value]}
            if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
                return {"dict": {key: form(item) for key, item in value.items()}}
            if value is None or isinstance(value, bool | int | float | str):
                return {"value": value}
            raise TypeError(
                f"flambeau.jit.trace: {what} must be tensors, numbers, strings and None, in tuples, lists and "
                f"dictionaries whose keys are strings, got {type(value).__name__}"
            )

        return cls(form(structure))

    def pack(self, values: Sequence[Any]) -> Any:
        """Return a value of this structure with the leaves ``values``."""
        return _packed(self.form, values)

    def unpack(self, structure: Any, path: str = "") -> list[Any]:
        """Return the leaves of ``structure``. Raises TypeError if it does not have this form."""
        out: list[Any] = []
        self._unpack(self.form, structure, out, path or "input")
        return out

    def _unpack(self, form: Any, value: Any, out: list[Any], path: str) -> None:
        """Append the tensors in an argument to ``out``. Raise TypeError if its structure is not the traced one."""
        if isinstance(form, int):
            if not hasattr(value, "__torch_function__"):
                raise TypeError(f"the program expects a tensor for {path}, got {type(value).__name__}")
            out.append(value)
            return
        ((kind, items),) = form.items()
        if kind == "value":
            if value != items:
                raise TypeError(f"the program was traced with the constant {items!r} for {path}, got {value!r}")
        elif kind == "dict":
            if not isinstance(value, Mapping) or set(value) != set(items):
                description = _describe_argument(value)
                raise TypeError(
                    f"the program expects a dictionary with the keys {list(items)} for {path}, got {description}"
                )
            for key, item in items.items():
                self._unpack(item, value[key], out, f"{path}[{key!r}]")
        else:
            if not isinstance(value, tuple | list) or len(value) != len(items):
                description = _describe_argument(value)
                raise TypeError(f"the program expects a {kind} of length {len(items)} for {path}, got {description}")
            for i, item in enumerate(items):
                self._unpack(item, value[i], out, f"{path}[{i}]")


def _describe_argument(value: Any) -> str:
    """Describe an argument in an error message."""
    if isinstance(value, Mapping):
        return f"a dictionary with the keys {list(value)}"
    return f"{type(value).__name__} of length {len(value)}" if isinstance(value, tuple | list) else type(value).__name__


def _quoted_names(names: Sequence[str]) -> str:
    """Return the names of a program's arguments for an error message."""
    return f"the arguments {', '.join(map(repr, names))}" if names else "no arguments"


def _packed(form: Any, values: Sequence[Any]) -> Any:
    # This is not a nested function of `pack`: a recursive closure is a reference cycle, which would keep the values
    # alive until the garbage collector runs.
    if isinstance(form, int):
        return values[form]
    ((kind, items),) = form.items()
    if kind == "value":
        return items
    if kind == "dict":
        return {key: _packed(item, values) for key, item in items.items()}
    built = [_packed(item, values) for item in items]
    return tuple(built) if kind == "tuple" else built


class Compiled:
    """Program with the signatures of its inputs and outputs.

    Args:
        text: text of the program (Note [Programs] in flambeau/program.h).
        inputs: names and structures of the arguments.
        outputs: structure of the results.
    """

    def __init__(self, text: str, inputs: list[tuple[str, Any]], outputs: Any) -> None:
        self.text, self.inputs, self.outputs = text, inputs, Signature(outputs)
        self.native = _core._parse_program(text)
        self.state_names: tuple[str, ...] = _core._program_state(self.native)
        self._forms = [(name, Signature(form)) for name, form in inputs]
        self._plain = [form for _, form in inputs] == list(range(len(inputs)))

    def __call__(self, state: Sequence[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kwargs or len(args) != len(self._forms):
            args = self._by_position(args, kwargs)
        if not self._plain or not all(isinstance(a, Tensor) for a in args):
            args = tuple(
                leaf for (name, form), given in zip(self._forms, args, strict=True) for leaf in form.unpack(given, name)
            )
        results = _core._run_program(self.native, args, state)
        if results is NotImplemented:
            results = replay(self.text, args, state, self.state_names)
        return self.outputs.pack(results)

    def _by_position(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Return the values of all parameters in order, as Python binds the arguments of a call."""
        names = [name for name, _ in self._forms]
        values = dict(zip(names, args, strict=False))
        if len(args) > len(names):
            raise TypeError(f"the program takes {_quoted_names(names)}, got {len(args)} positional arguments")
        for name, value in kwargs.items():
            if name in values or name not in names:
                problem = "multiple values for argument" if name in values else "an unexpected keyword argument"
                raise TypeError(f"the program got {problem} '{name}'; it takes {_quoted_names(names)}")
            values[name] = value
        for name, form in self._forms:
            if name not in values:
                if not (isinstance(form.form, dict) and "value" in form.form):
                    raise TypeError(f"the program is missing the argument '{name}'; it takes {_quoted_names(names)}")
                values[name] = form.form["value"]
        return tuple(values[name] for name in names)

    def __reduce__(self) -> tuple[Any, ...]:
        return Compiled, (self.text, self.inputs, self.outputs.form)


def compiled(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    state: Mapping[str, Tensor],
    modules: Mapping[int, str],
    prepare: Callable[[Trace, Mapping[str, Any]], None] | None = None,
) -> tuple[Compiled, dict[str, Tensor], bool]:
    """Trace ``function(*args, **kwargs)``.

    Args:
        state: dictionary from names to parameters and buffers.
        modules: dictionary from ids of submodules to their paths.
        prepare: function that is called with the trace and the inputs by name, before the traced run.
    Returns: the program, its constants by name, and True if repeated runs give the same result.
    """
    names = _names_of(function, len(args))
    leaves_of_inputs: list[Tensor] = []
    inputs = [
        (name, Signature.of(value, leaves_of_inputs, Tensor, "inputs").form)
        for name, value in [*zip(names, args, strict=True), *kwargs.items()]
    ]
    flat = [f"{name}{path}" for name, form in inputs for path in _paths(form)]
    trace = Trace(dict(zip(flat, leaves_of_inputs, strict=True)), state)
    for tensor, name in zip(leaves_of_inputs, flat, strict=True):
        trace.effect("check_input", [tensor, name, tensor.dim()])
    if prepare is not None:
        prepare(trace, {**dict(zip(names, args, strict=True)), **kwargs})
    with traced_lengths(), trace.watching_extensions(), trace:
        result = function(*args, **kwargs)
    if prepare is None:
        trace.allow_any_rank()
    outputs: list[Any] = []
    form = Signature.of(result, outputs, (Tensor, Number), "outputs").form
    text = written(trace, flat, outputs, modules)
    return Compiled(text, inputs, form), trace.constants, trace.repeats


def _names_of(function: Callable[..., Any], count: int) -> list[str]:
    forward = function.forward if isinstance(function, Module) else function
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [*names, *(f"input_{i}" for i in range(len(names), count))][:count]


def _paths(form: Any) -> Iterator[str]:
    if isinstance(form, int):
        yield ""
        return
    ((kind, items),) = form.items()
    if kind != "value":
        for key, item in items.items() if kind == "dict" else enumerate(items):
            yield from (f".{key}{path}" for path in _paths(item))


# --- traced functions and modules ---


class ScriptFunction:
    """Traced function, returned by `flambeau.jit.trace`. It computes gradients like the original function.

    >>> traced = fb.jit.trace(lambda x: x.exp().sum(), fb.ones(2))
    >>> x = fb.zeros(3, requires_grad=True)
    >>> traced(x).backward()
    >>> x.grad
    tensor([1., 1., 1.])
    """

    def __init__(self, program: Compiled, constants: Mapping[str, Tensor], name: str) -> None:
        self._program, self._constants, self.name = program, dict(constants), name
        self._state = [self._constants[n] for n in program.state_names]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._program(self._state, args, kwargs)

    @property
    def code(self) -> str:
        """The program."""
        return self._program.text

    graph = inlined_graph = code

    def save(self, f: str | os.PathLike[str] | IO[bytes], _extra_files: Mapping[str, Any] | None = None) -> None:
        """Write the program with its constants; see `flambeau.jit.save`."""
        write(f, self._program, self._constants, {}, [], self.name, False, _extra_files)

    def __repr__(self) -> str:
        return f"<flambeau.jit.ScriptFunction {self.name}>"


class ScriptModule(Module):
    """Traced module, returned by `flambeau.jit.trace` and `flambeau.jit.load`.

    It has the parameters and buffers of the original module, under the same names, and uses their current values: it
    can be trained and moved to another device. Decisions at trace time are fixed: `train()` and `eval()` have no
    effect. A derived class that calls ``super().__init__()`` without arguments is an ordinary module.

    >>> traced = fb.jit.trace(nn.Linear(3, 2), fb.ones(1, 3))
    >>> [name for name, parameter in traced.named_parameters()]
    ['weight', 'bias']
    """

    def __init__(
        self,
        program: Compiled | None = None,
        state: Mapping[str, Tensor] = MappingProxyType({}),
        constants: Mapping[str, Tensor] = MappingProxyType({}),
        name: str = "",
        training: bool = True,
    ) -> None:
        super().__init__()
        self.original_name = name or type(self).__name__
        if program is None:
            return
        self._program = program
        for path, tensor in state.items():
            _assign(self, path, tensor)
        self._constants = list(constants)
        for path, tensor in constants.items():
            self.register_buffer(path, tensor, persistent=False)
        self._sources = [_owner(self, n) for n in program.state_names]
        self.train(training)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program."""
        return self._traced()([getattr(owner, name) for owner, name in self._sources], args, kwargs)

    def _traced(self) -> Compiled:
        if "_program" not in vars(self):
            name = type(self).__name__
            raise NotImplementedError(
                f"{name} was not traced and runs as Python code: call flambeau.jit.trace to make a program"
            )
        return self._program

    @property
    def code(self) -> str:
        """The program."""
        return self._traced().text

    graph = inlined_graph = code

    def save(self, f: str | os.PathLike[str] | IO[bytes], _extra_files: Mapping[str, Any] | None = None) -> None:
        """Write the program with its parameters and buffers; see `flambeau.jit.save`."""
        program = self._traced()
        buffers = dict(self.named_buffers(remove_duplicate=False))
        constants = {n: buffers.pop(n) for n in self._constants}
        parameters = [n for n, _ in self.named_parameters(remove_duplicate=False)]
        state: dict[str, Tensor] = {n: self.get_parameter(n) for n in parameters} | buffers
        write(f, program, constants, state, parameters, self.original_name, self.training, _extra_files)

    def extra_repr(self) -> str:
        """Return the class name of the original module of a program."""
        return f"original_name={self.original_name}" if "_program" in vars(self) else ""


TopLevelTracedModule = TracedModule = ScriptModule


class _TracedSubmodule(Module):
    """Submodule of a traced module. It only holds parameters and cannot be called."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.original_name = name

    def extra_repr(self) -> str:
        return f"original_name={self.original_name}" if self.original_name else ""

    def forward(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: only the whole module was traced."""
        raise NotImplementedError("a submodule of a traced module cannot be called: call the whole traced module")


def _assign(module: Module, path: str, tensor: Tensor) -> None:
    owner, _, name = path.rpartition(".")
    for part in owner.split(".") if owner else []:
        if part not in module._modules:
            module.add_module(part, _TracedSubmodule())
        module = module.get_submodule(part)
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _owner(module: Module, path: str) -> tuple[Module, str]:
    owner, _, name = path.rpartition(".")
    return module.get_submodule(owner), name


# --- files ---


def write(
    f: str | os.PathLike[str] | IO[bytes],
    program: Compiled,
    constants: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    parameters: list[str],
    name: str,
    training: bool,
    extra_files: Mapping[str, Any] | None,
) -> None:
    """Write a program and its tensors as a safetensors file."""
    tensors, same = _without_repeats({**state, **constants}, program.state_names)
    for path, tensor in tensors.items():
        if safetensors.code_of(tensor) is None:
            raise NotImplementedError(f"'{path}' has dtype {tensor.dtype}, which safetensors files cannot store")
    about = {
        "inputs": program.inputs,
        "outputs": program.outputs.form,
        "parameters": {n: bool(state[n].requires_grad) for n in parameters},
        "constants": list(constants),
        "same": same,
        "name": name,
        "module": bool(state) or bool(training),
        "training": training,
    }
    metadata = {"format": FORMAT, "program": program.text, "about": json.dumps(about)}
    for key, value in (extra_files or {}).items():
        metadata[f"extra/{key}"] = value.decode() if isinstance(value, bytes) else str(value)
    opened: contextlib.AbstractContextManager[IO[bytes]] = (
        atomic.replacing(f) if isinstance(f, str | os.PathLike) else contextlib.nullcontext(f)
    )
    with opened as file:
        safetensors.write(file, tensors, metadata)


def _without_repeats(
    named: Mapping[str, Tensor], required: Collection[str]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Remove tensors that occur under several names, except for the names in ``required``.

    Returns: the remaining tensors by name, and a dictionary from each removed name to the first name of its tensor.
    """
    tensors: dict[str, Tensor] = {}
    same: dict[str, str] = {}
    by_identity: dict[int, str] = {}
    for path, tensor in named.items():
        first = by_identity.setdefault(id(tensor), path)
        if first != path and path not in required:
            same[path] = first
        else:
            tensors[path] = tensor
    return tensors, same


def read(file: IO[bytes], device: Any, extra_files: dict[str, Any] | None) -> ScriptModule | ScriptFunction:
    """Read a file that `write` wrote. Return a ScriptModule or a ScriptFunction."""
    tensors, metadata = safetensors.read(file)
    if metadata.get("format") != FORMAT:
        name = getattr(file, "name", None)
        source = f"the {type(file).__name__}" if name is None else f"the file {name!r}"
        raise RuntimeError(_NOT_A_PROGRAM.format(source=source))
    about = json.loads(metadata["about"])
    if extra_files is not None:
        for key in extra_files:
            extra_files[key] = metadata.get(f"extra/{key}", "").encode()
    if device is not None:
        tensors = {n: t.to(device) for n, t in tensors.items()}
    program = Compiled(metadata["program"], [(n, form) for n, form in about["inputs"]], about["outputs"])
    state = {n: Parameter(t, about["parameters"][n]) if n in about["parameters"] else t for n, t in tensors.items()}
    constants = {n: state.pop(n) for n in about["constants"]}
    state |= {path: state[first] for path, first in about["same"].items()}
    if not about["module"]:
        return ScriptFunction(program, constants, about["name"])
    return ScriptModule(program, state, constants, about["name"], about["training"])


def outputs_differ(first: Any, second: Any, tolerance: float) -> bool:
    """Return True if corresponding tensors of two results are not close."""
    pairs = zip(leaves(first, Tensor), leaves(second, Tensor), strict=True)
    return any(
        not flambeau.allclose(a.detach(), b.detach().to(a.dtype), tolerance, tolerance, equal_nan=True)
        if a.is_floating_point() or a.is_complex()
        else not flambeau.equal(a, b)
        for a, b in pairs
    )
