"""Conversion of an optimizer's state to and from a dictionary, in which numbers stand for the parameters."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from flambeau import Tensor, float32, tensor

Group = dict[str, Any]


def save(state: Mapping[Any, dict[str, Any]], groups: list[Group]) -> dict[str, Any]:
    """Return ``{"state": {number: state}, "param_groups": groups}``, where each number stands for a parameter.

    The parameters are numbered in the order of the groups. Each returned group is a dictionary of the options, in which
    ``"params"`` is a list of numbers.
    """
    numbers: dict[int, int] = {}
    for group in groups:
        for param in group["params"]:
            numbers.setdefault(id(param), len(numbers))
    return {
        "state": {numbers.get(id(key), key): value for key, value in state.items()},
        "param_groups": [_with_indices(group, numbers) for group in groups],
    }


def _with_indices(group: Group, numbers: Mapping[int, int]) -> Group:
    options = {key: value for key, value in group.items() if key != "params"}
    return {**options, "params": [numbers[id(param)] for param in group["params"]]}  # last, as in PyTorch's files


def load(
    saved: Mapping[str, Any], groups: list[Group], defaults: Mapping[str, Any], numbers: set[str] | None
) -> tuple[defaultdict[Any, dict[str, Any]], list[Group]]:
    """Return the state of each parameter and the groups that ``saved`` describes. Do not change ``groups``.

    Args:
        saved: the result of `save`, or a state of a PyTorch optimizer.
        groups: parameter groups of the optimizer.
        defaults: values of options that ``saved`` does not contain.
        numbers: names of the state entries that become float32 tensors, or None for an optimizer that is written in
            Python, which keeps the types of its entries.
    """
    check(saved, groups)
    saved_groups = saved["param_groups"]
    params = {
        number: param
        for group, saved_group in zip(groups, saved_groups, strict=True)
        for param, number in zip(group["params"], saved_group["params"], strict=True)
    }
    state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
    for number, entries in saved["state"].items():
        if number in params:
            state[params[number]] = _converted_state(params[number], entries, numbers)
        else:
            state[number] = deepcopy(entries)
    return state, [
        _restore_group(group, saved_group, defaults) for group, saved_group in zip(groups, saved_groups, strict=True)
    ]


def check(saved: Mapping[str, Any], groups: list[Group]) -> None:
    """Raise KeyError if ``saved`` is not the state of an optimizer, ValueError if its groups differ from ``groups``."""
    _check_kind(saved)
    _check_sizes(groups, saved["param_groups"])


def _check_kind(saved: Mapping[str, Any]) -> None:
    """Raise KeyError if ``saved`` is not the state of an optimizer. The message says what ``saved`` seems to be."""
    if "param_groups" in saved and "state" in saved:
        return
    keys = ", ".join(repr(key) for key in list(saved)[:4]) or "no keys"
    message = (
        f"expected the state of an optimizer, with the keys 'state' and 'param_groups', but the dictionary has {keys}"
    )
    inside = [key for key, value in saved.items() if isinstance(value, Mapping) and "param_groups" in value]
    if inside:
        message += f"; it seems to be a whole checkpoint: write load_state_dict(checkpoint[{inside[0]!r}])"
    elif saved and all(isinstance(value, Tensor) for value in saved.values()):
        message += "; it seems to be the state of a module: write module.load_state_dict(state)"
    raise KeyError(message)


def _restore_group(group: Group, saved_group: Mapping[str, Any], defaults: Mapping[str, Any]) -> Group:
    """Return a group with the parameters of ``group``, the saved options, and defaults for missing options.

    The options keep the saved order, so that a file that is saved again has the same contents.
    """
    options = {**_names(group), **deepcopy(dict(saved_group)), "params": group["params"]}
    return options | {name: value for name, value in defaults.items() if name not in options}


def _check_sizes(groups: list[Group], saved_groups: list[Group]) -> None:
    if len(groups) != len(saved_groups):
        raise ValueError(
            "loaded state dict has a different number of parameter groups: "
            f"{len(saved_groups)}, but the optimizer has {len(groups)}"
        )
    for number, (group, saved_group) in enumerate(zip(groups, saved_groups, strict=True)):
        if len(group["params"]) != len(saved_group["params"]):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                f"group {number} has {len(saved_group['params'])} parameters in the state dict, but "
                f"{len(group['params'])} in the optimizer; create the optimizer from the same parameters in the same "
                "order as the saved one"
            )


def _names(group: Group) -> Group:
    return {"param_names": group["param_names"]} if "param_names" in group else {}


def _converted_state(param: Tensor, entries: Mapping[str, Any], numbers: set[str] | None) -> dict[str, Any]:
    """Return a copy of the state of one parameter, with tensors of the parameter's dtype and device.

    Entries in ``numbers``, such as step counts, are not converted, but a Python number becomes a float32 tensor.
    """
    if numbers is None:
        return {name: _fit(param, value, name) for name, value in entries.items()}
    fitted = {}
    for name, value in entries.items():
        if name in numbers:  # no conversion: in float16, a step count would stop at 2048
            fitted[name] = value.detach().clone() if isinstance(value, Tensor) else tensor(float(value), dtype=float32)
        elif value is not None:  # PyTorch writes None for a buffer that does not exist
            fitted[name] = _fit(param, value)
    return fitted


def _fit(param: Tensor, value: Any, name: Any = None) -> Any:
    """Return a deep copy of ``value``, whose tensors get the parameter's device, and its dtype if that is inexact.

    A tensor with the name ``"step"`` is copied without conversion.
    """
    if isinstance(value, Tensor):
        is_inexact = param.is_floating_point() or param.is_complex()
        copy = value.detach().clone()
        return copy if name == "step" else copy.to(param.device, param.dtype if is_inexact else value.dtype)
    if isinstance(value, dict):
        return {key: _fit(param, entry, key) for key, entry in value.items()}
    if type(value) in (list, tuple, set, deque):
        return type(value)(_fit(param, entry) for entry in value)
    return deepcopy(value)
