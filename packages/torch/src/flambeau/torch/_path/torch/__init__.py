"""Found on sys.path by a process that another one, in which flambeau stands for PyTorch, has started."""

import importlib
import sys

from flambeau.torch import install

del sys.modules[__name__]  # to make place for the module the hook gives
install()
importlib.import_module(__name__)
