"""Reads a module's state into a dictionary and back.

Loading has two steps: everything is compared first, so that one error tells all that does not fit, and values are only
written when nothing is left to complain about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from flambeau import Tensor, no_grad

from .parameter import Parameter

if TYPE_CHECKING:
    from ._module import Module

# Comparing every missing key with every unexpected one is quadratic: beyond this many pairs no candidates are sought.
MOST_COMPARED_PAIRS = 40_000


class _Keys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]


class IncompatibleKeys(_Keys):
    """What ``load_state_dict(strict=False)`` found missing in the dictionary, and what it had no use for."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if any(self) else "<All keys matched successfully>"

    __str__ = __repr__


class _Slot(NamedTuple):
    """A place in the tree of modules that a key of the dictionary fills."""

    module: Module
    name: str
    current: Tensor


def own_state(module: Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters and persistent buffers that the module itself holds."""
    for name, parameter in module._parameters.items():
        if parameter is not None:
            yield name, parameter
    for name, buffer in module._buffers.items():
        if buffer is not None and name not in module._non_persistent_buffers_set:
            yield name, buffer


def load(module: Module, state: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Write ``state`` into the tree under ``module``; see `Module.load_state_dict`."""
    if not isinstance(state, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state)}.")
    slots = {
        f"{path}.{name}" if path else name: _Slot(owner, name, current)
        for path, owner in module.named_modules(remove_duplicate=False)
        for name, current in own_state(owner)
    }
    missing = [key for key in slots if key not in state]
    unexpected = [key for key in state if key not in slots]
    problems = [problem for key, slot in slots.items() if key in state for problem in _misfit(key, slot, state[key])]
    if strict:
        problems = _key_problems(missing, unexpected) + problems
    if problems:
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(problems))
    with no_grad():
        for key, slot in slots.items():
            if key in state:
                _fill(slot, state[key], assign)
    return IncompatibleKeys(missing, unexpected)


def _misfit(key: str, slot: _Slot, value: Any) -> Iterator[str]:
    if not isinstance(value, Tensor):
        yield f'"{key}": expected a Tensor from the checkpoint but received {type(value).__name__}'
    elif tuple(value.shape) != tuple(slot.current.shape):
        yield (
            f"size mismatch for {key}: copying a param with shape {tuple(value.shape)} from checkpoint, "
            f"the shape in current model is {tuple(slot.current.shape)}."
        )


def _fill(slot: _Slot, value: Tensor, assign: bool) -> None:
    if not assign:
        slot.current.copy_(value)
    elif isinstance(slot.current, Parameter) and not isinstance(value, Parameter):
        setattr(slot.module, slot.name, Parameter(value, slot.current.requires_grad))
    else:
        setattr(slot.module, slot.name, value)


def _key_problems(missing: list[str], unexpected: list[str]) -> list[str]:
    prefix = _extra_prefix(missing, unexpected)
    if prefix is not None:
        return [
            f'Every unexpected key is a missing one behind the prefix "{prefix}" ({unexpected[0]!r}); remove it with '
            f"{{key.removeprefix({prefix!r}): value for key, value in state.items()}}"
        ]
    problems = []
    if missing:
        problems.append(f"Missing key(s) in state_dict: {_with_candidates(missing, unexpected)}.")
    if unexpected:
        problems.append(f"Unexpected key(s) in state_dict: {_with_candidates(unexpected, missing)}.")
    return problems


def _extra_prefix(missing: list[str], unexpected: list[str]) -> str | None:
    """Return the prefix that a wrapper (such as data parallelism) left in front of every key, if there is one."""
    if not missing or len(missing) != len(unexpected) or not unexpected[0].endswith(missing[0]):
        return None
    prefix = unexpected[0].removesuffix(missing[0])
    return prefix if prefix and set(unexpected) == {prefix + key for key in missing} else None


def _with_candidates(keys: list[str], candidates: list[str]) -> str:
    if len(keys) * len(candidates) > MOST_COMPARED_PAIRS:
        candidates = []
    described = []
    for key in keys:
        matches = get_close_matches(key, candidates, n=1)
        described.append(f'"{key}" (nearest: "{matches[0]}")' if matches else f'"{key}"')
    return ", ".join(described)
