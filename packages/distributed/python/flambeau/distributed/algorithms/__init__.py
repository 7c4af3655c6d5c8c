"""Data-parallel training: communication hooks for gradients, and processes with unequal numbers of inputs (`join`)."""
