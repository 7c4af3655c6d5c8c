"""Write ``_core.pyi``, or with ``--check`` say whether it is what would be written: ``python -m tools.stubs``."""

import argparse
import sys
from pathlib import Path

from .generate import stub

PATH = Path(__file__).resolve().parents[2] / "packages/tensor-core/python/flambeau/_core.pyi"

parser = argparse.ArgumentParser(prog="tools.stubs", description=__doc__)
parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is out of date")
text = stub()
if not parser.parse_args().check:
    PATH.write_text(text)
elif not PATH.exists() or PATH.read_text() != text:
    sys.exit(f"{PATH.name} is out of date: run python -m tools.stubs")
