"""What programs use of ``torch._tensor_str``, PyTorch's private module: parts of a tensor's text."""

import contextlib
from collections.abc import Iterator
from typing import Any

from flambeau import Tensor, _formatting, set_printoptions

__all__ = ["PRINT_OPTS", "_add_suffixes", "_tensor_str", "printoptions"]


class _Current:
    """The options as they stand when one is read."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_formatting._options, name)


PRINT_OPTS = _Current()


@contextlib.contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Within it tensors print by these options, and behind it as before."""
    before = _formatting._options
    set_printoptions(**options)
    try:
        yield
    finally:
        _formatting._options = before


def _tensor_str(self: Tensor, indent: int) -> str:
    """The elements in brackets, all lines but the first ``indent`` to the right."""
    return _formatting._content(self, _formatting._options, indent)


def _add_suffixes(tensor_str: str, suffixes: list[str], indent: int, force_newline: bool) -> str:
    """The text with ``dtype=...`` and the like, and the closing parenthesis."""
    width = _formatting._options.linewidth
    if force_newline and suffixes:  # the first of them begins a line
        tensor_str += ",\n" + " " * indent + suffixes[0]
        suffixes = suffixes[1:]
    return _formatting._append_suffixes(tensor_str, suffixes, indent, width) + ")"
