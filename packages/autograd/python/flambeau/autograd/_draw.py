"""Drawings of the autograd graph: DOT for Graphviz, and SVG with flambeau's own layered layout."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from flambeau import Tensor
from flambeau._formatting import memory_text
from flambeau.autograd import _engine
from flambeau.autograd._layers import Point, arrange
from flambeau.autograd._nodes import GradientEdge

_LINE, _MARGIN = 15, 20  # pixels: the height of a line of text, and the space around the drawing
_LETTER = 6.4  # pixels: the width of a character
_COLOURS = {"leaf": "#d5e8d4", "result": "#dae8fc", "operator": "#f5f5f5"}


class _Box(NamedTuple):
    lines: tuple[str, ...]
    kind: str

    @property
    def width(self) -> float:
        return max(map(len, self.lines)) * _LETTER + 16

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + 10


class Drawing:
    """Drawing of a graph that `draw` returns. Notebooks display it.

    Attributes:
        dot, svg: the graph as text in these formats.

    >>> x = fb.ones(2, requires_grad=True)
    >>> drawing = fb.autograd.graph.draw(x.exp().sum())
    >>> drawing.dot.count("->"), drawing.svg[:4]
    (2, '<svg')
    """

    def __init__(self, boxes: list[_Box], edges: list[tuple[int, int]]) -> None:
        self._boxes, self._edges = boxes, edges

    @property
    def dot(self) -> str:
        """The graph in the DOT language. Gradients flow downwards."""
        lines = ["digraph gradients {", '  node [shape=box, style=filled, fontname="monospace", fontsize=10];']
        for i, box in enumerate(self._boxes):
            label = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in box.lines)
            lines.append(f'  n{i} [label="{label}", fillcolor="{_COLOURS[box.kind]}"];')
        lines += [f"  n{a} -> n{b};" for a, b in self._edges]
        return "\n".join([*lines, "}"]) + "\n"

    @property
    def svg(self) -> str:
        """The graph as an SVG image. Gradients flow downwards."""
        layout = arrange([(box.width, box.height) for box in self._boxes], self._edges)
        width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="{-_MARGIN} {-_MARGIN} {width:.0f} {height:.0f}" font-family="monospace" font-size="10">',
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto">'
            '<path d="M0 0L8 4L0 8z"/></marker></defs>',
            *(_curve(path) for path in layout.paths),
            *(_rectangle(box, *centre) for box, centre in zip(self._boxes, layout.centres, strict=True)),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write an SVG file, or a DOT file if the name ends in .dot or .gv. Raise ValueError for other extensions."""
        extension = Path(path).suffix
        if extension not in (".svg", ".dot", ".gv"):
            raise ValueError(f"save(): the path must end in .svg, .dot or .gv, got {str(path)!r}")
        Path(path).write_text(self.svg if extension == ".svg" else self.dot, encoding="utf-8")

    def __repr__(self) -> str:
        return f"<drawing of a graph of {len(self._boxes)} nodes and {len(self._edges)} edges>"


def draw(outputs: Tensor | GradientEdge | Iterable[Tensor | GradientEdge]) -> Drawing:
    """Draw the graph of the outputs. Each node shows the shapes of its results and the size of its saved tensors.

    Args:
        outputs: one or several tensors that require grad, or gradient edges.
    Returns: the drawing.

    >>> import flambeau
    >>> x = flambeau.ones(2, 3, requires_grad=True)
    >>> flambeau.autograd.graph.draw(x.exp().sum())
    <drawing of a graph of 3 nodes and 2 edges>
    """
    listed = [outputs] if isinstance(outputs, (Tensor, GradientEdge)) else list(outputs)
    roots = [o.node if isinstance(o, GradientEdge) else _engine.gradient_edge(o)[0] for o in listed]
    numbers: dict[Any, int] = {}
    order: list[Any] = []
    edges: list[tuple[int, int]] = []
    stack = list(reversed(roots))
    while stack:
        node = stack.pop()
        if node in numbers:
            continue
        numbers[node] = len(order)
        order.append(node)
        stack += [n for n, _ in reversed(node.next_functions) if n is not None and n not in numbers]
    for node in order:
        edges += [(numbers[node], numbers[n]) for n, _ in node.next_functions if n is not None]
    return Drawing([_box(node, node in roots) for node in order], edges)


def _box(node: Any, is_root: bool) -> _Box:
    if node.name() == "torch::autograd::AccumulateGrad":
        return _Box(("leaf", _sizes(node._output_sizes)), "leaf")
    lines = [node.name(), _sizes(node._output_sizes)]
    if node._bytes_saved:
        lines.append(f"saved {memory_text(node._bytes_saved)}")
        lines += [f"  {_sizes([(tuple(shape), dtype)])}" for shape, dtype, _ in node._sizes_saved]
    return _Box(tuple(lines), "result" if is_root else "operator")


def _sizes(outputs: Iterable[tuple[Any, Any]]) -> str:
    return ", ".join(f"{str(dtype).rpartition('.')[2]}{list(shape)}" for shape, dtype in outputs)


def _curve(path: list[Point]) -> str:
    (x, y), *rest = path
    text = f"M{x:.1f} {y:.1f}"
    for end_x, end_y in rest:
        middle = (y + end_y) / 2
        text += f"C{x:.1f} {middle:.1f} {end_x:.1f} {middle:.1f} {end_x:.1f} {end_y:.1f}"
        x, y = end_x, end_y
    return f'<path d="{text}" fill="none" stroke="#555" marker-end="url(#arrow)"/>'


def _rectangle(box: _Box, x: float, y: float) -> str:
    left = x - box.width / 2
    text = "".join(
        f'<tspan x="{left + 8:.1f}" y="{y + (i + 1) * _LINE:.1f}">{escape(line)}</tspan>'
        for i, line in enumerate(box.lines)
    )
    return (
        f'<rect x="{left:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="4" '
        f'fill="{_COLOURS[box.kind]}" stroke="#555"/><text xml:space="preserve">{text}</text>'
    )
