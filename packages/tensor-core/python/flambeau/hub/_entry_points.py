"""What a repository offers: the functions of its ``hubconf.py``."""

from __future__ import annotations

import builtins
import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from ._github import repository

_FOR_PYTORCH = (
    "The repository is a program for PyTorch: run yours by `python -m flambeau.torch`, or call "
    "flambeau.torch.install() first, and flambeau stands for it."
)


def list(
    github: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: bool | str = "check",
    verbose: bool = True,
    source: str = "github",
) -> builtins.list[str]:
    """The names of what a repository offers. Arguments: see `load`."""
    with _hubconf(_folder(github, source, force_reload, trust_repo, verbose, skip_validation)) as module:
        return [name for name in dir(module) if not name.startswith("_") and callable(getattr(module, name))]


def help(
    github: str,
    model: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: bool | str = "check",
    source: str = "github",
) -> str | None:
    """The docstring of what a repository offers under a name. Arguments: see `load`."""
    with _hubconf(_folder(github, source, force_reload, trust_repo, True, skip_validation)) as module:
        return _entry(module, model).__doc__


def load(
    repo_or_dir: str | os.PathLike[str],
    model: str,
    *args: Any,
    source: str = "github",
    trust_repo: bool | str = "check",
    force_reload: bool = False,
    verbose: bool = True,
    skip_validation: bool = False,
    **kwargs: Any,
) -> Any:
    """Call a function of a repository's ``hubconf.py``, which runs the repository's code.

    Args:
        repo_or_dir: ``"owner/name"`` or ``"owner/name:ref"`` on GitHub; with ``source="local"`` a folder.
        model: the function.
        args, kwargs: its arguments.
        source: ``"github"`` or ``"local"``.
        trust_repo: ``"check"`` asks the user before code of someone unknown is fetched, False always, True never.
        force_reload: fetch what is there already.
        verbose: say so where it is there already.
        skip_validation: do not ask GitHub whether ``ref`` belongs to the repository, rather than to a fork of it.
    Returns: what the function returns.
    Raises: RuntimeError if there is no such function or packages are missing that the repository wants; ValueError for
        another source.

    >>> flambeau.hub.load(folder, "double", 21, source="local")
    42
    """
    with _hubconf(_folder(repo_or_dir, source, force_reload, trust_repo, verbose, skip_validation)) as module:
        return _entry(module, model)(*args, **kwargs)


def _folder(
    repo_or_dir: str | os.PathLike[str],
    source: str,
    force_reload: bool,
    trust_repo: bool | str,
    verbose: bool,
    skip_validation: bool,
) -> str:
    if source.lower() not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source.lower() == "local":
        return os.fspath(repo_or_dir)
    return repository(os.fspath(repo_or_dir), force_reload, trust_repo, verbose, skip_validation)


@contextlib.contextmanager
def _hubconf(folder: str) -> Iterator[ModuleType]:
    """The module, beside whose folder its own imports are found."""
    spec = importlib.util.spec_from_file_location("hubconf.py", os.path.join(folder, "hubconf.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
        yield module
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "torch":
            error.add_note(_FOR_PYTORCH)
        raise
    finally:
        sys.path.remove(folder)


def _entry(module: ModuleType, name: str) -> Callable[..., Any]:
    missing = [package for package in getattr(module, "dependencies", ()) if importlib.util.find_spec(package) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    entry = getattr(module, name, None)
    if not callable(entry):
        raise RuntimeError(f"Cannot find callable {name} in hubconf")
    return entry  # type: ignore[no-any-return]
