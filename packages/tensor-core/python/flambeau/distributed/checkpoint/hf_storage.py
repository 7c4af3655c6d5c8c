"""Files of safetensors that several processes would write and read together."""

from __future__ import annotations

from typing import Any

__all__ = ["HuggingFaceStorageReader", "HuggingFaceStorageWriter"]

_NONE = (
    "flambeau has no states that several processes save together (distributed.checkpoint): let one process call "
    "flambeau.save(), or safetensors, with model.state_dict()"
)


class HuggingFaceStorageWriter:
    """Raises NotImplementedError when it is made."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(_NONE)


class HuggingFaceStorageReader:
    """Raises NotImplementedError when it is made."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(_NONE)
