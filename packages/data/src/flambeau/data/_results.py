"""Results that a worker returns for a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Batch:
    """Requested batch."""

    content: Any


@dataclass(frozen=True)
class Failure:
    """Exception in the worker."""

    error: BaseException


@dataclass(frozen=True)
class End:
    """End of the worker's shard of a stream."""

    worker: int


Result: TypeAlias = Batch | Failure | End
