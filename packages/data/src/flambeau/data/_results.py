"""What a worker answers to a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Batch:
    """The batch that was asked for."""

    content: Any


@dataclass(frozen=True)
class Failure:
    """An exception."""

    error: BaseException


@dataclass(frozen=True)
class End:
    """The worker's share of the stream has come to its end."""

    worker: int


Result: TypeAlias = Batch | Failure | End
