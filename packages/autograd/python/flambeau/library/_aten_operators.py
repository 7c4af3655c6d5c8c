"""Operators of ``flambeau.ops.aten`` for which flambeau has no function of the same name and arguments.

Their arguments follow PyTorch's schemas.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._narrow_products import _int_mm, _scaled_mm, _weight_int8pack_mm

from . import _aten_backward

# Operators that are methods of tensors, without a function of the same name.
_METHODS = frozenset(
    (
        *(
            "coalesce",
            "contiguous",
            "cpu",
            "cuda",
            "dense_dim",
            "dim",
            "element_size",
            "expand",
            "expand_as",
            "is_coalesced",
            "is_contiguous",
            "is_leaf",
        ),
        *("is_pinned", "item", "new_empty", "new_empty_strided", "new_full", "new_ones", "new_zeros", "pin_memory"),
        *("repeat", "reshape_as", "size", "storage_offset", "stride", "sum_to_size", "to_dense", "to_sparse"),
        *("type_as", "unfold", "view", "view_as"),
    )
)
_ATTRIBUTES = {"mH": "mH", "mT": "mT", "matrix_H": "H", "numpy_T": "T"}
_MODULES = ("fft", "linalg", "special")  # aten::fft_rfft is flambeau.fft.rfft


def _slice(
    input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor | list[Any]:
    if not -input.dim() <= dim < input.dim():
        limits = f"[{-input.dim()}, {input.dim() - 1}]"
        raise IndexError(f"Dimension out of range (expected to be in range of {limits}, but got {dim})")
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return input[(slice(None),) * (dim % input.dim()) + (slice(start, end, step),)]


def _indices(indices: Sequence[Tensor | None]) -> tuple[Any, ...]:
    return tuple(slice(None) if index is None else index for index in indices)


def _index(input: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    return input[_indices(indices)]


def _index_put(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False, unsafe: bool = False
) -> Tensor:
    return _index_put_(input.clone(), indices, values, accumulate)


def _index_put_(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False, unsafe: bool = False
) -> Tensor:
    if not accumulate:
        input[_indices(indices)] = values
        return input
    if any(index is None for index in indices):
        raise NotImplementedError("index_put with accumulate=True takes an index for each dimension, got None")
    return input.index_put_(tuple(indices), values, True)


def _to_copy(input: Tensor, *, memory_format: Any = None, pin_memory: Any = None, **options: Any) -> Tensor:
    options = {name: value for name, value in options.items() if value is not None and name != "layout"}
    if memory_format is not None:
        options["memory_format"] = memory_format
    result = input.to(copy=True, **options)
    return result.pin_memory() if pin_memory else result


def _to(input: Tensor, *args: Any, **options: Any) -> Tensor:
    """Convert a tensor with the arguments of any overload of ``aten::to``.

    They begin with a device, a dtype, both, or a tensor.
    """
    conversion: dict[str, Any] = {}
    rest = list(args)
    if rest and isinstance(rest[0], Tensor):
        other = rest.pop(0)
        conversion = {"dtype": other.dtype, "device": other.device}
    while rest and not isinstance(rest[0], bool):
        value = rest.pop(0)
        if value is not None:
            conversion["dtype" if isinstance(value, flambeau.dtype) else "device"] = value
    conversion.update(zip(("non_blocking", "copy", "memory_format"), rest, strict=False))
    conversion.update(options)
    ignored = ("layout", "pin_memory")
    return input.to(**{name: value for name, value in conversion.items() if value is not None and name not in ignored})


def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *backend_settings: bool,
) -> Tensor:
    return flambeau.convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)


def _convolution_mode(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: str, dilation: Any, groups: int
) -> Tensor:
    convolve = (flambeau.conv1d, flambeau.conv2d, flambeau.conv3d)[weight.dim() - 3]
    return convolve(input, weight, bias, stride, padding, dilation, groups)


def _batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
) -> tuple[Tensor, ...]:
    return flambeau.native_batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)


def _batch_norm_legit(input: Tensor, weight: Tensor | None, bias: Tensor | None, *rest: Any) -> tuple[Tensor, ...]:
    if len(rest) == 3:  # the overload no_stats has no running statistics
        rest = (None, None, *rest)
    return flambeau.native_batch_norm(input, weight, bias, *rest)


def _batch_norm_functional(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    *settings: Any,
) -> tuple[Tensor, ...]:
    """Apply batch normalisation, and return the new running statistics instead of updating them in place."""
    running = running_mean.clone(), running_var.clone()
    return *flambeau.native_batch_norm(input, weight, bias, *running, *settings), *running


def _trilinear(
    i1: Tensor,
    i2: Tensor,
    i3: Tensor,
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    sumdim: Sequence[int],
    unroll_dim: int = 1,
) -> Tensor:
    factors = [i1, i2, i3]
    for position, dims in enumerate((expand1, expand2, expand3)):
        for dim in dims:
            factors[position] = factors[position].unsqueeze(dim)
    return (factors[0] * factors[1] * factors[2]).sum(list(sumdim))


_SCALES = ("backward", "ortho", "forward")  # index: PyTorch's number for the scales 1, 1 / sqrt(n) and 1 / n


def _fft_r2c(input: Tensor, dim: Sequence[int], normalization: int, onesided: bool) -> Tensor:
    transform = flambeau.fft.rfftn if onesided else flambeau.fft.fftn
    return transform(input, dim=list(dim), norm=_SCALES[normalization])


def _fft_c2c(input: Tensor, dim: Sequence[int], normalization: int, forward: bool) -> Tensor:
    if forward:
        return flambeau.fft.fftn(input, dim=list(dim), norm=_SCALES[normalization])
    return flambeau.fft.ifftn(input, dim=list(dim), norm=_SCALES[::-1][normalization])


def _fft_c2r(input: Tensor, dim: Sequence[int], normalization: int, last_dim_size: int) -> Tensor:
    sizes = [*(input.shape[each] for each in dim[:-1]), last_dim_size]
    return flambeau.fft.irfftn(input, sizes, list(dim), _SCALES[::-1][normalization])


def _unique(input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False) -> Any:
    return flambeau.unique(input, sorted, return_inverse=True, return_counts=True)


def _unique_dim(
    input: Tensor, dim: int, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False
) -> Any:
    return flambeau.unique(input, sorted, return_inverse=True, return_counts=True, dim=dim)


def _unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    return flambeau.unique_consecutive(input, return_inverse=True, return_counts=True, dim=dim)


def _elu(input: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Tensor:
    if input_scale == 1:
        return flambeau.elu(input, alpha, scale)
    return scale * flambeau.where(input > 0, input, alpha * flambeau.expm1(input * input_scale))


def _moment(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``std`` or a similar function so that its second argument can be ``unbiased``."""

    def call(input: Tensor, *args: Any, **options: Any) -> Any:
        if args and isinstance(args[0], bool):
            return function(input, None, *args, **options)
        return function(input, *args, **options)

    return call


def _log_of_softmax(input: Tensor, dim: int, half_to_float: bool) -> Tensor:
    return flambeau.log_softmax(input, dim, flambeau.float32 if half_to_float else None)


def _softmax(input: Tensor, dim: int, half_to_float: bool) -> Tensor:
    return flambeau.softmax(input, dim, flambeau.float32 if half_to_float else None)


def _assert_scalar(value: Any, message: str) -> None:
    if not value:
        raise RuntimeError(message)


def _assert_tensor_metadata(
    input: Tensor, size: Any = None, stride: Any = None, dtype: Any = None, *, device: Any = None, layout: Any = None
) -> None:
    expected = {"size": size, "stride": stride, "dtype": dtype, "layout": layout}
    metadata = {"size": list(input.shape), "stride": input.stride(), "dtype": input.dtype, "layout": input.layout}
    for name, value in expected.items():
        if value is not None and value != metadata[name]:
            raise RuntimeError(f"Tensor {name} mismatch! Expected: {value} Got: {metadata[name]}")


def _constrain_range(size: int, *, min: int | None = None, max: int | None = None) -> None:
    if (min is not None and size < min) or (max is not None and size > max):
        raise RuntimeError(f"Invalid value {size} for a size in the range [{min}, {max}]")


def _uniform_(input: Tensor, *args: float, generator: Any = None, **limits: float) -> Tensor:
    return input.uniform_(*args, *limits.values(), generator=generator)


def _pairwise_index(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **options: function(*args, return_indices=True, **options)


OPERATORS: dict[str, Callable[..., Any]] = {
    **_aten_backward.OPERATORS,
    "Bool": bool,
    "Float": float,
    "Int": int,
    "__and__": lambda x, y: x & y,
    "__iand__": lambda x, y: x.bitwise_and_(y),
    "__ior__": lambda x, y: x.bitwise_or_(y),
    "__lshift__": lambda x, y: x << y,
    "__or__": lambda x, y: x | y,
    "__rshift__": lambda x, y: x >> y,
    "__xor__": lambda x, y: x ^ y,
    "_assert_async": lambda x, message="Expected Tensor to be nonzero": _assert_scalar(x, message),
    "_assert_scalar": _assert_scalar,
    "_assert_tensor_metadata": _assert_tensor_metadata,
    "_conj": lambda x: x.conj(),
    "_convolution": _convolution,
    "_convolution_mode": _convolution_mode,
    "_fft_c2c": _fft_c2c,
    "_fft_c2r": _fft_c2r,
    "_fft_r2c": _fft_r2c,
    "_index_put_impl_": _index_put_,
    "_int_mm": _int_mm,
    "_local_scalar_dense": lambda x: x.item(),
    "_log_softmax": _log_of_softmax,
    "_native_batch_norm_legit": _batch_norm_legit,
    "_native_batch_norm_legit_functional": _batch_norm_functional,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "_pin_memory": lambda x, device=None: x.pin_memory(),
    "_reshape_alias": lambda x, size, stride: x.as_strided(size, stride),
    "_scaled_mm": _scaled_mm,
    "_shape_as_tensor": lambda x: flambeau.tensor(list(x.shape)),
    "_softmax": _softmax,
    "_sparse_addmm": lambda x, mat1, mat2, **scales: flambeau.sparse.addmm(x, mat1, mat2, **scales),
    "_to_copy": _to_copy,
    "_trilinear": _trilinear,
    "_unique2": _unique,
    "_unsafe_index": _index,
    "_unsafe_index_put": _index_put,
    "_unsafe_view": lambda x, size: x.view(size),
    "_weight_int8pack_mm": _weight_int8pack_mm,
    "alias": lambda x: x.view_as(x),
    "atleast_1d": lambda x: flambeau.atleast_1d(x) if isinstance(x, Tensor) else list(flambeau.atleast_1d(*x)),
    "atleast_2d": lambda x: flambeau.atleast_2d(x) if isinstance(x, Tensor) else list(flambeau.atleast_2d(*x)),
    "atleast_3d": lambda x: flambeau.atleast_3d(x) if isinstance(x, Tensor) else list(flambeau.atleast_3d(*x)),
    "copy": lambda x, source, non_blocking=False: x.clone().copy_(source),
    "einsum": lambda equation, tensors, path=None: flambeau.einsum(equation, tensors),
    "elu": _elu,
    "index": _index,
    "index_put": _index_put,
    "index_put_": _index_put_,
    "is_floating_point": lambda x: x.is_floating_point(),
    "lift": lambda x: x,
    "lift_fresh": lambda x: x,
    "lift_fresh_copy": lambda x: x.clone(),
    "max_pool1d_with_indices": _pairwise_index(flambeau.max_pool1d),
    "max_pool2d_with_indices": _pairwise_index(flambeau.max_pool2d),
    "max_pool3d_with_indices": _pairwise_index(flambeau.max_pool3d),
    "random_": lambda x, *limits, generator=None, **named: x.random_(*limits, *named.values(), generator=generator),
    "rsub": lambda x, other, alpha=1: flambeau.rsub(x, other, alpha=alpha),
    "slice": _slice,
    "std": _moment(flambeau.std),
    "std_mean": _moment(flambeau.std_mean),
    "subtract": lambda x, other, alpha=1: flambeau.subtract(x, other, alpha=alpha),
    "sym_constrain_range": _constrain_range,
    "sym_constrain_range_for_size": _constrain_range,
    "sym_is_contiguous": lambda x, memory_format=flambeau.contiguous_format: x.is_contiguous(
        memory_format=memory_format
    ),
    "sym_numel": lambda x: x.numel(),
    "sym_size": lambda x, dim=None: x.size(dim),
    "sym_storage_offset": lambda x: x.storage_offset(),
    "sym_stride": lambda x, dim=None: x.stride() if dim is None else x.stride(dim),
    "tensordot": lambda x, y, dims_self, dims_other: flambeau.tensordot(x, y, (dims_self, dims_other)),
    "to": _to,
    "uniform_": _uniform_,
    "unique_consecutive": _unique_consecutive,
    "unique_dim": _unique_dim,
    "var": _moment(flambeau.var),
    "var_mean": _moment(flambeau.var_mean),
}


def names() -> set[str]:
    """Return the names of all operators that `find_operator` finds."""
    modules = {name: importlib.import_module(f"flambeau.{name}") for name in _MODULES}
    return {
        *OPERATORS,
        *_METHODS,
        *_ATTRIBUTES,
        *(f"{name}_{each}" for name, m in modules.items() for each in m.__all__),
    }


def find_operator(name: str) -> Callable[..., Any] | None:
    """Return the function for an ATen operator, or None if not found.

    It is an entry of ``OPERATORS``, a Tensor method, a function that reads a Tensor attribute, or a public function of
    a submodule (``linalg_det``: ``flambeau.linalg.det``).
    """
    if name in OPERATORS:
        return OPERATORS[name]
    if name in _METHODS:
        method: Callable[..., Any] = getattr(Tensor, name)
        return method
    if name in _ATTRIBUTES:
        attribute = _ATTRIBUTES[name]
        return lambda x: getattr(x, attribute)
    module, _, function = name.partition("_")
    if module in _MODULES and function and not function.startswith("_"):
        space = importlib.import_module(f"flambeau.{module}")
        return getattr(space, function, None) if function in space.__all__ else None
    return None
