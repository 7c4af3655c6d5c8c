"""The tuples with named fields that operators with several results return, by the operator's name.

>>> import flambeau
>>> flambeau.sort(flambeau.tensor([3, 1, 2]))
flambeau.return_types.sort(
values=tensor([1, 2, 3]),
indices=tensor([1, 2, 0]))
"""

from flambeau import _core

globals().update(_core._return_types)
__all__ = sorted(_core._return_types)
