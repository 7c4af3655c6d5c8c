"""Former name of `flambeau.distributed.run`."""

from .run import main

__all__ = ["main"]

if __name__ == "__main__":
    import sys

    sys.exit(main())
