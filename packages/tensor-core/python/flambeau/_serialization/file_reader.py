"""Access to the records of a ``.pt`` file, for programs that interpret such files themselves."""

from __future__ import annotations

import os
import weakref
from typing import IO

import flambeau
from flambeau import Tensor
from flambeau._serialization.archive_reader import ArchiveReader

__all__ = ["PyTorchFileReader"]


class PyTorchFileReader:
    """Reader of the records in a file that ``save`` wrote in PyTorch's format: its pickle and its tensor data.

    >>> import io
    >>> file = io.BytesIO()
    >>> flambeau.save([flambeau.tensor([1.0, 2.0])], file)
    >>> reader = PyTorchFileReader(file)
    >>> reader.has_record("data.pkl"), reader.get_storage_from_record("data/0", 2, flambeau.float32)
    (True, tensor([1., 2.]))
    """

    def __init__(self, name_or_buffer: str | os.PathLike[str] | IO[bytes]) -> None:
        if isinstance(name_or_buffer, str | os.PathLike):
            name_or_buffer = open(name_or_buffer, "rb")  # noqa: SIM115, closed with the reader
            weakref.finalize(self, name_or_buffer.close)
        self._archive = ArchiveReader(name_or_buffer, mapped=False)

    def get_record(self, name: str) -> bytes:
        """Return the bytes of a record, such as ``"data.pkl"``."""
        return self._archive.read(name)

    def has_record(self, name: str) -> bool:
        """Return True if the file has a record of this name."""
        return self._archive.has(name)

    def get_all_records(self) -> list[str]:
        """Return the names of all records."""
        return self._archive.names()

    def get_storage_from_record(self, name: str, numel: int, dtype: flambeau.dtype) -> Tensor:
        """Return the elements of a record as a tensor of shape ``(numel,)``."""
        storage = self._archive.storage(name, numel * dtype.itemsize)
        return flambeau.empty(0, dtype=dtype).set_(storage, 0, (numel,), (1,))
