"""Tests that the small chart has a bar for each ratio, with a length in proportion to it."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from ..comparison import Comparison
from ..summary import draw
from ..workload import Workload

SVG = "{http://www.w3.org/2000/svg}"


def rows() -> list[Comparison]:
    timed = Workload("small", "a < b", lambda library: None)
    missing = Workload("footprint", "size", lambda library: None)
    return [Comparison(timed, ([2e-7, 2e-7], [8e-7, 8e-7])), Comparison(missing, ([], [754.0]), missing="editable")]


def test_the_length_of_a_bar_is_the_ratio_to_the_baseline(tmp_path: Path) -> None:
    draw(rows(), "flambeau and torch", "a machine", tmp_path / "folder" / "chart.svg")
    root = ElementTree.parse(tmp_path / "folder" / "chart.svg").getroot()
    widths = {bar.get("class"): float(bar.get("width", "nan")) for bar in root.iter(f"{SVG}rect")}
    assert widths["subject"] == pytest.approx(widths["baseline"] / 4, abs=0.1)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "small: a < b" in texts and "0.25  (200 ns / 800 ns)" in texts and "a machine" in texts
    assert "footprint: size" not in texts


def test_the_summary_chart_rejects_a_table_without_ratios(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no workload has a ratio"):
        draw(rows()[1:], "", "", tmp_path / "chart.svg")
