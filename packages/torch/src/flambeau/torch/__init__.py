"""Programs written for PyTorch run on flambeau, unchanged.

On the command line, run ``python -m flambeau.torch script.py [arguments]``. In a notebook, run the following lines
before ``torch`` is imported:

    import flambeau.torch
    flambeau.torch.install()

Then ``torch``, ``torchvision`` and their submodules are flambeau's modules in this process, whether PyTorch is
installed or not: ``torch.nn is flambeau.nn``. They have PyTorch's names until ``uninstall()``. A name of
PyTorch that flambeau lacks raises NotImplementedError when it is used. A name that PyTorch also lacks raises
AttributeError (ImportError in an import statement), whose message suggests similar names. ``missing()`` lists the names
of both types that the program has used.
"""

from flambeau.torch._finder import install, uninstall
from flambeau.torch._missing import Missing, missing

__all__ = ["Missing", "install", "missing", "uninstall"]
