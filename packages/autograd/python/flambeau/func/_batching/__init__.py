"""Batching rules of operators for vmap. Each module registers the rules of one family when it is imported."""

import importlib
import pkgutil

for _family in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_family.name}")
