"""The tracer that `flambeau.jit`, `flambeau.export`, `flambeau.onnx` and the flop counter share.

`_calls` sees the calls of operators and gives them their names, `_recorder` records them as a list, `_decompositions`
holds operators that are made of others, and `_numbers` the sizes that remember where they come from.
"""
