"""``python -m flambeau`` prints the version and the environment; ``--version`` prints the version alone."""

import argparse

import flambeau
from flambeau.utils.collect_env import get_pretty_env_info


def main() -> None:
    """Print the version, or the version and the environment."""
    parser = argparse.ArgumentParser(prog="python -m flambeau", description="Print flambeau's version and environment.")
    parser.add_argument("--version", action="store_true", help="print only the version")
    print(flambeau.__version__ if parser.parse_args().version else get_pretty_env_info().rstrip())


if __name__ == "__main__":
    main()
