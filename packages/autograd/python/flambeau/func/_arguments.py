"""Which arguments are differentiated: ``argnums``, and the tensors in them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flambeau import Tensor
from flambeau.func import _engine
from flambeau.utils._pytree import LEAF, TreeSpec, tree_flatten, tree_unflatten

Argnums = int | tuple[int, ...]

# Every input that a transform differentiates passes through here. Gives two tensors of one history: what the transform
# asks for the gradient of, and what the function is given (and may change in place).
_leaf: Callable[[Tensor], tuple[Tensor, Tensor]] = _engine.leaf


class Chosen(NamedTuple):
    """The tensors that are differentiated, as leaves of this transform, and the arguments with them in place."""

    leaves: list[Tensor]
    spec: TreeSpec
    args: tuple[Any, ...]


def choose(name: str, args: tuple[Any, ...], argnums: Argnums) -> Chosen:
    """The leaves that ``argnums`` means; RuntimeError for a number out of range, TypeError for what is no tensor."""
    replaced = list(args)
    if type(argnums) is int:
        position = _position(name, argnums, len(args))
        argument = args[position]
        if isinstance(argument, Tensor):  # the usual case
            leaf, replaced[position] = _leaf(argument)
            return Chosen([leaf], LEAF, tuple(replaced))
        leaves, spec, replaced[position] = leaves_of(name, argument)
        return Chosen(leaves, spec, tuple(replaced))
    positions = _positions(name, argnums, len(args))
    leaves, spec, given = leaves_of(name, tuple(args[p] for p in positions))
    for position, tree in zip(positions, given, strict=True):
        replaced[position] = tree
    return Chosen(leaves, spec, tuple(replaced))


def leaves_of(name: str, tree: Any) -> tuple[list[Tensor], TreeSpec, Any]:
    """The tensors of a tree as leaves, its structure, and the tree of what a function is given for them."""
    values, spec = tree_flatten(tree)
    pairs = [_leaf(t) for t in tensors_of(name, values)]
    return [leaf for leaf, _ in pairs], spec, tree_unflatten([given for _, given in pairs], spec)


def tensors_of(name: str, values: list[Any]) -> list[Tensor]:
    """The values, all of them tensors; else TypeError."""
    for value in values:
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: expected the differentiated arguments to hold Tensors, found {type(value)}")
    return values


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
