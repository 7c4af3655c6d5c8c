"""The DataLoader, as in ``flambeau.data``."""

from flambeau.data import DataLoader, default_collate, get_worker_info

__all__ = ["DataLoader", "default_collate", "get_worker_info"]
