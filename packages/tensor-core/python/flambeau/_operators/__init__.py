"""The operators written in Python, a module for each family; importing one puts its operators into the registry."""

import importlib
import pkgutil

for _, _family, _ in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_family}")
