"""Drawings of the graph."""

from xml.etree import ElementTree

import pytest

import flambeau as fb
from flambeau.autograd.graph import draw, get_gradient_edge


@pytest.fixture
def loss():
    x = fb.ones(2, 3, requires_grad=True)
    y = x.exp()
    return (y * y.sin()).sum()


def test_the_dot_graph_has_every_node_and_edge_with_shapes_and_bytes(loss):
    dot = draw(loss).dot
    assert dot.startswith("digraph") and dot.count("->") == 5
    assert dot.count("[label=") == 5
    assert "ExpBackward0\\nfloat32[2, 3]\\nsaved 24 B\\n  float32[2, 3]" in dot
    assert "leaf\\nfloat32[2, 3]" in dot and "SumBackward0\\nfloat32[]" in dot


def test_the_svg_drawing_is_well_formed_and_flows_downwards(loss):
    drawing = draw(loss)
    svg = ElementTree.fromstring(drawing.svg)
    space = "{http://www.w3.org/2000/svg}"
    boxes = svg.findall(f"{space}rect")
    names = [text.find(f"{space}tspan").text for text in svg.findall(f"{space}text")]
    assert len(boxes) == len(names) == 5 and len(svg.findall(f"{space}path")) == 5
    height = dict(zip(names, (float(box.get("y")) for box in boxes), strict=True))
    order = ["SumBackward0", "MulBackward0", "SinBackward0", "ExpBackward0", "leaf"]
    assert sorted(names, key=height.__getitem__) == order
    assert drawing._repr_svg_() == drawing.svg


def test_boxes_of_a_layer_do_not_overlap():
    leaves = [fb.ones(2, requires_grad=True) for _ in range(6)]
    svg = ElementTree.fromstring(draw(sum(t * t for t in leaves).sum()).svg)
    boxes = [
        {k: float(b.get(k)) for k in ("x", "y", "width", "height")}
        for b in svg.findall("{http://www.w3.org/2000/svg}rect")
    ]
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            disjoint = a["x"] >= b["x"] + b["width"] or b["x"] >= a["x"] + a["width"]
            assert disjoint or a["y"] >= b["y"] + b["height"] or b["y"] >= a["y"] + a["height"]


def test_draw_accepts_several_outputs_and_saves_svg_and_dot_files(loss, tmp_path):
    other = loss * 2
    assert draw([loss, get_gradient_edge(other)]).dot.count("->") == 6
    draw(loss).save(tmp_path / "graph.svg")
    draw(loss).save(tmp_path / "graph.dot")
    assert (tmp_path / "graph.svg").read_text().startswith("<svg")
    assert (tmp_path / "graph.dot").read_text() == draw(loss).dot
    with pytest.raises(ValueError, match=r"must end in .svg, .dot or .gv"):
        draw(loss).save(tmp_path / "graph.png")
    with pytest.raises(RuntimeError, match="does not require gradients"):
        draw(fb.ones(2))
