"""Checkpoints of several processes in files of safetensors: names that raise when used."""

from .._missing import stand_ins
from ._sentence import SENTENCE

_CLASSES = ("HuggingFaceStorageReader", "HuggingFaceStorageWriter")
globals().update(stand_ins(__name__, SENTENCE, classes=_CLASSES))

__all__ = [*_CLASSES]
