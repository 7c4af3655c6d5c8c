"""Names for distributed checkpoints in safetensors files, which raise an error when used."""

from .._missing import stand_ins
from ._sentence import SENTENCE

_CLASSES = ("HuggingFaceStorageReader", "HuggingFaceStorageWriter")
globals().update(stand_ins(__name__, SENTENCE, classes=_CLASSES))

__all__ = [*_CLASSES]
