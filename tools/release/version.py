"""Set the version of all packages: `python -m tools.release.version 0.2.0`."""

from __future__ import annotations

import argparse
import re
import subprocess
import tomllib

from .building import ROOT

HISTORY = "CHANGELOG.md"  # the changelog names earlier versions, like figures (.svg)


def current() -> str:
    """Return the version of the packages."""
    metadata = tomllib.loads((ROOT / "packages/flambeau/pyproject.toml").read_text())
    return str(metadata["project"]["version"])


def replace(old: str, new: str) -> list[str]:
    """Replace a version in all text files of the repository except for the changelog. Return the changed files."""
    listed = subprocess.run(["git", "grep", "-lIF", old], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    pattern = re.compile(rf"(?<![\d.]){re.escape(old)}(?![\d.]*\d)")
    changed = []
    for name in listed.stdout.split():
        text = (ROOT / name).read_text()
        if name != HISTORY and not name.endswith(".svg") and pattern.search(text):
            (ROOT / name).write_text(pattern.sub(new, text))
            changed.append(name)
    return changed


def main() -> None:
    """Set the version that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.version", description=__doc__)
    parser.add_argument("version")
    options = parser.parse_args()
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", options.version):
        raise SystemExit(
            f"version should be three numbers such as 0.2.0, or a pre-release such as 0.2.0rc1, got {options.version}"
        )
    print("\n".join(replace(current(), options.version)))
    print(f"Now describe {options.version} in {HISTORY}, and run `nox -s release`.")


if __name__ == "__main__":
    main()
