"""Definition of a workload: group, name, the code to time or the value to read, and a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import import_module
from time import perf_counter_ns
from typing import Any

import numpy as np


class Library:
    """Common interface to one of the compared libraries. The library's modules are imported on first use.

    A library without ``nn`` can therefore run every workload that needs only tensors. NumPy draws the inputs with a
    fixed seed, so both libraries compute with the same numbers, in separate memory, on ``device``.

    Args:
        engine: how models run: "eager", "compile" or, in ONNX Runtime, "onnx".
        files: folder of the ONNX files.
    """

    def __init__(self, name: str, device: str = "cpu", engine: str = "eager", files: str = "") -> None:
        self.name, self.device, self.engine, self.files = name, device, engine, files
        self.threads = 1
        self.reseed()

    def reseed(self) -> None:
        """Seed the generator again, so that the random numbers repeat."""
        self._random = np.random.default_rng(20_240_229)

    @cached_property
    def fb(self) -> Any:
        return import_module(self.name)

    @cached_property
    def nn(self) -> Any:
        return import_module(f"{self.name}.nn")

    @cached_property
    def functional(self) -> Any:
        return import_module(f"{self.name}.nn.functional")

    @cached_property
    def optim(self) -> Any:
        return import_module(f"{self.name}.optim")

    @cached_property
    def data(self) -> Any:
        return import_module(f"{self.name}.utils.data")

    @cached_property
    def autograd(self) -> Any:
        return import_module(f"{self.name}.autograd")

    def compiled(self, function: Any, *, fullgraph: bool = False) -> Any:
        """Return a function or module, compiled if the engine is "compile", otherwise unchanged."""
        return self.fb.compile(function, fullgraph=fullgraph) if self.engine == "compile" else function

    def clock(self) -> int:
        """Return the time in nanoseconds, after waiting for all queued GPU work."""
        if self.device != "cpu":
            self.fb.cuda.synchronize()
        return perf_counter_ns()

    def tensor(self, array: np.ndarray[Any, Any]) -> Any:
        """Return ``array`` as a tensor on the device, or unchanged for ONNX Runtime."""
        if self.engine == "onnx":
            return array
        tensor = self.fb.tensor(array)
        return tensor if self.device == "cpu" else tensor.to(self.device)

    def normal(self, *shape: int, scale: float = 1.0) -> Any:
        """Return standard normal float32 values times ``scale``."""
        return self.tensor(self._random.standard_normal(shape, dtype=np.float32) * np.float32(scale))

    def uniform(self, low: float, high: float, *shape: int) -> Any:
        """Return uniform float32 values in [low, high)."""
        values = self._random.random(shape, dtype=np.float32)
        return self.tensor(values * np.float32(high - low) + np.float32(low))

    def positive(self, *shape: int) -> Any:
        """Return uniform float32 values in [0.5, 1.5)."""
        return self.uniform(0.5, 1.5, *shape)

    def integers(self, high: int, *shape: int) -> Any:
        """Return uniform int64 values in [0, high)."""
        return self.tensor(self._random.integers(0, high, shape, dtype=np.int64))


@dataclass(frozen=True)
class Code:
    """Code to time: a statement that uses ``names``, compiled into the timing loop, or a callable without arguments.

    A statement avoids the cost of a function call, which matters for operations of 200 ns. If ``compare`` is True, the
    first results of both libraries are compared, so that a library cannot be faster by computing something else.
    """

    statement: str | Callable[[], Any]
    names: Mapping[str, Any] = field(default_factory=dict)
    compare: bool = True

    def result(self) -> Any:
        """Run the code once and return the value, or None if there is no value to compare."""
        if not isinstance(self.statement, str):
            return self.statement()
        if self.compare:
            return eval(self.statement, dict(self.names))
        exec(self.statement, dict(self.names))
        return None


@dataclass(frozen=True)
class Workload:
    """One row of the benchmark.

    Args:
        group: name of the group. Workloads of a group share a process.
        name: name, unique in the group.
        measured: for a timed row, ``Library -> Code``; for a row with a ``unit``, ``Library -> float`` in that unit.
        at_most: the target, or None. For a timed row, the maximal ratio of the subject's time to the baseline's time;
            for a row with a unit, the maximal value of the subject.
        unit: None for a timed row.
        device: ``"cpu"`` or ``"cuda"``. With ``--device``, only the rows of that device are measured.
        against: code that the baseline runs instead of ``measured``, for a row that compares two methods.
        baselines: for a row that compares a compiled model, names of `engines.sides`; otherwise empty.
    """

    group: str
    name: str
    measured: Callable[[Library], Any]
    at_most: float | None = None
    unit: str | None = None
    device: str = "cpu"
    against: Callable[[Library], Any] | None = None
    baselines: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.group}: {self.name}"


def expression(
    statement: str,
    *,
    requires_grad: str = "",
    positive: bool = False,
    within: tuple[float, float] | None = None,
    compare: bool = True,
    **shapes: tuple[int, ...],
) -> Callable[[Library], Code]:
    """Return a function that prepares ``statement`` for measurement, with random float32 tensors of the given shapes.

    The elements are normally distributed, uniform between the bounds ``within``, or positive if ``positive`` is True.

    In the statement, ``fb`` is the library and ``F`` its ``nn.functional``. ``requires_grad`` lists the names of the
    tensors that require grad, separated by spaces.

    >>> row = Workload("small operators", "a + b", expression("a + b", a=(4, 4), b=(4, 4)), at_most=0.25)
    >>> row.key
    'small operators: a + b'
    """

    def prepare(library: Library) -> Code:
        fill = partial(library.uniform, *within) if within else library.positive if positive else library.normal
        names: dict[str, Any] = {name: fill(*shape) for name, shape in shapes.items()}
        for name in requires_grad.split():
            names[name].requires_grad_(True)
        if "F." in statement:
            names["F"] = library.functional
        return Code(statement, {"fb": library.fb, **names}, compare)

    return prepare
