"""A layered layout of a directed acyclic graph.

Every node is placed one layer below its lowest predecessor. Edges across several layers pass through invisible nodes.
Alternating sweeps down and up sort the nodes of each layer by the mean positions of their neighbours.
Source: Sugiyama, Tagawa, Toda 1981, doi:10.1109/TSMC.1981.4308636.
"""

from itertools import pairwise
from typing import NamedTuple, TypeAlias

_GAP_X, _GAP_Y, _SWEEPS = 24.0, 36.0, 4

Point: TypeAlias = tuple[float, float]


class GraphLayout(NamedTuple):
    """Positions of nodes and edges.

    Attributes:
        centres: centre of the upper side of each node.
        paths: points through which each edge passes.
        width, height: size of the whole layout.
    """

    centres: list[Point]
    paths: list[list[Point]]
    width: float
    height: float


def arrange(sizes: list[tuple[float, float]], edges: list[tuple[int, int]]) -> GraphLayout:
    """Compute positions of nodes with the given widths and heights, and paths of the edges."""
    layers = _layers(len(sizes), edges)
    boxes, depth, chains = list(sizes), list(layers), []
    for a, b in edges:  # insert invisible nodes
        chain = [a]
        for layer in range(layers[a] + 1, layers[b]):
            chain.append(len(boxes))
            boxes.append((4.0, 0.0))
            depth.append(layer)
        chains.append([*chain, b])
    rows: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for node, layer in enumerate(depth):
        rows[layer].append(node)
    above: list[list[int]] = [[] for _ in boxes]
    below: list[list[int]] = [[] for _ in boxes]
    for chain in chains:
        for a, b in pairwise(chain):
            below[a].append(b)
            above[b].append(a)
    _sort_rows(rows, above, below)
    return _assign_positions(rows, boxes, len(sizes), chains)


def _layers(count: int, edges: list[tuple[int, int]]) -> list[int]:
    """Return the layer of each node: the length of the longest path to it."""
    following: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for a, b in edges:
        following[a].append(b)
        waiting[b] += 1
    layer = [0] * count
    ready = [n for n in range(count) if not waiting[n]]
    while ready:
        node = ready.pop()
        for n in following[node]:
            layer[n] = max(layer[n], layer[node] + 1)
            waiting[n] -= 1
            if not waiting[n]:
                ready.append(n)
    return layer


def _sort_rows(rows: list[list[int]], above: list[list[int]], below: list[list[int]]) -> None:
    position = {node: i for row in rows for i, node in enumerate(row)}
    for sweep in range(_SWEEPS):
        neighbours = above if sweep % 2 == 0 else below

        def mean(node: int, neighbours: list[list[int]] = neighbours) -> float:
            near = neighbours[node]
            return sum(position[n] for n in near) / len(near) if near else position[node]

        for row in rows if sweep % 2 == 0 else reversed(rows):
            row.sort(key=mean)
            position.update((node, i) for i, node in enumerate(row))


def _assign_positions(
    rows: list[list[int]], boxes: list[tuple[float, float]], visible: int, chains: list[list[int]]
) -> GraphLayout:
    """Centre the nodes of each row, and return their positions and the paths of the edges."""
    widths = [sum(boxes[n][0] for n in row) + _GAP_X * (len(row) - 1) for row in rows]
    width = max(widths, default=0.0)
    centres: list[Point] = [(0.0, 0.0)] * len(boxes)
    top = 0.0
    for row, row_width in zip(rows, widths, strict=True):
        left = (width - row_width) / 2
        for node in row:
            centres[node] = (left + boxes[node][0] / 2, top)
            left += boxes[node][0] + _GAP_X
        top += max(boxes[n][1] for n in row) + _GAP_Y
    paths = []
    for first, *rest in chains:
        start = (centres[first][0], centres[first][1] + boxes[first][1])
        paths.append([start, *(centres[n] for n in rest)])
    return GraphLayout(centres[:visible], paths, width, max(top - _GAP_Y, 0.0))
