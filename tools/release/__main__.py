"""Command line of the builds of a release: `nox -s release`."""

from __future__ import annotations

import argparse
from pathlib import Path

from .building import build
from .checking import check
from .targets import HOST, PLATFORMS


def main() -> None:
    """Build and check wheels and source distributions."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    parser.add_argument("packages", nargs="+", help="folders of packages/, each after those that its build requires")
    parser.add_argument("--platform", action="append", choices=PLATFORMS, help=f"default: {HOST}")
    parser.add_argument("--output", type=Path, required=True, help="folder for wheels and source distributions")
    parser.add_argument("--work", type=Path, required=True, help="folder for build files")
    parser.add_argument("--previous", type=Path, help="folder with the wheels of the last release, to compare with")
    options = parser.parse_args()
    output, work = options.output.resolve(), options.work.resolve()
    output.mkdir(parents=True, exist_ok=True)
    platforms = options.platform or [HOST]
    build(options.packages, platforms, work, output)
    check(options.packages, output, options.previous, can_run=HOST in platforms)


if __name__ == "__main__":
    main()
