"""Print findings about words and docstrings: ``python -m tools.prose [FILE ...]``, by default in all files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .docstrings import undocumented, without_leading_verb
from .glossary import GLOSSARY, ROOT, phrases_to_avoid, uses


def main(names: list[str]) -> int:
    """Check the given files, or all files under version control. Return 1 if there are findings."""
    listed = subprocess.run(["git", "ls-files", *names], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [Path(name) for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    phrases = phrases_to_avoid(GLOSSARY.read_text(encoding="utf-8"))
    named = (GLOSSARY.relative_to(ROOT), Path("tools/prose"))  # these files contain the phrases
    checked = [path for path in paths if not any(path.is_relative_to(each) for each in named)]
    findings = [str(use) for path in checked for use in uses(path, phrases)]
    findings += [*without_leading_verb(paths), *([] if names else undocumented())]
    print("\n".join(findings or ["no findings"]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
