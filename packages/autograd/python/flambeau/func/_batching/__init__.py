"""How operators work on a batch of tensors: a rule for each family, registered when its module is imported."""

import importlib
import pkgutil

for _family in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_family.name}")
