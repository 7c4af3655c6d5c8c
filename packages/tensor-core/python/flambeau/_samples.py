"""Sample calls from the operators' records, for the tests of every package. See Note [Operators]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from flambeau import Tensor, _core


@dataclass(frozen=True)
class Sample:
    """Sample call of an operator.

    Attributes:
        operator: the callable.
        text: source code of the arguments, as in the record.
        arguments: the value of each parameter by name. NumPy arrays stand for tensors.
        reference: Python expression for the expected result. It can use the parameters' names, ``np`` and ``scipy``.
    """

    operator: Any
    text: str
    arguments: dict[str, Any]
    reference: str

    def __str__(self) -> str:
        return f"{self.operator.__name__}({self.text})"

    def tensors(self, **options: Any) -> dict[str, Tensor]:
        """Return the array arguments by name, converted by `flambeau.tensor` with ``options``."""
        arrays = {name: value for name, value in self.arguments.items() if isinstance(value, np.ndarray)}
        return {name: _core.tensor(value, **options) for name, value in arrays.items()}

    def call(self, **replaced: Any) -> Any:
        """Call the operator with the sample's arguments, updated with ``replaced``, and return the result."""
        return _core._call_with_all(self.operator, tuple({**self.arguments, **replaced}.values()))

    def expected(self) -> Any:
        """Return the value of the reference expression for the arguments."""
        return eval(self.reference, {"np": np, "scipy": import_module("scipy"), **self.arguments})


def samples() -> Iterator[Sample]:
    """Yield the samples of all records, once for each name, except for names that end with an underscore."""
    for entry in _core.signatures():
        if not entry.get("samples") or entry["name"].endswith("_"):
            continue
        operator = getattr(_core, entry["attribute"], None) or getattr(Tensor, entry["name"])
        for text in map(str.strip, entry["samples"].split(";")):
            yield Sample(operator, text, _bound(operator, text), entry["reference"])


def _bound(operator: Any, text: str) -> dict[str, Any]:
    """Evaluate the text of a call's arguments, and return the value of each parameter by name."""
    random = np.random.default_rng(len(text))
    makers = {
        "f": lambda *shape: random.standard_normal(shape),
        "p": lambda *shape: 0.1 + random.random(shape),
        "c": lambda *shape: random.standard_normal(shape) + 1j * random.standard_normal(shape),
        "i": lambda *shape: random.integers(-9, 10, shape),
        "k": lambda count, *shape: random.integers(0, count, shape),
        "b": lambda *shape: random.random(shape) < 0.5,
        "np": np,
    }
    binding = eval(f"bound({text})", {"bound": operator.__signature__.bind, **makers})
    binding.apply_defaults()
    values = {name: binding.arguments[name] for name in operator.parameters}
    for name, parameter in operator.__signature__.parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            (values[name],) = values[name]  # a sample passes one tuple for a starred parameter
    return values
