"""Measured replays of captured programs: kernels, their operators, and the memory of values."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import flambeau
from flambeau import Tensor, _core

from ._program import CapturedProgram, Part, SingleProgram
from ._segments import Node, Tree, result_key

_CALL = re.compile(r"(?:(?P<results>%\d+(?:, %\d+)*) = )?(?P<name>[\w:]+)\(")
_BOOKKEEPING = re.compile(r"check_input|require_|without_derivative|size$|stride$|numel$|dim$")
_PRODUCTS = re.compile(
    r"conv|linear|matmul|b?mm$|addmm|baddbmm|einsum|scaled_dot_product|lstm|gru|rnn|embedding_bag|dot$|outer$"
)
TIMES = "\N{MULTIPLICATION SIGN}"
SECONDS, MIN_RUNS, MAX_RUNS = 0.3, 3, 50


@dataclass(frozen=True)
class Operand:
    """A tensor that an operator reads or writes. ``value`` is its number in the program, or -1 for a parameter."""

    value: int
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    memory: int

    @property
    def text(self) -> str:
        return f"{TIMES.join(map(str, self.shape)) or 'scalar'} {self.dtype}"


@dataclass
class Operator:
    """Operator call of a program, measured without fusion."""

    number: int
    name: str
    call: str
    module: str  # path of the layer, or empty
    line: str  # file:line, or empty
    results: tuple[Operand, ...] = ()
    moved: int = 0
    seconds: float = 0.0

    @property
    def is_bookkeeping(self) -> bool:
        """True for checks and sizes, which compute no tensor."""
        return not self.results and _BOOKKEEPING.match(self.name.rpartition("::")[2]) is not None


@dataclass
class Kernel:
    """One or several operators that run as one kernel."""

    operators: list[Operator]
    as_one: bool
    seconds: float
    reads: tuple[Operand, ...]
    writes: tuple[Operand, ...]
    released: tuple[int, ...]

    @property
    def moved(self) -> int:
        """Bytes that the kernel reads and writes."""
        if len(self.operators) == 1 or not self.as_one:
            return sum(operator.moved for operator in self.operators)
        read = {operand.memory: operand.nbytes for operand in self.reads}  # operands can share memory
        return sum(read.values()) + sum(operand.nbytes for operand in self.writes)

    @property
    def kind(self) -> str:
        """Class of the kernel: fused, product, view or other."""
        if len(self.operators) > 1:
            return "fused"
        name = self.operators[0].name
        if _PRODUCTS.match(name.removeprefix("_")):
            return "product"
        return "view" if self.writes and not self.moved else "other"


@dataclass
class Block:
    """Memory block of a program, in use from the kernel that allocates it to the last one that reads it."""

    kernel: int
    end: int
    operand: Operand
    offset: int = 0


@dataclass
class Profile:
    """Description of one measured program.

    Attributes:
        kernels: in the order in which they run, without checks and sizes.
        checks: time in seconds of checks and size computations, and their number.
        boundaries: producer, consumer, and the reason why these two operators are not fused.
        blocks: memory that the program allocates.
    """

    text: str
    kernels: list[Kernel]
    checks: tuple[float, int]
    boundaries: list[tuple[Operator, Operator, str]]
    blocks: list[Block] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """The peak memory in bytes, over all kernels."""
        alive = [0] * len(self.kernels)
        for block in self.blocks:
            for i in range(block.kernel, block.end + 1):
                alive[i] += block.operand.nbytes
        return max(alive, default=0)

    @property
    def seconds(self) -> float:
        return sum(kernel.seconds for kernel in self.kernels) + self.checks[0]

    @property
    def operators(self) -> list[Operator]:
        return [operator for kernel in self.kernels for operator in kernel.operators]


def moved(reads: Sequence[Operand], writes: Sequence[Operand], name: str) -> int:
    """Return the number of bytes that operator ``name`` reads and writes; 0 for a view."""
    memories = {operand.memory: operand.nbytes for operand in reads}
    if not writes and name.endswith("_") and reads:
        return sum(memories.values()) + reads[0].nbytes
    fresh = [operand for operand in writes if operand.memory not in memories]
    return sum(memories.values()) + sum(operand.nbytes for operand in fresh) if fresh or not writes else 0


def segments(program: CapturedProgram, tensors: Sequence[Tensor]) -> Iterator[tuple[Part, Sequence[Tensor]]]:
    """Yield a program and its inputs, or each segment that runs for ``tensors`` and the inputs of the segment.

    Segments after a pause with possible side effects, such as ``print``, are left out, because the call is not
    repeated.
    """
    if isinstance(program, SingleProgram):
        yield program.part, tensors
        return
    assert isinstance(program, Tree)
    values: dict[str, Any] = dict(zip(program.inputs, tensors, strict=True))
    node: Node | None = program.root
    while node is not None:
        yield node.part, node.given(values)
        node = _next(node, values)


def _next(node: Node, values: dict[str, Any]) -> Node | None:
    """Make the Python call after a segment, add its results to ``values``, and return the next segment or None."""
    pause = node.pause
    if pause is None or pause.has_effects or not node.run(values):
        return None
    key, results = result_key(pause.call({name: node.value(values, name) for name in pause.used}))
    if key not in node.children:
        return None
    names, child = node.children[key]
    values.update(zip(names, results, strict=True))
    return child


def measured(program: CapturedProgram, tensors: Sequence[Tensor]) -> list[Profile]:
    """Run a program several times, with and without fusion, and return a `Profile` of it or of each segment.

    The program runs on copies of its tensors, and the state of the random number generator is restored.
    """
    random_state = flambeau.get_rng_state()
    try:
        return [_measure_segment(*segment) for segment in segments(program, list(map(_copy, tensors)))]
    finally:
        flambeau.set_rng_state(random_state)


def _measure_segment(part: Part, tensors: Sequence[Tensor]) -> Profile:
    """Run a traced program with and without fusion, and return the profile of its kernels."""
    inputs, state = tuple(map(_copy, tensors)), tuple(map(_copy, part.state))
    unfused = _core._parse_program(part.text, False)
    single, fused = (_fastest_steps(each, inputs, state) for each in (unfused, part.native))
    operators = _operators(part.text)
    for (number,), _, seconds, reads, writes, _ in single:
        operator = operators[number]
        operator.results = writes or (reads[:1] if operator.name.endswith("_") else ())
        operator.moved, operator.seconds = moved(reads, writes, operator.name), seconds
    steps = [Kernel([operators[n] for n in numbers], *rest) for numbers, *rest in fused]
    checks = [step for step in steps if all(operator.is_bookkeeping for operator in step.operators)]
    edges = [
        (operators[producer], operators[consumer], reason)
        for producer, consumer, reason in _core._program_boundaries(part.native)
    ]
    profile = Profile(
        part.text,
        [step for step in steps if step not in checks],
        (sum(step.seconds for step in checks), len(checks)),
        [edge for edge in edges if edge[0].results and not edge[1].is_bookkeeping],
    )
    profile.blocks = _blocks(steps, profile.kernels)
    _assign_offsets(profile.blocks)
    return profile


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def _operators(text: str) -> list[Operator]:
    """Return the operator calls in the text of a program."""
    operators: list[Operator] = []
    for line in text.splitlines():
        if line.startswith(("input ", "return ")) or line == "return":
            continue
        call, _, where = line.partition("  # ")
        if (match := _CALL.match(call)) is None:
            raise ValueError(f"expected a call, got {line!r}")
        module, _, location = where.rpartition(", ")
        operators.append(Operator(len(operators), match["name"], call, module, location))
    return operators


def _fastest_steps(native: Any, inputs: tuple[Tensor, ...], state: tuple[Tensor, ...]) -> list[Any]:
    """Return the steps of a program; the time of each step is the minimum over several runs."""
    steps = _core._profile_program(native, inputs, state)  # warm-up
    least = [float("inf")] * len(steps)
    runs, end = 0, time.perf_counter() + SECONDS
    while runs < MIN_RUNS or (runs < MAX_RUNS and time.perf_counter() < end):
        steps, runs = _core._profile_program(native, inputs, state), runs + 1
        least = [min(best, step[2] / 1e9) for best, step in zip(least, steps, strict=True)]
    return [
        (numbers, as_one, seconds, _operands(reads), _operands(writes), tuple(released))
        for (numbers, as_one, _, reads, writes, released), seconds in zip(steps, least, strict=True)
    ]


def _operands(records: Iterable[tuple[int, Any, Any, int]]) -> tuple[Operand, ...]:
    return tuple(
        Operand(value, tuple(shape), str(dtype).rpartition(".")[2], prod(shape) * dtype.itemsize, memory)
        for value, shape, dtype, memory in records
    )


def _blocks(steps: Sequence[Kernel], kernels: Sequence[Kernel]) -> list[Block]:
    """Return the memory blocks that the steps allocate; values that share memory form one block."""
    positions = {id(kernel): i for i, kernel in enumerate(kernels)}
    alive: dict[int, Block] = {}  # by address
    users: dict[int, set[int]] = {}  # values that still use a block, by address
    outside: set[int] = set()  # memory of arguments and parameters
    blocks: list[Block] = []
    at = 0
    for step in steps:
        at = positions.get(id(step), at)
        outside |= {operand.memory for operand in step.reads if operand.memory not in alive}
        for operand in step.writes:
            if operand.memory in outside and operand.memory not in alive:
                continue  # a view of an argument or parameter
            if operand.memory not in alive:
                alive[operand.memory] = Block(at, len(kernels) - 1, operand)
                blocks.append(alive[operand.memory])
            users.setdefault(operand.memory, set()).add(operand.value)
        for memory, values in list(users.items()):
            values -= set(step.released)
            if not values:
                alive.pop(memory).end = at
                del users[memory]
    return [block for block in blocks if block.operand.nbytes]


def _assign_offsets(blocks: Sequence[Block]) -> None:
    """Assign to each block, largest first, the lowest offset at which it overlaps no block in use at the same time."""
    placed: list[Block] = []
    for block in sorted(blocks, key=lambda block: -block.operand.nbytes):
        overlapping = (other for other in placed if other.kernel <= block.end and block.kernel <= other.end)
        for other in sorted(overlapping, key=lambda other: other.offset):
            if block.offset + block.operand.nbytes <= other.offset:
                break
            block.offset = max(block.offset, other.offset + other.operand.nbytes)
        placed.append(block)
