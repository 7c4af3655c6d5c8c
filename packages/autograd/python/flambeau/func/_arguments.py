"""Selection of the differentiated arguments by ``argnums``."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flambeau import Tensor
from flambeau.func import _engine
from flambeau.utils._pytree import LEAF, TreeSpec, tree_flatten, tree_unflatten

Argnums = int | tuple[int, ...]

# This function prepares an input that a transform differentiates. It returns two connected tensors: the leaf for which
# the gradient is computed, and the tensor that the differentiated function receives (and may change in place).
_leaf: Callable[[Tensor], tuple[Tensor, Tensor]] = _engine.leaf


class SelectedArguments(NamedTuple):
    """The leaves for which a transform computes gradients, their structure, and the arguments for the function."""

    leaves: list[Tensor]
    spec: TreeSpec
    args: tuple[Any, ...]


def choose(name: str, args: tuple[Any, ...], argnums: Argnums) -> SelectedArguments:
    """Return the leaves of the arguments that ``argnums`` selects, and the arguments for the function.

    Raises: RuntimeError if ``argnums`` is invalid or out of range; TypeError if a selected leaf is not a tensor.
    """
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
    leaves, spec, chosen = leaves_of(name, tuple(args[p] for p in positions))
    for position, tree in zip(positions, chosen, strict=True):
        replaced[position] = tree
    return SelectedArguments(leaves, spec, tuple(replaced))


def leaves_of(name: str, tree: Any) -> tuple[list[Tensor], TreeSpec, Any]:
    """Return a leaf for each tensor of a pytree, the structure of the pytree, and the pytree for the function."""
    values, spec = tree_flatten(tree)
    pairs = [_leaf(t) for t in tensors_of(name, values)]
    return [leaf for leaf, _ in pairs], spec, tree_unflatten([given for _, given in pairs], spec)


def tensors_of(name: str, values: list[Any]) -> list[Tensor]:
    """Return ``values``. Raise TypeError if one of them is not a tensor."""
    for value in values:
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: expected the differentiated arguments to hold Tensors, found {type(value)}")
    return values


def checked_outputs(name: str, outputs: list[Any]) -> list[Tensor]:
    """Return ``outputs``, the leaves of a function's result.

    Raises: RuntimeError if the list is empty or an item is not a tensor.
    """
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
