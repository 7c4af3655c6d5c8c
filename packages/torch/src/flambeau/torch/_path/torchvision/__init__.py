"""Package that installs the import hook in child processes of a program in which flambeau is ``torch``."""

import importlib
import sys

from flambeau.torch import install

del sys.modules[__name__]  # the import below then uses the hook
install()
importlib.import_module(__name__)
