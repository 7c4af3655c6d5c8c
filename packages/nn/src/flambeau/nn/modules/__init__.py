"""The layers, one family a module, under the names PyTorch has for them.

`flambeau.nn` lists what is public; whoever needs a base class such as ``batchnorm._BatchNorm`` finds it here.
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
