"""The chart is drawn in both formats, with a mark for every target."""

from pathlib import Path

import pytest

from ..chart import draw
from ..comparison import Comparison
from ..workload import Workload

pytest.importorskip("matplotlib")


def rows() -> list[Comparison]:
    timed = Workload("small", "a + b", lambda library: None, at_most=0.25)
    weighed = Workload("footprint", "memory", lambda library: None, at_most=45.0, unit="MB")
    missing = Workload("footprint", "size", lambda library: None)
    return [
        Comparison(timed, ([2e-7, 2e-7], [9e-7, 9e-7])),
        Comparison(weighed, ([60.0], [217.0])),
        Comparison(missing, ([], [754.0]), missing="flambeau: an editable install"),
    ]


def test_the_chart_is_written_in_both_formats(tmp_path: Path) -> None:
    draw(rows(), "flambeau against torch", [tmp_path / "ratios.svg", tmp_path / "ratios.png"])
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")
    drawn = (tmp_path / "ratios.svg").read_text()
    assert all(f"<!-- {text} -->" in drawn for text in ("a + b", "memory", "small", "target met", "target missed"))
    assert "<!-- size -->" not in drawn


def test_the_chart_rejects_a_table_without_ratios(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no workload has a ratio"):
        draw(rows()[2:], "", [tmp_path / "ratios.svg"])
