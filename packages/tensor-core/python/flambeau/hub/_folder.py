"""Where fetched files are kept."""

from __future__ import annotations

import os

_chosen: list[str] = []  # by set_dir, the last


def _get_torch_home() -> str:
    """``$TORCH_HOME``, or ``~/.cache/torch`` where that is not set."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return os.path.expanduser(os.environ.get("TORCH_HOME") or os.path.join(cache, "torch"))


def get_dir() -> str:
    """The folder of what is fetched: ``$TORCH_HOME/hub``, where ``TORCH_HOME`` is ``~/.cache/torch`` if it is not set.

    >>> flambeau.hub.get_dir().endswith("hub")
    True
    """
    return _chosen[-1] if _chosen else os.path.join(_get_torch_home(), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Chooses the folder for this process."""
    _chosen[:] = [os.path.expanduser(d)]
