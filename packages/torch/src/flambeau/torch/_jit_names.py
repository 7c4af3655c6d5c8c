"""Module ``torch._jit_internal``: names of `flambeau.jit`, and names of ``typing`` that programs import from it."""

import typing
from typing import Any

from flambeau import jit

Dict, List, Tuple = typing.Dict, typing.List, typing.Tuple  # noqa: UP006
Final, Optional, Union = typing.Final, typing.Optional, typing.Union


def __getattr__(name: str) -> Any:
    return getattr(jit, name)
