"""Operators written in Python, with one module for each family. Importing a module registers its operators."""

import importlib
import pkgutil

for _family in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_family.name}")
