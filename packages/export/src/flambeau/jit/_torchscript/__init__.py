"""TorchScript: programs from PyTorch's ``torch.jit.save``, run on flambeau's operators.

Note [TorchScript]: an archive holds the source of classes and functions in ``code/``, which is a subset of Python, and
the objects in ``data.pkl`` and ``constants.pkl``. Both may come from an untrusted author. `_source` parses the source
and builds a new syntax tree from the few constructs of TorchScript. Every name in that tree is a local variable or a
helper of `_operators` and `_objects`; the names of helpers are not valid identifiers, so no source can use them. The
pickles are read by the interpreter of `flambeau.load`, which `_pickles` extends with the archive's own classes.
Attributes are looked up in the declarations of the archive's classes, never in Python objects.
"""
