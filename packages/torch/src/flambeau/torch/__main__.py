"""``python -m flambeau.torch script.py [arguments]``: run a program written for PyTorch on flambeau.

In place of the script, ``-m module`` and ``-c "statements"`` run a module or source text, as with ``python``. Python
processes that the program starts also import flambeau as ``torch``: ``python -m flambeau.torch -m pip install
--no-build-isolation .`` builds a C++ extension that was written for PyTorch.
"""

import argparse
import io
import os
import runpy
import sys
import traceback
import zipfile
from pathlib import Path
from types import ModuleType

from flambeau import Tensor
from flambeau.torch import _finder, _missing, install


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Split the command line into flambeau's options, and the program with its arguments."""
    for position, argument in enumerate(argv):
        if argument in ("-m", "-c") or not argument.startswith("-"):
            return argv[:position], argv[position:]
    return argv, []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flambeau.torch",
        usage="%(prog)s [--report] (script.py | -m module | -c statements) [arguments ...] | %(prog)s --path",
        description="Run a program written for PyTorch: torch and torchvision resolve to flambeau.",
    )
    report = "list the missing names that the program used"
    parser.add_argument("--report", action="store_true", help=report)
    path = "print the folder to add to PYTHONPATH, so that every Python process can import torch"
    parser.add_argument("--path", action="store_true", help=path)
    return parser


def _run(program: list[str]) -> None:
    """Run ``script arguments...``, ``-m module arguments...`` or ``-c text arguments...`` as ``python`` does."""
    if program[0] == "-m":
        sys.argv = program[1:]
        sys.path[0] = str(Path.cwd())
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    elif program[0] == "-c":
        sys.argv = ["-c", *program[2:]]
        sys.path[0] = ""
        main_module = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(program[1], "<string>", "exec"), vars(main_module))
    else:
        sys.argv = program
        sys.path[0] = str(Path(program[0]).resolve().parent)
        _run_script(program[0])


def _run_script(path: str) -> None:
    """Run a file of source text as ``__main__``, named by its absolute path, or a directory, archive or ``.pyc`` file.

    Like ``python``, leave ``sys.argv[0]`` as given: ``inspect.getsource`` and tracebacks find the source text in a
    program that calls ``os.chdir``. ``runpy.run_path`` names the code by the path in ``sys.argv[0]``.
    """
    if not Path(path).is_file() or zipfile.is_zipfile(path) or path.endswith(".pyc"):
        runpy.run_path(path, run_name="__main__")
        return
    absolute = str(Path(path).absolute())
    with io.open_code(absolute) as file:
        code = compile(file.read(), absolute, "exec", dont_inherit=True)
    main_module = sys.modules["__main__"] = ModuleType("__main__")
    main_module.__file__ = absolute
    exec(code, vars(main_module))


def _let_children_import() -> None:
    """Set PYTHONPATH so that Python child processes import flambeau as ``torch``."""
    former = os.environ.get("PYTHONPATH")
    if _finder.PATH not in (former or "").split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join([_finder.PATH, *([former] if former else [])])


def _print_report() -> None:
    names = _missing.missing()
    print("flambeau has every name that the program used." if not names else "Missing in flambeau:", file=sys.stderr)
    for entry in names:
        nearest = f" (similar: {', '.join(entry.nearest)})" if entry.nearest else ""
        print(f"  {entry.name}  {entry.location}{nearest}", file=sys.stderr)


def main() -> None:
    """Run a program with flambeau as ``torch``. If it fails for lack of a Tensor attribute, record the name."""
    own, program = _split(sys.argv[1:])
    parser = _parser()
    arguments = parser.parse_args(own)
    if arguments.path:
        print(_finder.PATH)
        return
    if not program or program in (["-m"], ["-c"]):
        parser.error("expected a program to run: a script, -m and a module, or -c and statements")
    install()
    _let_children_import()
    try:
        _run(program)
    except AttributeError as error:
        if isinstance(error.obj, Tensor) and error.name:
            innermost = traceback.extract_tb(error.__traceback__)[-1]
            _missing.record_missing(Tensor, "torch.Tensor", error.name, f"{innermost.filename}:{innermost.lineno}")
        raise
    finally:
        if arguments.report:
            _print_report()


if __name__ == "__main__":
    main()
