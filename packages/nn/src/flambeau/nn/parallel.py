"""Running a module on several devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .modules.module import Module


class DataParallel(Module):
    """A module that splits its batches over devices. Here there is one, so it passes everything on to ``module``.

    The ``state_dict()`` has the keys that it has on many devices: each behind ``module.``.

    Raises: NotImplementedError for more than one of ``device_ids``.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        if device_ids is not None and len(device_ids) > 1:
            raise NotImplementedError(f"DataParallel: batches are not split over several devices, got {device_ids}")
        self.module = module
        self.device_ids = [] if device_ids is None else list(device_ids)
        self.output_device = output_device
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
