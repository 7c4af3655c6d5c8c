"""The compiler behind `flambeau.compile`.

Note [Compilation]
A call of a compiled function either runs a captured program or the function itself:

1. `capture` runs the function once for the arguments of the call and records its operators as a program
   (Note [Tracing]). The function's own run gives the result of that call.
2. The program's operators are fused when it is parsed (Note [Fusion] in tensor-core).
3. `guards` writes down what the function depended on besides tensors: arguments, attributes, globals, closures, modes.
   A later call runs the program if all of that is unchanged, and captures again if not.

Sizes are values of the program, so a program serves all batch sizes. If the function branches on a size, the program
contains a requirement, and a call with another outcome captures again.

A function runs uncompiled if a program cannot represent it: Python reads an element of a tensor, the function changes
Python objects, calls `print` or draws Python's random numbers. `flambeau.compiler.explain` gives the reason and the
line, and ``fullgraph=True`` raises it.
"""

from __future__ import annotations

from ._function import CompiledFunction, CompiledModule, reset
from ._logs import UnsupportedError

__all__ = ["CompiledFunction", "CompiledModule", "UnsupportedError", "reset"]
