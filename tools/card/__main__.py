"""``python -m tools.card --output DIR`` from the top of the repository."""

import signal
import sys

from .command_line import main

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM raises KeyboardInterrupt, which ends the steps
    sys.exit(main())
