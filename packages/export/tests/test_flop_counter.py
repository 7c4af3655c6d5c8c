"""Counts of floating-point operations. The expected counts are those of PyTorch 2.13 for the same calls."""

from collections.abc import Callable
from typing import Any

import pytest

import flambeau
from flambeau import Tensor, nn
from flambeau.nn import functional
from flambeau.utils import flop_counter
from flambeau.utils.flop_counter import FlopCounterMode, register_flop_formula


def r(*sizes: int) -> Tensor:
    return flambeau.rand(*sizes, requires_grad=True)


CALLS: list[tuple[Callable[[], Tensor], dict[str, int]]] = [
    (lambda: r(2, 3).mm(r(3, 4)), {"aten.mm": 144}),
    (lambda: flambeau.rand(2, 3).mm(r(3, 4)), {"aten.mm": 96}),
    (lambda: flambeau.addmm(r(4), r(2, 3), r(3, 4)), {"aten.addmm": 48, "aten.mm": 96}),
    (lambda: flambeau.bmm(r(5, 2, 3), r(5, 3, 4)), {"aten.bmm": 720}),
    (lambda: flambeau.baddbmm(r(5, 2, 4), r(5, 2, 3), r(5, 3, 4)), {"aten.baddbmm": 240, "aten.bmm": 480}),
    (lambda: r(5, 2, 3) @ r(3, 4), {"aten.mm": 720}),
    (lambda: r(2, 5, 2, 3) @ r(5, 3, 4), {"aten.bmm": 1440}),
    (lambda: r(2, 3) @ r(3), {}),
    (lambda: r(3) @ r(3, 2), {"aten.mm": 36}),
    (lambda: flambeau.einsum("bij,bjk->bik", r(2, 3, 4), r(2, 4, 5)), {"aten.bmm": 720}),
    (lambda: flambeau.cov(r(3, 5)), {"aten.mm": 270}),
    (lambda: functional.linear(r(2, 4, 8), r(3, 8), r(3)), {"aten.addmm": 384, "aten.mm": 768}),
    (lambda: functional.linear(r(2, 4, 8), r(3, 8)), {"aten.mm": 1152}),
    (
        lambda: functional.conv2d(r(2, 4, 9, 7), r(6, 4, 3, 3), r(6), stride=2, padding=1),
        {"aten.convolution": 17280, "aten.convolution_backward": 34560},
    ),
    (
        lambda: functional.conv2d(flambeau.rand(4, 9, 7), r(6, 4, 3, 3)),
        {"aten.convolution": 15120, "aten.convolution_backward": 15120},
    ),
    (
        lambda: functional.conv_transpose2d(r(2, 4, 9, 7), r(4, 6, 3, 3), None, 2, 1),
        {"aten.convolution": 54432, "aten.convolution_backward": 108864},
    ),
    (
        lambda: functional.conv2d(r(2, 4, 9, 9), r(8, 2, 3, 3), None, 1, 1, 1, 2),
        {"aten.convolution": 46656, "aten.convolution_backward": 139968},
    ),
    (
        lambda: functional.conv_transpose2d(r(2, 4, 9, 9), r(4, 3, 3, 3), groups=2),
        {"aten.convolution": 34992, "aten.convolution_backward": 104976},
    ),
]


@pytest.mark.parametrize(("call", "expected"), CALLS)
def test_flops_of_an_operator_and_its_derivative_are_counted(
    call: Callable[[], Tensor], expected: dict[str, int]
) -> None:
    with FlopCounterMode(display=False) as counter:
        call().sum().backward()
    assert counter.get_flop_counts().get("Global", {}) == expected
    assert counter.get_total_flops() == sum(expected.values())


def test_flops_of_attention_count_its_matrix_products() -> None:
    query, key, value = r(2, 3, 5, 4), r(2, 3, 7, 4), r(2, 3, 7, 4)
    with FlopCounterMode(display=False) as counter:
        functional.scaled_dot_product_attention(query, key, value).sum().backward()
    assert counter.get_total_flops() == 7 * (2 * 2 * 3 * 5 * 7 * 4)


def test_flops_are_counted_per_module(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Sequential(nn.Linear(16, 4)))
    with FlopCounterMode() as counter:
        model(flambeau.rand(4, 8)).sum().backward()
    both = {"aten.addmm": 1536, "aten.mm": 2048}
    last = {"aten.addmm": 512, "aten.mm": 1024}
    assert counter.get_flop_counts() == {
        "Global": both,
        "Sequential": both,
        "Sequential.0": {"aten.addmm": 1024, "aten.mm": 1024},
        "Sequential.2": last,
        "Sequential.2.0": last,
    }
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "Sequential      3584.000    100.00%"
    assert " - aten.mm      2048.000     57.14%" in lines
    assert not any("Sequential.2.0" in line for line in lines)
    assert "Sequential.2.0" in counter.get_table(3)


def test_operations_outside_modules_count_as_global() -> None:
    with FlopCounterMode(display=False) as counter:
        nn.Linear(2, 2)(flambeau.rand(1, 2)) @ flambeau.rand(2, 2)
    assert counter.get_table().splitlines()[2].split() == ["Global", "16.000", "100.00%"]
    with FlopCounterMode(display=False) as counter:
        flambeau.rand(2) + 1
    assert counter.get_table().splitlines()[-1].split() == ["Global", "0.000", "0%"]


def test_custom_flop_formulas_are_used() -> None:
    def count(shape: Any, *args: Any, out_shape: Any, **kwargs: Any) -> int:
        return 3 * out_shape.numel()

    with FlopCounterMode(display=False, custom_mapping={flambeau.exp: count}) as counter:
        flambeau.rand(2, 5).exp()
    assert counter.get_total_flops() == 30


def test_flops_of_custom_operators_are_counted_by_registered_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flop_counter, "flop_registry", {})

    @flambeau.library.custom_op("flop_tests::scaled", mutates_args=())
    def scaled(x: Tensor, others: list[Tensor], factor: float = 2.0) -> Tensor:
        return x * factor

    packet = flambeau.ops.flop_tests.scaled
    seen = []

    def count(shape: Any, others: Any, factor: float, *, out_shape: Any) -> int:
        seen.append((shape, others, factor))
        return 3 * out_shape.numel()

    register_flop_formula([packet])(count)
    with FlopCounterMode(display=False) as counter:
        scaled(flambeau.ones(2, 5), [flambeau.ones(4)])
        packet(flambeau.ones(3), [])
    assert counter.get_flop_counts() == {"Global": {packet: 39}}
    assert seen == [((2, 5), [(4,)], 2.0), ((3,), [], 2.0)]
    for key in (scaled, packet, packet.default):
        with FlopCounterMode(display=False, custom_mapping={key: lambda *args, out_shape: 1}) as counter:
            scaled(flambeau.ones(2), [])
        assert counter.get_total_flops() == 1
    with pytest.raises(RuntimeError, match="duplicate registrations for"):
        register_flop_formula(scaled)(count)
    with pytest.raises(ValueError, match=r"expected each target to be an operator such as ops\.mylib\.foo, got 3"):
        register_flop_formula(3)(count)


def test_a_registered_formula_can_receive_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flop_counter, "flop_registry", {})
    register_flop_formula(flambeau.ops.aten.exp, get_raw=True)(lambda x, out_val: int(x.sum()) + out_val.numel())
    with FlopCounterMode(display=False) as counter:
        flambeau.tensor([2.0, 3.0]).exp()
    assert counter.get_total_flops() == 7


def test_flop_counting_stops_after_the_context() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(RuntimeError), FlopCounterMode(display=False) as counter:
        model(flambeau.rand(3))
    model(flambeau.rand(1, 2))
    assert counter.get_total_flops() == 0
