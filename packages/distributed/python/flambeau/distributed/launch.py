"""The same as `flambeau.distributed.run`, under its older name."""

from .run import main

__all__ = ["main"]

if __name__ == "__main__":
    import sys

    sys.exit(main())
