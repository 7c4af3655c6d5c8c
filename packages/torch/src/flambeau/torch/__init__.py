"""Programs written for PyTorch run on flambeau, unchanged.

On the command line ``python -m flambeau.torch script.py [arguments]``; in a notebook, before ``torch`` is imported,

    import flambeau.torch
    flambeau.torch.install()

From then on ``torch``, ``torchvision`` and everything below them are flambeau's modules in this process, whether
PyTorch is installed or not: ``torch.nn is flambeau.nn``. What flambeau lacks raises an AttributeError (an ImportError
where it was to be imported) that names the nearest there is; ``missing()`` lists what was asked for in vain.
"""

from flambeau.torch._finder import install, uninstall
from flambeau.torch._missing import Missing, missing

__all__ = ["Missing", "install", "missing", "uninstall"]
