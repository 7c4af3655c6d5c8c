"""Reading of single tensors, or parts of them, from a safetensors file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import flambeau

from . import safetensors
from .errors import add_file_name

if TYPE_CHECKING:
    from flambeau import Tensor


class safe_open:
    """Reader of a safetensors file that loads tensors individually.

    The file is memory-mapped: a tensor's pages are read on first access, and a write changes a private copy. Tensors
    stay valid after the context ends.

    Args:
        filename: path of the file.
        framework: accepted for compatibility with the safetensors package. Tensors are always flambeau tensors.
        device: device of the tensors.
    Raises: RuntimeError with the name of the file and the cause if it is damaged; FileNotFoundError.

    >>> flambeau.save({"a": flambeau.arange(6).reshape(2, 3), "b": flambeau.ones(1)}, path, format="safetensors")
    >>> with flambeau.serialization.safe_open(path) as file:
    ...     print(file.keys(), file.get_slice("a").get_shape())
    ...     print(file.get_slice("a")[:, 1])
    ['a', 'b'] [2, 3]
    tensor([1, 4])
    """

    def __init__(self, filename: str | os.PathLike[str], framework: str = "pt", device: Any = "cpu") -> None:
        self._device = flambeau.device(device)
        with add_file_name(filename), open(filename, "rb") as file:
            self._contents = safetensors.Contents(file, mapped=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def keys(self) -> list[str]:
        """Return the names of the tensors, in the order of the file's header."""
        return list(self._contents.entries)

    def offset_keys(self) -> list[str]:
        """Return the names of the tensors, in the order of their elements in the file."""
        return [entry.name for entry in self._contents.in_file()]

    def metadata(self) -> dict[str, str] | None:
        """Return the file's metadata, or None if the file has no metadata."""
        return self._contents.metadata or None

    def get_tensor(self, name: str) -> Tensor:
        """Return the tensor ``name``. Raise KeyError if it does not exist."""
        return self._contents.tensor(self._known(name)).to(self._device)

    def get_slice(self, name: str) -> Slice:
        """Return an object that reads parts of the tensor ``name`` by indexing. Raise KeyError if it does not exist."""
        return Slice(self._contents, self._known(name), self._device)

    def _known(self, name: str) -> str:
        if name not in self._contents.entries:
            raise KeyError(f"the file has no tensor {name!r}; it has {self.keys()}")
        return name


class Slice:
    """Tensor in a file. Indexing reads only the requested part."""

    def __init__(self, contents: safetensors.Contents, name: str, device: Any) -> None:
        self._contents = contents
        self._entry = contents.entries[name]
        self._device = device

    def get_shape(self) -> list[int]:
        """Return the shape of the tensor."""
        return list(self._entry.shape)

    def get_dtype(self) -> str:
        """Return the dtype code of the format, such as ``"F32"``."""
        return safetensors.CODES[self._entry.dtype.name]

    def __getitem__(self, index: Any) -> Tensor:
        part: Tensor = self._contents.tensor(self._entry.name)[index]
        return part.to(self._device)
