"""Access to the storage of a tensor."""

from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator
from flambeau._storage_types import STORAGE_NAMES, STORAGE_TYPES, cuda_storage_type
from flambeau.storage import TypedStorage, UntypedStorage


@operator(function=False, method=True)
def untyped_storage(input: Tensor) -> UntypedStorage:
    """Return the storage that the tensor shares with its views.

    >>> fb.tensor([1.0, 2.0]).untyped_storage().nbytes()
    8
    """
    return UntypedStorage(_core._storage_bytes(input))


@operator(function=False, method=True)
def storage_type(input: Tensor) -> Any:
    """Return the class of ``storage()`` by its older name, such as ``FloatStorage``.

    >>> import flambeau
    >>> flambeau.ones(2).storage_type() is flambeau.FloatStorage
    True
    """
    name = STORAGE_NAMES.get(input.dtype)
    if name is None:
        return TypedStorage
    return cuda_storage_type(name) if input.is_cuda else STORAGE_TYPES[name]


@operator(function=False, method=True)
def storage(input: Tensor) -> TypedStorage:
    """Return the storage that the tensor shares with its views, typed with the tensor's dtype.

    >>> fb.tensor([1.0, 2.0]).storage().tolist()
    [1.0, 2.0]
    """
    return TypedStorage(wrap_storage=untyped_storage(input), dtype=input.dtype)
