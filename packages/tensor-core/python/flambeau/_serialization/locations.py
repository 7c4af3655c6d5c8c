"""Mapping from the devices in a file to the devices of the loaded tensors."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.storage import UntypedStorage

from .errors import FormatError

_NO_SUCH_DEVICE = (
    "it holds tensors on the device '{location}', which is not available{why}; "
    "load it with map_location='cpu', or map_location={{{location!r}: 'cpu'}}"
)
_NO_GPU = "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False: "


class Locations:
    """Placement of storages according to the argument ``map_location`` of `load`."""

    def __init__(self, map_location: Any) -> None:
        if map_location is not None and not callable(map_location) and not isinstance(map_location, dict):
            map_location = flambeau.device(map_location)
        self.map_location = map_location

    def device(self, location: str) -> flambeau.device | None:
        """Return the target device of storages at ``location``, or None if a function decides."""
        target = self.map_location
        if target is None:
            return self._available_device(location)
        if isinstance(target, dict):
            return self._available_device(str(target.get(location, location)))
        return self._available_device(str(target)) if isinstance(target, flambeau.device) else None

    def _available_device(self, location: str) -> flambeau.device:
        try:
            device = flambeau.device(location)
        except RuntimeError as error:
            raise FormatError(f"it holds tensors on an unknown device: {error}") from None
        if device.type not in ("cpu", "cuda", "meta"):
            raise FormatError(_NO_SUCH_DEVICE.format(location=location, why=""))
        if device.type == "cuda" and not (device.index or 0) < flambeau.cuda.device_count():
            obstacle = flambeau._core._cuda_obstacle()
            why = f" ({obstacle})" if obstacle else ""
            reason = "" if flambeau.cuda.is_available() else _NO_GPU
            raise FormatError(reason + _NO_SUCH_DEVICE.format(location=location, why=why))
        return device

    def on_meta(self, location: str) -> bool:
        """Return True if storages at ``location`` go to the meta device, so that their elements need not be read."""
        device = self.device(location)
        return device is not None and device.type == "meta"

    def place(self, storage: UntypedStorage, location: str) -> UntypedStorage:
        """Return a storage that was read to the CPU, moved to the target device of storages at ``location``."""
        device = self.device(location)
        if device is not None:
            return storage.to(device=device)
        placed = self.map_location(storage, location)
        if placed is None:
            return storage.to(device=self._available_device(location))
        placed = placed.untyped() if hasattr(placed, "untyped") else placed
        if not isinstance(placed, UntypedStorage):
            raise TypeError(f"map_location must return a storage or None, got {type(placed).__name__}")
        return placed

    def place_tensor(self, tensor: Tensor) -> Tensor:
        """Move a CPU tensor that does not share its memory to its target device."""
        if self.on_meta("cpu"):
            return tensor.to("meta")
        storage = tensor.untyped_storage()
        placed = self.place(storage, "cpu")
        if placed is storage:
            return tensor
        return flambeau.empty(0, dtype=tensor.dtype).set_(placed, 0, tensor.shape)
