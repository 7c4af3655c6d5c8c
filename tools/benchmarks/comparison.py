"""Comparison of a subject with a baseline: medians of their readings over rounds, the ratio, and the target."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .workload import Workload

MET, MISSED, FASTER, SLOWER = "met", "missed", "faster", "slower"
MISSING, DIFFERS, UNMEASURED = "missing", "differs", "unmeasured"


@dataclass
class Comparison:
    """Readings of the two sides of one workload: one of the subject and one of the baseline per round.

    Attributes:
        values: readings of the subject and of the baseline, in seconds or in the workload's unit. If the workload has
            several baselines, their comparisons have the same list of the subject's readings.
        baseline: name of the baseline if the workload has several; otherwise empty.
    """

    workload: Workload
    values: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    missing: str | None = None
    disagreement: str | None = None
    baseline: str = ""

    @property
    def group(self) -> str:
        """Heading of the row in the report."""
        return f"{self.workload.group}, against {self.baseline}" if self.baseline else self.workload.group

    @property
    def medians(self) -> tuple[float | None, float | None]:
        """The medians of the subject and of the baseline over the rounds."""
        subject, baseline = (statistics.median(side) if side else None for side in self.values)
        return subject, baseline

    @property
    def ratio(self) -> float | None:
        """The ratio of the subject to the baseline; lower is better. None if a side has no reading."""
        subject, baseline = self.medians
        return None if subject is None or not baseline else subject / baseline

    @property
    def ratios(self) -> list[float]:
        """The ratio of every round that both sides completed."""
        return [subject / baseline for subject, baseline in zip(*self.values, strict=False) if baseline]

    @property
    def spread(self) -> tuple[float, float] | None:
        """The smallest and the largest ratio of a single round."""
        return (min(self.ratios), max(self.ratios)) if self.ratios else None

    @property
    def score(self) -> float | None:
        """The value that the target limits: the ratio, or the subject's value if the workload has a unit."""
        return self.ratio if self.workload.unit is None else self.medians[0]

    @property
    def status(self) -> str:
        """The result as a word: met or missed for a workload with a target, otherwise faster or slower."""
        if self.missing is not None:
            return MISSING
        if self.disagreement is not None:
            return DIFFERS
        if self.score is None or self.ratio is None:
            return UNMEASURED
        if self.workload.at_most is not None:
            return MET if self.score <= self.workload.at_most else MISSED
        return FASTER if self.ratio <= 1.0 else SLOWER

    @property
    def is_undecided(self) -> bool:
        """True if some rounds meet the target and others do not."""
        scores, at_most = self.ratios if self.workload.unit is None else self.values[0], self.workload.at_most
        return at_most is not None and len({score <= at_most for score in scores}) == 2

    @property
    def target_ratio(self) -> float | None:
        """The target as a ratio to the baseline. A target in the workload's unit is converted."""
        at_most, baseline = self.workload.at_most, self.medians[1]
        if at_most is None or self.workload.unit is None:
            return at_most
        return at_most / baseline if baseline else None

    def record(self) -> dict[str, Any]:
        """Return all values of the comparison for the result file."""
        return {
            "group": self.workload.group,
            "name": self.workload.name,
            "against": self.baseline or None,
            "unit": self.workload.unit or "s",
            "subject": self.values[0],
            "baseline": self.values[1],
            "subject_median": self.medians[0],
            "baseline_median": self.medians[1],
            "ratio": self.ratio,
            "ratio_spread": self.spread,
            "at_most": self.workload.at_most,
            "at_most_is": "ratio" if self.workload.unit is None else "value",
            "status": self.status,
            "unsure": self.is_undecided,
            "note": self.missing or self.disagreement,
        }


def all_met(comparisons: Iterable[Comparison]) -> bool:
    """Return True if every workload with a target meets it and no two results differ."""
    return all(
        comparison.status == MET or (comparison.workload.at_most is None and comparison.status != DIFFERS)
        for comparison in comparisons
    )
