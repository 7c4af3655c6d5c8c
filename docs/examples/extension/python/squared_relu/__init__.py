"""One fused operator for flambeau, built outside of it."""

from squared_relu._squared_relu import squared_relu

__all__ = ["squared_relu"]
