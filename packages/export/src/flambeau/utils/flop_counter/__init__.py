"""Counter of the floating-point operations of matrix products, convolutions, attention and their derivatives.

>>> from flambeau.utils.flop_counter import FlopCounterMode
>>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
>>> with FlopCounterMode() as counter:
...     loss = model(fb.ones(3, 4)).sum()
Module             FLOP    % Total
--------------  -------  ---------
Sequential      288.000    100.00%
 - aten.addmm   288.000    100.00%
 Sequential.0   192.000     66.67%
  - aten.addmm  192.000     66.67%
 Sequential.2    96.000     33.33%
  - aten.addmm   96.000     33.33%
>>> counter.get_total_flops()
288
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Self

import flambeau
from flambeau import Tensor, _public_names
from flambeau._tracing._calls import CallMode
from flambeau.fx._table import table
from flambeau.library._custom_op import CustomOpDef
from flambeau.library._custom_overload import packet_of
from flambeau.library._overloads import OpOverload, OpOverloadPacket
from flambeau.nn import Module
from flambeau.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from flambeau.utils import _pytree

from ._formulas import FORMULAS, Count

__all__ = ["FlopCounterMode", "register_flop_formula"]

_SUFFIXES = ("", "K", "M", "B", "T")
flop_registry: dict[Any, Callable[..., int]] = {}  # registered formulas, for all counters


def register_flop_formula(targets: Any, get_raw: bool = False) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return a decorator that registers the formula of operators that `FlopCounterMode` does not know.

    Args:
        targets: an operator, such as ``ops.namespace.name``, or a list of operators.
        get_raw: if True, the formula receives tensors and ``out_val``, instead of shapes and ``out_shape``.
    Raises: ValueError if a target is not an operator, RuntimeError if it already has a registered formula.

    >>> @fb.library.custom_op("example::double", mutates_args=())
    ... def double(x: fb.Tensor) -> fb.Tensor:
    ...     return x + x
    >>> @register_flop_formula(fb.ops.example.double)
    ... def count(shape, *, out_shape):
    ...     return shape.numel()
    >>> with FlopCounterMode(display=False) as counter:
    ...     result = double(fb.ones(2, 3))
    >>> counter.get_total_flops()
    6
    """

    def register(formula: Callable[..., int]) -> Callable[..., int]:
        function = formula if get_raw else _with_shapes(formula)
        for target in targets if isinstance(targets, (list, tuple)) else [targets]:
            if not isinstance(target, (OpOverloadPacket, CustomOpDef)):
                raise ValueError(
                    f"register_flop_formula(targets): expected each target to be an operator such as "
                    f"ops.mylib.foo, got {target!r}"
                )
            if _called(target) in flop_registry:
                raise RuntimeError(f"duplicate registrations for {target}")
            flop_registry[_called(target)] = function
        return function

    return register


def _with_shapes(formula: Callable[..., int]) -> Callable[..., int]:
    """Return a function that calls a formula with shapes in place of tensors."""

    def count(*args: Any, out_val: Any = None, **kwargs: Any) -> int:
        args, kwargs, out_shape = _pytree.tree_map(_shape, (args, kwargs, out_val))
        return formula(*args, out_shape=out_shape, **kwargs)

    return count


def _called(target: Any) -> Any:
    """Return the object by which the counter identifies an operator: a packet if it is a custom operator."""
    if isinstance(target, CustomOpDef):
        return packet_of(target._packet_name)
    packet = target.overloadpacket if isinstance(target, OpOverload) else target
    return packet.op if isinstance(packet, OpOverloadPacket) else packet


class FlopCounterMode:
    """Context manager that counts floating-point operations; a multiply-add counts as two.

    It counts the operators that PyTorch counts, under PyTorch's names (``aten.addmm`` for a linear layer): matrix
    products, convolutions, attention and their derivatives. Attention is counted as flash attention, which does not
    store the scores. Recurrent layers are not counted. A derivative is attributed to the modules that ran the forward
    operation.

    Args:
        mods: ignored, with a warning.
        depth: number of module levels in `get_table`.
        display: if True, print the table at the end.
        custom_mapping: dictionary from further functions or operators to formulas. A formula is called with the
            arguments of the call, with shapes instead of tensors, and with ``out_shape``.

    >>> with FlopCounterMode(display=False) as counter:
    ...     product = fb.ones(2, 3) @ fb.ones(3, 4)
    >>> counter.get_total_flops()
    48
    """

    def __init__(
        self,
        mods: Module | list[Module] | None = None,
        depth: int | None = 2,
        display: bool = True,
        custom_mapping: dict[Any, Callable[..., int]] | None = None,
    ) -> None:
        if mods is not None:
            warnings.warn("mods argument is not needed anymore, you can stop passing it", stacklevel=2)
        self.flop_counts: dict[str, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
        self.depth, self.display = depth, display
        given = {_called(key): _with_shapes(formula) for key, formula in (custom_mapping or {}).items()}
        self._formulas = {**flop_registry, **given}
        self._names: dict[int, str] = {}
        self._running: list[tuple[int, str]] = []

    def __enter__(self) -> Self:
        self.flop_counts.clear()
        self._hooks = [
            register_module_forward_pre_hook(self._enter_module),
            register_module_forward_hook(self._leave_module, always_call=True),
        ]
        self._mode = _CountingMode(self)
        self._mode.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._mode.__exit__(*exception)
        for hook in self._hooks:
            hook.remove()
        self._names.clear()
        self._running.clear()
        if self.display:
            print(self.get_table(self.depth))

    # Modules that run

    def _enter_module(self, module: Module, args: Any) -> None:
        name = self._names.setdefault(id(module), type(module).__name__)
        for child_name, child in module.named_children():
            self._names.setdefault(id(child), f"{name}.{child_name}")
        self._running.append((id(module), name))

    def _leave_module(self, module: Module, args: Any, output: Any) -> None:
        while self._running and self._running.pop()[0] != id(module):
            pass  # remove modules whose forward hooks did not run because of an exception

    def _parents(self) -> set[str]:
        return {"Global", *(name for _, name in self._running)}

    # Counting

    def _add(self, parents: set[str], name: Any, count: int) -> None:
        for parent in parents:
            self.flop_counts[parent][name] += count

    def _count(self, counts: Count, result: Any) -> None:
        """Count an operation now, and its derivative when the backward pass computes the gradient of ``result``."""
        parents = self._parents()
        self._add(parents, counts.name, counts.forward)
        if not isinstance(result, Tensor) or not result.requires_grad or not counts.backward:
            return

        def derivative(gradient: Tensor | None) -> None:
            for count in counts.backward if gradient is not None else ():
                self._add(parents, counts.backward_name, count)

        result.register_hook(derivative)

    def get_total_flops(self) -> int:
        """Return the total number of operations."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self) -> dict[str, dict[Any, int]]:
        """Return the numbers of operations by module name and operator; ``"Global"`` holds the totals."""
        return {name: dict(counts) for name, counts in self.flop_counts.items()}

    def get_table(self, depth: int | None = None) -> str:
        """Return the numbers of operations as a table of modules, up to ``depth`` levels, and their operators."""
        depth = (self.depth if depth is None else depth) or 999_999
        total = self.get_total_flops()
        rows: list[list[str]] = []
        subsumed = False
        for name in sorted(self.flop_counts):
            level = name.count(".")
            if name != "Global" and level < depth:
                rows += self._rows(name, level, total)
                subsumed |= sum(self.flop_counts[name].values()) >= total
        if "Global" in self.flop_counts and not subsumed:  # no module contains all operations
            rows = self._rows("Global", 0, total) + [[f" {row[0]}", *row[1:]] for row in rows]
        return table(["Module", "FLOP", "% Total"], rows or [["Global", "0", "0%"]], right=(1, 2))

    def _rows(self, name: str, level: int, total: int) -> list[list[str]]:
        counts = self.flop_counts[name]
        power = (
            min((len(str(total)) - 2) // 3, len(_SUFFIXES) - 1) if total > 9 else 0
        )  # 1001M, not 1.001B, as in PyTorch
        named = [(name, sum(counts.values())), *((f" - {key}", count) for key, count in counts.items())]
        return [[" " * level + text, _with_suffix(count, power), _percentage(count, total)] for text, count in named]


class _CountingMode(CallMode):
    def __init__(self, counter: FlopCounterMode) -> None:
        self.counter = counter

    def has(self, name: str) -> bool:
        return name in FORMULAS

    def opened(self, func: Any, name: str, args: Any, kwargs: Any) -> Callable[..., Any] | None:
        return getattr(func, "__wrapped__", None) if self._custom_formula(func) is None else None

    def _custom_formula(self, func: Any) -> Callable[..., int] | None:
        """Return the user's formula for a call. A formula for a function is also used for the method of Tensor."""
        formulas = self.counter._formulas
        return formulas.get(func) or formulas.get(getattr(flambeau, func.__name__, None))

    def custom(self, definition: Any, func: Any, args: Any, kwargs: Any) -> Any:
        result, packet = func(*args, **kwargs), _called(definition)
        if (formula := self.counter._formulas.get(packet)) is not None:
            self.counter._count(Count(packet, formula(*args, **kwargs, out_val=result)), result)
        return result

    def operator(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if (formula := self._custom_formula(func)) is not None:
            self.counter._count(Count(func, formula(*args, **kwargs, out_val=result)), result)
        elif (counts := FORMULAS[name](result, *args, **kwargs) if name in FORMULAS else None) is not None:
            self.counter._count(counts, result)
        return result


def _shape(value: Any) -> Any:
    return value.shape if isinstance(value, Tensor) else value


def _with_suffix(count: int, power: int) -> str:
    return f"{count / 1000**power:.3f}{_SUFFIXES[power]}"


def _percentage(count: int, total: int) -> str:
    return f"{count / total:.2%}" if total else "0%"


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
