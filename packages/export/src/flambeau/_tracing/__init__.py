"""The tracer that `flambeau.jit`, `flambeau.export`, `flambeau.onnx` and the flop counter share.

`_calls` intercepts calls of operators and determines their names, `_recorder` records them as a list,
`_decompositions` decomposes operators into others, and `_numbers` traces the origin of sizes.
"""
