"""Call the engine's entry points with invalid arguments: ``python hostile_engine.py SEED CALLS``.

Each call must return or raise an ordinary exception. The call in progress is written to stderr before it is made.
"""

import contextlib
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import flambeau as fb
from flambeau import autograd
from flambeau.autograd import Function, _engine

Random = np.random.Generator


class Rejects:
    """Object whose special methods raise an error."""

    def _reject(self, *args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("rejected")

    __len__ = __getitem__ = __iter__ = __index__ = __float__ = __bool__ = __call__ = __hash__ = _reject


class Clears:
    """Object whose special methods empty the lists that were passed to the current call."""

    victims: list[list[Any]] = []  # noqa: RUF012

    def _clear(self, *args: Any) -> int:
        for victim in self.victims:
            victim.clear()
        return 0

    __index__ = __len__ = _clear

    def __bool__(self) -> bool:
        return bool(self._clear())

    def __call__(self, *args: Any) -> None:
        self._clear()


class Passing(Function):
    """Function that returns its arguments in a list, which a `Clears` object may empty."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        values = [a * 1 if isinstance(a, fb.Tensor) else a for a in args]
        Clears.victims.append(values)
        ctx.save_for_backward(*[v for v in values if isinstance(v, fb.Tensor)])
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return list(gradients)


class Failing(Passing):
    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return Rejects()


def leaf() -> fb.Tensor:
    return fb.ones(3, requires_grad=True)


def named_badly() -> Callable[..., Any]:
    def hook(*args: Any) -> Any:
        return fb.ones(7)

    hook.__name__ = "\ud800"
    return hook


VALUES: list[Callable[[], Any]] = [
    leaf,
    lambda: leaf().exp(),
    lambda: leaf().exp().sum(),
    lambda: fb.ones(3),
    lambda: fb.ones(()),
    lambda: fb.ones(3, dtype=fb.int64),
    lambda: fb.ones(3, dtype=fb.complex64, requires_grad=True) * 2,
    lambda: leaf().exp().grad_fn,
    lambda: (leaf().exp().grad_fn, 0),
    lambda: (leaf().exp().grad_fn, 2**70),
    lambda: (leaf().exp().grad_fn, "0"),
    lambda: (leaf().exp().grad_fn, Rejects()),
    lambda: (leaf().exp().grad_fn, Clears()),
    lambda: [leaf(), (leaf().exp().grad_fn, Clears()), leaf()],
    lambda: [leaf().sum(), leaf().sum()],
    lambda: [leaf(), None, 3],
    list,
    lambda: {leaf(): 1},
    lambda: (x for x in [leaf()]),
    lambda: None,
    lambda: True,
    lambda: 2**70,
    lambda: -1,
    lambda: 0,
    lambda: "\ud800",
    lambda: "text",
    Rejects,
    Clears,
    lambda: [Rejects()],
    lambda: Passing,
    lambda: Failing,
    lambda: int,
    lambda: np.ones(3, np.float32),
    named_badly,
    lambda: lambda *args: args[0],
    lambda: lambda *args: Rejects(),
]
KEYWORDS = ["gradient", "retain_graph", "create_graph", "inputs", "self", "\ud800", "", "ctx"]


def value(rng: Random) -> Any:
    made = VALUES[rng.integers(len(VALUES))]()
    if isinstance(made, list):
        Clears.victims.append(made)
    return made


def arity(function: Callable[..., Any]) -> int:
    return len(re.findall(r"arg\d+:|\bwhy:", function.__doc__ or "")) or 2


def attack(name: str, rng: Random) -> None:
    """Call an entry point with random arguments, and run a backward pass from the tensors that it returns."""
    function = getattr(_engine, name)
    count = arity(function) if rng.integers(4) else int(rng.integers(0, 7))
    args = [value(rng) for _ in range(count)]
    named = {k: value(rng) for k in KEYWORDS if rng.integers(8) == 0} if name in ("apply", "backward") else {}
    if name == "backward" and rng.integers(2):
        args[:1] = [leaf().exp().sum()]
    if name == "apply" and rng.integers(4):
        args[:1] = [Passing, leaf()]
    with autograd.graph.saved_tensors_hooks(*[Clears() if rng.integers(2) else lambda x: x] * 2):
        result = function(*args, **named)
        for item in result if isinstance(result, tuple | list) else [result]:
            if isinstance(item, fb.Tensor) and item.requires_grad:
                item.sum().backward()


def reset() -> None:
    """Undo the effects of a call: close levels and profiles, remove saved-tensor hooks, disable anomaly mode."""
    Clears.victims.clear()
    _engine.set_anomaly(False, True, True)
    _engine.reject_saved_hooks(None)
    for end in (_engine.close_level, _engine.pop_saved_hooks, _engine.stop_profile, _engine.stop_finite_check):
        for _ in range(20):
            try:
                end()
            except RuntimeError:
                break


def main(seed: int, calls: int) -> None:
    warnings.simplefilter("ignore")
    names = [name for name, member in vars(_engine).items() if callable(member) and not isinstance(member, type)]
    for name in names:
        for number in range(calls):
            print(f"{name} {seed} {number}", file=sys.stderr)
            with contextlib.suppress(Exception):
                try:
                    attack(name, np.random.default_rng([seed, number, len(name), ord(name[0])]))
                except (SystemError, MemoryError) as error:
                    raise SystemExit(f"{type(error).__name__}: {error} (cause: {error.__cause__!r})") from error
            reset()
    x = leaf()
    (x * 2).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [2, 2, 2]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
