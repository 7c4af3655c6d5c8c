"""Data-parallel training: communication hooks for gradients, and uneven numbers of inputs (`join`)."""
