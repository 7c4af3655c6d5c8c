"""Make the modules in this folder importable, because several tests share them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
