"""Entry points of a repository: the functions in its ``hubconf.py``."""

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
    "The repository imports torch. To run it on flambeau, call flambeau.torch.install() first, or run your program "
    "with `python -m flambeau.torch`."
)


def list(
    github: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: bool | str = "check",
    verbose: bool = True,
    source: str = "github",
) -> builtins.list[str]:
    """Return the names of a repository's entry points. For the arguments, see `load`.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "hubconf.py").write_text("def double(x): return 2 * x")
    ...     fb.hub.list(folder, source="local")
    ['double']
    """
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
    """Return the docstring of an entry point, or None. For the arguments, see `load`.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "hubconf.py").write_text("def double(x): 'Return 2 * x.'; return 2 * x")
    ...     fb.hub.help(folder, "double", source="local")
    'Return 2 * x.'
    """
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
    """Call an entry point of a repository, which is a function in its ``hubconf.py``. This runs code of the repository.

    Args:
        repo_or_dir: ``"owner/name"`` or ``"owner/name:ref"`` on GitHub; a local folder with ``source="local"``.
        model: name of the entry point.
        args, kwargs: arguments of the entry point.
        source: ``"github"`` or ``"local"``.
        trust_repo: ``"check"`` asks the user before code of an unknown owner is downloaded, False always asks, True
            never asks.
        force_reload: if True, download the repository again.
        verbose: if True, print a message when a cached copy is used.
        skip_validation: if False, ask GitHub if ``ref`` belongs to the repository and not to a fork.
    Returns: the return value of the entry point.
    Raises: RuntimeError if the entry point does not exist or a package that the repository requires is missing;
        ValueError for an unknown ``source``.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "hubconf.py").write_text("def double(x): return 2 * x")
    ...     fb.hub.load(folder, "double", 21, source="local")
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
    """Import the ``hubconf.py`` of a folder, with the folder on ``sys.path`` during the block."""
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
