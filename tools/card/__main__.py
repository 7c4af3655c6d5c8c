"""``python -m tools.card --output DIR`` from the top of the repository."""

import signal
import sys

from .command_line import main

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the steps end as well
    sys.exit(main())
