"""Names of PyTorch's distributed checkpoints, which flambeau does not support. They raise an error when used."""

from .._missing import unavailable_names
from ._reason import REASON

_FUNCTIONS = ("async_save", "load", "load_sharded_optimizer_state_dict", "load_state_dict", "save", "save_state_dict")
_CLASSES = (
    "BytesStorageMetadata",
    "ChunkStorageMetadata",
    "DefaultLoadPlanner",
    "DefaultSavePlanner",
    "FileSystemReader",
    "FileSystemWriter",
    "HuggingFaceStorageReader",
    "HuggingFaceStorageWriter",
    "LoadPlanner",
    "Metadata",
    "SavePlanner",
    "StorageReader",
    "StorageWriter",
)
globals().update(unavailable_names(__name__, REASON, _FUNCTIONS, _CLASSES))

__all__ = [*_FUNCTIONS, *_CLASSES]
