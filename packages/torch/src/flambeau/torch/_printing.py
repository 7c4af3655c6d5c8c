"""Functions of ``torch._tensor_str``, PyTorch's private module, for the text of tensors."""

import contextlib
from collections.abc import Iterator
from typing import Any

from flambeau import Tensor, _formatting, no_grad, set_printoptions
from flambeau.overrides import DisableTorchFunctionSubclass

__all__ = ["PRINT_OPTS", "_add_suffixes", "_str", "_str_intern", "_tensor_str", "printoptions"]


class _Current:
    """Object with the current print options as attributes."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_formatting._options, name)


PRINT_OPTS = _Current()


@contextlib.contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Set print options in this context."""
    before = _formatting._options
    set_printoptions(**options)
    try:
        yield
    finally:
        _formatting._options = before


def _tensor_str(self: Tensor, indent: int) -> str:
    """Return the text of the elements. Lines after the first are indented by ``indent``."""
    return _formatting._content(self, _formatting._options, indent)


def _str_intern(inp: Tensor, *, tensor_contents: str | None = None) -> str:
    """Return the text of a tensor, with ``tensor_contents``, if given, instead of the text of its elements."""
    with DisableTorchFunctionSubclass():
        return _formatting.format_tensor(inp, tensor_contents=tensor_contents)


def _str(self: Tensor, *, tensor_contents: str | None = None) -> str:
    """Return the text of a tensor and record no gradient. See `_str_intern`."""
    with no_grad():
        return _str_intern(self, tensor_contents=tensor_contents)


def _add_suffixes(tensor_str: str, suffixes: list[str], indent: int, force_newline: bool) -> str:
    """Append suffixes such as ``dtype=...`` and the closing parenthesis."""
    width = _formatting._options.linewidth
    if force_newline and suffixes:  # the first suffix begins a new line
        tensor_str += ",\n" + " " * indent + suffixes[0]
        suffixes = suffixes[1:]
    return _formatting._append_suffixes(tensor_str, suffixes, indent, width) + ")"
