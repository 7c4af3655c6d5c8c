"""The command line of programs that consist of named checks."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping

from tools.card.steps import UNAVAILABLE_STATUS


class UnavailableError(Exception):
    """Error of a check that this machine cannot run."""


def main(checks: Mapping[str, Callable[[], str | None]]) -> None:
    """Run the checks that the arguments name, or list them for ``--list``.

    The last line describes the result or the failure.
    """
    if sys.argv[1:] == ["--list"]:
        print(json.dumps(list(checks)))
        return
    note = ""
    for name in sys.argv[1:]:
        try:
            note = checks[name]() or ""
        except UnavailableError as error:
            print(error)
            sys.exit(UNAVAILABLE_STATUS)
        except Exception as error:
            traceback.print_exc(file=sys.stdout)
            lines = str(error).strip().splitlines() or [""]
            print(f"{name}: {type(error).__name__}: {lines[0][:300]}")
            sys.exit(1)
    print(note)
