"""Methods that convert a storage's elements to another dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flambeau import _core

if TYPE_CHECKING:
    from flambeau.storage import TypedStorage


class StorageCasts:
    """Base class of `TypedStorage` with methods that convert the elements. Tensor has methods of the same names."""

    if TYPE_CHECKING:

        def _cast(self, dtype: Any) -> TypedStorage: ...

    def double(self) -> TypedStorage:
        """Return the elements as float64, or the storage itself if it has this dtype."""
        return self._cast(_core.float64)

    def float(self) -> TypedStorage:
        """Return the elements as float32, or the storage itself if it has this dtype."""
        return self._cast(_core.float32)

    def half(self) -> TypedStorage:
        """Return the elements as float16, or the storage itself if it has this dtype."""
        return self._cast(_core.float16)

    def bfloat16(self) -> TypedStorage:
        """Return the elements as bfloat16, or the storage itself if it has this dtype."""
        return self._cast(_core.bfloat16)

    def long(self) -> TypedStorage:
        """Return the elements as int64, or the storage itself if it has this dtype."""
        return self._cast(_core.int64)

    def int(self) -> TypedStorage:
        """Return the elements as int32, or the storage itself if it has this dtype."""
        return self._cast(_core.int32)

    def short(self) -> TypedStorage:
        """Return the elements as int16, or the storage itself if it has this dtype."""
        return self._cast(_core.int16)

    def char(self) -> TypedStorage:
        """Return the elements as int8, or the storage itself if it has this dtype."""
        return self._cast(_core.int8)

    def byte(self) -> TypedStorage:
        """Return the elements as uint8, or the storage itself if it has this dtype."""
        return self._cast(_core.uint8)

    def bool(self) -> TypedStorage:
        """Return the elements as bool, or the storage itself if it has this dtype."""
        return self._cast(_core.bool)

    def complex_double(self) -> TypedStorage:
        """Return the elements as complex128, or the storage itself if it has this dtype."""
        return self._cast(_core.complex128)

    def complex_float(self) -> TypedStorage:
        """Return the elements as complex64, or the storage itself if it has this dtype."""
        return self._cast(_core.complex64)
