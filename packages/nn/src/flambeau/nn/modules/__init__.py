"""The layers, one submodule for each family, under PyTorch's names.

`flambeau.nn` lists the public names. Import base classes such as ``batchnorm._BatchNorm`` from here.
"""

from typing import Any

from flambeau import _public_names, _suggestions


def __getattr__(name: str) -> Any:
    import flambeau.nn

    if name.startswith("__"):
        raise _suggestions.unknown_attribute(__name__, name)
    return getattr(flambeau.nn, name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals())
