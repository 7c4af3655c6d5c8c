"""Programs that are divided where Python code must run: trees of segments.

Note [Segments]
If Python reads an element of a tensor or calls a function that cannot be recorded, the capture continues, and the
program is divided there. The operators of a function without side effects depend only on its arguments and on the
values that Python has read. The segments therefore form a tree: after each segment Python makes the call (`Pause`), and
the result of the call selects the next segment.

If there is no next segment for a result, the function runs again from its beginning and is recorded along the new path
(`NoMatch`). No side effect is repeated: the segments before the last pause do not change memory that outlives the call,
random numbers are drawn again from the same state, and functions that Python called, such as ``print``, are not called
again but return their first results.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._tracing._numbers import Sizes
from flambeau._tracing._recorder import Call, Value
from flambeau._tracing._structure import leaves
from flambeau.jit._text import needed_calls, text_of_calls
from flambeau.utils import _pytree as pytree

from ._guards import Snapshot
from ._program import CapturedProgram, EarlierCalls, NoMatch, Part

MAX_PATHS = 32  # maximum number of paths in a tree
MAX_PAUSES = 100  # maximum number of pauses on a path
Environment = dict[str, Any]  # tensors and numbers by their names in the program
Packing = Callable[[Sequence[Any]], Any]


def rebuilt(structure: Any, kind: type | tuple[type, ...], by: Callable[[Any], Any]) -> Any:
    """Replace each instance ``x`` of ``kind`` in tuples, lists, dictionaries, slices and shapes with ``by(x)``."""
    if isinstance(structure, kind):
        return by(structure)
    if type(structure) is Sizes:
        return Sizes(rebuilt(item, kind, by) for item in structure)
    if type(structure) in (tuple, list):
        return type(structure)(rebuilt(item, kind, by) for item in structure)
    if type(structure) is dict:
        return {key: rebuilt(item, kind, by) for key, item in structure.items()}
    if type(structure) is slice:
        return slice(*(rebuilt(part, kind, by) for part in (structure.start, structure.stop, structure.step)))
    return structure


def result_key(result: Any) -> tuple[Any, list[Tensor]]:
    """Return a hashable key for a result, and the tensors in it.

    The key contains all properties of the result that Python can branch on, except elements of tensors.
    """
    if isinstance(result, bool | int | str | type(None)):
        return (type(result), result), []
    found, spec = pytree.tree_flatten(result)
    tensors = [leaf for leaf in found if isinstance(leaf, Tensor)]
    return (repr(spec), *map(_leaf_signature, found)), tensors


def _leaf_signature(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return type(leaf), leaf.dtype, leaf.device, leaf.dim(), leaf.requires_grad
    return type(leaf), repr(leaf)  # unlike ==, repr distinguishes 0.0 from -0.0, and NaN equals NaN


@dataclass(eq=False)
class Pause:
    """Python call between two segments.

    Attributes:
        function, arguments: the function, and its positional and keyword arguments with `Value` in place of tensors.
        position: number of calls that are recorded before the pause.
        key: key of the result in the captured run, from `result_key`.
        given: names in the program for the tensors in the result.
        has_effects: True if the call may have side effects, so that it must not be repeated.
        reason: source line, and why the program is divided there.
    """

    function: Callable[..., Any]
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    position: int
    key: Any
    given: tuple[str, ...]
    has_effects: bool
    reason: str

    @cached_property
    def used(self) -> set[str]:
        """Return the names of the program values among the arguments."""
        return {value.name for value in leaves(self.arguments, Value)}

    @property
    def signature(self) -> tuple[Any, ...]:
        """The function and its arguments in comparable form."""
        return self.function, _shown(self.arguments)

    def call(self, values: Mapping[str, Any]) -> Any:
        """Call the function with the values of a run."""
        args, kwargs = rebuilt(self.arguments, Value, lambda value: values[value.name])
        args, kwargs = (rebuilt(part, Sizes, flambeau.Size) for part in (args, kwargs))
        return self.function(*args, **kwargs)


@dataclass(frozen=True)
class Recording:
    """Tensors and calls that the segments of one capture share.

    Attributes:
        state: dictionary from names, without the leading ``@``, to tensors.
        numbers: dictionary from the names of numbers in the program to the calls that compute them.
        modules: dictionary from ids of modules to their paths.
        part_of: function that creates the part of a program from its text.
    """

    state: Mapping[str, Tensor]
    numbers: Mapping[str, Call]
    modules: Mapping[int, str]
    part_of: Callable[[str], Part]


class Node:
    """Segment of a program, with the segments that follow it. Nodes are immutable, since other threads may run them.

    Args:
        calls: the recorded calls.
        pause: the Python call after the segment, or None at the end of a path.
        children: for each key of the call's result, the names of the tensors in the result and the next node.
        results: names of the program's results at the end of a path.
        pack: function that builds the function's result from the program's results.
    """

    def __init__(
        self,
        recording: Recording,
        calls: Sequence[Call],
        pause: Pause | None,
        children: Mapping[Any, tuple[tuple[str, ...], Node]],
        results: Sequence[str] = (),
        pack: Packing | None = None,
    ) -> None:
        self.recording, self.calls, self.pause, self.children = recording, calls, pause, children
        self.results, self.pack = results, pack
        after = set(results) if pause is None else set(pause.used)
        for given, child in children.values():
            after |= child.needs - set(given)
        self._compile({name for name in after if not name.startswith("@")})
        self.paths: int = sum(child.paths for _, child in children.values()) or 1

    def _compile(self, after: set[str]) -> None:
        """Compile the program of the segment; ``after`` holds the names of values that later segments use."""
        computed = {result.name for call in self.calls for result in call.results}
        self.outputs = sorted(after & computed)
        kept, used = needed_calls(self.calls, set(self.outputs))
        missing = {name for name in used - computed if not name.startswith("@")}
        lists = [self.recording.numbers[n] for n in missing if self._is_list(n)]
        kept = [*lists, *kept]  # programs cannot output lists of numbers, so each segment recomputes them
        missing -= {call.results[0].name for call in lists}
        missing |= {value.name for call in lists for value in leaves(call.arguments, Value)} - computed
        self.needs = frozenset(missing | (after - computed))
        self.inputs = sorted(missing)
        self.number_inputs = {name for name in self.inputs if name in self.recording.numbers}
        self.part = self.recording.part_of(self._text(kept))

    def _is_list(self, name: str) -> bool:
        call = self.recording.numbers.get(name)
        return call is not None and call.name == "repeated"

    def _text(self, kept: Sequence[Call]) -> str:
        """Return the text of the program. Input numbers are passed as tensors of one element."""
        names = {name for call in kept for result in call.results for name in [result.name]} | set(self.inputs)
        fresh = max((int(name[1:]) for name in names), default=-1) + 1
        inputs, reads = [], []
        for name in self.inputs:
            if name in self.number_inputs:
                inputs.append((f"%{fresh}", "number"))
                reads.append(f"{name} = item(%{fresh})")
                fresh += 1
            else:
                inputs.append((name, "tensor"))
        return text_of_calls(inputs, kept, [Value(name) for name in self.outputs], self.recording.modules, reads)

    @cached_property
    def signature(self) -> tuple[Any, ...]:
        """The recorded calls and the pause in comparable form."""
        calls = [(call.name, _shown(call.arguments), [value.name for value in call.results]) for call in self.calls]
        return calls, None if self.pause is None else self.pause.signature

    def run(self, values: Environment) -> bool:
        """Run the segment and add its results to ``values``; return False if a requirement is not met."""
        if not self.outputs and not self.calls:
            return True
        results = self.part.run(self.given(values), None)
        if results is None:
            return False
        values.update(zip(self.outputs, results, strict=True))
        return True

    def given(self, values: Environment) -> list[Tensor]:
        """Return the inputs of the segment's program."""
        return [_as_tensor(values[name]) if name in self.number_inputs else values[name] for name in self.inputs]

    def finished(self, values: Environment) -> Any:
        """Return the function's result from the values at the end of a path."""
        assert self.pack is not None
        return self.pack([self.value(values, name) for name in self.results])

    def value(self, values: Environment, name: str) -> Any:
        """Return the value ``name`` of a run; a name with ``@`` refers to a tensor of the state."""
        return self.recording.state[name[1:].strip("'")] if name.startswith("@") else values[name]

    def all(self) -> list[Node]:
        """Return the node and all its descendants."""
        return [self, *(node for _, child in self.children.values() for node in child.all())]


def source_files(calls: Sequence[Call]) -> dict[str, str]:
    """Return a dictionary from ``file:line``, the form in the texts of programs, to the path of the source file."""
    lines = {call.location.line for call in calls}
    return {line.rpartition("/")[2]: line.rpartition(":")[0] for line in lines}


def _shown(arguments: Any) -> str:
    return repr(rebuilt(rebuilt(arguments, Sizes, tuple), Value, lambda value: value.name))


def _as_tensor(number: Any) -> Tensor:
    dtype = flambeau.float64 if isinstance(number, float) else None
    return flambeau.tensor(number, dtype=dtype)


def path_of(
    recording: Recording, calls: Sequence[Call], pauses: Sequence[Pause], results: Sequence[str], pack: Packing
) -> Node:
    """Return the first node of the linear tree that represents one capture."""
    bounds = [0, *(pause.position for pause in pauses), len(calls)]
    parts = [calls[start:end] for start, end in itertools.pairwise(bounds)]
    node = Node(recording, parts[-1], None, {}, results, pack)
    for part, pause in zip(reversed(parts[:-1]), reversed(pauses), strict=True):
        node = Node(recording, part, pause, {pause.key: (pause.given, node)})
    return node


def merged(tree: Node, path: Node) -> Node | None:
    """Return ``tree`` with ``path`` as a new branch, or None if their calls differ before a pause separates them."""
    if tree.signature != path.signature or tree.pause is None or path.pause is None:
        return None
    children = dict(tree.children)
    for key, (given, child) in path.children.items():
        if key in children:
            old = merged(children[key][1], child)
            if old is None or children[key][0] != given:
                return None
            child = old
        children[key] = given, child
    return Node(tree.recording, tree.calls, tree.pause, children)


class Tree(CapturedProgram):
    """Tree of the segments of a function's program, from one or several captures. Note [Segments].

    Attributes:
        inputs: names of the function's tensors.
        draws: True if a segment draws random numbers.
    """

    def __init__(self, root: Node, inputs: Sequence[str], snapshot: Snapshot, draws: bool) -> None:
        self.root, self.inputs, self.snapshot, self.draws = root, inputs, snapshot, draws
        self.fits_only_captured_sizes = any(node.part.fits_only_captured_sizes for node in root.all())

    def add(self, other: Tree) -> bool:
        """Add the path of another capture; return False if it cannot be merged (see `merged`)."""
        root = merged(self.root, other.root)
        if root is None:
            return False
        self.snapshot = self._snapshot_with(other.snapshot)
        self.root, self.draws = root, self.draws or other.draws
        return True

    def _snapshot_with(self, other: Snapshot) -> Snapshot:
        if self.snapshot.executed is None or other.executed is None:
            return self.snapshot if self.snapshot.executed is None else other
        return other.narrowed(self.snapshot.executed | other.executed)

    @property
    def is_full(self) -> bool:
        """True if the tree has `MAX_PATHS` paths."""
        return self.root.paths >= MAX_PATHS

    @property
    def graphs(self) -> list[tuple[str, Any]]:
        """The text and the parsed program of each segment."""
        return [(node.part.text, node.part.native) for node in self.root.all()]

    @property
    def files(self) -> dict[str, str]:
        """Paths of the source files in the texts, by ``file:line``."""
        return source_files([call for node in self.root.all() for call in node.calls])

    @property
    def reasons(self) -> list[str]:
        """The reasons why the program is divided, without repetitions."""
        return list(dict.fromkeys(node.pause.reason for node in self.root.all() if node.pause is not None))

    def run(self, tensors: Sequence[Tensor], earlier_calls: EarlierCalls | None) -> Any:
        """Run the tree and return the function's result, or a `NoMatch` if no segment follows the result of a call.

        In the second case, the state of the random number generator is restored.
        """
        generator = flambeau.get_rng_state() if self.draws else None
        values: Environment = dict(zip(self.inputs, tensors, strict=True))
        known = deque(earlier_calls or ())
        performed = [*known]
        node = self.root
        while node.run(values):
            pause = node.pause
            if pause is None:
                return node.finished(values)
            if pause.has_effects and known and known[0][0] is pause.function:
                result = known.popleft()[1]
            elif pause.has_effects and known:
                break
            else:
                result = pause.call({name: node.value(values, name) for name in pause.used})
                if pause.has_effects:
                    performed.append((pause.function, result))
            key, results = result_key(result)
            if key not in node.children or (pause.has_effects and self.snapshot.first_change() is not None):
                break
            names, node = node.children[key]
            values.update(zip(names, results, strict=True))
        if generator is not None:
            flambeau.set_rng_state(generator)
        return NoMatch("a value that Python reads leads to another branch", performed)
