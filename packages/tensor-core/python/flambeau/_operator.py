"""Operators written in Python, in the registry beside the native ones.

What the registry holds gets its function, method, in-place form, ``out=``, signature, documentation and stub from one
definition, wherever that is written.
"""

from collections.abc import Callable
from types import UnionType
from typing import Any, TypeVar

from flambeau import _core

Definition = TypeVar("Definition", bound=Callable[..., Any])
Result = TypeVar("Result")


def operator(
    *,
    function: bool = True,
    method: bool = False,
    in_place: bool = False,
    out: bool = False,
    aliases: tuple[str, ...] = (),
    autocast: str = "",
) -> Callable[[Definition], Definition]:
    """Makes an operator of a function; its name, parameters, annotations and docstring serve everywhere.

    What is annotated with ``Tensor``, ``bool``, ``int``, ``float``, ``str`` or some of them is checked: the function
    gets nothing else, and the caller a TypeError that names the argument.

    ``def flip(input, *dims)``: a starred parameter takes what is left of the positional arguments, or one sequence.

    Args:
        function: publish it as ``flambeau.<name>``; in a public module such as ``flambeau.linalg`` it is that
            module's own attribute instead.
        method: also ``Tensor.<name>``.
        in_place: also ``Tensor.<name>_``, which writes the result back.
        out: also take ``out=``, a tensor (or a tuple of them, as the results are) that receives the result.
        aliases: further names, in the same places.
        autocast: the dtype that floating-point tensors are cast to inside of ``flambeau.autocast``:
            ``"lower_precision"`` for the region's, ``"float32"``, or ``"widest"`` for the widest among the arguments.
    Returns: a decorator that returns the operator, to be called like the function.
    """

    def define(definition: Definition) -> Definition:
        module = definition.__module__.partition("._")[0]  # a private family publishes where its package does
        wanted = {"function": function and module == "flambeau", "method": method, "in_place": in_place, "out": out}
        flags = sum(_core._operator_flags[name] for name in wanted if wanted[name]) + _core._autocast_policies[autocast]
        parameters = _parameters(definition)
        text = _text(parameters)
        doc = definition.__doc__ or ""
        for name in aliases:
            alias = f"Alias of {definition.__name__}.\n\n{doc}"
            _core._define(definition, name, module, parameters, name + text, alias, flags)
        signature = definition.__name__ + text
        made: Definition = _core._define(definition, definition.__name__, module, parameters, signature, doc, flags)
        return made

    return define


def autocasts(policy: str) -> Callable[[Definition], Definition]:
    """Makes autocast heed a function that is no operator, such as a loss made of several; see `operator`."""

    def wrap(function: Definition) -> Definition:
        wrapped: Definition = _core._autocasting(function, _core._autocast_policies[policy])
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
    """Puts a result that was computed outside of the operators on the graph, with its own derivative.

    Args:
        name: of the operator in CamelCase; the node is called ``<name>Backward0``.
        result: a tensor without history, or a tuple of them.
        inputs: the tensors it was computed from; None where an optional one was left out.
        saved: tensors (inputs, results, others; or None) that the derivative reads; a change in place of one of them
            is noticed. Tensors that need not be watched can live in the function itself.
        derivative: from the gradients of the results (None where there is none), the saved tensors and which inputs
            need a gradient, to one gradient (or None) for each input. Written in operators, it can be differentiated
            again.
    Returns: ``result``.
    """
    made: Result = _core._recorded(name, result, inputs, saved, derivative)
    return made


def _parameters(definition: Callable[..., Any]) -> list[tuple[str, Any, bool, bool, int]]:
    """Name, default (Ellipsis: required), whether keyword-only, whether starred, kinds; from the code object: quick."""
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
    """The bits of the types that an annotation names; 0 where it names any other: then nothing is checked."""
    if isinstance(annotation, str):
        names = annotation.split(" | ")
    else:
        parts = annotation.__args__ if isinstance(annotation, UnionType) else (annotation,)
        names = [part.__name__ if isinstance(part, type) else "" for part in parts]
    found = [_core._parameter_kinds.get(name, 0) for name in names]
    return sum(found) if all(found) else 0


def _text(parameters: list[tuple[str, Any, bool, bool, int]]) -> str:
    parts, marked = [], False
    for name, default, keyword_only, starred, _ in parameters:
        if keyword_only and not marked:
            parts.append("*")
        marked = marked or keyword_only or starred
        parts.append(("*" if starred else "") + name + ("" if default is ... else f"={default!r}"))
    return f"({', '.join(parts)})"
