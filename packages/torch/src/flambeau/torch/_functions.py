"""Names in ``torch`` that libraries use but ``flambeau`` itself does not define.

The names are private functions, and dtypes and layouts that no tensor of flambeau can have.
"""

import importlib
from collections.abc import Callable
from typing import Any, NoReturn

import flambeau
from flambeau import Tensor, aminmax, arange, bincount, cat, dtype, int32, int64, segment_reduce, stack
from flambeau._absent_dtypes import AbsentDtype
from flambeau._narrow_products import _int_mm, _scaled_mm, _weight_int8pack_mm
from flambeau.torch._private import has_lapack, has_mkl, has_openmp

# Dtypes of quantised tensors, and dtypes with unsupported bit widths.
ABSENT_DTYPES = (
    *("complex32", "qint8", "qint32", "quint8", "quint4x2", "quint2x4"),
    *("bits8", "bits16", "bits1x8", "bits2x4", "bits4x2"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8)),
)

# Layouts of MKLDNN's tensors and of nested tensors.
ABSENT_LAYOUTS = ("_mkldnn", "jagged")

# Names with values that depend on the default dtype.
VARYING = ("Storage",)

__all__ = [
    "_aminmax",
    "_convert_indices_from_coo_to_csr",
    "_convert_indices_from_csr_to_coo",
    "_debug_has_internal_overlap",
    "_disable_dynamo",
    "_grouped_mm",
    "_has_compatible_shallow_copy_type",
    "_int_mm",
    "_log_softmax_backward_data",
    "_pack_padded_sequence",
    "_pad_packed_sequence",
    "_scaled_mm",
    "_segment_reduce",
    "_softmax_backward_data",
    "_sparse_broadcast_to",
    "_validate_sparse_bsc_tensor_args",
    "_validate_sparse_bsr_tensor_args",
    "_validate_sparse_compressed_tensor_args",
    "_validate_sparse_coo_tensor_args",
    "_validate_sparse_csc_tensor_args",
    "_validate_sparse_csr_tensor_args",
    "_weight_int8pack_mm",
    "chalf",
    "classes",
    "has_lapack",
    "has_mkl",
    "has_openmp",
    "has_spectral",
    "set_vital",
    *ABSENT_DTYPES,
    *ABSENT_LAYOUTS,
    *VARYING,
]

_segment_reduce = segment_reduce
has_spectral = True  # Fourier transforms are available


class UnsupportedDtype(AbsentDtype):
    """Dtype of quantised numbers, bits or complex32. Programs can compare it and use it as a dictionary key."""

    is_floating_point = False
    _unsupported = "is a name only, no tensor can have this dtype"

    def __init__(self, name: str) -> None:
        super().__init__(name, is_signed=not name.startswith(("u", "bits")))
        self.is_complex = name == "complex32"
        self.itemsize = {"complex32": 4, "qint32": 4, "bits16": 2}.get(name, 1)

    def __getattribute__(self, name: str) -> Any:
        if name == "is_signed" and self.name.startswith("q"):
            raise RuntimeError(f"is_signed is not supported for quantized dtypes, got {self!r}")
        return super().__getattribute__(name)


class AbsentLayout:
    """Layout that no tensor can have. Programs can compare it and use it as a dictionary key."""

    _unsupported = "is a name only, no tensor can have this layout"  # text of the bindings' error message

    def __init__(self, name: str) -> None:
        self.name = name

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The layout class, so that isinstance() recognises the object as a layout."""
        return flambeau.layout

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


class _Classes:
    """Namespace of classes from C++ libraries for PyTorch, which flambeau cannot load."""

    def load_library(self, path: str) -> NoReturn:
        """Raise OSError, because flambeau cannot load such libraries."""
        raise OSError(f"{path}: flambeau cannot load classes that are built for PyTorch")

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"torch.classes has no namespace {name!r}: flambeau does not load classes from C++ libraries"
        )


classes = _Classes()
globals().update({name: UnsupportedDtype(name) for name in ABSENT_DTYPES})
globals().update({name: AbsentLayout(name) for name in ABSENT_LAYOUTS})
chalf = globals()["complex32"]


def __getattr__(name: str) -> Any:
    if name == "Storage":  # the class of storages of the default dtype
        from flambeau._storage_types import STORAGE_TYPES

        return next(kind for kind in STORAGE_TYPES.values() if kind.dtype is flambeau.get_default_dtype())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def set_vital(vital: str, attr: str, value: str) -> bool:
    """Do nothing and return False: flambeau does not record usage statistics."""
    return False


def _convert_indices_from_coo_to_csr(input: Tensor, size: int, *, out_int32: bool = False) -> Tensor:
    """Compress sorted row indices: return the start of each of the ``size`` rows, and the end of the last row."""
    counts = bincount(input, minlength=size)
    pointers = cat([counts.new_zeros(1), counts.cumsum(0)])
    return pointers.to(int32 if out_int32 else int64)


def _convert_indices_from_csr_to_coo(
    crow_indices: Tensor, col_indices: Tensor, *, out_int32: bool = False, transpose: bool = False
) -> Tensor:
    """Expand row pointers: return stacked row and column indices, in reverse order if ``transpose`` is True."""
    rows = arange(crow_indices.numel() - 1, device=crow_indices.device).repeat_interleave(crow_indices.diff())
    pair = (col_indices, rows) if transpose else (rows, col_indices)
    return stack([each.to(int32 if out_int32 else int64) for each in pair])


def _debug_has_internal_overlap(self: Tensor) -> int:
    """Return 0 if no elements share memory, 1 if some do, and 2 if a simple check of the strides cannot decide."""
    dims = sorted((step, size) for step, size in zip(self.stride(), self.shape, strict=True) if size != 1)
    dense = 1
    for step, size in dims:
        if step != dense and self.numel():
            return 1 if any(step == 0 and size > 1 for step, size in dims) else 2
        dense *= size
    return 0


def _aminmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Return the minimum and maximum of all elements or along a dimension. This is the former name of ``aminmax``."""
    least, greatest = aminmax(input, dim=dim, keepdim=keepdim)
    return least, greatest


def _disable_dynamo(fn: Callable[..., Any] | None = None, recursive: bool = True) -> Callable[..., Any]:
    """Exclude a function from compilation; see `flambeau.compiler.disable`. Can be used as a decorator."""
    disabled: Callable[..., Any] = flambeau.compiler.disable(fn, recursive)
    return disabled


def _has_compatible_shallow_copy_type(input: Tensor, from_: Tensor) -> bool:
    """Return True if two tensors have the same layout and device type, so that one can use the memory of the other."""
    return input.layout == from_.layout and input.device.type == from_.device.type


def _grouped_mm(*args: Any, **kwargs: Any) -> Tensor:
    """Compute the products of several pairs of matrices. See ``torch.nn.functional.grouped_mm``."""
    result: Tensor = flambeau.ops.aten._grouped_mm(*args, **kwargs)
    return result


def _softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: dtype) -> Tensor:
    """Return the gradient of the input of a softmax over ``dim`` with the result ``output``."""
    product = grad_output * output
    return (product - output * product.sum(dim, keepdim=True)).to(input_dtype)


def _log_softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: dtype) -> Tensor:
    """Return the gradient of the input of a log-softmax over ``dim`` with the result ``output``."""
    return (grad_output - output.exp() * grad_output.sum(dim, keepdim=True)).to(input_dtype)


def _sparse_broadcast_to(input: Any, size: Any) -> Tensor:
    """Broadcast a tensor of the layout sparse_coo to ``size``."""
    from flambeau.sparse._shapes import broadcast_to

    return broadcast_to(input, size)


def _validate_sparse_coo_tensor_args(
    indices: Tensor, values: Tensor, size: Any, is_coalesced: bool | None = None, check_pinning: bool | None = None
) -> None:
    """Raise RuntimeError unless the arguments are the parts of a tensor of the layout sparse_coo."""
    flambeau.sparse_coo_tensor(indices, values, size, is_coalesced=is_coalesced, check_invariants=True)


def _validate_sparse_compressed_tensor_args(
    compressed_indices: Tensor, plain_indices: Tensor, values: Tensor, size: Any, layout: Any
) -> None:
    """Raise RuntimeError unless the arguments are the parts of a sparse tensor of a compressed layout."""
    from flambeau.sparse._compressed_invariants import check_all

    check_all(compressed_indices, plain_indices, values, size, layout)


def _validate_sparse_csr_tensor_args(crow_indices: Tensor, col_indices: Tensor, values: Tensor, size: Any) -> None:
    """Raise RuntimeError unless the arguments are the parts of a CSR tensor."""
    _validate_sparse_compressed_tensor_args(crow_indices, col_indices, values, size, flambeau.sparse_csr)


def _validate_sparse_csc_tensor_args(ccol_indices: Tensor, row_indices: Tensor, values: Tensor, size: Any) -> None:
    """Raise RuntimeError unless the arguments are the parts of a CSC tensor."""
    _validate_sparse_compressed_tensor_args(ccol_indices, row_indices, values, size, flambeau.sparse_csc)


def _validate_sparse_bsr_tensor_args(crow_indices: Tensor, col_indices: Tensor, values: Tensor, size: Any) -> None:
    """Raise RuntimeError unless the arguments are the parts of a BSR tensor."""
    _validate_sparse_compressed_tensor_args(crow_indices, col_indices, values, size, flambeau.sparse_bsr)


def _validate_sparse_bsc_tensor_args(ccol_indices: Tensor, row_indices: Tensor, values: Tensor, size: Any) -> None:
    """Raise RuntimeError unless the arguments are the parts of a BSC tensor."""
    _validate_sparse_compressed_tensor_args(ccol_indices, row_indices, values, size, flambeau.sparse_bsc)


def _pack_padded_sequence(input: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, Tensor]:
    """Return the data and the batch sizes of `pack_padded_sequence` of sorted sequences."""
    packed = importlib.import_module("flambeau.nn.utils.rnn").pack_padded_sequence(input, lengths, batch_first)
    return packed.data, packed.batch_sizes


def _pad_packed_sequence(
    data: Tensor, batch_sizes: Tensor, batch_first: bool, padding_value: float, total_length: int = -1
) -> tuple[Tensor, Tensor]:
    """Return the padded sequences and their lengths, like `pad_packed_sequence`."""
    rnn = importlib.import_module("flambeau.nn.utils.rnn")
    length = total_length if total_length > 0 else None
    padded: tuple[Tensor, Tensor] = rnn.pad_packed_sequence(
        rnn.PackedSequence(data, batch_sizes), batch_first, padding_value, length
    )
    return padded
