"""Formatting of sparse tensors, in PyTorch's style."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import _formatting
from flambeau.sparse._compressed import CompressedTensor
from flambeau.sparse._coo import CooTensor
from flambeau.sparse._tensor import SparseTensor

_INDENT = len("tensor(")


def text_of(tensor: SparseTensor) -> str:
    """Return the ``repr`` of a sparse tensor.

    >>> flambeau.sparse_coo_tensor([[0, 1, 1], [2, 0, 2]], [3.0, 4.0, 5.0], (2, 3))
    tensor(indices=tensor([[0, 1, 1],
                           [2, 0, 2]]),
           values=tensor([3., 4., 5.]),
           size=(2, 3), nnz=3, layout=flambeau.sparse_coo)
    """
    parts = []
    if isinstance(tensor, CooTensor):
        parts.append(_field_text("indices", tensor._ind))
    elif isinstance(tensor, CompressedTensor):
        parts += map(_field_text, tensor.part_names, (tensor._ptr, tensor._idx))
    parts.append(_field_text("values", tensor._val))
    text = "tensor(" + (",\n" + " " * _INDENT).join(parts)
    width, new_line = _formatting._options.linewidth, isinstance(tensor, CooTensor)
    return _formatting._append_suffixes(text, _suffixes(tensor), _INDENT, width, new_line) + ")"


def _field_text(name: str, values: Any) -> str:
    opening = f"{name}=tensor("
    content = _formatting._content(values.detach(), _formatting._options, _INDENT + len(opening))
    return opening + content + (f", size={tuple(values.shape)}" if not values.numel() else "") + ")"


def _suffixes(tensor: SparseTensor) -> list[str]:
    suffixes = [f"device='{tensor.device}'"] if tensor.device.type != "cpu" else []
    suffixes += [f"size={tuple(tensor.shape)}", f"nnz={tensor._nnz()}"]
    default = flambeau.get_default_dtype()
    if tensor.dtype not in (default, flambeau.int64, flambeau.bool, default.to_complex()):
        suffixes.append(f"dtype={tensor.dtype}")
    suffixes.append(f"layout={tensor.layout}")
    if tensor.grad_fn is not None:
        suffixes.append(f"grad_fn=<{tensor.grad_fn.name()}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    return suffixes
