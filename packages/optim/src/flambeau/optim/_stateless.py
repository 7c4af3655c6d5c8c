"""Steps of an optimizer on other parameters and another state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flambeau import Tensor

from .optimizer import Optimizer

NAME = "swap_in_optimizer_params_and_state"


@contextmanager
def swap_in_optimizer_params_and_state(
    optimizer: Optimizer, swapin_parameters: Mapping[str, Tensor], swapin_optim_state: Mapping[str, Any]
) -> Iterator[None]:
    """Replace the parameters, options and state of an optimizer in this context.

    Args:
        optimizer: an optimizer that has state.
        swapin_parameters: mapping from names to parameters, in the order of the optimizer's parameters.
        swapin_optim_state: options and state, as ``state_dict()`` returns them. A step changes only the tensors in it.
    Raises: RuntimeError if the parameters, groups or options do not match the optimizer.
    """
    if not optimizer.state:
        raise RuntimeError(f"{NAME} requires initialized optimizer state: call step() first.")
    groups, state = swapin_optim_state["param_groups"], swapin_optim_state["state"]
    _check_groups(optimizer.param_groups, groups, state, len(swapin_parameters))
    own_state, own_groups = optimizer.state, [dict(group) for group in optimizer.param_groups]
    remaining = iter(swapin_parameters.values())
    swapped: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
    try:
        for own, given in zip(optimizer.param_groups, groups, strict=True):
            params = [next(remaining) for _ in given["params"]]
            own.update({**given, "params": params})
            for param, number in zip(params, given["params"], strict=True):
                swapped[param] = dict(state.get(number, {}))
        optimizer.state = swapped
        yield
    finally:
        for group, former in zip(optimizer.param_groups, own_groups, strict=True):
            group.clear()
            group.update(former)
        optimizer.state = own_state


def _check_groups(
    own: list[dict[str, Any]], given: list[Mapping[str, Any]], state: Mapping[Any, Any], parameters: int
) -> None:
    """Raise RuntimeError if the groups ``given`` and ``own`` differ in their options or numbers of parameters."""
    if len(own) != len(given):
        raise RuntimeError(f"{NAME}: the state has {len(given)} parameter groups, but the optimizer has {len(own)}.")
    for index, (ours, theirs) in enumerate(zip(own, given, strict=True)):
        if ours.keys() != theirs.keys():
            differing = sorted(ours.keys() ^ theirs.keys())
            raise RuntimeError(
                f"{NAME}: the options of param group {index} differ: only the state or only the optimizer has "
                f"{differing}."
            )
        if len(ours["params"]) != len(theirs["params"]):
            raise RuntimeError(
                f"{NAME}: param group {index} of the state has {len(theirs['params'])} parameters, but the "
                f"optimizer's group has {len(ours['params'])}."
            )
    numbers = [number for group in given for number in group["params"]]
    if len(numbers) != parameters:
        raise RuntimeError(f"{NAME}: expected {len(numbers)} parameters, got {parameters}.")
    if unknown := [number for number in state if number not in numbers]:
        raise RuntimeError(f"{NAME}: the state has entries for unknown parameters: {unknown}.")
