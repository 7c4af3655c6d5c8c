"""``vmap``: map a function over a batch of examples at once."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import flambeau
from flambeau import Tensor
from flambeau._core import _placeholder, _running_maps
from flambeau.func._placeholders import BatchedTensor, Level, maps
from flambeau.utils._pytree import LEAF, TreeSpec, tree_flatten, tree_unflatten

P = ParamSpec("P")
T = TypeVar("T")

InDims = Any  # an int or None, or tuples, lists and dictionaries of them
OutDims = Any

RANDOMNESS = ("error", "different", "same")


def vmap(
    func: Callable[P, T],
    in_dims: InDims = 0,
    out_dims: OutDims = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[P, T]:
    """Return a function that maps ``func`` over a dimension of its arguments.

    ``func`` is called once, with placeholders that look like single examples. Every operator that it calls processes
    the whole batch. Maps can be nested and combined with gradients: ``vmap(grad(loss), in_dims=(None, 0))`` gives
    per-sample gradients.

    Args:
        func: function of tensors, of tuples, lists and dictionaries of tensors, and of other objects. It returns
            tensors or pytrees of tensors.
        in_dims: dimension of each argument to map over, or None for an argument that is the same for all examples. One
            int for all arguments, or a structure like that of the arguments (or a prefix of it). Negative dimensions
            count from the end. Keyword arguments are mapped over their first dimension.
        out_dims: position of the batch dimension in each result, or None for a result that does not depend on the
            batch.
        randomness: behaviour of operators that draw random numbers: ``"error"`` raises, ``"different"`` draws for every
            example, ``"same"`` draws once for all.
        chunk_size: largest number of examples that are computed at once. None means all.
    Returns: the mapped function.
    Raises: ValueError if ``in_dims`` or ``out_dims`` do not match the structure of arguments or results, or if the
        sizes of the mapped dimensions differ; RuntimeError if ``func`` reads the elements of a tensor (``.item()``,
        ``if``, ``nonzero``), draws random numbers with ``randomness="error"``, or writes a batch into a tensor that is
        the same for all examples. An operator without a batching rule runs once per example, with a warning.
    Gradient: defined for every argument, to any order that the operators in ``func`` support.

    >>> import flambeau
    >>> x, y = flambeau.tensor([[1.0, 2.0], [3.0, 4.0]]), flambeau.tensor([1.0, 10.0])
    >>> flambeau.vmap(flambeau.dot)(x, x)
    tensor([ 5., 25.])
    >>> flambeau.vmap(flambeau.dot, in_dims=(0, None))(x, y)
    tensor([21., 43.])
    >>> flambeau.func.vmap(flambeau.func.grad(lambda w, x: (w * x).sum()), in_dims=(None, 0))(y, x)
    tensor([[1., 2.],
            [3., 4.]])
    """
    if randomness not in RANDOMNESS:
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and not (type(chunk_size) is int and chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def mapped(*args: P.args, **kwargs: P.kwargs) -> T:
        size, dims, leaves, spec = _inputs(func, in_dims, args, kwargs)
        if chunk_size is None or chunk_size >= size:
            result: T = _vmap_once(func, size, dims, leaves, spec, out_dims, randomness)
            return result
        joined: T = _vmap_in_chunks(func, size, dims, leaves, spec, out_dims, randomness, chunk_size)
        return joined

    return mapped


def _name(func: Any) -> str:
    return getattr(func, "__name__", None) or repr(func)


def _inputs(
    func: Any, in_dims: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[int, list[int | None], list[Any], TreeSpec]:
    """Return the batch size, the mapped dimension of each leaf of the arguments, the leaves, and their structure."""
    where = f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, (int, tuple, list)) or isinstance(in_dims, bool):
        raise ValueError(
            where + "expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
            f"got: {type(in_dims)}."
        )
    if not args and not kwargs:
        raise ValueError(
            f"vmap({_name(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap "
            "over a function with no inputs. The latter is unsupported."
        )
    leaves, spec = tree_flatten((args, kwargs))
    positional = _flat_dims(tuple(in_dims) if isinstance(in_dims, list) else in_dims, spec.children[0])
    if positional is None:
        raise ValueError(
            where + "in_dims is not compatible with the structure of `inputs`. in_dims has structure "
            f"{_structure(in_dims)} but inputs has structure {_structure(args)}."
        )
    given = positional + [0] * (len(leaves) - len(positional))
    dims = [_checked_dim(where, dim, leaf) for dim, leaf in zip(given, leaves, strict=True)]
    sizes = {leaf.shape[dim] for leaf, dim in zip(leaves, dims, strict=True) if dim is not None}
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(sizes) > 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{[leaf.shape[dim] for leaf, dim in zip(leaves, dims, strict=True) if dim is not None]} for the mapped "
            "dimension"
        )
    return sizes.pop(), dims, leaves, spec


def _structure(tree: Any) -> str:
    """Format the structure of a pytree with a star for every leaf."""
    leaves, spec = tree_flatten(tree)
    return repr(tree_unflatten([_LeafPlaceholder()] * len(leaves), spec))


class _LeafPlaceholder:
    def __repr__(self) -> str:
        return "*"


def _leaf_count(spec: TreeSpec) -> int:
    return 1 if spec.container is None else sum(map(_leaf_count, spec.children))


def _flat_dims(dims: Any, spec: TreeSpec) -> list[Any] | None:
    """Return one dimension per leaf, repeated for whole subtrees. None if the structures do not match."""
    _, own = tree_flatten(dims)
    if own.container is None:
        return [dims] * _leaf_count(spec)
    if spec.container is not own.container or len(spec.children) != len(own.children):
        return None
    if isinstance(dims, dict):
        if set(dims) != set(spec.context if isinstance(spec.context, list) else spec.context[1]):
            return None
        keys = spec.context if isinstance(spec.context, list) else spec.context[1]
        entries = [dims[key] for key in keys]
    else:
        entries = list(dims)
    flat: list[Any] = []
    for entry, child in zip(entries, spec.children, strict=True):
        part = _flat_dims(entry, child)
        if part is None:
            return None
        flat += part
    return flat


def _checked_dim(where: str, dim: Any, leaf: Any) -> int | None:
    if dim is None:
        return None
    if not isinstance(dim, int) or isinstance(dim, bool):
        raise ValueError(
            where + f"Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
        )
    if not isinstance(leaf, Tensor):
        raise ValueError(
            where + f"Got in_dim={dim} for an input but the input is of type {type(leaf)}. We cannot vmap over "
            "non-Tensor arguments, please use None as the respective in_dim"
        )
    if not -leaf.ndim <= dim < leaf.ndim:
        raise ValueError(
            where + f"Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {leaf.ndim} so "
            f"expected in_dim to satisfy -{leaf.ndim} <= in_dim < {leaf.ndim}."
        )
    return dim % leaf.ndim


def _vmap_once(
    func: Any, size: int, dims: list[int | None], leaves: list[Any], spec: TreeSpec, out_dims: Any, randomness: str
) -> Any:
    results, result_spec, out = _run(func, size, dims, leaves, spec, out_dims, randomness)
    return tree_unflatten(
        [t if d is None or d == 0 else t.movedim(0, d) for t, d in zip(results, out, strict=True)], result_spec
    )


def _run(
    func: Any, size: int, dims: list[int | None], leaves: list[Any], spec: TreeSpec, out_dims: Any, randomness: str
) -> tuple[list[Tensor], TreeSpec, list[int | None]]:
    """Return the results with the batch in the first dimension, their structure, and the final batch dimensions."""
    levels, former = maps.running, _running_maps(0)
    _running_maps(former)
    hidden, level = levels[former:], former + 1  # a rule that calls vmap must not see the levels above it
    levels[former:] = [Level(size, randomness)]
    try:
        inputs = [
            leaf if dim is None else _placeholder(leaf if dim == 0 else leaf.movedim(dim, 0), level)
            for leaf, dim in zip(leaves, dims, strict=True)
        ]
        _running_maps(level)
        args, kwargs = tree_unflatten(inputs, spec)
        output = func(*args, **kwargs)
    finally:
        levels[former:] = hidden
        _running_maps(former)
    outputs, output_spec = tree_flatten(output)
    out = _out_dims(func, out_dims, outputs, output_spec, level)
    return [_value(t, size, level, d) for t, d in zip(outputs, out, strict=True)], output_spec, out


def _value(t: Tensor, size: int, level: int, dim: int | None) -> Tensor:
    if type(t) is BatchedTensor and t.level == level:
        return t.value
    return t if dim is None else t.unsqueeze(0).expand(size, *t.shape)


def _out_dims(func: Any, out_dims: Any, outputs: list[Any], spec: TreeSpec, level: int) -> list[int | None]:
    """Return the position of the batch dimension in each result."""
    where = f"vmap({_name(func)}, ..., out_dims={out_dims})"
    if spec is LEAF and isinstance(out_dims, tuple) and len(out_dims) == 1:
        out_dims = out_dims[0]
    flat = _flat_dims(out_dims, spec)
    if flat is None:
        raise ValueError(
            where + "(<inputs>): out_dims is not compatible with the structure of `outputs`. out_dims has structure "
            f"{_structure(out_dims)} but outputs has structure {_structure(tree_unflatten(outputs, spec))}."
        )
    return [_checked_out_dim(func, where, d, t, level) for d, t in zip(flat, outputs, strict=True)]


def _checked_out_dim(func: Any, where: str, dim: Any, t: Any, level: int) -> int | None:
    if dim is None:
        if type(t) is BatchedTensor and t.level == level:
            raise ValueError(
                f"vmap({_name(func)}, ...): `{_name(func)}` can not return a BatchedTensor when out_dim is None"
            )
        return None
    if not isinstance(t, Tensor):
        raise ValueError(
            f"vmap({_name(func)}, ...): `{_name(func)}` must only return Tensors, got type {type(t)}. Did you "
            "mean to set out_dims= to None for output?"
        )
    if not isinstance(dim, int) or isinstance(dim, bool):
        raise ValueError(
            where
            + ": `out_dims` must be an int, None or a python collection of ints representing where in the outputs "
            "the vmapped dimension should appear."
        )
    if not -t.ndim - 1 <= dim <= t.ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-t.ndim - 1}, {t.ndim}], but got {dim})"
        )
    return dim % (t.ndim + 1)


def _vmap_in_chunks(
    func: Any,
    size: int,
    dims: list[int | None],
    leaves: list[Any],
    spec: TreeSpec,
    out_dims: Any,
    randomness: str,
    chunk_size: int,
) -> Any:
    """Map over chunks of the batch and join the results. Results without a batch come from the first chunk."""
    parts = []
    state = flambeau.get_rng_state() if randomness == "same" else None
    for start in range(0, size, chunk_size):
        if state is not None:
            flambeau.set_rng_state(state)  # every chunk draws the same numbers
        count = min(chunk_size, size - start)
        chunk = [
            leaf if dim is None else leaf.narrow(dim, start, count) for leaf, dim in zip(leaves, dims, strict=True)
        ]
        parts.append(_run(func, count, dims, chunk, spec, out_dims, randomness))
    results, result_spec, out = zip(*parts, strict=True)
    joined = [
        tensors[0] if d is None else flambeau.cat(tensors).movedim(0, d)
        for d, *tensors in zip(out[0], *results, strict=True)
    ]
    return tree_unflatten(joined, result_spec[0])
