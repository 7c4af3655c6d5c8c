"""Batching rules of operators with dimension arguments, which are shifted because the batch dimension comes first."""

from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._core import _replace_batch
from flambeau.func._placeholders import map_results
from flambeau.func._rules import Call, UnbatchableError, batching, composition

# Names of the parameters that contain dimensions.
_NAMES = frozenset(
    ("dim", "dims", "dim0", "dim1", "dim2", "axis", "axis0", "axis1", "source", "destination")
    + ("start_dim", "end_dim", "dimension")
)


def behind_batch(dim: int, rank: int) -> int:
    """Return the index of dimension ``dim`` after a batch dimension is inserted before the ``rank`` dimensions.

    Raise IndexError if ``dim`` is out of range.
    """
    span = max(rank, 1)
    if not -span <= dim < span:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], but got {dim})")
    return dim % span + 1


def shifted(dims: Any, rank: int) -> Any:
    """Apply `behind_batch` to a dimension or to each of several dimensions. None is unchanged."""
    if dims is None:
        return None
    if isinstance(dims, (tuple, list)):
        return [behind_batch(int(d), rank) for d in dims]
    return behind_batch(int(dims), rank)


def _run(call: Call, values: Any, rank: int) -> Any:
    names = call.operator.parameters
    return call.run([shifted(x, rank) if name in _NAMES else x for name, x in zip(names, values, strict=True)])


@batching(
    "glu transpose swapaxes swapdims permute movedim moveaxis flatten unflatten narrow narrow_copy slice_copy "
    "select unfold diagonal split unsafe_split split_with_sizes unsafe_split_with_sizes chunk unsafe_chunk unbind "
    "transpose_copy select_copy unfold_copy diagonal_copy split_copy split_with_sizes_copy unbind_copy tensor_split "
    "flip softmax log_softmax sort argsort topk kthvalue mode cumsum cumprod logcumsumexp cummax cummin logsumexp "
    "rot90 linalg.diagonal fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft fft.fft2 fft.ifft2 fft.rfft2 "
    "fft.irfft2 fft.hfft2 fft.ihfft2"
)
def along(call: Call) -> Any:
    """Apply an operator with one tensor argument and dimension arguments to a batch."""
    x = call.values[0]
    if any(isinstance(other, Tensor) for other in call.values[1:]):
        if any(call.is_batched(other) for other in call.values[1:]):
            raise UnbatchableError(
                f"vmap: sizes and positions of {call.operator.__name__} must be equal for all batch elements"
            )
        most = 1 if call.operator.__name__ == "tensor_split" else 0  # maximum rank of a tensor of sizes or positions
        numbers = (v.tolist() if isinstance(v, Tensor) and v.ndim <= most else v for v in call.values[1:])
        call = call._replace(values=(x, *numbers))
    if x.ndim > 0 or "dims" in call.operator.parameters:
        return _permuted(call, x) if "dims" in call.operator.parameters else _run(call, call.value(call.values), x.ndim)
    values = [x.value.unsqueeze(1), *call.values[1:]]  # treat a scalar as a vector of one element
    reduces = "keepdim" in call.operator.parameters
    grows = call.operator.__name__ in ("flatten", "unflatten")
    result = _run(call, values, 1)
    if call.operator.__name__.startswith("unfold"):
        return result.squeeze(1)
    return result if grows else map_results(result, lambda t: t.reshape(call.size) if reduces or t.ndim == 2 else t)


def _permuted(call: Call, x: Any) -> Any:
    """Apply an operator with the parameter ``dims`` to a batch. The batch dimension stays first."""
    values = list(call.value(call.values))
    at = call.operator.parameters.index("dims")
    order = values[at] if isinstance(values[at], (tuple, list)) else (values[at],)
    dims = shifted(order, x.ndim)
    values[at] = [0, *dims] if call.operator.__name__.startswith("permute") else dims
    return call.run(values)


@batching("permute_copy")
def permute_copy(call: Call) -> Any:
    """Apply ``permute_copy`` to a batch, by the same rule as ``permute``."""
    return _permuted(call, call.values[0])


def _inplace_view(name: str) -> Callable[..., Any]:
    """Return a rule for an in-place view operator, which replaces the value of the placeholder with the view."""

    def rule(input: Tensor, *arguments: Any) -> Any:
        viewed: Any = getattr(Tensor, name)(input, *arguments)
        return _replace_batch(input, viewed.value)

    return rule


for _name in ("transpose", "swapaxes", "swapdims", "squeeze", "unsqueeze", "t", "detach"):
    composition(f"{_name}_")(_inplace_view(_name))


@composition("narrow", "narrow_copy")
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """Compute ``narrow``. If ``start`` is a tensor, it can differ between elements; then use an index tensor."""
    if isinstance(start, Tensor):
        return input.index_select(dim, start + flambeau.arange(length))
    first = start + input.shape[dim] if start < 0 else start
    if not 0 <= first <= input.shape[dim] - length or length < 0:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({input.shape[dim]}).")
    whole = [slice(None)] * (behind_batch(dim, input.ndim) - 1)
    return input[(*whole, slice(first, first + length))]


@batching("select_scatter slice_scatter diagonal_scatter")
def scattered(call: Call) -> Any:
    """Apply an operator that writes the tensor ``src`` into a slice or diagonal of a tensor to a batch."""
    x, src, *rest = call.values
    return _run(call, [call.batch(x), call.batch(src), *rest], x.ndim)


@batching("squeeze", "squeeze_copy")
def squeeze(call: Call) -> Any:
    """Apply ``squeeze`` to a batch. Without ``dim``, remove all dimensions of size 1 except the batch dimension."""
    x, dim = call.values
    if dim is None:
        dim = [i for i in range(x.ndim) if x.shape[i] == 1]
    if x.ndim == 0:
        shifted(dim, 0)
        return x.value
    return call.run((x.value, shifted(dim, x.ndim)))


@batching("unsqueeze", "unsqueeze_copy")
def unsqueeze(call: Call) -> Any:
    """Apply ``unsqueeze`` to a batch. ``dim`` is a dimension of the result, which has one more dimension."""
    x, dim = call.values
    return call.run((x.value, behind_batch(dim, x.ndim + 1)))


@batching("diag_embed")
def diag_embed(call: Call) -> Any:
    """Apply ``diag_embed`` to a batch. ``dim1`` and ``dim2`` are dimensions of the result, which has one more."""
    x, offset, dim1, dim2 = call.values
    return call.run((x.value, offset, behind_batch(dim1, x.ndim + 1), behind_batch(dim2, x.ndim + 1)))


@batching("tril", "triu", "mT.__get__", "mH.__get__", "adjoint")
def matrices(call: Call) -> Any:
    """Apply an operator on the last two dimensions to a batch."""
    x = call.values[0]
    if x.ndim < 2:
        raise RuntimeError(f"{call.operator.__name__}: expected at least 2 dimensions, got shape {list(x.shape)}")
    if hasattr(call.operator, "parameters"):
        return call.run(call.value(call.values))
    return call.operator.__self__.__get__(x.value)


@batching("tril_", "triu_")
def matrices_in_place(call: Call) -> Any:
    """Apply an in-place operator on the last two dimensions to a batch."""
    call.run(call.value(call.values))
    return call.values[0]


@batching("cumsum_", "cumprod_")
def along_in_place(call: Call) -> Any:
    """Apply an in-place operator along a dimension to a batch."""
    x = call.values[0]
    values = [x.value if x.ndim else x.value.unsqueeze(1), *call.values[1:]]
    _run(call, values, max(x.ndim, 1))
    return x


@batching("fft.fftshift fft.ifftshift")
def shift(call: Call) -> Any:
    """Apply ``fftshift`` or ``ifftshift`` to a batch. If ``dim`` is None, shift all dimensions of each element."""
    x, dim = call.values
    dims = range(x.ndim) if dim is None else dim
    return call.run((x.value, shifted(list(dims) if not isinstance(dims, int) else [dims], x.ndim)))


@batching("hash_tensor")
def hash_tensor(call: Call) -> Any:
    """Apply ``hash_tensor`` to a batch. Without ``dim``, compute one hash of all elements of each tensor."""
    x, dim, keepdim, mode = call.values
    dims = list(range(x.ndim)) if dim is None or dim == () else dim
    if x.ndim == 0:
        raise UnbatchableError("vmap: hash_tensor of a 0-D tensor has no batching rule")
    return call.run((x.value, shifted(dims, x.ndim), keepdim, mode))


@composition("renorm")
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Limit the norm of each slice along a dimension."""
    at = behind_batch(dim, input.ndim) - 1
    dims = [i for i in range(input.ndim) if i != at]
    norms = flambeau.linalg.vector_norm(input, p, dims, keepdim=True)
    return input * flambeau.where(norms > maxnorm, maxnorm / (norms + 1e-7), 1.0)


@composition("repeat_interleave")
def repeat_interleave(input: Tensor, repeats: Any = None, dim: Any = None, output_size: Any = None) -> Tensor:
    """Repeat elements. The number of repeats is the same for the whole batch."""
    if not isinstance(repeats, int):
        raise UnbatchableError("vmap: repeat_interleave has no batching rule for a tensor of repeats")
    if repeats < 0:
        raise RuntimeError(f"Repeats must be non-negative, got {repeats}")
    if dim is None:
        return input.reshape(-1).unsqueeze(-1).expand(-1, repeats).reshape(-1)
    at = behind_batch(dim, input.ndim) - 1
    wide = input.unsqueeze(at + 1)
    return wide.expand(*input.shape[: at + 1], repeats, *input.shape[at + 1 :]).flatten(at, at + 1)
