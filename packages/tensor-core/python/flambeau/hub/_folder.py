"""The folder in which downloaded files are cached."""

from __future__ import annotations

import os

_selected_dir: list[str] = []  # the folder that set_dir selected, if any


def _get_torch_home() -> str:
    """Return ``$TORCH_HOME``, or the folder ``torch`` in ``$XDG_CACHE_HOME`` (default: ``~/.cache``)."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return os.path.expanduser(os.environ.get("TORCH_HOME") or os.path.join(cache, "torch"))


def get_dir() -> str:
    """Return the cache folder: the folder that `set_dir` selected, or ``$TORCH_HOME/hub``.

    ``TORCH_HOME`` defaults to ``~/.cache/torch``.

    >>> flambeau.hub.get_dir().endswith("hub")
    True
    """
    return _selected_dir[-1] if _selected_dir else os.path.join(_get_torch_home(), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Set the cache folder for this process.

    >>> former = fb.hub.get_dir()
    >>> fb.hub.set_dir("/data/hub")
    >>> fb.hub.get_dir()
    '/data/hub'
    >>> fb.hub.set_dir(former)
    """
    _selected_dir[:] = [os.path.expanduser(d)]
