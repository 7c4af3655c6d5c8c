"""Published models and weights: files by URL, and GitHub repositories with a ``hubconf.py``.

Downloads are cached in PyTorch's folder (`get_dir`) under PyTorch's file names, so both libraries share the cache. The
repositories contain programs for PyTorch: load them in a program that runs with `flambeau.torch`.
"""

from ._entry_points import help, list, load
from ._files import HASH_REGEX, download_url_to_file, load_state_dict_from_url, urlparse
from ._folder import (
    _get_torch_home as _get_torch_home,  # used by model libraries
    get_dir,
    set_dir,
)

__all__ = [
    "HASH_REGEX",
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "set_dir",
    "urlparse",  # model libraries import it from here
]


def __getattr__(name: str) -> object:
    if name == "tqdm":  # libraries import the progress bar from here
        try:
            from tqdm import tqdm
        except ModuleNotFoundError as error:
            raise AttributeError(f"module {__name__!r} has no attribute 'tqdm': install tqdm", name=name) from error
        return tqdm
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
