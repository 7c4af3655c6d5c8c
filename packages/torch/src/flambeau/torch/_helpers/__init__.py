"""Names that programs import from modules of PyTorch, and that flambeau's modules of the same name do not have.

Most are private helpers. The module `nn_functional` of this package has those of ``torch.nn.functional``, and so on.
flambeau's own modules do not use them.
"""

import importlib
import importlib.util
from typing import Any


def find(path: str, name: str) -> Any:
    """Return the helper ``name`` of PyTorch's module ``path``.

    Raises: AttributeError if this package does not have the helper.

    >>> find("torch.distributions.utils", "_Number")
    (<class 'int'>, <class 'float'>, <class 'bool'>)
    """
    module = f"{__name__}.{path.removeprefix('torch.').replace('.', '_')}"
    if importlib.util.find_spec(module) is None:
        raise AttributeError(name)
    return getattr(importlib.import_module(module), name)
