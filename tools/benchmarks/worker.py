"""The process that measures some workloads with one library and prints a JSON line for each event.

Run as ``python -m benchmarks.worker REQUEST``. REQUEST is a JSON object with the entries library, baseline (true for
the baseline), engine, device, threads, quick, files and keys. The process prints ``{"started": key}`` before a
workload, then ``{"key": key, ...}`` with either ``value`` and ``fingerprint``, or ``missing``, the reason. If the
process crashes, the last line therefore names the workload.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from .fingerprint import fingerprint
from .timing import FULL, QUICK, Effort, seconds_per_call
from .workload import Library, Workload
from .workloads import WORKLOADS


def measured(workload: Workload, library: Library, baseline: bool, effort: Effort) -> dict[str, Any]:
    """Return one measurement of ``workload``, or the reason why it is missing."""
    prepare = workload.against if baseline and workload.against else workload.measured
    try:
        if workload.unit is not None:
            return {"value": prepare(library), "fingerprint": []}
        code = prepare(library)
        first = code.result()
        mark = fingerprint(first) if code.compare else []
        del first
        return {"value": seconds_per_call(code, effort, library.clock), "fingerprint": mark}
    except Exception as error:  # libraries raise different errors for missing operators
        return {"missing": reason(error)}


def reason(error: BaseException) -> str:
    """Return one line that names the error.

    >>> reason(AttributeError("module 'flambeau' has no attribute 'sort'"))
    "AttributeError: module 'flambeau' has no attribute 'sort'"
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def describe(library: Library, threads: int) -> dict[str, Any]:
    """Set the number of threads, and return the versions and the number of threads in use.

    On a GPU, both libraries may round float32 operands of matrix products to TF32.
    """
    if library.device != "cpu":
        library.fb.set_float32_matmul_precision("high")
    if hasattr(library.fb, "set_num_threads"):
        library.fb.set_num_threads(threads)
    library.threads = threads
    count = library.fb.get_num_threads() if hasattr(library.fb, "get_num_threads") else None
    version = str(getattr(library.fb, "__version__", "unknown"))
    return {"library": library.name, "version": version, "threads": count, "python": sys.version.split()[0]}


def serve(request: Mapping[str, Any], out: TextIO) -> None:
    """Measure the workloads that ``request`` names, and write each event immediately."""

    def send(**event: Any) -> None:
        print(json.dumps(event), file=out, flush=True)

    library = Library(request["library"], request["device"], request["engine"], request["files"])
    try:
        send(about=describe(library, request["threads"]))
    except Exception as error:
        send(unusable=reason(error))
        return
    effort, rows = QUICK if request["quick"] else FULL, {row.key: row for row in WORKLOADS}
    for key in request["keys"]:
        send(started=key)
        send(key=key, **measured(rows[key], library, request["baseline"], effort))


def main() -> None:
    # Output of the libraries goes to stderr, because stdout is reserved for the protocol.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        serve(json.loads(sys.argv[1]), out)


if __name__ == "__main__":
    main()
