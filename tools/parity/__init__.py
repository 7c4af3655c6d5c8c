"""Comparison with PyTorch: both libraries run PyTorch's operator table in one process."""
