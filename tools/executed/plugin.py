"""Pytest options that record which tests ran, and that select the tests that ran in no other session.

``--record-executed FILE`` writes a JSON object that maps each collected test to null if it ran, otherwise to the reason
why it was skipped. A module that is skipped as a whole appears under its path. The file FILE with the suffix
``.failed`` lists the failures, one per line. ``--not-executed-in FOLDER`` deselects the tests that ran according to the
records in FOLDER.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .records import Record, read


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("executed tests")
    group.addoption("--record-executed", type=Path, metavar="FILE", help="write the executed tests to FILE")
    group.addoption("--not-executed-in", type=Path, metavar="FOLDER", help="run only tests without a record in FOLDER")


def pytest_configure(config: pytest.Config) -> None:
    path: Path | None = config.getoption("record_executed")
    if path is not None and not hasattr(config, "workerinput"):  # workers of pytest-xdist report to their controller
        config.pluginmanager.register(Recorder(path), "executed-recorder")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    folder: Path | None = config.getoption("not_executed_in")
    if folder is None:
        return
    record = read(folder)
    chosen = [item for item in items if record.get(item.nodeid, "") is not None]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


class Recorder:
    """Record of one pytest run, written at the end of the run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record: Record = {}
        self.failures: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.record[report.nodeid] = reason_of(report)
        elif report.failed:
            self.failures.append(failure_in(report))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failures.append(failure_in(report))
        if report.skipped and not hasattr(report, "wasxfail"):
            self.record[report.nodeid] = reason_of(report)
        elif report.when == "call":
            self.record[report.nodeid] = None

    def pytest_sessionfinish(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.record, indent=0, sort_keys=True))
        self.path.with_suffix(".failed").write_text("".join(f"{failure}\n" for failure in self.failures))


def reason_of(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Return the reason that a skipped test or module gives."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def failure_in(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Return a line with the test and the first line of its error."""
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = (crash.message if crash else str(report.longrepr)).splitlines()
    return f"{report.nodeid}: {lines[0] if lines else 'failed'}"
