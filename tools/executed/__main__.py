"""Fail if a test ran in no session: ``python -m tools.executed FOLDER``, with the folder of the records.

``python -m tools.executed FOLDER --failures`` only prints the tests that failed.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

from .records import Record, read

ROOT = Path(__file__).resolve().parents[2]
ABSENT = Path(__file__).with_name("absent.toml")


def test_files() -> list[str]:
    """Return the paths of the test files in the repository."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "test_*.py", "*/test_*.py"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def find_unrun_tests(record: Record, files: list[str]) -> dict[str, str]:
    """Return the tests that ran in no session, with the reason why each test was last skipped."""
    skipped = {test: reason for test, reason in record.items() if reason is not None}
    collected = {test.partition("::")[0] for test, reason in record.items() if "::" in test}
    never_ran = {test: reason for test, reason in skipped.items() if "::" in test or test not in collected}
    missing = {path: "no session collects it" for path in files if path not in collected and path not in never_ran}
    return never_ran | missing


def matches(test: str, pattern: str) -> bool:
    """Return True if a pattern matches a test, without its parameters, or the path of its file."""
    function = test.partition("[")[0]
    return fnmatchcase(function, pattern) or fnmatchcase(function.partition("::")[0], pattern)


def main(folder: Path) -> int:
    """Print tests that no session ran and entries of the exceptions that match no test. Return 1 if there are any."""
    record = read(folder)
    if not record:
        print(f"{folder} has no records: run `nox -s tests extension` first")
        return 1
    files = test_files()
    tests = find_unrun_tests(record, files)
    patterns = [pattern for entry in tomllib.loads(ABSENT.read_text())["absent"] for pattern in entry["tests"]]
    unknown = [test for test in tests if not any(matches(test, pattern) for pattern in patterns)]
    stale = [pattern for pattern in patterns if not any(matches(test, pattern) for test in (*record, *files))]
    ran = sum(reason is None for reason in record.values())
    print(f"{ran} tests ran in at least one session; {len(tests) - len(unknown)} are excused in {ABSENT.name}")
    for test in unknown:
        print(f"never ran: {test} ({tests[test]})")
    for pattern in stale:
        print(f"{ABSENT.name}: {pattern} matches no test")
    return bool(unknown or stale)


def print_failures(folder: Path) -> None:
    """Print a line for each failed test in the records."""
    failures = [line for path in sorted(folder.glob("*.failed")) for line in path.read_text().splitlines()]
    print(f"Failed tests: {len(failures)}", *failures, sep="\n  ")


if __name__ == "__main__":
    if sys.argv[2:] == ["--failures"]:
        print_failures(Path(sys.argv[1]))
    else:
        sys.exit(main(Path(sys.argv[1])))
