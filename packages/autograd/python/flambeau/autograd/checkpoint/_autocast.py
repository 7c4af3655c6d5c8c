"""The autocast state of a checkpointed call, which its recomputation restores."""

import contextlib
from collections.abc import Callable, Iterator

from flambeau.amp.autocast_mode import autocast, get_autocast_dtype, is_autocast_cache_enabled, is_autocast_enabled

_DEVICES = ("cpu", "cuda")


def autocast_restorer() -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Return a function that creates a context manager, which restores the present autocast state in its block."""
    states = [(device, get_autocast_dtype(device), is_autocast_enabled(device)) for device in _DEVICES]
    cache_enabled = is_autocast_cache_enabled()

    @contextlib.contextmanager
    def restore() -> Iterator[None]:
        with contextlib.ExitStack() as regions:
            for device, dtype, enabled in states:
                if enabled or is_autocast_enabled(device):
                    regions.enter_context(autocast(device, dtype, enabled, cache_enabled))
            yield

    return restore
