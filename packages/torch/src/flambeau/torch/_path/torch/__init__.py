"""Package that installs the import hook in child processes of a program that runs on flambeau as ``torch``."""

import importlib
import sys

from flambeau.torch import install

del sys.modules[__name__]  # so that the import below uses the hook
install()
importlib.import_module(__name__)
