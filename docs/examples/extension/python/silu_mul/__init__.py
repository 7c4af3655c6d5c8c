"""One fused operator for flambeau, built outside of it."""

from silu_mul._silu_mul import silu_mul

__all__ = ["silu_mul"]
