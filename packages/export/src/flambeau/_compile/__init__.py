"""The compiler behind `flambeau.compile`.

Note [Compilation]
A call of a compiled function either runs a captured program or the function itself:

1. `capture` runs the function once for the arguments of the call and records its operators as a program
   (Note [Tracing]). The function's own run gives the result of that call.
2. The program's operators are fused when it is parsed (Note [Fusion] in tensor-core).
3. `guards` records what the function depended on besides tensors: arguments, attributes, globals, closures, modes,
   as far as the code that ran can reach them. A later call runs the program if none of them has changed. Otherwise it
   captures another program.

Sizes are values of the program, so a program serves all batch sizes. If the function branches on a size, the program
contains a requirement on the outcome, and a call with another outcome captures another program.

Where Python reads an element of a tensor or calls ``print`` or a disabled function, the program is divided into
segments (Note [Segments]). A function that changes Python objects or draws random numbers from Python's generator runs
uncompiled, and the modules that it calls are compiled one by one (Note [Children]). `flambeau.compiler.explain` reports
the reasons and the source lines. With ``fullgraph=True``, the call raises an error with the reason instead.
"""

from __future__ import annotations

from ._function import CompiledFunction, CompiledModule, reset
from ._logs import UnsupportedError

__all__ = ["CompiledFunction", "CompiledModule", "UnsupportedError", "reset"]
