"""Models and weights that others publish: files by their address, and repositories with a ``hubconf.py``.

What is fetched stays in PyTorch's folder (`get_dir`), under the names that PyTorch gives it: neither fetches again what
the other has. The repositories are programs for PyTorch: load them in one that `flambeau.torch` runs.
"""

from ._entry_points import help, list, load
from ._files import HASH_REGEX, download_url_to_file, load_state_dict_from_url, urlparse
from ._folder import _get_torch_home as _get_torch_home  # which libraries of models call
from ._folder import get_dir, set_dir

__all__ = [
    "HASH_REGEX",
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "set_dir",
    "urlparse",  # which libraries of models import from here
]
