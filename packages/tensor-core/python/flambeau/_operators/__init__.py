"""The operators written in Python, a module for each family; importing one puts its operators into the registry."""

import importlib
import pkgutil

for _family in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_family.name}")
