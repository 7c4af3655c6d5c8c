"""Examples of the operators that are written in C++.

Note [Examples]
The docstring of a C++ operator gets its example from the file of its family in this folder: `basic.txt` has the
examples of the pointwise operators in `pointwise/basic.def`, and `arrangement.txt` has the examples of the operators in
`src/operators/arrangement`. The record of an operator can also contain an example. A row of the operator table cannot,
because a changed row of a common family recompiles most of the library. The files are read when a program asks for
`__doc__`, so they change neither the import time nor the size of the native library. Each block of a file starts with
the names of the operators that share an example. A name includes the module inside flambeau (`_core` if another package
publishes the operator). The example follows:

    neg, negative
    >>> fb.neg(fb.tensor([-1.0, 2.5]))
    tensor([ 1.0000, -2.5000])

The expected results come from PyTorch, under which the examples run with its name in place of `fb`.
"""

from functools import cache
from importlib import resources


@cache
def examples() -> dict[str, str]:
    """Return the example of each operator by its name, such as ``"neg"`` or ``"linalg.det"``."""
    texts: dict[str, str] = {}
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(".txt"):
            for block in file.read_text(encoding="utf-8").strip().split("\n\n"):
                names, _, text = block.partition("\n")
                texts |= dict.fromkeys(names.split(", "), text)
    return texts


def with_example(name: str, doc: str) -> str:
    """Return the docstring of an operator with its example, if any. The native module calls this function."""
    example = examples().get(name.removeprefix("flambeau."))
    return f"{doc}\n\n{example}" if example else doc
