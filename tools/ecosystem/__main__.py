"""``python -m tools.ecosystem [LIBRARY ...]``: run libraries written for PyTorch on PyTorch and on flambeau.

Prints a line for each case, with the difference between the results and with both times.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from tools.ecosystem.comparison import compare
from tools.ecosystem.worker import Outcome

PROGRAMS = Path(__file__).with_name("programs")


def main() -> int:
    """Run the chosen programs. Return exit status 0 if all cases agree, otherwise 1."""
    everything = sorted(path.stem for path in PROGRAMS.glob("[!_]*.py"))
    parser = argparse.ArgumentParser(prog="ecosystem", description=__doc__)
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=f"default: all of {', '.join(everything)}")
    parser.add_argument("-k", default="", metavar="REGEX", help="run only cases whose name matches")
    options = parser.parse_args()
    if unknown := set(options.libraries) - set(everything):
        parser.error(f"no program for {', '.join(sorted(unknown))}; there are {', '.join(everything)}")
    failed = 0
    for library in options.libraries or everything:
        print(f"{library} {version(library)}", flush=True)
        theirs, ours = (outcomes(framework, library, options.k) for framework in ("torch", "flambeau"))
        for case in theirs | ours:
            missing = {"error": "it was not reached"}
            agrees, text = compare(library, theirs.get(case, missing), ours.get(case, missing))
            failed += not agrees
            print(f"  {'ok  ' if agrees else 'FAIL'} {case:32} {text}", flush=True)
    print("all cases agree" if not failed else f"{failed} cases do not agree")
    return int(failed > 0)


def version(library: str) -> str:
    """Return the version of a program's library, or an empty string if no distribution has the library's name."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def outcomes(framework: str, library: str, pattern: str) -> dict[str, Outcome]:
    """Run a program on one framework in a separate process, and return the outcomes of its cases by name."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "outcomes")
        command = [sys.executable, "-m", "tools.ecosystem.worker", framework, library, str(file), pattern]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HOME": folder}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        if not file.exists():
            return {"process": {"error": f"exit status {ended.returncode}\n{ended.stderr[-2000:]}"}}
        return pickle.loads(file.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
