"""Definition of operators in Python, which are registered together with the native ones.

The registry generates the function, method, in-place form, ``out=`` argument, signature, documentation and stub of an
operator from one definition.
"""

from collections.abc import Callable
from types import UnionType
from typing import Any, Literal, TypeVar

from flambeau import _core

OPERATOR_TYPES = (type(_core.add), type(_core.Tensor.add))  # functions, methods; Note [Functions and methods]

Definition = TypeVar("Definition", bound=Callable[..., Any])
Result = TypeVar("Result")


def operator(
    *,
    function: bool = True,
    method: bool = False,
    in_place: bool = False,
    out: bool | Literal["exact"] = False,
    aliases: tuple[str, ...] = (),
    autocast: str = "",
) -> Callable[[Definition], Definition]:
    """Return a decorator that defines an operator from a function's name, parameters, annotations and docstring.

    Arguments with the annotations ``Tensor``, ``bool``, ``int``, ``float``, ``str`` or unions of these are checked
    before the call. A wrong type raises TypeError with the name of the argument.

    ``def flip(input, *dims)``: a starred parameter receives the remaining positional arguments, or one sequence.

    Args:
        function: publish it as ``flambeau.<name>``. In a public module such as ``flambeau.linalg``, it becomes an
            attribute of that module instead.
        method: publish it as ``Tensor.<name>``.
        in_place: publish ``Tensor.<name>_``, which writes the result to its first argument.
        out: accept ``out=``, a tensor (or a tuple of tensors for several results) that receives the result.
            ``"exact"``: the tensor must have the dtype of the result.
        aliases: additional names for the function and the methods.
        autocast: dtype to which ``flambeau.autocast`` casts floating-point tensors: ``"lower_precision"`` for the dtype
            of the autocast region, ``"float32"``, or ``"widest"`` for the widest dtype of the arguments.
    Returns: a decorator that returns the operator, which is called like the function.
    """

    def define(definition: Definition) -> Definition:
        module = definition.__module__.partition("._")[0]  # operators of private modules belong to their package
        wanted = {"function": function and module == "flambeau", "method": method, "in_place": in_place}
        wanted |= {"out": bool(out), "exact_out": out == "exact"}
        flags = sum(_core._operator_flags[name] for name in wanted if wanted[name]) + _core._autocast_policies[autocast]
        parameters = _parameters(definition)
        text = _text(parameters)
        doc = definition.__doc__ or ""
        for name in aliases:
            alias = f"Alias of {definition.__name__}.\n\n{doc}"
            _core._define(definition, name, module, parameters, name + text, alias, flags)
        signature = definition.__name__ + text
        defined: Definition = _core._define(definition, definition.__name__, module, parameters, signature, doc, flags)
        return defined

    return define


def autocasts(policy: str) -> Callable[[Definition], Definition]:
    """Return a decorator that applies an autocast policy to a function that is not an operator. See `operator`."""

    def wrap(function: Definition) -> Definition:
        wrapped: Definition = _core._composite(function, _core._autocast_policies[policy])
        return wrapped

    return wrap


def recorded(
    name: str,
    result: Result,
    *,
    inputs: tuple[Any, ...],
    saved: tuple[Any, ...] = (),
    derivative: Callable[[tuple[Any, ...], tuple[Any, ...], tuple[bool, ...]], tuple[Any, ...]],
) -> Result:
    """Record a node with a custom derivative for a result that was computed without operators.

    Args:
        name: name of the operator in CamelCase. The node is called ``<name>Backward0``.
        result: a detached tensor, or a tuple of detached tensors.
        inputs: the tensors from which the result was computed, with None for an omitted optional input.
        saved: tensors (inputs, results, others; or None) that the derivative reads. In-place changes of these tensors
            are detected. The function ``derivative`` can capture other tensors.
        derivative: function of the gradients of the results (None for a result without a gradient), the saved tensors,
            and a tuple of bools that says which inputs need a gradient. It returns one gradient or None for each input.
            If the function consists of operators, its result can be differentiated again.
    Returns: ``result``.
    """
    made: Result = _core._recorded(name, result, inputs, saved, derivative)
    return made


def _parameters(definition: Callable[..., Any]) -> list[tuple[str, Any, bool, bool, int]]:
    """Return a tuple for each parameter: name, default, True if keyword-only, True if starred, and type bits.

    The default of a required parameter is Ellipsis. `_kinds` computes the type bits.
    """
    code = definition.__code__
    count, defaults = code.co_argcount, definition.__defaults__ or ()
    names = code.co_varnames
    required = count - len(defaults)
    starred = bool(code.co_flags & 0x04)
    keywords = names[count : count + code.co_kwonlyargcount]
    optional = definition.__kwdefaults__ or {}
    kinds = {name: _kinds(annotation) for name, annotation in definition.__annotations__.items()}
    return [
        *(
            (name, ... if i < required else defaults[i - required], False, False, kinds.get(name, 0))
            for i, name in enumerate(names[:count])
        ),
        *([(name := names[count + len(keywords)], ..., False, True, kinds.get(name, 0))] if starred else []),
        *((name, optional.get(name, ...), True, False, kinds.get(name, 0)) for name in keywords),
    ]


def _kinds(annotation: Any) -> int:
    """Return the bit mask of the types in an annotation, or 0 (no check) if one of the types is not supported."""
    if isinstance(annotation, str):
        names = annotation.split(" | ")
    else:
        parts = annotation.__args__ if isinstance(annotation, UnionType) else (annotation,)
        names = [part.__name__ if isinstance(part, type) else "" for part in parts]
    kinds = [_core._parameter_kinds.get(name, 0) for name in names]
    return sum(kinds) if all(kinds) else 0


def _text(parameters: list[tuple[str, Any, bool, bool, int]]) -> str:
    parts, marked = [], False
    for name, default, keyword_only, starred, _ in parameters:
        if keyword_only and not marked:
            parts.append("*")
        marked = marked or keyword_only or starred
        parts.append(("*" if starred else "") + name + ("" if default is ... else f"={default!r}"))
    return f"({', '.join(parts)})"
