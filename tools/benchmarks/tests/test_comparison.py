"""Tests of the comparison with targets, and of the report about it."""

import json

import pytest

from ..comparison import DIFFERS, FASTER, MET, MISSED, MISSING, SLOWER, UNMEASURED, Comparison, all_met
from ..fingerprint import difference
from ..table import quantity, table
from ..workload import Workload


def comparison(
    subject: list[float], baseline: list[float], at_most: float | None = None, unit: str | None = None
) -> Comparison:
    return Comparison(Workload("group", "name", lambda library: None, at_most, unit), (subject, baseline))


@pytest.mark.parametrize(
    ("subject", "at_most", "unit", "status"),
    [
        ([1.0, 9.0, 1.2], 0.25, None, MISSED),
        ([1.0, 9.0, 1.2], 0.3, None, MET),
        ([1.0, 9.0, 1.2], None, None, FASTER),
        ([5.0, 5.0, 5.0], None, None, SLOWER),
        ([40.0, 41.0, 39.0], 40.0, "ms", MET),
        ([3.0, 3.0, 3.0], 2.0, "ms", MISSED),
    ],
)
def test_the_median_determines_the_status(
    subject: list[float], at_most: float | None, unit: str | None, status: str
) -> None:
    assert comparison(subject, [4.0, 4.0, 4.0], at_most, unit).status == status


def test_a_target_in_its_own_unit_is_shown_as_a_ratio() -> None:
    assert comparison([20.0], [800.0], 40.0, "ms").target_ratio == pytest.approx(0.05)


def test_the_range_is_computed_from_ratios_per_round() -> None:
    assert comparison([1.0, 4.0], [2.0, 4.0]).spread == (0.5, 1.0)


def test_contradicting_rounds_are_undecided() -> None:
    assert comparison([1.0, 3.0, 1.0], [4.0, 4.0, 4.0], at_most=0.5).is_undecided
    assert not comparison([1.0, 3.0, 1.0], [4.0, 4.0, 4.0], at_most=0.8).is_undecided
    assert comparison([39.0, 41.0], [4.0, 4.0], at_most=40.0, unit="ms").is_undecided
    assert "met, unsure" in table([comparison([1.0, 3.0, 1.0], [4.0, 4.0, 4.0], at_most=0.5)], "flambeau", "torch")


def test_missing_measurements_fail_the_benchmark() -> None:
    missing, differing = comparison([], [1.0], at_most=0.5), comparison([1.0], [4.0])
    missing.missing, differing.disagreement = "flambeau: AttributeError: sort", "shape [3] instead of [4]"
    untouched = comparison([], [], at_most=0.5)
    assert [row.status for row in (missing, differing, untouched)] == [MISSING, DIFFERS, UNMEASURED]
    assert not any(map(all_met, ([missing], [differing], [untouched])))
    assert all_met([comparison([5.0], [4.0]), comparison([1.0], [4.0], at_most=0.25)])


def test_the_table_counts_missing_measurements() -> None:
    missing = comparison([], [1.0], at_most=0.5)
    missing.missing = "flambeau: AttributeError: sort"
    text = table([comparison([1.8e-7], [9e-7], 0.25), missing], "flambeau", "torch")
    assert "180 ns    900 ns    0.20   0.20-0.20     0.25  met" in text
    assert "missing: flambeau: AttributeError: sort" in text
    assert "1 of 2 targets met" in text


def test_results_are_recorded_as_json() -> None:
    record = json.loads(json.dumps(comparison([1.0], [4.0], 0.3).record()))
    assert (record["ratio"], record["at_most"], record["status"]) == (0.25, 0.3, MET)


@pytest.mark.parametrize(
    ("value", "text"), [(9.994e-7, "999 ns"), (9.996e-7, "1.00 µs"), (0.01234, "12.3 ms"), (75.0, "75.0 s")]
)
def test_quantities_are_printed_with_three_digits(value: float, text: str) -> None:
    assert quantity(value, None) == text


def test_workloads_with_different_results_are_named() -> None:
    mark = {"shape": [2], "dtype": "float32", "magnitude": 1.0}
    assert difference([mark], [{**mark, "magnitude": 1.0001}]) is None
    assert difference([mark], [{**mark, "dtype": "float64"}]) == "dtype float32 instead of float64"
    assert difference([mark], [{**mark, "magnitude": 1.01}]) == "mean magnitude 1 instead of 1.01"
    assert difference([{**mark, "magnitude": float("nan")}], [mark]) == "mean magnitude nan instead of 1"
