"""Programs that PyTorch's ``torch.jit.save`` writes, run on flambeau's operators.

Note [TorchScript]: An archive holds the source of classes and functions in ``code/``, which is a subset of Python, and
the objects in ``data.pkl`` and ``constants.pkl``. Both may come from an untrusted writer. `_source` parses the source
and builds a new syntax tree from the few constructs that TorchScript has; every name in that tree is a local variable
or one of the helpers of `_operators` and `_objects`, whose names no source can spell. The pickles are run by the
machine that `flambeau.load` uses, which `_pickles` extends by the archive's own classes. Attributes are looked up in
what a class of the archive declares, never in Python's objects.
"""
