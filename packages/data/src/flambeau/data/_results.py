"""Results that a worker returns for a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Batch:
    """Result that contains the requested batch."""

    content: Any


@dataclass(frozen=True)
class Failure:
    """Result that contains an exception of the worker."""

    error: BaseException


@dataclass(frozen=True)
class End:
    """Result at the end of the worker's shard of a stream."""

    worker: int


Result: TypeAlias = Batch | Failure | End
