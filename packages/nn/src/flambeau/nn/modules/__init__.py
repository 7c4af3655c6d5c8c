"""The layers, one family a module, under the names PyTorch has for them.

`flambeau.nn` lists what is public; whoever needs a base class such as ``batchnorm._BatchNorm`` finds it here.
"""

from typing import Any

from flambeau import _public_names


def __getattr__(name: str) -> Any:
    import flambeau.nn

    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(flambeau.nn, name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals())
