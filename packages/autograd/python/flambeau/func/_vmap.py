"""``vmap``: map a function over a batch of examples at once."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import flambeau
from flambeau import Tensor
from flambeau._core import _placeholder, _running_maps
from flambeau.func._placeholders import BatchedTensor, Level, is_batched_at, maps
from flambeau.utils._pytree import LEAF, TreeSpec, _broadcast_to_and_flatten, tree_flatten, tree_unflatten

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
        in_dims: the dimension to map over, or None for an argument that is the same for all examples. It is one int for
            all arguments, or has the structure of the arguments (or a prefix of this structure). Negative dimensions
            count from the end. Keyword arguments are the same for all examples.
        out_dims: position of the batch dimension in each result, or None for a result that does not depend on the
            batch.
        randomness: behaviour of operators that draw random numbers: ``"error"`` raises RuntimeError, ``"different"``
            draws separately for each example, ``"same"`` draws the same numbers for all examples.
        chunk_size: largest number of examples that are computed at once. None means all.
    Returns: the mapped function.
    Raises: ValueError if ``in_dims`` or ``out_dims`` do not match the structure of arguments or results, or if the
        sizes of the mapped dimensions differ; RuntimeError if ``func`` reads the elements of a tensor (``.item()``,
        ``if``, ``nonzero``), draws random numbers with ``randomness="error"``, or writes a batch into a tensor that is
        the same for all examples. An operator that has no batching rule runs once per example, with a warning.
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
        size, dims, leaves, spec = _process_batched_inputs(in_dims, args, func)
        call = _MappedCall(func, kwargs, size, dims, leaves, spec, out_dims, randomness)
        result: T = call.run() if chunk_size is None or chunk_size >= size else call.run_in_chunks(chunk_size)
        return result

    return mapped


# The functions below have the names, arguments and results of the functions of torch._functorch.vmap. Libraries with
# containers that add and remove the batch dimension themselves replace some of these functions. Therefore the module
# attribute is looked up at every call.


def _get_name(func: Any) -> str:
    return getattr(func, "__name__", None) or repr(func)


def _process_batched_inputs(
    in_dims: Any, args: tuple[Any, ...], func: Any
) -> tuple[int, list[int | None], list[Any], TreeSpec]:
    """Return the batch size, the mapped dimension of each leaf of the arguments, the leaves, and their structure."""
    where = f"vmap({_get_name(func)}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, (int, tuple, list)) or isinstance(in_dims, bool):
        raise ValueError(
            where + "expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
            f"got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({_get_name(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to "
            "vmap over a function with no inputs. The latter is unsupported."
        )
    leaves, spec = tree_flatten(args)
    flat_in_dims = _broadcast_to_and_flatten(tuple(in_dims) if isinstance(in_dims, list) else in_dims, spec)
    if flat_in_dims is None:
        raise ValueError(
            where + "in_dims is not compatible with the structure of `inputs`. in_dims has structure "
            f"{_structure(in_dims)} but inputs has structure {_structure(args)}."
        )
    dims = [_checked_dim(where, dim, leaf) for dim, leaf in zip(flat_in_dims, leaves, strict=True)]
    return _validate_and_get_batch_size(dims, leaves), dims, leaves, spec


def _validate_and_get_batch_size(flat_in_dims: list[int | None], flat_args: list[Any]) -> int:
    sizes = [leaf.shape[dim] for leaf, dim in zip(flat_args, flat_in_dims, strict=True) if dim is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(set(sizes)) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the "
            "mapped dimension"
        )
    size: int = sizes[0]
    return size


def _structure(tree: Any) -> str:
    """Format the structure of a pytree with a star for every leaf."""
    leaves, spec = tree_flatten(tree)
    return repr(tree_unflatten([_LeafPlaceholder()] * len(leaves), spec))


class _LeafPlaceholder:
    def __repr__(self) -> str:
        return "*"


def _checked_dim(where: str, dim: Any, leaf: Any) -> int | None:
    """Return the batch dimension of an argument as a non-negative number, or None if it is shared by all calls."""
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


class _MappedCall(NamedTuple):
    """A call of a mapped function."""

    func: Any
    kwargs: dict[str, Any]  # the same for all examples
    size: int  # of the batch
    dims: list[int | None]  # the mapped dimension of each leaf
    leaves: list[Any]  # of the positional arguments
    spec: TreeSpec  # the structure of the positional arguments
    out_dims: OutDims
    randomness: str

    def run(self) -> Any:
        """Call the function once, with placeholders for the whole batch."""
        levels, former = maps.running, _running_maps(0)
        _running_maps(former)
        hidden, level = levels[former:], former + 1  # a rule that calls vmap must not see the levels above it
        levels[former:] = [Level(self.size, self.randomness)]
        try:
            args = _create_batched_inputs(self.dims, self.leaves, level, self.spec)
            _running_maps(level)
            output = self.func(*args, **self.kwargs)
        finally:
            levels[former:] = hidden
            _running_maps(former)
        return _unwrap_batched(output, self.out_dims, level, self.size, self.func)

    def run_in_chunks(self, chunk_size: int) -> Any:
        """Map over chunks of the batch and concatenate the results.

        A result without a batch comes from the first chunk.
        """
        parts = []
        state = flambeau.get_rng_state() if self.randomness == "same" else None
        for start in range(0, self.size, chunk_size):
            if state is not None:
                flambeau.set_rng_state(state)  # every chunk draws the same numbers
            parts.append(tree_flatten(self._chunk(start, min(chunk_size, self.size - start)).run()))
        flat_parts, specs = zip(*parts, strict=True)
        joined = [
            tensors[0] if dim is None else flambeau.cat(tensors, dim)
            for dim, *tensors in zip(_flat_out_dims(self.out_dims, specs[0]) or (), *flat_parts, strict=True)
        ]
        return tree_unflatten(joined, specs[0])

    def _chunk(self, start: int, count: int) -> "_MappedCall":
        leaves = [
            leaf if dim is None else leaf.narrow(dim, start, count)
            for leaf, dim in zip(self.leaves, self.dims, strict=True)
        ]
        return self._replace(size=count, leaves=leaves)


def _create_batched_inputs(
    flat_in_dims: list[int | None], flat_args: list[Any], vmap_level: int, args_spec: TreeSpec
) -> Any:
    """Return the arguments of the mapped function, with placeholders for the leaves that are mapped over."""
    inputs = [
        leaf if dim is None else _add_batch_dim(leaf, dim, vmap_level)
        for leaf, dim in zip(flat_args, flat_in_dims, strict=True)
    ]
    return tree_unflatten(inputs, args_spec)


def _add_batch_dim(tensor: Tensor, in_dim: int, level: int) -> Tensor:
    """Return a placeholder for the batch whose elements lie along dimension ``in_dim`` of the tensor."""
    return _placeholder(tensor if in_dim == 0 else tensor.movedim(in_dim, 0), level)


def _remove_batch_dim(tensor: Tensor, level: int, batch_size: int, out_dim: int) -> Tensor:
    """Return the value of a placeholder, with the batch in dimension ``out_dim``. Expand any other tensor to the batch.

    Raises: IndexError if ``out_dim`` is out of range.
    """
    if not -tensor.ndim - 1 <= out_dim <= tensor.ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-tensor.ndim - 1}, {tensor.ndim}], but got "
            f"{out_dim})"
        )
    if isinstance(tensor, BatchedTensor) and tensor.level == level:
        values = tensor.value
    else:
        values = tensor.unsqueeze(0).expand(batch_size, *tensor.shape)
    return values if out_dim == 0 else values.movedim(0, out_dim)


def _unwrap_batched(batched_outputs: Any, out_dims: Any, vmap_level: int, batch_size: int, func: Any) -> Any:
    """Return the results of the mapped function, with each placeholder of this level replaced with its value."""
    leaves, spec = tree_flatten(batched_outputs)
    flat = _flat_out_dims(out_dims, spec)
    if flat is None:
        raise ValueError(
            f"vmap({_get_name(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the "
            f"structure of `outputs`. out_dims has structure {_structure(out_dims)} but outputs has structure "
            f"{_structure(batched_outputs)}."
        )
    for dim in flat:
        if dim is not None and (not isinstance(dim, int) or isinstance(dim, bool)):
            raise ValueError(
                f"vmap({_get_name(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python "
                "collection of ints representing where in the outputs the vmapped dimension should appear."
            )
    name = _get_name(func)
    results = [
        _maybe_remove_batch_dim(name, leaf, vmap_level, batch_size, dim) for leaf, dim in zip(leaves, flat, strict=True)
    ]
    return tree_unflatten(results, spec)


def _flat_out_dims(out_dims: Any, spec: TreeSpec) -> list[Any] | None:
    """Return the position of the batch in each result, or None if ``out_dims`` does not match the results."""
    if spec is LEAF and isinstance(out_dims, tuple) and len(out_dims) == 1:
        out_dims = out_dims[0]
    return _broadcast_to_and_flatten(out_dims, spec)


def _maybe_remove_batch_dim(
    name: str, batched_output: Any, vmap_level: int, batch_size: int, out_dim: int | None
) -> Any:
    """Return a result with the batch in ``out_dim``, or unchanged if ``out_dim`` is None."""
    if out_dim is None:
        if is_batched_at(batched_output, vmap_level):
            raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
        return batched_output
    if not isinstance(batched_output, Tensor):
        raise ValueError(
            f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(batched_output)}. Did you mean to "
            "set out_dims= to None for output?"
        )
    return _remove_batch_dim(batched_output, vmap_level, batch_size, out_dim)
