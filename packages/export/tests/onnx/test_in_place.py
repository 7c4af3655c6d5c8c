"""In-place changes in exported programs. ONNX has values but no memory."""

import pytest

import flambeau as fb
from flambeau.onnx import export


def accumulated(x):
    total = fb.zeros_like(x)
    for i in range(3):
        total += x * i
        total.mul_(2)
    return total


def set_parts(x):
    y = x.clone()
    y[:, 1] = 7.0
    y[0] = y[1] + 1
    y[..., -2:] *= 3
    y[:, [0, 3]] = fb.ones(2)
    return y


def set_masked(x):
    y = x.clone()
    y[y > 0.5] = 0.0
    y[:, 2:4].fill_(5)
    return y


def through_views(x):
    y = x * 1
    column, transposed, row = y[:, 2], y.t(), y[1]
    column.add_(10)
    transposed[0].zero_()
    flat = y.view(-1)
    flat.neg_()
    return y, column, transposed, row, flat


def views_read_later(x):
    y = x + 0
    a, b = y.chunk(2, 1)
    before = a * 1
    y.mul_(2)
    return before, a + b, y


def view_of_a_view(x):
    y = x + 0
    y.view(-1, 2, 3).transpose(1, 2)[:, 0].sub_(1)
    return y


def written_out(x):
    out = fb.empty(0)
    fb.mul(x, 2, out=out)
    fb.add(out, x, out=out)
    return out


def reshaped(x):
    y = (x * 2).unsqueeze_(1)
    return y.squeeze_(1).t_()


def copied(x):
    y = fb.zeros(len(x), 6, dtype=fb.float64)
    y.copy_(x)
    y[:, :3].copy_(x[:, 3:])
    return y


def of_itself(x):
    y = x[:, :4] * 1
    y[:, 1:] = y[:, :-1]
    square = y[:2, :2]
    square.copy_(square.t())
    transposed = square * 1
    y += y.flip(0)
    return y, square, transposed


PROGRAMS = [
    accumulated, set_parts, set_masked, through_views, views_read_later, view_of_a_view, written_out, reshaped, copied,
    of_itself,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda function: function.__name__)
def test_in_place_operators_are_exported(program, compare):
    compare(export(program, fb.rand(4, 6)), program, fb.rand(4, 6))
    exported = export(program, fb.rand(4, 6), dynamic_axes={"x": {0: "rows"}})
    for rows in (4, 9):
        compare(exported, program, fb.rand(rows, 6))


def test_exporting_does_not_change_the_program_or_its_inputs(compare):
    class Counts(fb.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", fb.zeros(2))
            self.table = fb.arange(6.0)

        def forward(self, x):
            before = self.table[1] * 1
            self.calls += 1
            self.table[:2] = x[0, :2]
            x.add_(1)
            return before, x * self.table, self.calls + x[0, 0]

    model, x = Counts(), fb.rand(4, 6)
    given = x.clone()
    program = export(model, x)
    assert model.calls.tolist() == [0, 0] and model.table.tolist() == [0, 1, 2, 3, 4, 5] and fb.equal(x, given)
    compare(program, lambda x: Counts()(x.clone()), fb.rand(4, 6))


def test_memory_shared_without_a_view_is_rejected():
    base = fb.zeros(4)
    a, b = base[:2], base[1:3]

    def program(x):
        a.add_(x)
        return a + b

    with pytest.raises(NotImplementedError, match="changed in place through another that shares its memory"):
        export(program, fb.ones(2))
    assert base.tolist() == [0, 0, 0, 0]
