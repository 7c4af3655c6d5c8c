"""Older names of functions in `flambeau.hub`."""

from flambeau import hub
from flambeau.hub import load_state_dict_from_url as load_url

__all__ = ["load_url"]


def __getattr__(name: str) -> object:
    if name == "tqdm":  # libraries import the progress bar from here
        return hub.tqdm
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
