"""Names for distributed checkpoints in safetensors files, which raise an error when used."""

from .._missing import unavailable_names
from ._reason import REASON

_CLASSES = ("HuggingFaceStorageReader", "HuggingFaceStorageWriter")
globals().update(unavailable_names(__name__, REASON, classes=_CLASSES))

__all__ = [*_CLASSES]
