"""Translation of an archive's source to Python functions; see Note [TorchScript]."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Names of helper functions in the syntax tree. The names are not identifiers, so no source can use them.
GET_ATTRIBUTE, SET_ATTRIBUTE, CALL_METHOD, CALL = "get attribute", "set attribute", "call method", "call"
HAS_TYPE, AS_NUMBER, NEW, CONTEXT = "has type", "as number", "new", "context"

_NUMBERS = {"inf": math.inf, "nan": math.nan, "infj": complex(0, math.inf), "nanj": complex(0, math.nan)}
_BUILTINS = ("bool", "float", "int", "complex", "str", "range", "print", "sorted")  # builtins that source can call
_NUMBER_TYPES = ("number", "int", "float", "Scalar")
_DUNDER = re.compile(r"__\w*__")


def rejected(node: ast.AST, what: str) -> RuntimeError:
    """Return the error for source that TorchScript cannot generate."""
    line = getattr(node, "lineno", 0)
    return RuntimeError(
        f"the archive cannot be loaded: line {line} of its code has {what}, which TorchScript does not generate"
    )


def parsed(text: str, name: str) -> ast.Module:
    """Return the syntax tree of a source file.

    Raises: RuntimeError if the file cannot be parsed.
    """
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RuntimeError(f"the archive is damaged: its file {name!r} cannot be parsed ({error})") from None


def path_of(node: ast.expr) -> list[str] | None:
    """Return the parts of a dotted name, or None for other expressions."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else None


class Translator:
    """Translator of one function.

    Args:
        function: syntax tree of the function.
        known: function that returns the object for a dotted name: an operator, a function, a class or a constant.
        constants: dictionary to which the values that the translated function uses are added, by name.
        outer: variables of the enclosing function.
    """

    def __init__(
        self,
        function: ast.FunctionDef,
        known: Callable[[str], Any],
        constants: dict[str, Any],
        outer: frozenset[str] = frozenset(),
    ) -> None:
        self._function, self._known, self._constants = function, known, constants
        self._locals = outer.union(_assigned(function))

    def translated(self) -> ast.FunctionDef:
        """Return the syntax tree of the function, built only from allowed constructs.

        Raises: RuntimeError that names a construct that is not allowed.
        """
        parameters = self._function.args
        if parameters.vararg or parameters.kwarg or self._function.decorator_list:
            raise rejected(self._function, "starred parameters or decorators")
        arguments = ast.arguments(
            posonlyargs=[],
            args=[self._parameter(each) for each in (*parameters.posonlyargs, *parameters.args)],
            kwonlyargs=[self._parameter(each) for each in parameters.kwonlyargs],
            kw_defaults=[None if value is None else self._value(value) for value in parameters.kw_defaults],
            defaults=[self._value(value) for value in parameters.defaults],
        )
        body = self._block(self._function.body)
        function = ast.FunctionDef(self._checked_name(self._function, self._function.name), arguments, body, [])
        return ast.fix_missing_locations(function)

    # Names

    def _parameter(self, parameter: ast.arg) -> ast.arg:
        return ast.arg(self._checked_name(parameter, parameter.arg))

    def _checked_name(self, node: ast.AST, name: str) -> str:
        """Return the name of a variable or an attribute. Raise an error for a dunder name, except of a function."""
        if _DUNDER.fullmatch(name) and not isinstance(node, ast.FunctionDef):
            raise rejected(node, f"the name '{name}'")
        return name

    def _constant(self, name: str, value: Any) -> ast.expr:
        self._constants[name] = value
        return ast.Name(name, ast.Load())

    def _helper(self, name: str, *args: ast.expr) -> ast.expr:
        return ast.Call(ast.Name(name, ast.Load()), list(args), [])

    # Statements

    def _block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        return [self._statement(each) for each in statements] or [ast.Pass()]

    def _statement(self, node: ast.stmt) -> ast.stmt:
        statement = self._translate_statement(node)
        return ast.copy_location(statement, node)

    def _translate_statement(self, node: ast.stmt) -> ast.stmt:
        """Return the Python statement for a TorchScript statement. Raises an error if TorchScript lacks it."""
        match node:
            case ast.Assign(targets=[ast.Attribute(value=owner, attr=name)], value=value):
                self._checked_name(node, name)
                return ast.Expr(self._helper(SET_ATTRIBUTE, self._value(owner), ast.Constant(name), self._value(value)))
            case ast.Assign(targets=[target], value=value):
                return ast.Assign([self._target(target)], self._value(value))
            case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                return ast.Assign([self._target(target)], self._value(value))
            case ast.Expr(value=ast.Call() as value):
                return ast.Expr(self._value(value))
            case ast.If(test=test, body=body, orelse=orelse):
                return ast.If(self._value(test), self._block(body), self._block(orelse))
            case ast.While(test=test, body=body, orelse=[]):
                return ast.While(self._value(test), self._block(body), [])
            case ast.For(target=target, iter=values, body=body, orelse=[]):
                return ast.For(self._target(target), self._value(values), self._block(body), [])
            case ast.With(items=[ast.withitem(context_expr=value, optional_vars=target)], body=body):
                entered = self._helper(CONTEXT, self._value(value))
                item = ast.withitem(entered, None if target is None else self._target(target))
                return ast.With([item], self._block(body))
            case ast.FunctionDef(name=name):  # nested functions are arguments of `fork`
                self._checked_name(ast.Pass(), name)
                return Translator(node, self._known, self._constants, self._locals).translated()
            case ast.Return(value=value):
                return ast.Return(None if value is None else self._value(value))
            case ast.Pass() | ast.Break() | ast.Continue():
                return type(node)()
        raise rejected(node, f"the statement {type(node).__name__}")

    def _target(self, node: ast.expr) -> ast.expr:
        match node:
            case ast.Name(id=name):
                return ast.Name(self._checked_name(node, name), ast.Store())
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return ast.Tuple([self._target(item) for item in items], ast.Store())
        raise rejected(node, f"an assignment to {type(node).__name__}")

    # Expressions

    def _value(self, node: ast.expr) -> ast.expr:
        translated = self._translate_expression(node)
        return ast.copy_location(translated, node)

    def _values(self, nodes: list[ast.expr]) -> list[ast.expr]:
        return [self._value(node) for node in nodes]

    def _translate_expression(self, node: ast.expr) -> ast.expr:
        """Return the Python expression for a TorchScript expression. Raises an error if TorchScript lacks it."""
        match node:
            case ast.Constant(value=None | bool() | int() | float() | complex() | str() as value):
                return ast.Constant(value)
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return ast.UnaryOp(ast.USub(), self._value(operand))
            case ast.Tuple(elts=items):
                return ast.Tuple(self._values(items), ast.Load())
            case ast.List(elts=items):
                return ast.List(self._values(items), ast.Load())
            case ast.Dict(keys=keys, values=values) if None not in keys:
                return ast.Dict([self._value(key) for key in keys if key is not None], self._values(values))
            case ast.Subscript(value=value, slice=index) if not isinstance(index, ast.Slice):
                return ast.Subscript(self._value(value), self._value(index), ast.Load())
            case ast.Attribute():
                return self._attribute(node)
            case ast.Call():
                return self._call(node)
        raise rejected(node, f"the expression {type(node).__name__}")

    def _name(self, node: ast.AST, name: str) -> ast.expr:
        if name in self._locals:
            return ast.Name(self._checked_name(node, name), ast.Load())
        if name in _NUMBERS:
            return self._constant(name, _NUMBERS[name])
        raise rejected(node, f"the unknown name '{name}'")

    def _attribute(self, node: ast.Attribute) -> ast.expr:
        path = path_of(node)
        if path is not None and path[0] not in self._locals:
            return self._constant(".".join(path), self._known(".".join(path)))
        return self._helper(GET_ATTRIBUTE, self._value(node.value), ast.Constant(self._checked_name(node, node.attr)))

    def _call(self, node: ast.Call) -> ast.expr:
        """Return the call for a builtin, a known function or class, a method, or a value that is callable."""
        args = list(node.args)
        keywords = [ast.keyword(self._checked_name(node, k.arg or "__"), self._value(k.value)) for k in node.keywords]
        if any(isinstance(arg, ast.Starred) for arg in args) or any(k.arg is None for k in node.keywords):
            raise rejected(node, "starred arguments")
        if isinstance(node.func, ast.Name) and node.func.id not in self._locals:
            return self._form(node, node.func.id, args)
        path = path_of(node.func)
        if path is not None and path[0] not in self._locals:
            if path[-1] == "__new__":
                return self._helper(NEW, self._value(args[0]))
            return ast.Call(self._value(node.func), self._values(args), keywords)
        if isinstance(node.func, ast.Attribute):
            helper, first = CALL_METHOD, [self._value(node.func.value), ast.Constant(node.func.attr)]
        else:
            helper, first = CALL, [self._value(node.func)]
        return ast.Call(ast.Name(helper, ast.Load()), [*first, *self._values(args)], keywords)

    def _form(self, node: ast.Call, name: str, args: list[ast.expr]) -> ast.expr:
        """Translate the call of a name that is not a variable: a builtin or a type operation of TorchScript."""
        match name, args:
            case (("annotate" | "unchecked_cast"), [kind, value]):
                translated = self._value(value)
                is_number = isinstance(kind, ast.Name) and kind.id in _NUMBER_TYPES
                return self._helper(AS_NUMBER, translated) if is_number and name == "annotate" else translated
            case "uninitialized", [_]:
                return ast.Constant(None)
            case "getattr", [owner, ast.Constant(value=str() as attribute)]:
                self._checked_name(node, attribute)
                return self._helper(GET_ATTRIBUTE, self._value(owner), ast.Constant(attribute))
            case "isinstance", [value, kind]:
                return self._helper(HAS_TYPE, self._value(value), self._type(kind))
            case "fork", [function, *rest]:
                return self._helper(CALL, self._value(function), *self._values(rest))
        if name in _BUILTINS:
            return ast.Call(ast.Name(f"builtin {name}", ast.Load()), self._values(args), [])
        raise rejected(node, f"a call of '{name}'")

    def _type(self, node: ast.expr) -> ast.expr:
        text = f"type {ast.unparse(node)}"
        return self._constant(text, type_of(node, self._known))


def type_of(node: ast.expr, known: Callable[[str], Any]) -> Any:
    """Convert the expression of a type to a type for `flambeau.jit.isinstance`."""
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Name(id=name) if name in _TYPES:
            return _TYPES[name]
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(type_of(item, known) for item in items)
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in _GENERIC:
            argument = type_of(inner, known)
            return _GENERIC[name][argument]
        case ast.Attribute() if (path := path_of(node)) is not None:
            return known(".".join(path))
    raise rejected(node, f"the type '{ast.unparse(node)}'")


def _types() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the types that need no arguments and the generic types of ``typing``, by their names in TorchScript."""
    import typing

    import flambeau

    plain: dict[str, Any] = {
        "Tensor": flambeau.Tensor,
        "int": int,
        "float": float,
        "bool": bool,
        "str": str,
        "complex": complex,
    }
    plain |= {"NoneType": None, "Device": flambeau.device, "Any": typing.Any}
    plain["number"] = (int, float, complex)
    names = ("List", "Dict", "Tuple", "Optional", "Union")
    return plain, {name: getattr(typing, name) for name in names}


_TYPES, _GENERIC = _types()


def _assigned(function: ast.FunctionDef) -> Iterator[str]:
    """Yield the names of a function's parameters and variables."""
    arguments = function.args
    yield from (each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))
    yield from (each.name for each in function.body if isinstance(each, ast.FunctionDef))
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def compiled(functions: Mapping[str, ast.FunctionDef], file: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Compile translated functions, and return them by name. They can only access ``variables``."""
    by_name: dict[str, Any] = {}
    for name, function in functions.items():
        module = ast.fix_missing_locations(ast.Module([function], []))
        namespace: dict[str, Any] = {}
        # exec() is safe, since the translator builds only allowed constructs
        exec(compile(module, f"<{file}>", "exec", dont_inherit=True), variables, namespace)
        by_name[name] = namespace[function.name]
    return by_name
