"""Write the programs of the documentation into a folder: ``python -m tools.documentation FOLDER``."""

import sys
from pathlib import Path

from tools.documentation import named_programs

for name, text in named_programs():
    (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")
