"""``python -m tools.benchmarks`` from the top of the repository."""

import sys

from .command_line import main

if __name__ == "__main__":
    sys.exit(main())
