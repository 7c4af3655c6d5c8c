"""Results whose number of rows depends on tensor elements, and operators that depend on such counts."""

import pytest

import flambeau as fb
from flambeau.onnx import export


def check(function, *inputs, compare, **options):
    """Compare results for the example and other inputs, including those for which no or every row is selected."""
    program = export(function, inputs, **options)
    for others in (inputs, [x.flip(0) * 1.5 for x in inputs], [-x.abs() for x in inputs], [x.abs() for x in inputs]):
        compare(program, function, *others)
    return program


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[x > 0],
        lambda x: x[x[:, 0] > 0],
        lambda x: x[:, x[0] > 0],
        lambda x: x.masked_select(x > 0.5),
        lambda x: (x > 0).nonzero(),
        lambda x: fb.argwhere(x > 0),
        lambda x: fb.where(x > 0),
        lambda x: fb.nonzero(x > 0, as_tuple=True)[1] * 2,
        lambda x: x[fb.where(x[:, 1] > 0)[0]].sum(0),
        lambda x: x[fb.tensor([True, False, True, True])],
    ],
)
def test_selections_of_dynamic_length_are_exported(function, compare):
    check(function, fb.randn(4, 3), compare=compare)


def test_lengths_of_selections_can_be_used_in_shapes(compare):
    def function(x):
        kept = x[x[:, 0] > 0]
        n = len(kept)
        flat = kept.reshape(n * 3)
        return fb.cat([flat, x.new_zeros(2 * n + 1)]), fb.arange(n), kept.unsqueeze(1).expand(n, 2, 3)

    check(function, fb.randn(6, 3), compare=compare)


def test_topk_and_slices_accept_lengths_of_selections(compare):
    def function(x):
        scores = x[x > 0]
        values, positions = scores.topk(min(4, len(scores)))
        return values, positions, scores[:5], scores.sort(descending=True)[0][:3] * 2

    program = check(function, fb.rand(20).sub(0.5), compare=compare)
    compare(program, function, fb.rand(20) - 0.9)


def test_lengths_of_selections_combine_with_dynamic_dimensions(compare):
    def function(x):
        rows = x[x.sum(1) > 0]
        return fb.cat([rows, x]), rows.reshape(-1)

    program = export(function, fb.randn(4, 3), dynamic_axes={"x": {0: "rows"}})
    for n in (2, 4, 9):
        compare(program, function, fb.randn(n, 3))


@pytest.mark.parametrize("grouped", [False, True])
def test_nms_is_exported(grouped, compare):
    def function(boxes, scores, groups):
        kept = fb._core._nms(boxes, scores, 0.4, groups if grouped else None)
        return kept, boxes[kept], scores[kept[:7]]

    def inputs(count):
        corners = fb.rand(count, 2) * 10
        return fb.cat([corners, corners + 1 + fb.rand(count, 2) * 5], 1), fb.rand(count), fb.randint(0, 3, (count,))

    program = export(function, inputs(30), verify=True)
    for _ in range(5):
        compare(program, function, *inputs(30))
    named = {"boxes": {0: "n"}, "scores": {0: "n"}, "groups": {0: "n"}}
    program = export(function, inputs(30), dynamic_axes=named)
    for n in (1, 12, 50):
        compare(program, function, *inputs(n))
