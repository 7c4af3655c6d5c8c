"""Write the stubs and the headers of operators, or with ``--check`` fail if a file is out of date.

Run as ``python -m tools.stubs``.
"""

import argparse
import sys
from pathlib import Path

from .aten import headers
from .generate import stub, stub_of_names_on_first_use, stub_of_special

FOLDER = Path(__file__).resolve().parents[2] / "packages/tensor-core/python/flambeau"

parser = argparse.ArgumentParser(prog="tools.stubs", description=__doc__)
parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
check = parser.parse_args().check
files = {
    FOLDER / "_core.pyi": stub(),
    FOLDER / "_on_first_use.pyi": stub_of_names_on_first_use(),
    FOLDER / "special.pyi": stub_of_special(),
    **headers(),
}
for path, text in files.items():
    if not check:
        path.write_text(text)
    elif not path.exists() or path.read_text() != text:
        sys.exit(f"{path.name} is out of date: run python -m tools.stubs")
