"""Selection of the differentiated arguments by ``argnums``."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flambeau import Tensor
from flambeau.func import _engine
from flambeau.utils._pytree import LEAF, TreeSpec, tree_flatten, tree_unflatten

Argnums = int | tuple[int, ...]

# Every input that a transform differentiates passes through this function. It returns two connected tensors: the one to
# differentiate with respect to, and the one that the function receives (and may change in place).
_leaf: Callable[[Tensor], tuple[Tensor, Tensor]] = _engine.leaf


class SelectedArguments(NamedTuple):
    """The leaves that a transform differentiates, and the arguments that contain them."""

    leaves: list[Tensor]
    spec: TreeSpec
    args: tuple[Any, ...]


def choose(name: str, args: tuple[Any, ...], argnums: Argnums) -> SelectedArguments:
    """Return the leaves selected by ``argnums``. Raise RuntimeError if out of range, TypeError for a non-tensor."""
    replaced = list(args)
    if type(argnums) is int:
        position = _position(name, argnums, len(args))
        argument = args[position]
        if isinstance(argument, Tensor):  # the usual case
            leaf, replaced[position] = _leaf(argument)
            return SelectedArguments([leaf], LEAF, tuple(replaced))
        leaves, spec, replaced[position] = leaves_of(name, argument)
        return SelectedArguments(leaves, spec, tuple(replaced))
    positions = _positions(name, argnums, len(args))
    leaves, spec, given = leaves_of(name, tuple(args[p] for p in positions))
    for position, tree in zip(positions, given, strict=True):
        replaced[position] = tree
    return SelectedArguments(leaves, spec, tuple(replaced))


def leaves_of(name: str, tree: Any) -> tuple[list[Tensor], TreeSpec, Any]:
    """Return the leaves for the tensors of a pytree, its structure, and the pytree that the function receives."""
    values, spec = tree_flatten(tree)
    pairs = [_leaf(t) for t in tensors_of(name, values)]
    return [leaf for leaf, _ in pairs], spec, tree_unflatten([given for _, given in pairs], spec)


def tensors_of(name: str, values: list[Any]) -> list[Tensor]:
    """Return the values if all are tensors. Otherwise raise TypeError."""
    for value in values:
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: expected the differentiated arguments to hold Tensors, found {type(value)}")
    return values


def checked_outputs(name: str, outputs: list[Any]) -> list[Tensor]:
    """Return the leaves of a function's result. Raise RuntimeError if there are none, or if one is not a tensor."""
    if not outputs or (len(outputs) == 1 and outputs[0] is None):
        raise RuntimeError(f"{name}: Expected f to be a function that has non-empty output (got output = {outputs})")
    for value in outputs:
        if not isinstance(value, Tensor):
            text = f"expected f(*primals) to return only tensors, got unsupported type {type(value)}"
            raise RuntimeError(f"{name}: {text}")
    return outputs


def _position(name: str, argnum: Any, count: int) -> int:
    if not isinstance(argnum, int):
        raise RuntimeError(f"{name}: argnum must be int, got: {type(argnum)}")
    if not -count <= argnum < count:
        raise RuntimeError(f"{name}: Got argnum={argnum}, but only {count} positional inputs")
    return argnum % count


def _positions(name: str, argnums: Any, count: int) -> list[int]:
    if not isinstance(argnums, tuple):
        raise RuntimeError(f"{name}: argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    if not argnums:
        raise RuntimeError(f"{name}: argnums must be non-empty")
    positions = [_position(name, argnum, count) for argnum in argnums]
    if len(set(positions)) != len(positions):
        raise RuntimeError(f"{name}: argnums elements must be unique, got {argnums}")
    return positions
