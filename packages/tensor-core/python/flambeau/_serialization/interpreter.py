"""A restricted interpreter of pickles, which can only call the functions in its table.

A pickle is a program for a stack machine. Python's interpreter can find and call any function of any module. This
interpreter knows only the names in `globals` and the instructions that build plain values. Any other name or
instruction raises an error that contains the name.
"""

from __future__ import annotations

import pickletools
import re
from argparse import Namespace
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Any

from flambeau import Tensor

from . import globals, rebuild
from .errors import ForeignFormatError, FormatError, UnsafePickleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MARK = object()
NEWEST_PROTOCOL = 5

_REJECTED = (
    "it refers to {name}, which is not an allowed global by default and was not called. If you trust the file, "
    "allow the name with flambeau.serialization.safe_globals([{short}]), or load the file with "
    "weights_only=False, which lets it run any code.{advice}"
)
_MODULES_ADVICE = " It seems to hold a whole module; a file with its state_dict() loads without either."


# Errors that a damaged pickle causes. An invalid escape in a string raises Warning if warnings are errors.
_DAMAGED = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RuntimeError, Warning)
# Names of dtypes and storages, also of those that flambeau lacks.
_DTYPE_NAMES = r"torch\.(q?u?int|float|complex|bits)[0-9a-z_]+|torch\.(storage\.|cuda\.)?\w+Storage"


def run(
    pickle: bytes | IO[bytes],
    persistent_load: Callable[[Any], Any],
    encoding: str = "utf-8",
    errors: str = "strict",
    machine_type: Callable[[Callable[[Any], Any], str, str], Machine] | None = None,
) -> Any:
    """Return the value that a pickle describes.

    Args:
        pickle: bytes, or a file that is read up to the end of the pickle.
        persistent_load: function that returns the value of a persistent id, such as a storage.
        encoding, errors: how to decode strings that Python 2 wrote. The encoding ``"bytes"`` keeps them as bytes.
        machine_type: alternative interpreter class, for pickles with additional names.
    Raises: UnsafePickleError with the name of an object that is not in the table; FormatError if the pickle is damaged.
    """
    machine = (machine_type or Machine)(persistent_load, encoding, errors)
    try:
        return machine.run(pickle)
    except FormatError:
        raise
    except NotImplementedError as error:
        raise ForeignFormatError(str(error)) from None
    except MemoryError:
        raise FormatError("the pickle in it is damaged: it requests more memory than is available") from None
    except _DAMAGED as error:
        raise FormatError(f"the pickle in it is damaged, at byte {machine.position}: {error}") from None


def names_in(pickle: bytes) -> set[str]:
    """Return the full names that a pickle refers to. Raise FormatError if the pickle is damaged."""
    names, strings = set(), ["", ""]
    try:
        for opcode, argument, _ in pickletools.genops(pickle):
            if opcode.name == "GLOBAL":
                module, _, name = str(argument).partition(" ")
                names.add(globals.full_name(module, name))
            elif opcode.name == "STACK_GLOBAL":
                names.add(globals.full_name(*strings[-2:]))
            elif isinstance(argument, str):
                strings.append(argument)
    except (ValueError, TypeError) as error:
        raise FormatError(f"the pickle in it is damaged: {error}") from None
    return names


class Machine:
    """State of the interpreter: the stack with its marks, and the memo."""

    def __init__(self, persistent_load: Callable[[Any], Any], encoding: str, errors: str) -> None:
        self.persistent_load = persistent_load
        self.encoding, self.errors = encoding, errors
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.calls: dict[int, Callable[..., Any]] = {}  # maps the id of a named object to the function that a call runs
        self.position = 0

    def run(self, pickle: bytes | IO[bytes]) -> Any:
        instructions = {each.name: getattr(self, f"do_{each.name.lower()}", None) for each in pickletools.opcodes}
        for opcode, argument, position in pickletools.genops(pickle):
            self.position = position or 0
            name = opcode.name
            if name in _PUSH:
                self.stack.append(argument)
            elif (constant := _CONSTANTS.get(name)) is not None:
                self.stack.append(constant[0])
            elif (do := instructions[name]) is not None:
                do(argument)
            else:
                raise UnsafePickleError(f"the pickle in it uses the instruction {name}, which is not allowed")
        return self.pop()

    def pop(self) -> Any:
        if not self.stack or (value := self.stack.pop()) is MARK:
            raise FormatError("the pickle in it is damaged: the stack is empty")
        return value

    def top(self) -> Any:
        if not self.stack or self.stack[-1] is MARK:
            raise FormatError("the pickle in it is damaged: the stack is empty")
        return self.stack[-1]

    def popped(self, count: int) -> tuple[Any, ...]:
        """Remove the top ``count`` values from the stack and return them, the top last."""
        return tuple(reversed([self.pop() for _ in range(count)]))

    def since_mark(self) -> list[Any]:
        """Remove the values above the last mark, and the mark, from the stack. Return the values."""
        stack = self.stack
        start = len(stack)
        while start and stack[start - 1] is not MARK:
            start -= 1
        if not start:
            raise FormatError("the pickle in it is damaged: there is no mark on the stack")
        items = stack[start:]
        del stack[start - 1 :]
        return items

    def do_proto(self, version: int) -> None:
        if version > NEWEST_PROTOCOL:
            raise FormatError(f"its pickle protocol {version} is not supported")

    def do_frame(self, length: int) -> None:
        pass

    def do_stop(self, _: None) -> None:
        pass

    def do_mark(self, _: None) -> None:
        self.stack.append(MARK)

    def do_pop(self, _: None) -> None:
        del self.stack[-1]

    def do_pop_mark(self, _: None) -> None:
        self.since_mark()

    def do_dup(self, _: None) -> None:
        self.stack.append(self.top())

    # Strings of Python 2

    def do_string(self, text: str) -> None:
        content = text.encode("latin-1")
        self.stack.append(content if self.encoding == "bytes" else content.decode(self.encoding, self.errors))

    do_binstring = do_short_binstring = do_string

    # Containers

    def do_tuple(self, _: None) -> None:
        self.stack.append(tuple(self.since_mark()))

    def do_tuple1(self, _: None) -> None:
        self.stack.append(self.popped(1))

    def do_tuple2(self, _: None) -> None:
        self.stack.append(self.popped(2))

    def do_tuple3(self, _: None) -> None:
        self.stack.append(self.popped(3))

    def do_empty_list(self, _: None) -> None:
        self.stack.append([])

    def do_empty_dict(self, _: None) -> None:
        self.stack.append({})

    def do_empty_set(self, _: None) -> None:
        self.stack.append(set())

    def do_list(self, _: None) -> None:
        self.stack.append(self.since_mark())

    def do_dict(self, _: None) -> None:
        self.stack.append(dict(_pairs(self.since_mark())))

    def do_frozenset(self, _: None) -> None:
        self.stack.append(frozenset(self.since_mark()))

    def do_append(self, _: None) -> None:
        self.append([self.pop()])

    def do_appends(self, _: None) -> None:
        self.append(self.since_mark())

    def append(self, items: list[Any]) -> None:
        self.container(list).extend(items)

    def do_setitem(self, _: None) -> None:
        self.set_items([self.popped(2)])

    def do_setitems(self, _: None) -> None:
        self.set_items(_pairs(self.since_mark()))

    def set_items(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        target = self.container(dict)
        for key, value in pairs:
            target[key] = value

    def do_additems(self, _: None) -> None:
        items = self.since_mark()
        self.container(set).update(items)

    def container(self, kind: type) -> Any:
        """Return the top of the stack, which must be a ``kind`` (list, set or dict) or of an allowed class."""
        target = self.top()
        if not isinstance(target, kind) and not globals.is_added(type(target)):
            raise FormatError(
                f"the pickle in it is damaged: it adds the items of a {kind.__name__} to a {type(target).__name__}"
            )
        return target

    # Memo

    def do_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.top()

    def do_put(self, index: int) -> None:
        self.memo[index] = self.top()

    do_binput = do_long_binput = do_put

    def do_get(self, index: int) -> None:
        if index not in self.memo:
            raise FormatError(f"the pickle in it is damaged: it refers to the missing value {index}")
        self.stack.append(self.memo[index])

    do_binget = do_long_binget = do_get

    # Names, calls, attributes

    def do_global(self, names: str) -> None:
        module, _, name = names.partition(" ")
        self.stack.append(self.named(module, name))

    def do_stack_global(self, _: None) -> None:
        module, name = self.popped(2)
        if type(module) is not str or type(name) is not str:
            raise FormatError("the pickle in it is damaged: a global name is not a string")
        self.stack.append(self.named(module, name))

    def named(self, module: str, name: str) -> Any:
        """Return the object that a pickle names. Raise UnsafePickleError if the name is not in the table."""
        full = globals.full_name(module, name)
        entry = globals.find(full)
        if entry is None and re.fullmatch(_DTYPE_NAMES, full):
            raise ForeignFormatError(f"it refers to {full}, which flambeau does not have")
        if entry is None:
            advice = _MODULES_ADVICE if ".nn.modules" in module else ""
            raise UnsafePickleError(_REJECTED.format(name=full, short=name, advice=advice))
        if entry.call is not None:
            self.calls[id(entry.value)] = entry.call
        return entry.value

    def do_reduce(self, _: None) -> None:
        function, arguments = self.popped(2)
        self.stack.append(self.call(function, arguments))

    def call(self, function: Any, arguments: Any) -> Any:
        """Return the result of a call. Raise UnsafePickleError if the table does not allow the call."""
        call = self.calls.get(id(function))
        if call is None:
            raise UnsafePickleError(f"the pickle in it calls {function!r}, which is not allowed")
        if type(arguments) is not tuple:
            raise FormatError("the pickle in it is damaged: the arguments of a call are not a tuple")
        if call is rebuild.from_type:
            arguments = (self.rebuild_function(*arguments[:2]), *arguments[1:])
        return call(*arguments)

    def rebuild_function(self, named: Any, kind: Any) -> Callable[..., Any]:
        """Return the function that rebuilds a tensor of a subclass. See `rebuild.from_type`."""
        call = self.calls.get(id(named))
        if call is None:
            raise UnsafePickleError(f"the pickle in it calls {named!r}, which is not allowed")
        known = kind is Tensor or kind is rebuild.parameter_type() or globals.is_added(kind)
        if not known:
            raise FormatError(f"it holds a tensor of the type {kind!r}, which is not allowed")
        return call

    def do_newobj(self, _: None) -> None:
        kind, arguments = self.popped(2)
        self.stack.append(self.new(kind, arguments, {}))

    def do_newobj_ex(self, _: None) -> None:
        self.stack.append(self.new(*self.popped(3)))

    def new(self, kind: Any, arguments: Any, keywords: Any) -> Any:
        """Return a new object of a class. Its state follows in a BUILD instruction."""
        if kind is Namespace:
            return Namespace()
        if globals.is_added(kind) and isinstance(kind, type):
            return kind.__new__(kind, *arguments, **keywords)
        return self.call(kind, arguments)

    def do_build(self, _: None) -> None:
        state = self.pop()
        target = self.top()
        if globals.is_added(type(target)):
            _set_state(target, state)
        elif type(target) is OrderedDict or type(target) is Namespace:
            target.__dict__.update(rebuild.names(state))
        elif type(target).__module__.partition(".")[0] == "numpy":
            self.set_array_state(target, state)
        else:
            raise UnsafePickleError(f"the pickle in it sets the state of {type(target).__name__}, which has no state")

    def set_array_state(self, target: Any, state: Any) -> None:
        from . import arrays

        if type(target) is arrays.np.ndarray:
            arrays.set_array(target, state)
        else:
            arrays.set_dtype(target, state)

    def do_binpersid(self, _: None) -> None:
        self.stack.append(self.persistent_load(self.pop()))


def _pairs(items: list[Any]) -> Iterable[tuple[Any, Any]]:
    if len(items) % 2:
        raise FormatError("the pickle in it is damaged: a dictionary key has no value")
    return zip(items[::2], items[1::2], strict=True)


def _set_state(target: Any, state: Any) -> None:
    if hasattr(target, "__setstate__"):
        target.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        target.__dict__.update(state)
    for name, value in (slots or {}).items():
        setattr(target, name, value)


_PUSH = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
_CONSTANTS = {"NONE": (None,), "NEWTRUE": (True,), "NEWFALSE": (False,), "EMPTY_TUPLE": ((),)}
