"""The block of memory that a tensor and its views share, as an object."""

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


class UntypedStorage:
    """The bytes of a tensor's memory. ``tensor.set_(storage, offset, size, stride)`` makes a tensor show them.

    >>> flambeau.zeros(2, 3)[0].untyped_storage().nbytes()
    24
    """

    def __init__(self, data: Tensor) -> None:
        self._bytes = data

    def nbytes(self) -> int:
        """How many bytes there are."""
        return self._bytes.numel()

    size = __len__ = nbytes

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._bytes.data_ptr()

    def tolist(self) -> list[int]:
        """The bytes, as a list of integers."""
        return self._bytes.tolist()  # type: ignore[no-any-return]

    def __getitem__(self, index: int) -> int:
        return int(self._bytes[index])

    def __setitem__(self, index: int, value: int) -> None:
        self._bytes[index] = value

    @property
    def device(self) -> object:
        """Where the memory is."""
        return self._bytes.device

    def __repr__(self) -> str:
        return f"flambeau.UntypedStorage(device={self.device}) of size {self.nbytes()}"


@operator(function=False, method=True)
def untyped_storage(input: Tensor) -> UntypedStorage:
    """The memory that the tensor and its views share."""
    return UntypedStorage(_core._storage_bytes(input))
