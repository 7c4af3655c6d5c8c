"""Records of tests, which map each test to None if it ran, otherwise to the reason why it was skipped."""

from __future__ import annotations

import json
from pathlib import Path

Record = dict[str, str | None]


def read(folder: Path) -> Record:
    """Merge the records in a folder. A test counts as run if it ran according to one of the records."""
    merged: Record = {}
    for path in sorted(folder.glob("*.json")):
        for test, reason in json.loads(path.read_text()).items():
            if reason is None or test not in merged:
                merged[test] = reason
    return merged
