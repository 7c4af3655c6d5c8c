"""Models as programs with declared dynamic dimensions: ``torch.export`` over `flambeau.jit`'s programs.

`export` traces a module as `flambeau.jit.trace` does, and holds every size that is not declared dynamic to the
example's: a run with another raises RuntimeError.

>>> import flambeau
>>> from flambeau import nn
>>> from flambeau.export import Dim, export
>>> program = export(nn.Linear(3, 2), (flambeau.ones(4, 3),), dynamic_shapes={"input": {0: Dim("batch", max=64)}})
>>> program.module()(flambeau.ones(7, 3)).shape
flambeau.Size([7, 2])
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, NoReturn

from flambeau import Tensor, _public_names, _suggestions, jit
from flambeau._tracing._numbers import Number
from flambeau.jit._trace import Trace
from flambeau.nn import Module, Parameter

if TYPE_CHECKING:
    from ._archive import ExportedModule

__all__ = ["Dim", "ExportedProgram", "dims", "export", "load", "save"]


class _Kind:
    """What `Dim.AUTO`, `Dim.DYNAMIC` and `Dim.STATIC` are."""

    def __init__(self, name: str, dynamic: bool) -> None:
        self.name, self.dynamic = name, dynamic

    def __repr__(self) -> str:
        return f"Dim.{self.name}"


class Dim:
    """A dynamic dimension; the dimensions that have one `Dim` have one size.

    Args:
        name: what errors call it.
        min, max: its least and largest size, inclusive; None for any.
    """

    AUTO = _Kind("AUTO", True)
    DYNAMIC = _Kind("DYNAMIC", True)
    STATIC = _Kind("STATIC", False)

    def __init__(self, name: str, *, min: int | None = None, max: int | None = None) -> None:
        if not name.isidentifier():
            raise ValueError(f"a Dim is named by an identifier, not by {name!r}")
        if min is not None and max is not None and min > max:
            raise ValueError(f"Dim({name!r}): min {min} is larger than max {max}")
        self.__name__, self.min, self.max = name, min, max

    def __repr__(self) -> str:
        limits = "".join(f", {key}={getattr(self, key)}" for key in ("min", "max") if getattr(self, key) is not None)
        return f"Dim({self.__name__!r}{limits})"


def dims(*names: str, min: int | None = None, max: int | None = None) -> tuple[Dim, ...]:
    """A `Dim` for each name."""
    return tuple(Dim(name, min=min, max=max) for name in names)


class ExportedProgram:
    """What `export` makes.

    Attributes:
        example_inputs: the arguments by position and by name that it was made with; None of one that was loaded.
    """

    def __init__(self, module: jit.ScriptModule | ExportedModule, example_inputs: Any = None) -> None:
        self._module, self.example_inputs = module, example_inputs

    def module(self, check_guards: bool = True) -> jit.ScriptModule | ExportedModule:
        """The program as a module, with its parameters."""
        return self._module

    @property
    def code(self) -> str:
        """The program's text."""
        return self._module.code

    @property
    def state_dict(self) -> dict[str, Any]:
        """Parameters and buffers by name."""
        return dict(self._module.state_dict())

    @property
    def constants(self) -> dict[str, Tensor]:
        """The other tensors that the program reads."""
        return {name: self._module.get_buffer(name) for name in self._module._constants}

    def parameters(self) -> Iterator[Parameter]:
        """Its parameters."""
        return self._module.parameters()

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Its parameters with their names."""
        return self._module.named_parameters()

    def buffers(self) -> Iterator[Tensor]:
        """Its buffers."""
        return (buffer for _, buffer in self.named_buffers())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Its buffers with their names."""
        return ((n, b) for n, b in self._module.named_buffers() if n not in self._module._constants)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises RuntimeError: `module` gives what can be called."""
        raise RuntimeError(
            "Unable to call ExportedProgram directly. You should use `exported_program.module()` instead."
        )

    def __str__(self) -> str:
        return f"ExportedProgram:\n{self.code}"


def export(
    mod: Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Mapping[str, Any] | Sequence[Any] | None = None,
    strict: bool = False,
    preserve_module_call_signature: Sequence[str] = (),
    **options: Any,
) -> ExportedProgram:
    """A module as a program, by running it once; see `flambeau.jit.trace` for what it keeps.

    Args:
        mod: the module, in the mode, training or evaluation, that it is in.
        args, kwargs: an example. Sizes of its tensors that are not dynamic are required of later inputs.
        dynamic_shapes: by the names of the arguments, or in their order: for each tensor ``{dimension: Dim}`` or a
            sequence with a `Dim`, `Dim.AUTO`, `Dim.DYNAMIC`, `Dim.STATIC`, a size or None for each dimension; for
            tuples, lists and dictionaries of tensors a structure of these; None for what is static.
    Raises: ValueError for what is no module, for shapes that do not fit, and where the program cannot do without the
        example's size of a dimension that was said to be dynamic; NotImplementedError as `flambeau.jit.trace`.
    """
    if not isinstance(mod, Module):
        raise ValueError(f"Expected `mod` to be an instance of `nn.Module`, got {type(mod).__name__}.")
    if not isinstance(args, tuple):
        raise ValueError(f"Expecting `args` to be a tuple of example positional inputs, got {type(args).__name__}")
    demands = _Demands(dynamic_shapes)
    made: jit.ScriptModule = jit.trace(
        mod, args, check_trace=False, example_kwarg_inputs=dict(kwargs or {}), _prepare=demands.note
    )
    demands.check(made.code)
    return ExportedProgram(made, (args, dict(kwargs or {})))


class _Demands:
    """What a program requires of the sizes of its inputs."""

    def __init__(self, shapes: Any) -> None:
        self.shapes = shapes
        self.dynamic: dict[str, str] = {}  # the dimensions that were said to be dynamic, by their names in the program
        self._firsts: dict[Dim, Number] = {}

    def note(self, trace: Trace, inputs: Mapping[str, Any]) -> None:
        """Notes it, before anything runs."""
        shapes = self.shapes
        if shapes is None:
            shapes = {}
        elif not isinstance(shapes, Mapping):
            if len(shapes) != len(inputs):
                raise ValueError(f"dynamic_shapes has {len(shapes)} entries for {len(inputs)} arguments")
            shapes = dict(zip(inputs, shapes, strict=True))
        if unknown := [name for name in shapes if name not in inputs]:
            raise ValueError(f"dynamic_shapes names {unknown}, the arguments are {list(inputs)}")
        for name, value in inputs.items():
            self._note_structure(trace, value, shapes.get(name), name)

    def _note_structure(self, trace: Trace, value: Any, shape: Any, path: str) -> None:
        if isinstance(value, Tensor):
            self._note_tensor(trace, value, shape, path)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self._note_structure(trace, item, None if shape is None else shape.get(key), f"{path}[{key!r}]")
        elif isinstance(value, tuple | list):
            for i, item in enumerate(value):
                self._note_structure(trace, item, None if shape is None else shape[i], f"{path}[{i}]")

    def _note_tensor(self, trace: Trace, tensor: Tensor, shape: Any, path: str) -> None:
        by_dim = shape or {}
        if isinstance(by_dim, tuple | list):
            if len(by_dim) != tensor.dim():
                raise ValueError(
                    f"dynamic_shapes has {len(by_dim)} dimensions for {path} of shape {list(tensor.shape)}"
                )
            by_dim = dict(enumerate(by_dim))
        if wrong := [dim for dim in by_dim if not 0 <= dim < tensor.dim()]:
            raise ValueError(f"dynamic_shapes names the dimensions {wrong} of {path}, which has {tensor.dim()}")
        for dim, size in enumerate(tensor.shape):
            number = trace.measured("size", tensor, dim, size)
            self._note_size(trace, number, by_dim.get(dim), f"{path}.size({dim})")

    def _note_size(self, trace: Trace, number: Number, wanted: Any, text: str) -> None:
        if wanted is None or wanted is Dim.STATIC or isinstance(wanted, int):
            if isinstance(wanted, int) and number.value != wanted:
                raise ValueError(f"{text} is {number.value}, dynamic_shapes says {wanted}")
            trace.require("eq", number, number.value)
        elif isinstance(wanted, Dim):
            number.text = wanted.__name__
            self.dynamic[number.name] = f"{text} ({wanted.__name__})"
            first = self._firsts.setdefault(wanted, number)
            if first is not number:
                if first.value != number.value:
                    raise ValueError(f"{wanted} is {first.value} and {number.value} in the example")
                trace.require("eq", number, first)
            for comparison, limit in (("ge", wanted.min), ("le", wanted.max)):
                if limit is not None:
                    if (number.value < limit) if comparison == "ge" else (number.value > limit):
                        raise ValueError(f"{wanted} is {number.value} in the example")
                    trace.require(comparison, number, limit)
        elif wanted is Dim.DYNAMIC:
            self.dynamic[number.name] = text
        elif wanted is not Dim.AUTO:
            raise ValueError(f"dynamic_shapes has {wanted!r} for {text}: a Dim, a size or None is expected")

    def check(self, code: str) -> None:
        """Raises ValueError where the program requires a dynamic size to be that of the example."""
        for line in code.splitlines():
            call, _, place = line.partition("  # ")
            if call.startswith("require_eq("):
                name, other, *_ = call.removeprefix("require_eq(").split(", ")
                if name in self.dynamic and not other.startswith("%"):
                    raise ValueError(
                        f"{self.dynamic[name]} was said to be dynamic, and the model needs it to be {other} ({place}): "
                        "a loop over it, or a decision by it. Leave it static, or write the model without"
                    )


def save(
    ep: ExportedProgram, f: str | os.PathLike[str] | IO[bytes], *, extra_files: Any = None, **options: Any
) -> None:
    """Writes a program and its tensors, as `flambeau.jit.save` does."""
    if not isinstance(ep, ExportedProgram):
        raise TypeError(
            f"The 'ep' parameter must be an instance of 'ExportedProgram', got '{type(ep).__name__}' instead."
        )
    if not isinstance(module := ep.module(), jit.ScriptModule):
        raise NotImplementedError("flambeau.export.save writes programs that flambeau exported, not ones of PyTorch's")
    jit.save(module, f, extra_files)


def load(
    f: str | os.PathLike[str] | IO[bytes], *, extra_files: dict[str, Any] | None = None, **options: Any
) -> ExportedProgram:
    """Load what `save` or PyTorch's ``torch.export.save`` has written. Only operators of the file are run, no code.

    Args:
        f: path, or a file opened for reading bytes.
        extra_files: a dictionary whose keys are filled with the files of these names.
    Raises: RuntimeError if the file is truncated, damaged or of another kind; NotImplementedError naming an operator
        that flambeau lacks.
    """
    from flambeau.jit._archive import is_archive, opened  # on first use: they import zipfile

    with opened(f) as file:
        if is_archive(file):
            from . import _archive

            return ExportedProgram(_archive.read(file, extra_files))
        return ExportedProgram(jit.load(file, _extra_files=extra_files))


def register_dataclass(cls: type, **options: Any) -> None:
    """Raises NotImplementedError: inputs and outputs are tensors in tuples, lists and dictionaries."""
    raise NotImplementedError("flambeau.export takes tensors in tuples, lists and dictionaries, no dataclasses")


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)


_suggestions.suggest_names(__name__)
