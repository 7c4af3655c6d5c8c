"""``python -m flambeau.torch script.py [arguments]``: run a program written for PyTorch on flambeau."""

import argparse
import runpy
import sys
import traceback
from pathlib import Path

from flambeau import Tensor
from flambeau.torch import _missing, install


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Our own options, and the program with its arguments."""
    for position, argument in enumerate(argv):
        if argument == "-m" or not argument.startswith("-"):
            return argv[:position], argv[position:]
    return argv, []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flambeau.torch",
        usage="%(prog)s [--report] (script.py | -m module) [arguments ...]",
        description="Run a program written for PyTorch: torch and torchvision resolve to flambeau.",
    )
    report = "print the names the program asked for and did not find"
    parser.add_argument("--report", action="store_true", help=report)
    return parser


def _run(program: list[str]) -> None:
    """Run ``script arguments...`` or ``-m module arguments...`` as Python itself would."""
    if program[0] == "-m":
        sys.argv = program[1:]
        sys.path[0] = str(Path.cwd())
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = program
        sys.path[0] = str(Path(program[0]).resolve().parent)
        runpy.run_path(program[0], run_name="__main__")


def _print_report() -> None:
    found = _missing.missing()
    print("flambeau has every name the program asked for." if not found else "Missing in flambeau:", file=sys.stderr)
    for entry in found:
        nearest = f" (nearest: {', '.join(entry.nearest)})" if entry.nearest else ""
        print(f"  {entry.name}  {entry.place}{nearest}", file=sys.stderr)


def main() -> None:
    own, program = _split(sys.argv[1:])
    parser = _parser()
    arguments = parser.parse_args(own)
    if not program or program == ["-m"]:
        parser.error("name the program to run: a script, or -m and a module")
    install()
    try:
        _run(program)
    except AttributeError as error:
        if isinstance(error.obj, Tensor) and error.name:
            innermost = traceback.extract_tb(error.__traceback__)[-1]
            _missing.remember(Tensor, "torch.Tensor", error.name, f"{innermost.filename}:{innermost.lineno}")
        raise
    finally:
        if arguments.report:
            _print_report()


if __name__ == "__main__":
    main()
