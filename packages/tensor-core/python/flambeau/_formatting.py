"""Formatting of tensors: the text of ``Tensor.__repr__``, and its options."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import flambeau
from flambeau import _extension_points, overrides

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flambeau import Tensor


class PrintOptions(NamedTuple):
    """Options of `set_printoptions`, which describes them."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}

_options = PROFILES["default"]


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors print, in every thread. An option that is None is unchanged, except ``sci_mode``.

    Args:
        precision: number of digits after the decimal point of a floating-point number (default: 4).
        threshold: tensors with more elements are summarised (default: 1000).
        edgeitems: number of items that a summary shows at each end of a dimension (default: 3).
        linewidth: number of characters after which a row of numbers is wrapped (default: 80).
        profile: ``"default"``, ``"short"`` or ``"full"``: a set of values for the four options above. Options that are
            given override it.
        sci_mode: True or False enables or disables scientific notation. None selects it by the magnitude of the
            elements. A call without this argument resets it to None.
    Raises: ValueError for an unknown profile or a negative value; TypeError for a value that is not a number. After an
        error, no option is changed.

    >>> flambeau.set_printoptions(precision=2)
    >>> flambeau.tensor([1.23456])
    tensor([1.23])
    >>> flambeau.set_printoptions(profile="default")
    """
    global _options
    if profile is not None and profile not in PROFILES:
        raise ValueError(f"set_printoptions: profile must be one of {', '.join(map(repr, PROFILES))}, got {profile!r}")
    options = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    changes: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    for name, value in changes.items():
        if not (isinstance(value, int) or (name == "threshold" and isinstance(value, float))):
            raise TypeError(f"set_printoptions: {name} must be an int, got {value!r}")
        if not value >= 0:
            raise ValueError(f"set_printoptions: {name} must be at least 0, got {value!r}")
    base = PROFILES[profile] if profile is not None else _options
    _options = base._replace(**changes, sci_mode=sci_mode)


def format_tensor(tensor: Tensor, *, tensor_contents: str | None = None) -> str:
    """Return the text of ``repr(tensor)``. Only the elements that are shown are converted.

    A tensor with more than ``threshold`` elements shows the first and last ``edgeitems`` of each dimension. The dtype
    is omitted if it is the default floating-point dtype, the corresponding complex dtype, int64 or bool. A tensor in a
    graph shows its ``grad_fn``, a leaf shows ``requires_grad``. A derived class can pass its own text of the elements
    as ``tensor_contents``.

    >>> flambeau.tensor([[1, 2], [3, 40]], dtype=flambeau.int32)
    tensor([[ 1,  2],
            [ 3, 40]], dtype=flambeau.int32)
    """
    if type(tensor) is not flambeau.Tensor and overrides.has_torch_function_unary(tensor):
        repr_options = {} if tensor_contents is None else {"tensor_contents": tensor_contents}
        return str(overrides.handle_torch_function(flambeau.Tensor.__repr__, (tensor,), tensor, **repr_options))
    options = _options
    kind = type(tensor).__name__
    opening = "tensor(" if kind in ("Tensor", "Parameter") else f"{kind}("
    content = _content(tensor, options, len(opening)) if tensor_contents is None else tensor_contents
    return _append_suffixes(opening + content, _suffixes(tensor, options), len(opening), options.linewidth) + ")"


def _suffixes(tensor: Tensor, options: PrintOptions) -> list[str]:
    """Return the attributes to print after the elements. An attribute that the elements imply is left out."""
    suffixes = []
    if tensor.device.type != "cpu":
        suffixes.append(f"device='{tensor.device}'")
    evident: tuple[Any, ...] = (flambeau.get_default_dtype(),)
    if tensor.numel() and not tensor.is_meta:
        evident += (flambeau.int64, flambeau.bool, flambeau.get_default_dtype().to_complex())
    if tensor.is_meta or (tensor.dim() != 1 if tensor.numel() == 0 else options.edgeitems == 0):
        suffixes.append(f"size={tuple(tensor.shape)}")
    if tensor.dtype not in evident:
        suffixes.append(f"dtype={tensor.dtype}")
    if tensor.grad_fn is not None:
        suffixes.append(f"grad_fn=<{tensor.grad_fn.name().rpartition('::')[2]}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    if (tangent := _tangent(tensor)) is not None:
        suffixes.append(f"tangent={tangent}")
    return suffixes


def _tangent(tensor: Tensor) -> Tensor | None:
    """Return the tangent of a dual tensor, or None."""
    tangent: Tensor | None = None if _extension_points.tangent_of is None else _extension_points.tangent_of(tensor)
    return tangent


def _append_suffixes(text: str, suffixes: list[str], indent: int, linewidth: int, new_line: bool = False) -> str:
    """Append each suffix to the last line if it fits there, and otherwise on a new line.

    ``new_line=True`` puts the first suffix on a new line.
    """
    column = len(text) - text.rfind("\n") + 1
    for position, suffix in enumerate(suffixes):
        if (new_line and position == 0) or column + len(suffix) + 2 > linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text


def _content(tensor: Tensor, options: PrintOptions, indent: int) -> str:
    """Return the elements as text, each padded to the same width. Large tensors show only the elements at the edges."""
    if tensor.is_meta or not tensor.numel():
        return "..." if tensor.is_meta else "[]"
    summarised = tensor.dim() > 0 and tensor.numel() > options.threshold
    edge = options.edgeitems if summarised else tensor.numel()
    if edge == 0:
        return "[...]"
    data = tensor.detach()
    shown = (_edge_items(data, edge, 0) if summarised else data).tolist()
    values = _leaves(shown, tensor.dim())
    if tensor.is_complex():
        write, width = _complex_style(values, options)
    elif tensor.is_floating_point():
        write, width = _padded(*_floating_style(values, options))
    else:
        write, width = _padded(str, max((len(str(value)) for value in values), default=1))
    return _Layout(write, width, edge, options.linewidth).text(shown, tensor.shape, indent)


def _edge_items(tensor: Tensor, edge: int, dim: int) -> Tensor:
    """Return the first and last ``edge`` items along every dimension from ``dim`` on, concatenated."""
    if dim == tensor.dim():
        return tensor
    size = tensor.size(dim)
    if size <= 2 * edge:
        return _edge_items(tensor, edge, dim + 1)
    ends = [_edge_items(tensor.narrow(dim, start, edge), edge, dim + 1) for start in (0, size - edge)]
    return flambeau.cat(ends, dim)


def _leaves(nested: Any, depth: int) -> list[Any]:
    if depth == 0:
        return [nested]
    for _ in range(depth - 1):
        nested = [item for row in nested for item in row]
    return list(nested)


def _padded(write: Callable[[Any], str], width: int) -> tuple[Callable[[Any], str], int]:
    return lambda value: write(value).rjust(width), width


def _complex_style(values: list[complex], options: PrintOptions) -> tuple[Callable[[complex], str], int]:
    """Return the format function and the width of complex numbers. Only the real part is padded."""
    real, real_width = _padded(*_floating_style([value.real for value in values], options))
    imaginary, imaginary_width = _floating_style([value.imag for value in values], options)

    def write(value: complex) -> str:
        text = imaginary(value.imag) + "j"
        return real(value.real) + (text if text[0] == "-" else "+" + text)

    return write, real_width + imaginary_width + 1


def _floating_style(values: list[float], options: PrintOptions) -> tuple[Callable[[float], str], int]:
    """Return the format function of these numbers, and the largest width of the finite, nonzero numbers."""
    telling = [value for value in values if value and math.isfinite(value)]
    integral = all(value.is_integer() for value in telling)

    def scientific(value: float) -> str:
        return f"{value:.{options.precision}e}"

    def fixed(value: float) -> str:
        return f"{value:.{options.precision}f}"

    def as_integer(value: float) -> str:
        return f"{value:.0f}." if math.isfinite(value) else str(value)

    if not telling:
        return as_integer, 1
    largest, smallest = max(map(abs, telling)), min(map(abs, telling))
    spread = largest / smallest > 1000 or largest > 1e8 or (not integral and smallest < 1e-4)
    write = (
        scientific if options.sci_mode or (options.sci_mode is None and spread) else as_integer if integral else fixed
    )
    return write, max(len(write(value)) for value in telling)


class _Layout(NamedTuple):
    """Layout of formatted elements in nested brackets, with an ellipsis in summarised dimensions."""

    write: Callable[[Any], str]
    width: int
    edge: int
    linewidth: int

    def text(self, shown: Any, shape: Sequence[int], indent: int) -> str:
        if len(shape) == 0:
            return self.write(shown)
        if len(shape) == 1:
            return self._row(shown, shape[0], indent)
        blocks = [self.text(item, shape[1:], indent + 1) for item in shown]
        if shape[0] > 2 * self.edge:
            blocks.insert(self.edge, "...")
        return "[" + ("," + "\n" * (len(shape) - 1) + " " * (indent + 1)).join(blocks) + "]"

    def _row(self, values: list[Any], size: int, indent: int) -> str:
        items = [self.write(value) for value in values]
        if size > 2 * self.edge:
            items.insert(self.edge, " ...")
        per_line = max(1, (self.linewidth - indent) // (self.width + 2))
        lines = [", ".join(items[start : start + per_line]) for start in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def memory_text(count: float) -> str:
    """Return a number of bytes as text, such as ``1.5 KiB``."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.{0 if unit == 'B' else 1}f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
